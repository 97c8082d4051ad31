"""The transport over stdin and stdout, in this process: what it hands on, what it answers itself, and how it ends."""

import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.server.mcpserver import MCPServer

from octave_mcp.server import stdio_transport
from octave_mcp.server.stdio_transport import StdioTransport

pytestmark = pytest.mark.anyio

SECONDS = 20.0
PING = b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\n'


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def calling(number: int, tool: str) -> bytes:
    """Return a call of a tool without arguments."""
    params = {"name": tool, "arguments": {}, "_meta": META}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode() + b"\n"


class Pipes:
    """The client's ends of a connection."""

    def __init__(self) -> None:
        """Open both pipes."""
        self.stdin, self._write = os.pipe()
        self._read, self.stdout = os.pipe()
        self.reader = os.fdopen(self._read, "rb")
        self.writer = os.fdopen(self._write, "wb", buffering=0)

    def close(self) -> None:
        """Close the client's ends."""
        self.reader.close()
        self.writer.close()

    async def answer(self) -> Any:
        """Return the next message from the server."""
        return json.loads(await anyio.to_thread.run_sync(self.reader.readline, abandon_on_cancel=True))


def server() -> MCPServer[Any]:
    """Return a server with a tool that takes a moment, and one that does not end."""
    found = MCPServer[Any]("test")

    @found.tool()
    async def slow() -> str:
        await anyio.sleep(0.2)
        return "done"

    @found.tool()
    async def stuck() -> None:
        await anyio.sleep_forever()

    return found


@asynccontextmanager
async def connection(on_close: Callable[[], None] = lambda: None) -> AsyncIterator[tuple[Pipes, StdioTransport]]:
    """Serve over pipes until the block has ended the connection."""
    with closing(Pipes()) as pipes, anyio.fail_after(SECONDS):
        transport = StdioTransport(pipes.stdin, pipes.stdout, on_close)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.serve, server())
            yield pipes, transport


async def test_messages_are_answered_until_stdin_ends() -> None:
    """The last line may lack its end; `on_close` is called once the client is gone."""
    closed = threading.Event()
    async with connection(closed.set) as (pipes, transport):
        assert not transport.has_received
        pipes.writer.write(b"\r\n \n" + PING % 1 + PING[:-1] % 2)
        assert (await pipes.answer())["id"] == 1
        assert not closed.is_set()
        pipes.writer.close()
    assert closed.is_set()
    assert transport.has_received


async def test_what_was_asked_before_the_end_of_stdin_is_answered() -> None:
    """A script writes its requests and closes its end at once."""
    async with connection() as (pipes, _):
        pipes.writer.write(b"".join(calling(number, "slow") for number in range(5)))
        pipes.writer.close()
        answers = [await pipes.answer() for _ in range(5)]
    assert sorted(answer["id"] for answer in answers) == list(range(5))
    assert all(answer["result"]["content"][0]["text"] == "done" for answer in answers)


async def test_the_end_of_stdin_waits_a_second_for_answers_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that quits waits for the end of the process."""
    monkeypatch.setattr(stdio_transport, "LAST_ANSWER_SECONDS", 0.05)
    async with connection() as (pipes, _):
        pipes.writer.write(calling(1, "stuck"))
        pipes.writer.close()


async def test_what_is_no_message_is_answered_by_its_id_and_the_next_is_served() -> None:
    """Over one connection."""
    async with connection() as (pipes, _):
        pipes.writer.write(b'not JSON\n{"id":"x"}\n' + PING % 2)
        first, second = await pipes.answer(), await pipes.answer()
        assert (first["id"], first["error"]["code"]) == ("x", -32600)
        assert second == {"jsonrpc": "2.0", "id": 2, "result": {}}
        pipes.writer.close()


async def test_a_line_that_is_too_long_is_answered_and_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never held in memory as a whole."""
    monkeypatch.setattr(stdio_transport, "MAX_LINE_BYTES", 100)
    async with connection() as (pipes, _):
        pipes.writer.write(PING[:-2] % 1 + b',"params":{"x":"' + b"a" * 1000 + b'"}}\n' + PING % 2)
        assert "too long" in (await pipes.answer())["error"]["message"]
        assert (await pipes.answer())["id"] == 2
        pipes.writer.close()


async def test_it_can_be_closed_while_it_waits_for_a_line() -> None:
    """By any thread; the client does not have to hang up first."""
    async with connection() as (pipes, transport):
        pipes.writer.write(PING % 1)
        assert (await pipes.answer())["id"] == 1
        await anyio.to_thread.run_sync(transport.close)


async def test_it_can_be_closed_before_it_serves() -> None:
    """A signal may come at any time."""
    with closing(Pipes()) as pipes, anyio.fail_after(SECONDS):
        transport = StdioTransport(pipes.stdin, pipes.stdout)
        transport.close()
        await transport.serve(MCPServer("test"))
        transport.close()


async def test_a_client_that_reads_no_more_ends_the_connection() -> None:
    """Its answers cannot be written, though its stdin stays open."""
    async with connection() as (pipes, _):
        pipes.reader.close()
        pipes.writer.write(PING % 1)


async def test_a_client_that_reads_slowly_does_not_hold_the_end() -> None:
    """What it has not read within a second of the end is dropped."""
    async with connection() as (pipes, _):
        pipes.writer.write(b"".join(PING[:-2] % n + b',"params":{}}\n' for n in range(10)))
        pipes.writer.write(b"".join(b'{"id":"%s"}\n' % (b"x" * 4000) for _ in range(14)))
        pipes.writer.close()


async def test_pipes_that_do_not_block_are_read_and_written_like_others() -> None:
    """A launcher may share them with a loop of its own."""
    async with connection() as (pipes, _):
        os.set_blocking(pipes.stdin, False)
        os.set_blocking(pipes.stdout, False)
        await anyio.to_thread.run_sync(pipes.writer.write, b'{"id":"%s"}\n' % (b"x" * 200_000))
        assert len((await pipes.answer())["id"]) == 200_000
        pipes.writer.write(PING % 1)
        assert (await pipes.answer())["id"] == 1
        pipes.writer.close()
