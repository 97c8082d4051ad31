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

from octave_mcp.values import REMOVED, SHORTEST_SECRET

__all__ = ["decode", "well_formed"]

MAX_DEPTH = 100
"""Bounds the levels of nesting. Octave's records have five; Python cannot encode a value with several hundred."""

_USUAL_KEY_BYTES = (string.ascii_letters + string.digits + "-._").encode()
_OTHER_BYTES = bytes(set(range(256)) - set(_USUAL_KEY_BYTES))
_NOT_IN_KEYS = re.compile(r"[^!-~]+")
"""Characters that no key has: settings accept printable ASCII without spaces."""

_ESCAPED = re.compile(rb"\\(?:u[0-9A-Fa-f]{4}|.)")
_SUSPECT_ESCAPE = re.compile(rb"\\u(?:00[0-7]|[Dd][89A-Fa-f])")
"""An escape of an ASCII character, which may be one of a secret, or of a surrogate, which may be a lone one."""


def decode(content: bytes, *, secret: str | None = None) -> Any:
    """Parse `content` (UTF-8, 16 or 32, with or without a byte order mark) as JSON.

    NaN, Infinity and numbers too large for a float become None; lone surrogates become U+FFFD; control characters are
    taken in strings; `secret` is removed from every string, as a peer may echo it. Raises ValueError if `content` is
    not JSON, is nested too deep, or has a whole number of over 4,300 digits.
    """
    try:
        text = content.decode(json.detect_encoding(content))
        value = json.loads(text, parse_float=_finite, parse_constant=lambda _: None, strict=False)
        secret = secret if secret and len(secret) >= SHORTEST_SECRET else None
        _check_depth([value], MAX_DEPTH)
    except (ValueError, RecursionError):
        pass  # raised below, out of reach of the parser's error, which holds the whole text
    else:
        return value if _is_clean(content, secret) else _clean(value, secret)
    raise ValueError("not JSON that can be read")


def well_formed(text: str) -> str:
    """Return `text` with each lone surrogate replaced by U+FFFD, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _without(secret: str, text: str) -> str:
    """Return `text` without `secret`.

    Invisible characters between those of the secret would hide it here, and be removed later. Such a text is replaced
    as a whole.
    """
    text = text.replace(secret, REMOVED)
    return REMOVED if secret in _NOT_IN_KEYS.sub("", text) else text


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _is_clean(content: bytes, secret: str | None) -> bool:
    """Return whether no string in this JSON needs cleaning. That is so for most answers, and their bytes show it.

    True only if there is no surrogate, and if the secret is not found after everything else than the usual characters
    of keys was left out, so that nothing can hide it.
    """
    if b"\x00" in content:  # UTF-16 or UTF-32
        return False
    if b"\\" in content:
        if _SUSPECT_ESCAPE.search(content):
            return False
        content = _ESCAPED.sub(b"", content)
    if secret is None:
        return True
    sought = secret.encode("ascii", "replace")
    return not sought.translate(None, _USUAL_KEY_BYTES) and sought not in content.translate(None, _OTHER_BYTES)


def _check_depth(values: Iterable[Any], levels: int) -> None:
    """Raise ValueError if there are more levels than `levels`."""
    for value in values:
        if not levels:
            raise ValueError("nested too deep")
        if isinstance(value, dict):
            _check_depth(value.values(), levels - 1)
        elif isinstance(value, list):
            _check_depth(value, levels - 1)


def _clean(value: Any, secret: str | None) -> Any:
    if isinstance(value, str):
        if value.isascii() and value.isprintable():  # most strings; nothing is hidden in them
            return value.replace(secret, REMOVED) if secret else value
        return well_formed(_without(secret, value) if secret else value)
    if isinstance(value, list):
        return [_clean(item, secret) for item in value]
    if isinstance(value, dict):
        return {_clean(name, secret): _clean(item, secret) for name, item in value.items()}
    return value
