"""JSON from a wire that promises nothing, made safe for every wire that follows.

Python's own parser accepts what no strict peer does: NaN and Infinity, and lone surrogates, of which a single one ends
a stdio server when it is written out as UTF-8. Both are put right here, once, so that nothing behind needs to know.
"""

import json
import math
from typing import Any

from octave_mcp.text import clean

__all__ = ["REMOVED", "decode", "well_formed"]

REMOVED = "[key removed]"
"""Stands where a secret was."""

_SHORTEST_SECRET = 8
"""Characters. A shorter secret may be a common word, and taking it out would damage what was paid for."""


MAX_DEPTH = 100
"""Levels of nesting. A record of Octave's has five; some hundreds are more than what comes after this can write."""


def decode(content: bytes, *, secret: str | None = None) -> Any:
    """Parse `content` (UTF-8, 16 or 32, with or without a byte order mark) as JSON.

    NaN, Infinity and numbers too large for a float become None; lone surrogates become U+FFFD; `secret` is taken out of
    every string, should the peer echo it. Raises ValueError for whatever cannot be read, nesting too deep included.
    """
    try:
        text = content.decode(json.detect_encoding(content))
        value = json.loads(text, parse_float=_finite, parse_constant=lambda _: None)
        return _clean(value, secret if secret and len(secret) >= _SHORTEST_SECRET else None, MAX_DEPTH)
    except (ValueError, RecursionError):
        pass  # raised below, out of reach of the parser's error, which holds the whole text
    raise ValueError("no JSON that can be read")


def well_formed(text: str) -> str:
    """`text` with each lone surrogate replaced by U+FFFD, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _without(secret: str, text: str) -> str:
    """`text` without `secret`, also where invisible characters hide it until somebody cleans the text."""
    text = text.replace(secret, REMOVED)
    return REMOVED if secret in clean(text).replace(" ", "") else text


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _clean(value: Any, secret: str | None, levels: int) -> Any:
    """Raises ValueError where there are more levels than that."""
    if not levels:
        raise ValueError("nested too deep")
    if isinstance(value, str):
        if value.isascii() and value.isprintable():  # as most are: with nothing hidden in them
            return value.replace(secret, REMOVED) if secret else value
        return well_formed(_without(secret, value) if secret else value)
    if isinstance(value, list):
        return [_clean(item, secret, levels - 1) for item in value]
    if isinstance(value, dict):
        return {_clean(name, secret, levels - 1): _clean(item, secret, levels - 1) for name, item in value.items()}
    return value
