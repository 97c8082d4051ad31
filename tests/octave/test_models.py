"""Requests are exactly the API's; answers are read whatever they are."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.records import record

from octave_mcp.octave.models import GenerateAnswer, GenerateRequest, Persona, PersonaData, Source
from octave_mcp.octave.sections import LIST_SECTIONS, SECTIONS

TEXT = {"type": "TEXT", "value": "notes"}

PAGE_BODY = {
    "primaryOfferingOId": "o_123456",
    "linkingStrategy": {"mode": "ALL"},
    "personas": [
        {
            "name": "Enterprise Sales Leader",
            "sources": [{"type": "TEXT", "value": "VP of Sales professionals who manage enterprise deals"}],
        },
        {"sources": [{"type": "URL", "value": "https://example.com/target-customer-profile"}]},
    ],
    "playbookOId": "pb_456",
    "brandVoiceOId": "bv_789",
}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def test_the_body_of_the_page_is_sent_as_the_page_has_it() -> None:
    """Field for field, with no name changed and nothing added."""
    assert GenerateRequest.model_validate(PAGE_BODY).body() == PAGE_BODY


@pytest.mark.parametrize("linking", [{"mode": "ALL"}, {"mode": "SPECIFIC", "offeringOIds": ["o_1", "o_2"]}])
def test_both_linking_strategies_are_sent(linking: dict[str, Any]) -> None:
    """The two options that the page names."""
    body = {"personas": [{"sources": [TEXT]}], "linkingStrategy": linking}
    assert GenerateRequest.model_validate(body).body() == body


def test_a_resource_source_is_sent() -> None:
    """The third type of source, from the API reference."""
    body = {"personas": [{"sources": [{"type": "RESOURCE", "value": "Discovery calls"}]}]}
    assert GenerateRequest.model_validate(body).body() == body


def test_what_is_absent_is_left_out_and_never_null() -> None:
    """Also where it was given as None."""
    request = GenerateRequest.model_validate({"personas": [{"name": None, "sources": [TEXT]}], "playbookOId": None})
    assert request.body() == {"personas": [{"sources": [TEXT]}]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"personas": []},
        {"personas": [{}]},
        {"personas": [{"sources": []}]},
        {"personas": [{"sources": [{"type": "FILE", "value": "x"}]}]},
        {"personas": [{"sources": [{"type": "TEXT", "value": ""}]}]},
        {"personas": [{"sources": [{"type": "TEXT", "value": " \n"}]}]},
        {"personas": [{"sources": [{"type": "TEXT", "value": "\u200b\u2060"}]}]},
        {"personas": [{"sources": [{"type": "TEXT", "value": "\ue000\ufe0f\u3164"}]}]},
        {"personas": [{"sources": [{"type": "TEXT", "value": "before\0after"}]}]},
        {"personas": [{"sources": [TEXT], "name": "A\0"}]},
        {"personas": [{"sources": [{"type": "TEXT", "value": 3}]}]},
        {"personas": [{"sources": [{"type": "TEXT"}]}]},
        {"personas": [{"sources": [TEXT], "title": "x"}]},
        {"personas": [{"sources": [TEXT], "name": ""}]},
        {"personas": [{"sources": [TEXT]}], "offering": "o_1"},
        {"personas": [{"sources": [TEXT]}], "playbookOId": 7},
        {"personas": [{"sources": [TEXT]}], "linkingStrategy": "ALL"},
        {"personas": [{"sources": [TEXT]}], "linkingStrategy": {"mode": "SOME"}},
        {"personas": [{"sources": [TEXT]}], "linkingStrategy": {"mode": "SPECIFIC"}},
        {"personas": [{"sources": [TEXT]}], "linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": []}},
        {"personas": [{"sources": [TEXT]}], "linkingStrategy": {"mode": "ALL", "offeringOIds": ["o_1"]}},
    ],
)
def test_a_body_that_the_api_does_not_have_is_refused(body: dict[str, Any]) -> None:
    """Each is a mistake that would be paid for, or lost."""
    with pytest.raises(ValidationError):
        GenerateRequest.model_validate(body)


@pytest.mark.parametrize(
    "address",
    [
        "https://example.com:99999/",
        "https://a.com,https://b.com",
        "https://.",
        "ftp://example.com",
        "example.com",
        "file:///etc/passwd",
        "https://",
        "javascript:alert(1)",
        "http://[bad",
        "https://exa mple.com",
        "https://example.com/a\nb",
        "\n\u200b",
        "see https://example.com",
    ],
)
def test_a_url_source_must_be_a_web_address(address: str) -> None:
    """A page that cannot be read makes a persona about nothing."""
    with pytest.raises(ValidationError):
        GenerateRequest.model_validate({"personas": [{"sources": [{"type": "URL", "value": address}]}]})


@pytest.mark.parametrize("address", ["https://example.com", "HTTP://example.com:8080/a?b=c#d", "https://münchen.de/ä"])
def test_a_web_address_of_any_form_is_sent_as_it_came(address: str) -> None:
    """Without normalisation."""
    body = {"personas": [{"sources": [{"type": "URL", "value": address}]}]}
    assert GenerateRequest.model_validate(body).body() == body


@pytest.mark.parametrize("before", ["", " ", "\ufeff", "\u200e\t"])
@pytest.mark.parametrize("after", ["", "\n", "\u200b \u200b", "\u2060"])
def test_what_surrounds_an_address_unseen_is_taken_off(before: str, after: str) -> None:
    """A model cannot see it, and would send it again."""
    value = f"{before}https://example.com/a{after}"
    request = GenerateRequest.model_validate({"personas": [{"sources": [{"type": "URL", "value": value}]}]})
    assert request.personas[0].sources[0].value == "https://example.com/a"


def test_a_text_is_sent_with_the_white_space_around_it() -> None:
    """Only an address is trimmed: in a text it may mean something."""
    request = GenerateRequest.model_validate({"personas": [{"sources": [{"type": "TEXT", "value": " notes\n"}]}]})
    assert request.personas[0].sources[0].value == " notes\n"


def test_an_invisible_character_within_an_address_is_named() -> None:
    """Nobody would find it otherwise."""
    with pytest.raises(ValidationError, match=r"U\+200B"):
        Source.model_validate({"type": "URL", "value": "https://exam\u200bple.com"})


def test_a_text_with_a_nul_says_which_character_is_wrong() -> None:
    """Databases refuse it, after the persona was charged for."""
    with pytest.raises(ValidationError, match=r"U\+0000"):
        Source.model_validate({"type": "TEXT", "value": "a\0b"})


def test_each_section_that_is_a_list_is_a_field_of_a_personas_data() -> None:
    """A section that is declared and not read, or the other way round, would never be shown."""
    lists = {name for name, info in PersonaData.model_fields.items() if info.annotation == list[str]}
    assert {section.key for section in LIST_SECTIONS} == lists
    assert len({section.key for section in SECTIONS}) == len({section.label for section in SECTIONS}) == len(SECTIONS)
    assert all(section.shown for section in SECTIONS)


@pytest.mark.parametrize("role", ["champion", ["champion", "", None, 3, {}], ["champion"]])
def test_a_buying_role_is_read_in_any_shape(role: object) -> None:
    """It is not on the API's page; Octave's own clients show a list."""
    assert PersonaData.model_validate({"buyingRole": role}).buyingRole[0] == "champion"


def test_a_record_keeps_every_field_of_the_page_and_unknown_ones() -> None:
    """What is not known today may be wanted tomorrow."""
    sent = record(1) | {"somethingNew": {"a": 1}}
    persona = Persona.model_validate(sent)
    assert persona.model_dump(exclude_unset=True) == sent


def test_custom_fields_are_read_as_a_list_or_as_an_object() -> None:
    """Both have been described."""
    as_list = Persona.model_validate({"data": {"customFields": [{"title": "Region", "value": ["EMEA"]}]}})
    as_object = Persona.model_validate({"data": {"customFields": {"Region": "EMEA"}}})
    assert as_list.data.customFields == as_object.data.customFields
    assert Persona.model_validate({"data": {"customFields": {}}}).data.customFields == []


def test_data_that_is_null_is_an_answer_without_personas() -> None:
    """The page allows it."""
    assert GenerateAnswer.model_validate({"_metadata": {"usage": 0}, "data": None}).data == []


def test_one_persona_without_its_list_is_still_read() -> None:
    """It has been paid for."""
    assert [one.oId for one in GenerateAnswer.model_validate({"data": {"oId": "pe_1"}}).data] == ["pe_1"]


@given(ANYTHING)
def test_no_answer_crashes_the_reader(anything: object) -> None:
    """Whatever stands in any place; what is read is JSON again, without NaN."""
    paid = GenerateAnswer.model_validate(
        {
            "_metadata": anything,
            "data": [
                anything,
                {"oId": anything, "name": anything, "active": anything, "user": anything},
                {"oId": "pe_1", "data": anything, "qualifyingQuestions": anything, "workspace": anything},
                {"data": {"painPoints": anything, "customFields": anything}, "qualifyingQuestions": [anything]},
            ],
        }
    )
    assert "pe_1" in [persona.oId for persona in paid.data]
    usage = paid.metadata.usage
    assert usage is None or math.isfinite(usage)
    json.dumps([persona.name for persona in paid.data])
