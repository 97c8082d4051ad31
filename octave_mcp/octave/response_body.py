"""The body of an answer: read as it comes, under a cap, and inflated under the same cap if it came compressed.

The client asks for no compression, as a compressed answer can be cut, broken, or very much larger than it looks. A
proxy on the way may compress all the same, and by then the answer has been paid for.
"""

import zlib
from collections.abc import Iterator

import httpx

__all__ = ["MAX_ANSWER_BYTES", "MAX_LOOK_UP_BYTES", "BodyError", "inflate", "read_body"]

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
