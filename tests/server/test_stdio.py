"""Lines from a client are made such that a strict parser takes them."""

import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octave_mcp.server.stdio import Stdin, repaired


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


def test_lines_come_one_at_a_time_and_the_last_may_lack_its_end() -> None:
    """A message is complete at its end of line; what a client left unfinished is read when it is gone."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source:
        stdin = Stdin(source)
        os.write(writing, b"one\ntwo\nthr")
        assert (stdin.read1(), stdin.read1()) == (b"one\n", b"two\n")
        os.close(writing)
        assert (stdin.read1(), stdin.read1()) == (b"thr", b"")


def test_it_ends_although_a_thread_waits_for_a_line() -> None:
    """Whoever asks the process to end does not have to hang up first."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source:
        stdin = Stdin(source)
        lines: list[bytes] = []
        thread = threading.Thread(target=lambda: lines.append(stdin.read1()))
        thread.start()
        stdin.end()
        thread.join(10)
        os.close(writing)
    assert lines == [b""]
