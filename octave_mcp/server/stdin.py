r"""The process's stdin, as lines that a strict JSON parser takes.

JavaScript writes half of a surrogate pair as an escape, `\ud800`, which is legal JSON and no text. The SDK's parser
refuses the whole line, so the call would never be answered. Here the escape becomes U+FFFD before the SDK reads it.
"""

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

__all__ = ["repaired", "repaired_stdin"]

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


class _Repaired(io.BufferedIOBase):
    """Reads lines of another stream, repaired."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def read1(self, _size: int = -1, /) -> bytes:
        """One line, however long: a message is complete at its end, and nothing may wait for the next."""
        return repaired(self._source.readline())


@contextmanager
def repaired_stdin() -> Iterator[None]:
    """Have `sys.stdin` give repaired lines."""
    original = sys.stdin
    sys.stdin = io.TextIOWrapper(_Repaired(original.buffer), encoding="utf-8", errors="replace")
    try:
        yield
    finally:
        sys.stdin = original
