"""Names are the same if Octave may have stored one for the other."""

import pytest

from octave_mcp.octave.names import fold_name, same_name


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Head of Procurement 2 ", "Head of Procurement 2"),
        ("Head  of\u00a0Procurement\n2", "Head of Procurement 2"),
        ("Bu\u0308ro", "B\u00fcro"),
        ("\u3000CFO\t", "CFO"),
        ("", ""),
    ],
)
def test_white_space_and_unicode_form_are_folded(name: str, folded: str) -> None:
    """Octave may trim, fold or normalise what it was sent; letters keep their case."""
    assert fold_name(name) == folded
    assert same_name(name, folded)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("head of sales", "Head of  Sales", True),
        ("STRASSE", "Stra\u00dfe", True),
        ("CFO", "CFO 2", False),
        ("", "A", False),
    ],
)
def test_case_is_ignored_in_comparing(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - drawn by the table
    """People write it as they like."""
    assert same_name(one, other) is same_name(other, one) is same
