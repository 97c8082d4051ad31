"""A real HTTP server on loopback that answers as the API's page says, and otherwise as a test tells it to.

Written on raw asyncio streams, because what goes wrong on a wire (a reset, half a body, two lengths) is nothing that an
HTTP framework would ever send.
"""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from support.records import record

QUERY_TYPES = {"ALL", "TEAM", "MINE"}

Respond = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """One request as it arrived. Header names keep their case; `number` counts requests from 0."""

    number: int
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The one header of that name, whatever its case; None where there is none. Two are an error."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} was sent {len(found)} times"
        return found[0] if found else None

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The target's query, parsed."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass
class Upstream:
    """The running server: where it is, and every request that arrived."""

    respond: Respond
    tls: bool = False
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    """The POSTs."""
    library: list[dict[str, Any]] = field(default_factory=list)
    """What the list of personas has; tests fill it."""
    look_up: Respond | None = None
    """Answers look-ups in place of the library."""
    looked_up: list[Request] = field(default_factory=list)
    connections: int = 0
    keeps: bool = False
    """Whether a connection is kept after an answer."""
    clock: Callable[[], float] = time.time
    """The time in seconds since the epoch, as its list of personas tells it."""
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Its origin."""
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """Every persona asked for, over all requests."""
        return [persona for request in self.requests for persona in request.json["personas"]]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read a request, and let it be answered; then close, unless connections are kept."""
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)
        try:
            while True:
                request = await self._read(reader)
                if request.method == "GET":
                    self.looked_up.append(request)
                    await (self.look_up or self.list_personas)(request, writer)
                else:
                    self.requests.append(request)
                    await self.respond(request, writer)
                await writer.drain()
                if not self.keeps:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def list_personas(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer as Octave's list of personas does: what has the text in its name, a page of it."""
        if request.path.endswith("/api-key/validate"):
            writer.write(answer({"_metadata": metadata(usage=0), "valid": True}, headers={"connection": "close"}))
            return
        query = request.query
        assert query.get("queryType", "ALL") in QUERY_TYPES
        found = [one for one in self.library if query.get("text", "").lower() in str(one["name"]).lower()]
        start, end = int(query["offset"]), int(query["offset"]) + int(query["limit"])
        page = {"hasNext": end < len(found), "total": len(found), "data": found[start:end]}
        ends = {} if self.keeps else {"connection": "close"}
        writer.write(answer({"_metadata": metadata(usage=0, timestamp=timestamp(self.clock())), **page}, headers=ends))

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        body = await reader.readexactly(length)
        # Counted when it is all there: two at once would have the same number.
        return Request(len(self.looked_up if method == "GET" else self.requests), method, target, headers, body)


@asynccontextmanager
async def upstream(respond: Respond, *, certificate: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """Serve on a free port until the block ends."""
    running = Upstream(respond, tls=certificate is not None)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0, ssl=certificate, limit=2**24)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        for task in (left := list(running.serving)):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def timestamp(at: float | None = None) -> str:
    """A time, or now, as Octave writes it."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer(content: bytes | Any, *, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
    """A whole HTTP answer; `content` that is not bytes is sent as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} Whatever\r\n{lines}\r\n".encode() + body


def metadata(**more: Any) -> dict[str, Any]:
    """`_metadata` as the page has it."""
    return {"usage": 1, "requestId": "req_1", "message": "ok", "timestamp": "2026-01-01T00:00:00.000Z", **more}


def page_answer(request: Request) -> dict[str, Any]:
    """What the page says: a persona for each that was asked for."""
    made = []
    for place, asked in enumerate(request.json["personas"]):
        one = record(request.number * 10 + place)
        made.append(one | {"name": asked.get("name", one["name"])})
    return {"_metadata": metadata(usage=len(made)), "data": made}


async def by_the_page(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer as the page says."""
    writer.write(answer(page_answer(request)))


class HoldsTheSlow:
    """Holds what is named slow until it is let go, and answers the rest by the page."""

    def __init__(self) -> None:
        """Hold."""
        self.came = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Answer, or hold and then answer."""
        if request.json["personas"][0]["name"].startswith("slow"):
            self.came.set()
            await asyncio.wait_for(self.go.wait(), 30)
        writer.write(answer(page_answer(request)))


def always(content: bytes | Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Respond:
    """Answer every request with the same thing."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(content, status=status, headers=headers))

    return respond


def error_envelope(message: str, **more: Any) -> dict[str, Any]:
    """An error as Octave's reference has it."""
    return {"_metadata": metadata(usage=0, **more), "message": message}
