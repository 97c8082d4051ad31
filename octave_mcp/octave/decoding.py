"""Decoding of JSON that may be malformed or hostile, into values that can be encoded again.

Python's own parser accepts what strict parsers refuse: NaN and Infinity, and lone surrogates, of which a single one
ends a stdio server when it is written out as UTF-8. Both are replaced here, once, for all code that follows.
"""

import json
import math
import re
import string
from collections.abc import Iterable
from typing import Any

__all__ = ["REMOVED", "decode", "well_formed"]

REMOVED = "[key removed]"
"""Replaces a secret that the peer echoed."""

_SHORTEST_SECRET = 8
"""Characters of the shortest secret that is removed: a shorter one may be a word of a persona."""


MAX_DEPTH = 100
"""Bounds the levels of nesting. A record of Octave's has five; some hundreds cannot be encoded again."""

_OF_A_KEY = (string.ascii_letters + string.digits + "-._").encode()
_NOT_OF_A_KEY = bytes(set(range(256)) - set(_OF_A_KEY))
_NOT_PRINTED_ASCII = re.compile(r"[^!-~]+")
"""Characters that no key has: settings accept printable ASCII without spaces."""

_ESCAPED = re.compile(rb"\\(?:u[0-9A-Fa-f]{4}|.)")
_IN_NEED = re.compile(rb"\\u(?:00[0-7]|[Dd][89A-Fa-f])")
"""Escapes that need a closer look: ASCII, which a secret is made of, and surrogates, which may be alone."""


def decode(content: bytes, *, secret: str | None = None) -> Any:
    """Parse `content` (UTF-8, 16 or 32, with or without a byte order mark) as JSON.

    NaN, Infinity and numbers too large for a float become None; lone surrogates become U+FFFD; `secret` is removed from
    every string, as a peer may echo it. Raises ValueError if it cannot be read, or is nested too deep.
    """
    try:
        text = content.decode(json.detect_encoding(content))
        value = json.loads(text, parse_float=_finite, parse_constant=lambda _: None)
        secret = secret if secret and len(secret) >= _SHORTEST_SECRET else None
        _measure([value], MAX_DEPTH)
    except (ValueError, RecursionError):
        pass  # raised below, out of reach of the parser's error, which holds the whole text
    else:
        return value if _is_clean(content, secret) else _clean(value, secret)
    raise ValueError("no JSON that can be read")


def well_formed(text: str) -> str:
    """Return `text` with each lone surrogate replaced by U+FFFD, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _without(secret: str, text: str) -> str:
    """Return `text` without `secret`, also if other characters between its own would hide it until text is cleaned."""
    text = text.replace(secret, REMOVED)
    return REMOVED if secret in _NOT_PRINTED_ASCII.sub("", text) else text


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _is_clean(content: bytes, secret: str | None) -> bool:
    """Return whether no string of this JSON needs to be looked at, judging by its bytes all at once: most answers.

    True only where no surrogate can be, and where the secret is not there even with all else than a key's characters
    left out, so that nothing can hide it.
    """
    if b"\x00" in content:  # no UTF-8
        return False
    if b"\\" in content:
        if _IN_NEED.search(content):
            return False
        content = _ESCAPED.sub(b"", content)
    if secret is None:
        return True
    sought = secret.encode("ascii", "replace")
    return not sought.translate(None, _OF_A_KEY) and sought not in content.translate(None, _NOT_OF_A_KEY)


def _measure(values: Iterable[Any], levels: int) -> None:
    """Raise ValueError if there are more levels than `levels`."""
    for value in values:
        if not levels:
            raise ValueError("nested too deep")
        if isinstance(value, dict):
            _measure(value.values(), levels - 1)
        elif isinstance(value, list):
            _measure(value, levels - 1)


def _clean(value: Any, secret: str | None) -> Any:
    if isinstance(value, str):
        if value.isascii() and value.isprintable():  # as most are: with nothing hidden in them
            return value.replace(secret, REMOVED) if secret else value
        return well_formed(_without(secret, value) if secret else value)
    if isinstance(value, list):
        return [_clean(item, secret) for item in value]
    if isinstance(value, dict):
        return {_clean(name, secret): _clean(item, secret) for name, item in value.items()}
    return value
