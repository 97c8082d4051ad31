r"""The process's stdin, as lines that a strict JSON parser takes.

JavaScript writes half of a surrogate pair as an escape, `\ud800`, which is legal JSON and no text. The SDK's parser
refuses the whole line, so the call would never be answered. Here the escape becomes U+FFFD before the SDK reads it.
"""

import io
import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

__all__ = ["Stdin", "repaired", "repaired_stdin"]

_ESCAPES = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|(?P<other>\\.)",
    re.DOTALL,
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def repaired(line: bytes) -> bytes:
    """`line` with each half of a surrogate pair replaced, and without a byte order mark."""
    line = line.removeprefix(_BYTE_ORDER_MARK)
    if b"\\ud" not in line and b"\\uD" not in line:
        return line
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found["half"] else found[0], line)


class Stdin(io.BufferedIOBase):
    """Reads lines of another stream, repaired. `end` makes it end, also while a thread waits for a line."""

    def __init__(self, source: BinaryIO, at_end: Callable[[], None] = lambda: None) -> None:
        """Take the stream, which stays the caller's to close. `at_end` is called, by the reader, when it has ended."""
        self._source = source
        self._at_end = at_end
        self._buffer = b""
        self._ended = False
        self._woken, self._wake = os.pipe()

    def readable(self) -> bool:
        """It is."""
        return True

    def read1(self, _size: int = -1, /) -> bytes:
        """One line, however long: a message is complete at its end, and nothing may wait for the next."""
        line = self._line()
        if not line:
            self._at_end()
        return repaired(line)

    def end(self) -> None:
        """Have the stream end here, as if its writer had closed it. May be called by a signal's handler."""
        self._ended = True
        os.write(self._wake, b"!")

    def _line(self) -> bytes:
        if sys.platform == "win32":  # pragma: no cover - cannot wait for a pipe and something else
            return self._source.readline()
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._source.fileno(), self._woken], [], [])
            more = b"" if self._ended or self._woken in ready else os.read(self._source.fileno(), 1 << 16)
            if not more:
                line, self._buffer = b"" if self._ended else self._buffer, b""
                return line
            self._buffer += more
        line, newline, self._buffer = self._buffer.partition(b"\n")
        return line + newline


@contextmanager
def repaired_stdin(at_end: Callable[[], None]) -> Iterator[Stdin]:
    """Have `sys.stdin` give repaired lines. `at_end` is called when there are no more."""
    original = sys.stdin
    repaired_ = Stdin(original.buffer, at_end)
    sys.stdin = io.TextIOWrapper(repaired_, encoding="utf-8", errors="replace")
    try:
        yield repaired_
    finally:
        sys.stdin = original
