"""Lines from a client are made such that a strict parser takes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octave_mcp.server.stdin import repaired


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (rb'"a\ud800b"', "a\ufffdb"),
        (rb'"a\uDC00b\uD83D"', "a\ufffdb\ufffd"),
        (rb'"\ud83d\ude00"', "😀"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\\ud800"', r"\ud800"),
        (rb'"\\\ud800"', "\\\ufffd"),
        (b'\xef\xbb\xbf"a"', "a"),
    ],
)
def test_half_a_pair_is_replaced_and_nothing_else(line: bytes, text: str) -> None:
    """An escaped backslash before the same letters is text."""
    assert json.loads(repaired(line)) == text


@given(st.text(st.characters(codec=None, categories=None)))
def test_whatever_json_says_is_the_same_but_for_halves(text: str) -> None:
    """And can be encoded afterwards."""
    read = json.loads(repaired(json.dumps(text).encode()))
    assert read.encode().decode() == read
    assert read == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
