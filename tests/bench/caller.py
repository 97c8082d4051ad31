"""The callers: MCP over streamable HTTP on raw asyncio streams. A real client would mostly measure itself.

Each caller keeps a connection of its own, sends one call, reads its answer to the end and checks it, and only then
sends the next. An answer that is an error, or lacks what was asked for, ends the benchmark.
"""

import asyncio
import itertools
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

from bench.octave import LISTED

MODERN, LEGACY = "2026-07-28", "2025-06-18"

HEADER_BYTES: Final = 2**16
CALL_SECONDS: Final = 120.0
"""After which a call counts as lost."""


class Wrong(Exception):
    """An answer that is not what was asked for."""


@dataclass(frozen=True)
class Era:
    """A revision of the protocol, as a call of it is written. In both, each call stands alone."""

    version: str

    @property
    def is_modern(self) -> bool:
        """Whether a call says in itself who calls, and with what version."""
        return self.version == MODERN

    def request(self, tool: str, arguments: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        """The headers and the body of a call."""
        headers = {"mcp-protocol-version": self.version}
        if self.is_modern:
            headers |= {"mcp-method": "tools/call", "mcp-name": tool}
        parameters = self.parameters({"name": tool, "arguments": arguments})
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": parameters}
        return headers, json.dumps(body).encode()

    def parameters(self, own: dict[str, Any]) -> dict[str, Any]:
        """A message's parameters, with what its revision adds to each."""
        if not self.is_modern:
            return own
        meta = {
            "io.modelcontextprotocol/protocolVersion": self.version,
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        return {**own, "_meta": meta}


ERAS: Final = (Era(MODERN), Era(LEGACY))
"""Newest first."""


class Connection:
    """A kept-alive HTTP connection."""

    def __init__(self, port: int, path: str) -> None:
        """Nothing is opened yet."""
        self._port, self._path = port, path
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=HEADER_BYTES)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()

    async def post(self, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        """Send, and read the status, the content type and the content of what comes back."""
        assert self._reader is not None
        assert self._writer is not None
        lines = {
            "host": f"127.0.0.1:{self._port}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "content-length": str(len(body)),
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._writer.write(f"POST {self._path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        first, *fields = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        got = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
        if "content-length" in got:
            content = await self._reader.readexactly(int(got["content-length"]))
        else:
            content = b"".join([chunk async for chunk in self._chunks()])
        return int(first.split(" ")[1]), got.get("content-type", ""), content

    async def _chunks(self) -> AsyncIterator[bytes]:
        assert self._reader is not None
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)


@dataclass(frozen=True)
class Call:
    """A tool's call: its arguments, new for each call, and what its answer must hold."""

    tool: str
    arguments: Callable[[str], dict[str, Any]]
    """For a name that no other call has."""
    holds: str | None
    """None: that name."""


def asking_for(*names: str) -> dict[str, Any]:
    """A body that asks for so many personas."""
    source = {"type": "TEXT", "value": "VP of Sales professionals who manage enterprise deals and drive growth"}
    return {"personas": [{"name": name, "sources": [source]} for name in names]}


def asking_for_many(count: int) -> Call:
    """A call for so many personas at once. Their names begin with its name."""
    return Call("generate_personas", lambda name: asking_for(*(f"{name} {n}" for n in range(1, count + 1))), None)


GENERATE: Final = Call("generate_personas", asking_for, None)
LIST: Final = Call("list_personas", lambda _: {"limit": 10}, LISTED)


@dataclass(frozen=True)
class Server:
    """Where a server is, and what it speaks."""

    port: int
    era: Era
    path: str = "/mcp"

    def connection(self) -> Connection:
        """A new connection to it."""
        return Connection(self.port, self.path)

    async def call(self, connection: Connection, call: Call, name: str) -> None:
        """Make one call and check its answer. Raises Wrong."""
        headers, body = self.era.request(call.tool, call.arguments(name))
        async with asyncio.timeout(CALL_SECONDS):
            status, kind, content = await connection.post(headers, body)
        if kind.startswith("text/event-stream"):
            content = next(line[6:] for line in reversed(content.splitlines()) if line.startswith(b"data: "))
        told = content[:500].decode(errors="replace")
        if status != 200:
            raise Wrong(f"{status} {told}")
        result = json.loads(content).get("result")
        if result is None or result.get("isError"):
            raise Wrong(told)
        holds = call.holds or name
        if holds.encode() not in content:
            raise Wrong(f"{holds} is not in {told}")


@dataclass
class Load:
    """What came of many calls: how long each took, and all of them together, in seconds."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0


_RUN: Final = f"{time.time_ns() // 10**6 % 10**8}"
_NUMBERS: Final = itertools.count(1)


def names() -> Iterator[str]:
    """Names that no call of this run, nor of another this day, has. Short: a result shortens a hundred long ones."""
    return (f"Bench {_RUN}-{number}" for number in _NUMBERS)


async def call_many(
    server: Server, call: Call, callers: int, *, seconds: float = math.inf, calls: float = math.inf
) -> Load:
    """Have so many callers call, one call after the other each, for so long or so often.

    What is under way when the time is up is waited for, and counts.
    """
    load, fresh, begun = Load(), names(), 0
    connected, start = asyncio.Barrier(callers + 1), asyncio.Event()

    async def caller() -> None:
        nonlocal begun
        async with server.connection() as connection:
            await connected.wait()
            await start.wait()
            while begun < calls and (began := time.perf_counter()) < first + seconds:
                begun += 1
                await server.call(connection, call, next(fresh))
                load.latencies.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
        await connected.wait()
        first = time.perf_counter()
        start.set()
    load.seconds = time.perf_counter() - first
    return load


async def newest_era(port: int, call: Call) -> Era:
    """The newest revision in which a server answers the call. Raises Wrong with what it said to each."""
    told = []
    for era in ERAS:
        server = Server(port, era)
        try:
            async with server.connection() as connection:
                await server.call(connection, call, next(names()))
        except Wrong as problem:
            told.append(f"{era.version}: {problem}")
        else:
            return era
    raise Wrong("; ".join(told))
