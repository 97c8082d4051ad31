"""What goes wrong on a wire of this kind, made on raw streams; and what each case must become, in one table."""

import asyncio
import gzip
import json
import struct
import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from support.records import record
from support.upstream import Request, Respond, always, answer, by_the_page, error_envelope, metadata, page_answer


def _reset(writer: asyncio.StreamWriter) -> None:
    """Have the connection end with a reset and not an orderly close."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SOL_SOCKET, SO_LINGER: on, no time


async def closes(_: Request, __: asyncio.StreamWriter) -> None:
    """Accept, then close."""


async def resets(_: Request, writer: asyncio.StreamWriter) -> None:
    """End with a reset."""
    _reset(writer)


async def resets_in_the_body(_: Request, writer: asyncio.StreamWriter) -> None:
    """End with a reset in the middle of the body."""
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"data": [')
    await writer.drain()
    _reset(writer)


async def ends_in_the_body(_: Request, writer: asyncio.StreamWriter) -> None:
    """End before the length that was told."""
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"data": [')


async def ends_in_a_chunk(_: Request, writer: asyncio.StreamWriter) -> None:
    """End in a chunk."""
    writer.write(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n{"data": [')


async def closes_in_an_unmeasured_body(_: Request, writer: asyncio.StreamWriter) -> None:
    """End a body that only its end measures."""
    writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"data": [{"oId"')


async def talks_garbage(_: Request, writer: asyncio.StreamWriter) -> None:
    """Talk no HTTP."""
    writer.write(b"\x00\x01\x02 not HTTP\r\n\r\n")


async def switches_protocols(_: Request, writer: asyncio.StreamWriter) -> None:
    """Answer 101."""
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: foo\r\nconnection: upgrade\r\n\r\n")


async def sends_endless_headers(_: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with 240 KB of headers."""
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 40_000 + b"\r\n{}")


async def sends_two_lengths(_: Request, writer: asyncio.StreamWriter) -> None:
    """Answer with two lengths."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}")


async def is_silent(_: Request, writer: asyncio.StreamWriter) -> None:
    """Say nothing until the caller leaves."""
    await writer.wait_closed()


async def drips_a_body(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send a byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def drips_informational_answers(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send 103 now and then, for ever."""
    while not writer.is_closing():
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def sends_too_much(_: Request, writer: asyncio.StreamWriter) -> None:
    """Send without an end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" " * 1_000_000)
        await writer.drain()


def changed(**fields: Any) -> Respond:
    """Answer as the page says, with these fields of the persona another value."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        body = page_answer(request)
        body["data"][0] |= fields
        writer.write(answer(body))

    return respond


def raw(json_text: str, encoding: str = "utf-8") -> Respond:
    """Answer with this JSON as it stands, `NAME` in it being the name asked for."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(json_text.replace("NAME", request.json["personas"][0]["name"]).encode(encoding)))

    return respond


async def gzips(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer as the page says, compressed although nobody asked for that."""
    content = gzip.compress(json.dumps(page_answer(request)).encode())
    writer.write(answer(content, headers={"content-encoding": "gzip"}))


def first(respond: Respond, times: int = 1) -> Respond:
    """Answer so at first, then as the page says."""
    left = [times]

    async def respond_(request: Request, writer: asyncio.StreamWriter) -> None:
        left[0] -= 1
        await (respond if left[0] >= 0 else by_the_page)(request, writer)

    return respond_


def busy(retry_after: str | None, status: int = 429) -> Respond:
    """Answer that it is busy."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return always(error_envelope("Slow down"), status=status, headers=headers)


@dataclass(frozen=True)
class Case:
    """A fault, what it must become, how many POSTs it may cost, and words that the model must read."""

    name: str
    respond: Respond
    becomes: str
    words: tuple[str, ...] = ()
    posts: int = 1


_CACHE_PAGE = b"<html><title>503 Backend fetch failed</title></html>"
_BOMB = gzip.compress(gzip.compress(b"0" * 100_000_000))
_PERSONA = '{"oId": "pe_1", "name": "NAME"'
_UNKNOWN = ("may have been created and charged", "Do not ask for it again until its outcome is known")
_REJECTED = ("Nothing was created",)
_WAITS = [*("0", "0.01", formatdate(0, usegmt=True)), None]
_NONSENSE = {each: each for each in ("-1", "NaN", "1e34", "Mon, 01 Jan 100000 00:00:00 GMT", "700")}
_NONSENSE["in two hours"] = formatdate(time.time() + 7200, usegmt=True)

CASES: list[Case] = [
    *(
        Case(name, respond, "unknown", _UNKNOWN)
        for name, respond in {
            "accepts, then closes": closes,
            "reset": resets,
            "reset in the body": resets_in_the_body,
            "end in the body": ends_in_the_body,
            "end in a chunk": ends_in_a_chunk,
            "close-delimited body cut": closes_in_an_unmeasured_body,
            "no HTTP": talks_garbage,
            "101": switches_protocols,
            "240 KB of headers": sends_endless_headers,
            "two lengths": sends_two_lengths,
            "silent": is_silent,
            "dripped body": drips_a_body,
            "endless 103": drips_informational_answers,
            "endless body": sends_too_much,
            "bad gzip": always(b"not gzip", headers={"content-encoding": "gzip"}),
            "gzip in gzip": always(_BOMB, headers={"content-encoding": "gzip, gzip"}),
            "an encoding nobody asked for": always(b"{}", headers={"content-encoding": "br"}),
            "HTML as 200": always(b"<html>Welcome</html>", headers={"content-type": "text/html"}),
            "HTML as 502": always(b"<html>Bad gateway</html>", status=502),
            "empty 200": always(b""),
            "bad UTF-8": always(b'{"data": [{"name": "\xff"}]}'),
            "200,000 levels": always(b"[" * 200_000),
            "300 levels": raw('{"data": [' + _PERSONA + ', "x": ' + "[" * 300 + "]" * 300 + "}]}"),
            "a 5,000-digit integer": always(b'{"data": [{"oId": ' + b"9" * 5000 + b"}]}"),
            "data is no list of personas": always({"_metadata": metadata(), "data": [None]}),
            "data is an empty object": always({"_metadata": metadata(), "data": {}}),
            "an empty object as persona": always({"_metadata": metadata(), "data": [{}]}),
            "an error as persona": always({"_metadata": metadata(), "data": [{"error": "Quota exceeded"}]}),
            "a job in place of personas": always({"data": {"message": "Queued", "jobId": "j1"}}),
            "a message and personas elsewhere": always({"message": "Done", "personas": [record(1)]}),
            "201 with a message": always({"_metadata": metadata(), "message": "Created"}, status=201),
            "a cache's 503, Retry-After 0": always(_CACHE_PAGE, status=503, headers={"retry-after": "0"}),
            "a gateway's 503 in JSON, Retry-After 0": always(
                {"message": "Service Unavailable"}, status=503, headers={"retry-after": "0"}
            ),
        }.items()
    ),
    *(Case(f"{s}", always(error_envelope("Oops"), status=s), "unknown", _UNKNOWN) for s in (408, 425, 460, 499)),
    *(Case(f"{s}", always(error_envelope("Oops"), status=s), "unknown", _UNKNOWN) for s in (500, 502, 503, 504, 520)),
    *(
        Case(f"{s}", always(error_envelope("No: why"), status=s), "rejected", (*_REJECTED, "No: why"))
        for s in (400, 401, 402, 403, 404, 409, 413, 415, 422)
    ),
    *(
        Case(
            f"redirect {s}",
            always(b"", status=s, headers={"location": "https://x.example"}),
            "rejected",
            (*_REJECTED, "OCTAVE_BASE_URL"),
        )
        for s in (301, 302, 303, 307, 308)
    ),
    Case("200 with an error envelope", always(error_envelope("Not so")), "rejected", (*_REJECTED, "Not so")),
    Case("data null", always({"_metadata": metadata(usage=2), "data": None}), "rejected", (*_REJECTED, "2")),
    Case("data empty", always({"_metadata": metadata(), "data": []}), "rejected", _REJECTED),
    *(Case(f"429 once, Retry-After {w}", first(busy(w)), "done", posts=2) for w in _WAITS),
    *(Case(f"503 once, Retry-After {w}", first(busy(w, 503)), "done", posts=2) for w in _WAITS[:3]),
    *(
        Case(f"429, Retry-After {n}", busy(w), "refused", ("Nothing was created", "nothing else"))
        for n, w in _NONSENSE.items()
    ),
    Case("429 without an end", busy("0"), "refused", ("Nothing was created", "Slow down"), posts=5),
    Case("wrong content type", raw('{"data": [' + _PERSONA + "}]}"), "done"),
    Case("gzip that nobody asked for", gzips, "done"),
    Case("byte order mark", raw('\ufeff{"data": [' + _PERSONA + "}]}"), "done"),
    Case("UTF-16", raw('{"data": [' + _PERSONA + "}]}", "utf-16"), "done"),
    Case("NaN and 1e999", raw('{"_metadata": {"usage": NaN}, "data": [' + _PERSONA + ', "x": 1e999}]}'), "done"),
    Case("a lone surrogate", raw('{"data": [' + _PERSONA + ', "description": "\\ud800"}]}'), "done"),
    Case("data is one object", raw('{"data": ' + _PERSONA + "}}"), "done"),
    Case("the same item twice", raw('{"data": [' + _PERSONA + "}, " + _PERSONA + "}]}"), "done"),
    Case("fields of wrong types", changed(description=7, data=[], qualifyingQuestions="?", active="yes"), "done"),
    Case("unknown fields", changed(novel={"deep": [1, {"er": None}]}), "done"),
    Case("hidden characters", changed(description="a\u202eb\u200bc\U000e0041"), "done"),
    Case("200,000 characters", changed(description="x" * 200_000), "done"),
    Case(
        "more items than asked",
        always({"data": [record(1), record(2)]}),
        "done",
        ("Octave created 2 personas where 1 were asked for",),
    ),
]
