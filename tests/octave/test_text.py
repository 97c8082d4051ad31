"""Names are the same if Octave may have stored one for the other."""

import pytest

from octave_mcp.octave.text import fold_name, is_blank, same_name, strip_invisible


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Head of Procurement 2 ", "Head of Procurement 2"),
        ("Head  of\u00a0Procurement\n2", "Head of Procurement 2"),
        ("Bu\u0308ro", "B\u00fcro"),
        ("\u3000CFO\t", "CFO"),
        ("\ufeffCFO\u200b \u00ad", "CFO"),
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


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u2060\ufeff", "\ue000", "\u3164\ufe0f", "\u2800", "\x00\x1b"])
def test_a_text_of_which_nothing_can_be_seen_is_blank(text: str) -> None:
    """White space, controls, format and private-use characters, fillers."""
    assert is_blank(text)
    assert strip_invisible(text) == ""
    assert not is_blank(f"{text}x")
    assert strip_invisible(f"{text}x y{text}") == "x y"


@pytest.mark.parametrize("text", ["a", "\u4e2d", "\U0001f600", "-", "\u0645", "\u0915\u094d"])
def test_a_text_of_any_script_is_not_blank(text: str) -> None:
    """One visible character is enough."""
    assert not is_blank(text)
