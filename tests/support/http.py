"""The server over real HTTP, in this process or in its own, and what calls it."""

import asyncio
import json
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from octave_mcp.http.settings import HttpSettings
from octave_mcp.http.web_server import build_web_server
from octave_mcp.settings import load
from support.command import started

SECONDS = 30.0
"""Nothing that a test waits for takes a third of it."""

ASKING = {"personas": [{"name": "A", "sources": [{"type": "TEXT", "value": "notes"}]}]}
MODES = ("2026-07-28", "legacy")
"""The two eras of the protocol, as the SDK's client names them."""

HEADERS = {
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-06-18",
}


@asynccontextmanager
async def serving(*, local: bool = True, **settings: Any) -> AsyncIterator[str]:
    """The server in this process, at the address that is given."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = build_web_server(load(HttpSettings, **{"state_url": "memory://", **settings}), local=local)
        server.capture_signals = _no_signals  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve([listening]))
        try:
            await until(lambda: server.started or task.done())
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            await asyncio.wait_for(task, SECONDS)


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


async def until(true: Any) -> None:
    """Return when it is; fail where it never is."""
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - whatever it is, it has no event
            await asyncio.sleep(0.01)


@asynccontextmanager
async def client(url: str, mode: str = MODES[0], **headers: str) -> AsyncIterator[Client]:
    """The SDK's client, of one era, with headers of its own."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=SECONDS) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as speaking,
    ):
        yield speaking


async def post(url: str, method: str, params: Any = None, *, number: Any = 1, **headers: str) -> httpx.Response:
    """One message of the era before, as it is on the wire."""
    body = {"jsonrpc": "2.0", "id": number, "method": method, **({"params": params} if params is not None else {})}
    sent = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(timeout=SECONDS) as http:
        return await http.post(url, content=json.dumps(body), headers=sent)


async def called(url: str, tool: str, arguments: Any, **options: Any) -> dict[str, Any]:
    """The result of one call, by one message and no more."""
    return result_in(await post(url, "tools/call", {"name": tool, "arguments": arguments}, **options))


def result_in(response: httpx.Response) -> dict[str, Any]:
    """The result in a response, be it one object or a stream of events."""
    assert response.status_code == 200, (response.status_code, response.text)
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        (text,) = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: {")][-1:]
    message = json.loads(text)
    assert "result" in message, message
    found: dict[str, Any] = message["result"]
    return found


def said(result: dict[str, Any]) -> str:
    """The text of a result."""
    return "\n".join(block["text"] for block in result["content"])


@dataclass
class Server:
    """A process of the server: where it is, and what it logged."""

    process: Process
    url: str = ""
    log: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Where its health is."""
        return self.url.removesuffix("/mcp")


@asynccontextmanager
async def process(env: dict[str, str], *arguments: str) -> AsyncIterator[Server]:
    """`octave-personas-mcp http`, on a free port, killed at the end if it has not ended."""
    server = Server(await started("http", "--port", "0", *arguments, env=env))
    reading = asyncio.create_task(_read(server))
    try:
        await until(lambda: server.url or reading.done())
        assert server.url, server.log
        yield server
    finally:
        if server.process.returncode is None:
            server.process.kill()
        await asyncio.wait_for(server.process.wait(), SECONDS)
        await asyncio.wait_for(reading, SECONDS)


async def _read(server: Server) -> None:
    assert server.process.stderr is not None
    async for line in server.process.stderr:
        text = line.decode(errors="replace").rstrip()
        server.log.append(text)
        if text.startswith("MCP over HTTP at "):
            server.url = text.removeprefix("MCP over HTTP at ").partition(". ")[0]
