"""A persona's items come in the order in which they are shown."""

import pytest
from support.records import record

from octave_mcp.octave.models import Persona
from octave_mcp.octave.sections import SECTIONS
from octave_mcp.personas.section_items import MAX_ITEM_CHARACTERS, display_name, first_sentence, items_of

SECTION = {section.key: section for section in SECTIONS}


def test_every_section_of_a_record_has_its_items() -> None:
    """Lists come as they are, questions by fit, custom fields with their titles, the description by sentences."""
    raw = record(1)
    persona = Persona.model_validate(raw)
    for key, items in raw["data"].items():
        if key in SECTION and key != "customFields":
            assert items_of(persona, SECTION[key]) == items
    assert "".join(items_of(persona, SECTION["description"])) == raw["description"]
    assert items_of(persona, SECTION["customFields"]) == [
        "Buying committee: Finance partner, Security architect, Regional manager",
        "Preferred channel: A short written brief before any meeting",
    ]
    asked = [one["question"] for one in raw["qualifyingQuestions"] if one["fitType"] == "GOOD"]
    assert sorted(items_of(persona, SECTION["qualifyingQuestions"])) == sorted(asked)


@pytest.mark.parametrize(
    ("description", "sentence"),
    [
        ("Buys \u202esoftware.\nSigns alone.", "Buys software."),
        ("Reads docs, e.g. changelogs. Has a veto.", "Reads docs, e.g. changelogs."),
        ("監査に責任を持つ。一人で署名する。", "監査に責任を持つ。"),
        ("x" * MAX_ITEM_CHARACTERS, "x" * MAX_ITEM_CHARACTERS),
        ("x" * (MAX_ITEM_CHARACTERS + 1) + ". Short.", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_first_sentence_of_a_description_is_one_short_line(description: str | None, sentence: str) -> None:
    """A list of personas has a line for each."""
    assert first_sentence(description) == sentence


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": "A\nB", "internalName": "C"}, "A B"),
        ({"name": "", "internalName": "C", "data": {"internalName": "D"}}, "C"),
        ({"data": {"internalName": "D"}}, "D"),
        ({}, ""),
    ],
)
def test_a_persona_without_a_name_goes_by_its_internal_name(fields: dict[str, object], name: str) -> None:
    """Octave has one in two places."""
    assert display_name(Persona.model_validate(fields)) == name
