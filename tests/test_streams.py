"""Standard descriptors, and writing to one that nobody reads."""

import os

import pytest

from octave_mcp.streams import BackgroundWriter

SECONDS = 20.0


def test_what_is_written_comes_in_order() -> None:
    """And whoever asked is told."""
    reading, writing = os.pipe()
    writer = BackgroundWriter(writing)
    assert writer.flush(0)
    told: list[bool] = []
    for n in range(10):
        writer.write(b"%d" % n, told.append)
    assert writer.flush(SECONDS)
    assert os.read(reading, 100) == b"0123456789"
    assert told == [True] * 10


def test_nobody_waits_for_a_reader_that_is_stuck() -> None:
    """What does not fit is dropped; when it reads again, the rest comes."""
    reading, writing = os.pipe()
    writer = BackgroundWriter(writing, max_waiting=2)
    taken = [writer.write(b"x" * 100_000) for _ in range(5)]
    assert not all(taken)
    assert not writer.flush(0.01)
    got = 0
    while got < sum(taken) * 100_000:
        got += len(os.read(reading, 1 << 16))
    assert writer.flush(SECONDS)


def test_a_reader_that_is_gone_is_an_answer_and_no_error() -> None:
    """Now and from then on."""
    reading, writing = os.pipe()
    os.close(reading)
    writer = BackgroundWriter(writing)
    told: list[bool] = []
    writer.write(b"a", told.append)
    writer.write(b"b", told.append)
    assert writer.flush(SECONDS)
    assert told == [False, False]


@pytest.mark.parametrize("blocks", [True, False])
def test_large_writes_are_whole(*, blocks: bool) -> None:
    """Also where the descriptor does not block."""
    reading, writing = os.pipe()
    os.set_blocking(writing, blocks)
    writer = BackgroundWriter(writing)
    writer.write(b"y" * 300_000)
    with os.fdopen(reading, "rb") as source:
        assert source.read(300_000) == b"y" * 300_000
