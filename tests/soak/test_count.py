"""The count finds what is wrong: a check that nothing fails says nothing."""

import json
import random
from dataclasses import replace

import pytest

from octave_mcp.ledger.records import State
from soak.count import Item, compare, unsettled
from soak.hosts import Seen, positions
from soak.octave import Accepted, Octave

ID = "0" * 31 + "1"
OUTCOME = json.dumps({"personas": [{"oId": "pe_1"}]})
ITEM = Item(ID, "A", "print", State.CREATED, OUTCOME, frozenset({("gen_1", 0)}), frozenset({"pe_1"}))
ACCEPTED = Accepted("pe_1", "A", ITEM.key, "at once")


def problems(items: list[Item], accepted: list[Accepted], seen: Seen) -> list[str]:
    """Return what the count finds."""
    octave = Octave(random.Random(0))
    octave.journal = accepted
    return compare(octave, items, seen)[0]


def test_what_agrees_is_no_problem() -> None:
    """One persona that was asked for, accepted, recorded and reported once."""
    assert problems([ITEM], [ACCEPTED], Seen(oids={"pe_1"})) == []


@pytest.mark.parametrize(
    ("items", "accepted", "seen"),
    [
        ([ITEM], [ACCEPTED], Seen()),
        ([ITEM], [], Seen(oids={"pe_1"})),
        ([ITEM], [ACCEPTED, replace(ACCEPTED, oid="pe_2")], Seen(oids={"pe_1"})),
        ([], [ACCEPTED], Seen(oids={"pe_1"})),
        ([ITEM], [ACCEPTED], Seen(oids={"pe_1", "pe_2"})),
        ([ITEM], [ACCEPTED], Seen(oids={"pe_1"}, not_created={("gen_1", 0)})),
        ([replace(ITEM, state=State.FAILED)], [ACCEPTED], Seen(oids={"pe_1"})),
        ([replace(ITEM, state=State.SENT)], [ACCEPTED], Seen(oids={"pe_1"})),
        ([replace(ITEM, oids=frozenset())], [ACCEPTED], Seen(oids={"pe_1"})),
        (
            [ITEM, replace(ITEM, id="0" * 31 + "2", outcome=OUTCOME.replace("1", "2"), oids=frozenset({"pe_2"}))],
            [ACCEPTED, Accepted("pe_2", "A", replace(ITEM, id="0" * 31 + "2").key, "at once")],
            Seen(oids={"pe_1", "pe_2"}),
        ),
    ],
    ids=[
        "never reported",
        "never accepted",
        "one item accepted twice",
        "not on record",
        "never created",
        "reported as not created",
        "failed",
        "live",
        "no claim",
        "two items of one request",
    ],
)
def test_what_does_not_agree_is_a_problem(items: list[Item], accepted: list[Accepted], seen: Seen) -> None:
    """Each kind by itself."""
    assert problems(items, accepted, seen)


def test_only_what_cannot_be_told_apart_may_stay_unknown() -> None:
    """One without a name, or beside another of its name."""
    unknown = replace(ITEM, state=State.UNKNOWN)
    assert unsettled([unknown]) == [unknown]
    assert unsettled([replace(unknown, name=None)]) == []
    assert unsettled([unknown, replace(unknown, id="0" * 31 + "2")]) == []


def test_positions_are_read_from_words() -> None:
    """Single ones and runs, with names or without."""
    assert positions('personas[0] "A, B", personas[3] to personas[5]') == [0, 3, 4, 5]
