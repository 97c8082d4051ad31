"""Arguments of every sort: what is mended, what is refused, and in which words."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octave_mcp.octave.models import GenerateRequest
from octave_mcp.tools.arguments import ADDED_BY_HOSTS, MAX_PROBLEMS, ArgumentsError, read_arguments
from octave_mcp.tools.schemas import GENERATE_PERSONAS

TEXT = {"type": "TEXT", "value": "notes"}
GOOD: dict[str, Any] = {"personas": [{"name": "CFO", "sources": [TEXT]}]}


def body(arguments: dict[str, Any]) -> dict[str, Any]:
    """The API body that the arguments become."""
    return read_arguments(arguments, GENERATE_PERSONAS, GenerateRequest)[0].body()


def problems(arguments: dict[str, Any]) -> list[str]:
    """What is wrong with the arguments."""
    with pytest.raises(ArgumentsError) as caught:
        read_arguments(arguments, GENERATE_PERSONAS, GenerateRequest)
    return caught.value.problems


def test_the_api_body_is_taken_as_it_is() -> None:
    """All five fields."""
    arguments = GOOD | {
        "primaryOfferingOId": "o_1",
        "linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": ["o_1"]},
        "playbookOId": "pb_1",
        "brandVoiceOId": "bv_1",
    }
    assert body(arguments) == arguments


@pytest.mark.parametrize(
    "arguments",
    [
        {"personas": json.dumps(GOOD["personas"])},
        {"personas": [json.dumps(GOOD["personas"][0])]},
        {"personas": [{"name": "CFO", "sources": json.dumps([TEXT])}]},
        {"personas": [{"name": "CFO", "sources": [json.dumps(TEXT)]}]},
        {"personas": json.dumps([json.dumps({"name": "CFO", "sources": json.dumps([json.dumps(TEXT)])})])},
    ],
)
def test_objects_and_arrays_that_arrive_as_json_strings_are_decoded(arguments: dict[str, Any]) -> None:
    """At any depth, and within each other."""
    assert body(arguments) == GOOD


def test_a_linking_strategy_that_arrives_as_a_json_string_is_decoded() -> None:
    """As Claude Desktop sends it."""
    assert body(GOOD | {"linkingStrategy": '{"mode": "ALL"}'})["linkingStrategy"] == {"mode": "ALL"}


@pytest.mark.parametrize("text", ['{"a": 1}', "[1, 2]", '"quoted"', "null", "17", "true"])
def test_text_that_happens_to_be_json_stays_text(text: str) -> None:
    """The schema wants a string there."""
    arguments = {"personas": [{"name": text, "sources": [{"type": "TEXT", "value": text}]}]}
    assert body(arguments) == arguments


@pytest.mark.parametrize("name", sorted(ADDED_BY_HOSTS))
def test_what_hosts_add_is_dropped_and_reported(name: str) -> None:
    """n8n and Gemini CLI add these beside the model's arguments."""
    request, adjusted = read_arguments(GOOD | {name: "x"}, GENERATE_PERSONAS, GenerateRequest)
    assert (request.body(), adjusted.dropped) == (GOOD, [name])
    assert adjusted.notes() == [f"Ignored arguments that the host added: {name}."]


def test_what_hosts_add_is_dropped_at_the_top_only() -> None:
    """Deeper down it is a mistake of the model's."""
    assert problems({"personas": [{"sources": [TEXT], "tool": "x"}]}) == [
        "personas[0].tool: unknown argument; known here: name, sources."
    ]


def test_null_for_an_optional_field_is_the_field_left_out() -> None:
    """Some hosts fill in every field of the schema."""
    arguments = {"personas": [{"name": None, "sources": [TEXT]}], "linkingStrategy": None, "playbookOId": None}
    assert body(arguments) == {"personas": [{"sources": [TEXT]}]}


@pytest.mark.parametrize("empty", ["", "  ", "\u200b"])
def test_an_empty_optional_field_is_the_field_left_out_and_a_note_says_so(empty: str) -> None:
    """Hosts in strict mode cannot leave an argument out. A required field that is empty stays an error."""
    linking = {"mode": "ALL", "offeringOIds": "[]" if empty else []}
    arguments = {"personas": [{"name": empty, "sources": [TEXT]}], "playbookOId": empty, "linkingStrategy": linking}
    request, adjusted = read_arguments(arguments, GENERATE_PERSONAS, GenerateRequest)
    assert request.body() == {"personas": [{"sources": [TEXT]}], "linkingStrategy": {"mode": "ALL"}}
    assert adjusted.empty == ["personas[0].name", "playbookOId", "linkingStrategy.offeringOIds"]
    (note,) = adjusted.notes()
    assert note == "Empty, so taken as left out: personas[0].name, playbookOId, linkingStrategy.offeringOIds."


def test_a_lone_surrogate_is_replaced() -> None:
    """It cannot be sent as UTF-8."""
    assert body({"personas": [{"name": "a\ud800b", "sources": [TEXT]}]})["personas"][0]["name"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        ({}, ["personas: missing (required)"]),
        ({"personas": None}, ["personas: must be an array"]),
        ({"personas": []}, ["personas: must have at least one item"]),
        ({"personas": "three of them"}, ["personas: must be an array; it came as text that is not JSON"]),
        ({"personas": {"sources": [TEXT]}}, ["personas: must be an array"]),
        (
            {"personas": ["CFO"]},
            ["personas[0]: must be an object with name, sources; it came as text that is not JSON"],
        ),
        ({"personas": [3]}, ["personas[0]: must be an object with name, sources"]),
        ({"personas": [{"name": "CFO"}]}, ["personas[0].sources: missing (required)"]),
        ({"personas": [{"sources": []}]}, ["personas[0].sources: must have at least one item"]),
        ({"personas": [{"sources": [TEXT, {}]}]}, [f"personas[0].sources[1].{f}: missing (required)" for f in TEXT]),
        (
            {"personas": [{"sources": [{"type": "FILE", "value": "x"}]}]},
            ["personas[0].sources[0].type: must be TEXT, URL or RESOURCE"],
        ),
        (
            {"personas": [{"sources": [{"type": "TEXT", "value": "  "}]}]},
            ["personas[0].sources[0].value: must not be blank"],
        ),
        (
            {"personas": [{"sources": [{"type": "TEXT", "value": "a\0b"}]}]},
            ["personas[0].sources[0].value: contains the invisible character U+0000 (NUL): send it without"],
        ),
        (
            {"personas": [{"sources": [{"type": "URL", "value": "example.com"}]}]},
            ["personas[0].sources[0].value: must be an http:// or https:// address, without spaces, when type is URL"],
        ),
        (GOOD | {"playbookOId": 7}, ["playbookOId: must be a string"]),
        (
            GOOD | {"linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": []}},
            ["linkingStrategy.offeringOIds: at least one is required when mode is SPECIFIC"],
        ),
        (
            GOOD | {"linkingStrategy": "ALL"},
            ["linkingStrategy: must be an object with mode, offeringOIds; it came as text that is not JSON"],
        ),
        (GOOD | {"linkingStrategy": {"mode": "SOME"}}, ["linkingStrategy.mode: must be ALL or SPECIFIC"]),
        (
            GOOD | {"linkingStrategy": {"mode": "SPECIFIC"}},
            ["linkingStrategy.offeringOIds: at least one is required when mode is SPECIFIC"],
        ),
        (
            GOOD | {"linkingStrategy": {"mode": "ALL", "offeringOIds": ["o_1"]}},
            ["linkingStrategy.offeringOIds: leave it out when mode is ALL, or set mode to SPECIFIC"],
        ),
        (
            GOOD | {"linkingStrategy": {"mode": "SPECIFIC", "offeringOIds": ["o_1", 2]}},
            ["linkingStrategy.offeringOIds[1]: must be a string"],
        ),
    ],
)
def test_each_problem_is_reported_by_its_path_in_the_apis_terms(arguments: dict[str, Any], reported: list[str]) -> None:
    """In words that say what to change."""
    assert problems(arguments) == reported


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (GOOD | {"brandVoiceOid": "bv_1"}, "brandVoiceOid: unknown argument; did you mean brandVoiceOId?"),
        (
            GOOD | {"primary_offering_oid": "o"},
            "primary_offering_oid: unknown argument; did you mean primaryOfferingOId?",
        ),
        (GOOD | {"linking": {}}, "linking: unknown argument; did you mean linkingStrategy?"),
        ({"personas": [{"sources": [TEXT], "nane": "x"}]}, "personas[0].nane: unknown argument; did you mean name?"),
        (
            {"personas": [{"sources": [TEXT | {"valu": "x"}]}]},
            "personas[0].sources[0].valu: unknown argument; did you mean value?",
        ),
        (
            GOOD | {"linkingStrategy": {"mode": "ALL", "offeringOids": ["o"]}},
            "linkingStrategy.offeringOids: unknown argument; did you mean offeringOIds?",
        ),
        (GOOD | {"workspace": None}, "workspace: unknown argument; known here: personas, primaryOfferingOId, "),
    ],
)
def test_an_unknown_argument_is_refused_with_the_nearest_known_name(arguments: dict[str, Any], reported: str) -> None:
    """At any depth; the API would drop it without a word."""
    (problem,) = problems(arguments)
    assert problem.startswith(reported)


def test_all_problems_are_reported_at_once_and_many_are_counted() -> None:
    """A model mends what it is reported."""
    reported = problems(GOOD | {f"wrong{letter}": 1 for letter in "abcdefghijklmnop"})
    assert len(reported) == MAX_PROBLEMS + 1
    assert reported[-1] == f"and {16 - MAX_PROBLEMS} more"


def test_a_problem_of_many_items_is_reported_once() -> None:
    """With how many more there are like it."""
    assert problems({"personas": [{"sources": [{"type": "TEXT", "valu": "x"}]}] * 15}) == [
        "personas[0].sources[0].value: missing (required) (and 14 more like it)",
        "personas[0].sources[0].valu: unknown argument; did you mean value? (and 14 more like it)",
    ]


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("offeringOIds", "linkingStrategy.offeringOIds"),
        ("sources", "personas[].sources"),
        ("type", "personas[].sources[].type"),
    ],
)
def test_an_argument_in_the_wrong_place_is_reported_where_it_belongs(name: str, home: str) -> None:
    """The nearest name here could mean something else, and be paid for."""
    assert problems(GOOD | {name: ["x"]}) == [f"{name}: unknown argument; it belongs at {home}"]


def test_a_name_of_any_sort_is_reported_cleaned_and_bounded() -> None:
    """It goes back to the model, and into a log."""
    (problem,) = problems(GOOD | {"x\n\u202e" + "y" * 5000: 1})
    assert len(problem) < 250
    assert "\n" not in problem


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None, categories=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from([*GENERATE_PERSONAS["properties"], "tool", "nope"])


@given(st.dictionaries(NAMES, ANYTHING | st.just(GOOD["personas"]), max_size=4))
def test_no_arguments_end_in_anything_but_a_body_or_problems(arguments: dict[str, Any]) -> None:
    """Whatever a client sends."""
    sent: dict[str, Any] = {}
    with contextlib.suppress(ArgumentsError):
        sent = body(arguments)
    assert set(sent) <= set(GENERATE_PERSONAS["properties"])
    json.dumps(sent, ensure_ascii=False).encode()


def test_nesting_without_end_is_a_problem_and_no_crash() -> None:
    """As a value, and as a JSON string."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    assert problems({"personas": [deep]})[0].startswith("personas[0]: must be an object")
    assert problems({"personas": "[" * 100_000})[0].startswith("personas: must be an array")
