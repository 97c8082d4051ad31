"""Condensing keeps what matters: what a summary of a believable record shows, and what it leaves out first."""

from itertools import pairwise

import pytest
from support.believable import BELIEVABLE, ROOMY, Believable, rungs, summaries

from octave_mcp.octave.sections import SECTIONS
from octave_mcp.personas.section_items import MAX_ITEM_CHARACTERS
from octave_mcp.personas.summary import Condensed, condense

STRENGTH = ("INSTANT_DISQUALIFIER", "HIGH", "MEDIUM", "LOW")

TIERS = (
    (("commonJobTitles", 1), ("keyObjectives", 1), ("painPoints", 1), ("description", 1)),
    (("buyingRole", 1), ("whyWeMatterToThem", 1), ("qualifyingQuestions", 1)),
    (("keyConcerns", 1), ("disqualifyingQuestions", 1), ("primaryResponsibilities", 1)),
    (("whyTheyMatterToUs", 1), ("customFields", 1)),
    (("commonJobTitles", 2), ("keyObjectives", 2), ("painPoints", 2)),
    (("description", 2), ("buyingRole", 2), ("whyWeMatterToThem", 2), ("qualifyingQuestions", 2)),
    (("keyConcerns", 2), ("keyObjectives", 3), ("painPoints", 3), ("disqualifyingQuestions", 2)),
    (("primaryResponsibilities", 2), ("whyTheyMatterToUs", 2), ("customFields", 2)),
)
"""What a go-to-market reader would miss, most of all first, as kinds and how many of each.

Who it is, what they want and what hurts, without which there is no message to write; then their part in the purchase,
what to say to them, and how to find out whether they fit; then what speaks against it, and what they do all day; then
why the sender should care, and what the sender's team added, both of which the sender knows best. Seconds and thirds
come after that: another pain is worth more than another concern, and a third pain more than a second duty.
"""

each = pytest.mark.parametrize("one", BELIEVABLE, ids=lambda one: one.record["oId"])


def flat(condensed: Condensed) -> set[tuple[str, str]]:
    """Every item that is shown, with its kind."""
    return {(key, item.rstrip()) for key, shown in condensed.items.items() for item in shown}


def of_usual_length(one: Believable, key: str) -> list[str]:
    """The record's items of a kind without those that are too long to be shown anywhere."""
    return [item for item in one.items(key) if len(item) <= MAX_ITEM_CHARACTERS]


def test_less_and_less_room_ends_with_names() -> None:
    """The tests below look at every depth in between, of all records."""
    depths = [max(sum(map(len, one.items.values())) for one in rung) for rung in rungs()]
    assert depths == sorted(depths, reverse=True)
    assert len(set(depths)) > len(SECTIONS)
    assert depths[-1] == 0


@each
def test_what_is_shown_is_in_the_record_word_for_word_and_in_its_order(one: Believable) -> None:
    """Half a sentence, or a third pain in front of a second, would be the server's own words."""
    for condensed in summaries(one):
        assert one.record["description"].startswith(condensed.description)
        for key, shown in condensed.items.items():
            if key.endswith("Questions"):
                assert set(shown) <= set(one.items(key))
            else:
                found = [one.items(key).index(item.rstrip()) for item in shown]
                assert found == sorted(set(found))


@each
def test_both_channels_hold_the_same_items(one: Believable) -> None:
    """A host shows the model only one of them."""
    for condensed in summaries(one):
        structured, lines = condensed.structured(), condensed.text().splitlines()
        assert structured.get("description", "") == condensed.description
        assert {key: structured[key] for key in condensed.items if key != "description"} == {
            key: shown for key, shown in condensed.items.items() if key != "description"
        }
        labelled = {line.split(": ", 1)[0]: line.split(": ", 1)[1] for line in lines[1:]}
        labels = {section.key: section.label for section in SECTIONS}
        shown = {labels[key]: "; ".join(some) for key, some in condensed.items.items() if key != "description"}
        assert set(labelled) - {"Left out", "Description"} == set(shown)
        assert all(labelled[label].startswith(line) for label, line in shown.items())
        assert labelled.get("Description", "").startswith(condensed.description)


@each
def test_the_strongest_questions_are_chosen_strongest_first(one: Believable) -> None:
    """At every depth the strongest questions of each fit are shown; an archived one, or one of neither fit, is not."""
    for condensed in summaries(one):
        for key, fit in (("qualifyingQuestions", "GOOD"), ("disqualifyingQuestions", "BAD")):
            asked = {question["question"]: STRENGTH.index(question["weight"]) for question in one.questions(fit)}
            shown = [asked[question] for question in condensed.items.get(key, [])]
            assert shown == sorted(asked.values())[: len(shown)]


@each
def test_in_less_room_nothing_is_shown_that_more_room_left_out(one: Believable) -> None:
    """A reader who asks for fewer personas sees more of each, and nothing else instead."""
    for roomier, tighter in pairwise(summaries(one)):
        assert flat(tighter) <= flat(roomier)


@each
def test_nothing_is_shown_while_something_that_would_be_missed_more_is_left_out(one: Believable) -> None:
    """A third title in place of the first pain, because it happened to fit, helps nobody."""
    for condensed in summaries(one):
        shown = {key: len(some) for key, some in condensed.items.items()}
        begun = [any(which <= shown.get(key, 0) for key, which in tier) for tier in TIERS]
        owed = [
            [(key, which) for key, which in tier if shown.get(key, 0) < which <= len(of_usual_length(one, key))]
            for tier in TIERS
        ]
        last = max((place for place, any_shown in enumerate(begun) if any_shown), default=0)
        assert not any(owed[:last]), owed[:last]


@each
def test_what_a_reader_would_miss_least_goes_before_what_they_would_miss_most(one: Believable) -> None:
    """A person judged each record: none of its least missed items is shown while a most missed one is left out."""
    most, least = ({one.whole(words) for words in judged} for judged in (one.most, one.least))
    for condensed in summaries(one):
        shown = {item for _, item in flat(condensed)} | {condensed.name}
        assert most <= shown or not least & shown


@each
def test_one_persona_alone_shows_all_that_a_reader_would_miss_most(one: Believable) -> None:
    """One persona has room for everything that a person judged to be missed most."""
    (condensed,), note = condense([one.persona], ROOMY)
    shown = {item for _, item in flat(condensed)}
    assert note == ""
    assert {one.whole(words) for words in one.most} <= shown


@each
def test_a_summary_tells_at_least_who_it_is_and_what_they_want_or_what_hurts(one: Believable) -> None:
    """A persona of which less fits is shown by name, and the note says so."""
    for condensed in summaries(one):
        if condensed.items:
            assert condensed.items.get("commonJobTitles")
            assert condensed.items.get("keyObjectives") or condensed.items.get("painPoints")


@each
def test_personas_of_one_result_are_shown_to_the_same_depth(one: Believable) -> None:
    """Readers compare personas: a section that one shows is shown of all that have it, if no share is full."""
    place = BELIEVABLE.index(one)
    for rung in rungs():
        if sum(map(len, rung[place].items.values())) <= len(SECTIONS) // 2:
            for key in {key for condensed in rung for key in condensed.items}:
                assert rung[place].items.get(key) or not of_usual_length(one, key)


@each
def test_what_is_shown_and_what_is_left_out_add_up_to_the_record(one: Believable) -> None:
    """Nobody takes a summary for all there is."""
    for condensed in summaries(one):
        for section in SECTIONS:
            shown, left = condensed.items.get(section.key, []), condensed.left_out.get(section.key, 0)
            assert len(shown) + left == len(one.items(section.key))
