"""JSON that no strict peer would send is made harmless, or is a ValueError and nothing else."""

import json
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octave_mcp.octave import response_body
from octave_mcp.octave.response_body import decode
from octave_mcp.octave.text import well_formed


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_is_no_json_is_dropped(number: str) -> None:
    """A client would refuse the whole result for it, with what was paid for."""
    assert decode(f'{{"usage": {number}, "n": 1.5}}'.encode()) == {"usage": None, "n": 1.5}


def test_a_lone_surrogate_is_replaced_in_values_and_names() -> None:
    """One of them, written out as UTF-8, ends a stdio server."""
    assert decode(rb'{"a\ud800": ["b\udfff", "\ud83d\ude00"]}') == {"a\ufffd": ["b\ufffd", "😀"]}


def test_a_control_character_does_not_lose_the_answer() -> None:
    """The answer is paid for, and complete."""
    assert decode(b'{"a": "x\ty\nz", "b": 1}') == {"a": "x\ty\nz", "b": 1}


def test_a_secret_that_hides_behind_an_odd_byte_is_taken_out() -> None:
    """As it would come out when the text is cleaned."""
    for odd in (b"\x01", b"\t", b"\x7f"):
        decoded = decode(b'["sk-' + odd + b'canary-1"]', secret="sk-canary-1")
        assert decoded == ["[key removed]"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_any_unicode_encoding_is_read(encoding: str) -> None:
    """With a byte order mark or without."""
    assert decode('{"a": "ü"}'.encode(encoding)) == {"a": "ü"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b'{"a": ',
        b'{"a": "\xff"}',
        b"[" * 200_000,
        b"[" * 120 + b"]" * 120,
        b'{"a": ' + b"9" * 5000 + b"}",
        b"\x00" * 9,
    ],
)
def test_what_cannot_be_read_is_a_value_error(content: bytes) -> None:
    """Also where Python's parser raises something else."""
    with pytest.raises(ValueError):  # noqa: PT011 - its words are the parser's and not ours
        decode(content)


def test_a_secret_that_the_peer_echoes_is_taken_out() -> None:
    """Wherever it stands, names included."""
    content = json.dumps({"message": "bad key sk-canary-1", "sk-canary-1": ["xsk-canary-1x"]}).encode()
    assert "sk-canary-1" not in json.dumps(decode(content, secret="sk-canary-1"))


@pytest.mark.parametrize("hidden", ["sk-\u200bcanary-1", "sk-can\u00adary-1", "s\x00k-canary-1", "sk-canary\ufe0f-1"])
def test_a_secret_that_hides_behind_invisible_characters_is_taken_out(hidden: str) -> None:
    """It would come out when the text is cleaned."""
    assert decode(json.dumps([f"My key is {hidden}"]).encode(), secret="sk-canary-1") == ["[key removed]"]


KEY = "sk-can.1"
PIECES = [*KEY, "sk-", "can", *'\\/"unrt \t\n\x00\x7f\u00e9\u200b\u2019\ufe0f\ud800\U0001f600']


@given(st.lists(st.sampled_from([KEY, KEY, *PIECES]), max_size=12).map("".join), st.booleans(), st.booleans())
def test_text_that_is_taken_as_it_is_would_not_have_changed(text: str, escaping: bool, naming: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever hides in it: looking at each string gives the same."""
    value = {text: [text]} if naming else [[text], "plain"]
    content = json.dumps(value, ensure_ascii=escaping or "\ud800" in text).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(response_body, "_is_clean", lambda *_: False)
        slowly = decode(content, secret=KEY)
    assert decode(content, secret=KEY) == slowly


@pytest.mark.parametrize(("depth", "is_read"), [(99, True), (100, False)])
@pytest.mark.parametrize("innermost", ["1", '"\\u0041"', "{}"])
def test_nesting_has_one_bound(depth: int, is_read: bool, innermost: str) -> None:  # noqa: FBT001 - drawn by the table
    """Whether each string is looked at, or none."""
    content = ("[" * depth + innermost + "]" * depth).encode()
    with nullcontext() if is_read else pytest.raises(ValueError, match="not JSON"):
        decode(content)


def test_a_short_secret_is_no_reason_to_damage_text() -> None:
    """A key such as "sales" would be part of words."""
    assert decode(b'{"name": "Head of sales"}', secret="sales") == {"name": "Head of sales"}


@given(st.text(st.characters(codec=None, categories=None)))
def test_well_formed_text_can_be_encoded_and_is_otherwise_the_same(text: str) -> None:
    """Pairs of surrogates included."""
    assert well_formed(text).encode().decode() == well_formed(text)
    if not any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        assert well_formed(text) == text
