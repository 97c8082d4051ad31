"""Every shape in which Octave's lists have been described is the same list."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octave_mcp.octave.lookup_models import LibraryPage, PersonaAnswer, PersonaPage, Workspace

ROWS = [{"oId": "x_1", "name": "One"}, {"oId": "x_2", "name": "Two"}]


@pytest.mark.parametrize(
    "answer",
    [
        {"hasNext": True, "total": 9, "data": ROWS},
        {"data": {"hasNext": True, "total": 9, "data": ROWS}},
        {"data": {"hasNext": True, "total": 9, "playbooks": ROWS}},
        {"hasNext": True, "total": 9, "data": {"x_1": ROWS[0], "x_2": ROWS[1]}},
        {"data": {"data": {"data": ROWS, "hasNext": True}, "total": 9}},
        {"data": {"tags": ["a", "b"], "rows": ROWS, "hasNext": True, "total": 9}},
        {"hasNext": True, "total": "9", "data": [*ROWS, None, "x", 7]},
    ],
)
def test_rows_and_counts_are_found_wherever_they_are(answer: dict[str, Any]) -> None:
    """At the top, nested as brand voices are, or in an object as playbooks are described."""
    page = LibraryPage.model_validate({"_metadata": {"usage": 0}, **answer})
    assert [(row.oId, row.name) for row in page.data] == [("x_1", "One"), ("x_2", "Two")]
    assert (page.hasNext, page.count(0)) == (True, 9)


def test_an_object_that_is_one_row_is_one_row() -> None:
    """And not its values."""
    (row,) = LibraryPage.model_validate({"data": ROWS[0] | {"data": {"summary": "S", "type": "SERVICE"}}}).data
    assert (row.oId, row.offering_type, row.summary) == ("x_1", "SERVICE", "S")


@pytest.mark.parametrize(
    ("counts", "offset", "more", "count"),
    [
        ({"hasNext": True}, 0, True, None),
        ({"hasNext": False}, 0, False, None),
        ({"hasNext": False, "total": 2}, 0, False, 2),
        ({"total": 9}, 0, True, 9),
        ({"total": 2}, 0, False, 2),
        ({"total": 9}, 7, False, 9),
        ({}, 0, True, None),
        ({"hasNext": False, "total": 9}, 0, True, 9),
        ({"hasNext": True, "total": 2}, 0, True, None),
        ({"hasNext": True, "total": 0}, 0, True, None),
        ({"total": -1}, 0, True, None),
        ({"hasNext": False, "total": 0}, 0, False, None),
    ],
)
def test_a_page_knows_whether_there_may_be_more_and_no_total_that_it_contradicts(
    counts: dict[str, Any],
    offset: int,
    more: bool,  # noqa: FBT001 - drawn by the table
    count: int | None,
) -> None:
    """Also where `hasNext` is missing, both counts are, or they differ."""
    page = PersonaPage.model_validate({**counts, "data": ROWS})
    assert (page.goes_on(offset), page.count(offset)) == (more, count)


def test_a_page_without_rows_is_the_end_whatever_it_says() -> None:
    """Else a reader would go on for ever."""
    assert not PersonaPage.model_validate({"hasNext": True, "total": 9, "data": []}).goes_on(0)


@pytest.mark.parametrize("wrapped", [False, True])
def test_one_persona_is_read_at_the_top_level_or_under_data(wrapped: bool) -> None:  # noqa: FBT001 - both
    """Its own `data` is not mistaken for it."""
    fields = {"oId": "pe_1", "name": "CISO", "data": {"painPoints": ["Audits"]}}
    persona = PersonaAnswer.model_validate({"_metadata": {}, **({"data": fields} if wrapped else fields)})
    assert (persona.oId, persona.name, persona.data.painPoints) == ("pe_1", "CISO", ["Audits"])


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_workspace_is_read_at_the_top_level_or_under_data(wrapped: bool) -> None:  # noqa: FBT001 - both
    """With its credits as numbers."""
    fields = {"valid": True, "workspaceName": "W", "credits": {"totalRemaining": "12", "totalMax": None}}
    workspace = Workspace.model_validate({"data": fields} if wrapped else fields)
    assert (workspace.valid, workspace.workspaceName) == (True, "W")
    assert (workspace.credits.totalRemaining, workspace.credits.totalMax) == (12, None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["data", "oId", "name", "total", "hasNext", "credits", "x"]), inner)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(["data", "oId", "total", "hasNext", "credits", "valid"]), _JSON))
def test_no_answer_is_more_than_can_be_read(answer: dict[str, Any]) -> None:
    """Whatever Octave's page does not say."""
    for model in (LibraryPage, PersonaPage, PersonaAnswer, Workspace):
        read = model.model_validate(answer)
        if isinstance(read, LibraryPage):
            assert all(f"{row.offering_type} {row.summary}" for row in read.data)
