"""The body of an answer: read as it comes and inflated, under a cap, and decoded, though it may be hostile.

The client asks for no compression, as a compressed answer can be cut, broken, or very much larger than it looks. A
proxy on the way may compress all the same, and by then the answer has been paid for.

Python's JSON parser accepts what strict parsers refuse: NaN and Infinity, and lone surrogates, of which a single one
ends a stdio server when it is written out as UTF-8. Both are replaced here, once, for all code that follows.
"""

import json
import math
import re
import string
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

from octave_mcp.octave.text import well_formed
from octave_mcp.values import REMOVED, SHORTEST_SECRET

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""Bounds the answer to a POST: a persona's record is a few kilobytes, so this is hundreds of them."""

MAX_LOOK_UP_BYTES = 4 * 1024 * 1024
"""Bounds the answer to a look-up: no page has more than a hundred records, and reading more would delay other calls."""

_INPUT_BYTES, _OUTPUT_BYTES = 1024, 64 * 1024
"""Most bytes of one step of inflating: compressed, and inflated. In small steps, what precedes damaged data is read."""

_REGISTERED = frozenset({"br", "compress", "dcb", "dcz", "deflate", "gzip", "x-compress", "x-gzip", "zstd"})
"""The content codings in IANA's registry."""

_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
"""The formats that zlib reads, as it numbers them."""

_GZIP_START = b"\x1f\x8b"
"""Begins each gzip member, and no text: RFC 1952, 2.3.1."""

_MAX_LAYERS = 3
"""Bounds how often a body is inflated. Two happen, if a proxy compresses what was compressed."""


class BodyError(ValueError):
    """The body cannot be read; the text completes "Octave's answer …"."""


async def read_body(response: httpx.Response, received: bytearray) -> None:
    """Read the whole body into `received`, inflated.

    If the body breaks off or cannot be inflated, `received` has the part that arrived. Raises `BodyError` if the body
    is too large, damaged, or compressed in an unknown format.
    """
    limit = MAX_LOOK_UP_BYTES if response.request.method == "GET" else MAX_ANSWER_BYTES
    encoding = response.headers.get("content-encoding", "").strip().lower()
    problem = None
    try:
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) > limit:
                raise BodyError("is too large.")
    finally:
        problem = _inflate(received, encoding, limit)
    if problem:
        raise BodyError(f"came compressed with {_safe_name(encoding)}{problem}")


def _inflate(received: bytearray, encoding: str, limit: int) -> str | None:
    """Inflate `received` in place as far as possible. Return the problem that stopped it, or None."""
    for _ in range(_MAX_LAYERS):
        if (format_ := _format(received, encoding)) is None:
            break
        inflated = bytearray()
        problem = None
        try:
            for part in inflate(bytes(received), format_):
                inflated += part
                if len(inflated) > limit:
                    problem = " and is too large."
                    break
        except zlib.error:
            problem = " and is damaged."
        if inflated:
            received[:] = inflated
        if problem:
            return problem
    if encoding in {"", "identity"} or _is_like_json(received):
        return None
    return ", which cannot be read."


def _format(data: bytearray, encoding: str) -> int | None:
    """Return the format that `data` is compressed in; None if it is not, or in no format that zlib reads.

    The bytes decide. The header is wrong where something on the way has changed only one of the two, or sent it twice.
    """
    if data.startswith(_GZIP_START):
        return _GZIP
    if "deflate" not in encoding or _is_like_json(data):
        return None
    # By its standard with a header, which some servers leave out: RFC 1950, 2.2
    has_header = bool(data) and data[0] % 16 == zlib.DEFLATED and int.from_bytes(data[:2]) % 31 == 0
    return _ZLIB if has_header else _RAW


def _is_like_json(data: bytearray) -> bool:
    """Return whether `data` begins like a JSON object or array, in any encoding of text."""
    return data.lstrip(b"\xef\xbb\xbf\xfe\xff\0 \t\r\n").startswith((b"{", b"["))


def inflate(compressed: bytes, format_: int) -> Iterator[bytes]:
    """Yield the inflated parts of a gzip or deflate body, each of at most `_OUTPUT_BYTES`.

    A body that is cut off yields what it has; what follows its end is left out. Raises zlib.error for bad data.
    """
    inflater = zlib.decompressobj(format_)
    for start in range(0, len(compressed), _INPUT_BYTES):
        pending = compressed[start : start + _INPUT_BYTES]
        while pending:
            if inflater.eof:  # a gzip body may have several members, one after another, or be padded
                if format_ != _GZIP or not _GZIP_START.startswith(pending[:2]):
                    return
                inflater = zlib.decompressobj(format_)
            yield inflater.decompress(pending, _OUTPUT_BYTES)
            pending = inflater.unconsumed_tail or inflater.unused_data


def _safe_name(encoding: str) -> str:
    """Return the encoding if its name is registered. Any other text is not safe: the peer may echo the key."""
    return encoding if _REGISTERED.issuperset(encoding.split(", ")) else "an unknown encoding"


# --- JSON -------------------------------------------------------------------------------------------------------------

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
