"""Real server processes over real stdio: what they share, how they end, and what they leave."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from pydantic import SecretStr
from support import http
from support.command import ended, started
from support.upstream import Request, Upstream, answer, page_answer, upstream

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

ASKING = {"personas": [{"name": "A", "sources": [{"type": "TEXT", "value": "notes"}]}]}
SECONDS = 30.0
"""Nothing that a test waits for takes a third of it."""

SERVER = [sys.executable, "-m", "octave_mcp"]
KEY = "sk-0123456789"


def lines(*messages: dict[str, Any]) -> bytes:
    """Messages as they are on the wire."""
    return b"".join(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in messages)


LEGACY = lines(
    {
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    },
    {"method": "notifications/initialized"},
    {"id": 2, "method": "tools/call", "params": {"name": "generate_personas", "arguments": ASKING}},
)
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
MODERN = lines(
    {"id": 1, "method": "subscriptions/listen", "params": {"notifications": {"toolsListChanged": True}, "_meta": META}},
    {"id": 2, "method": "tools/call", "params": {"name": "generate_personas", "arguments": ASKING, "_meta": META}},
)
ERAS = [pytest.param(LEGACY, id="2025"), pytest.param(MODERN, id="2026")]


class Holding:
    """An upstream that holds its answers until it is let go."""

    def __init__(self) -> None:
        """Hold."""
        self.came = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Hold, then answer."""
        self.came.set()
        await asyncio.wait_for(self.go.wait(), SECONDS)
        writer.write(answer(page_answer(request)))


@dataclass
class Place:
    """Octave, which holds its answers, and a ledger."""

    octave: Upstream
    holding: Holding
    ledger: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return a server's environment."""
        own = {"OCTAVE_API_KEY": KEY, "OCTAVE_BASE_URL": self.octave.url}
        return {**os.environ, **own, "OCTAVE_MCP_STATE_URL": f"sqlite:///{self.ledger}", **more}

    def states(self) -> list[str]:
        """Return the state of each item on record."""
        rows = sqlite3.connect(self.ledger)
        try:
            return [state for (state,) in rows.execute("SELECT state FROM items ORDER BY rowid")]
        finally:
            rows.close()

    async def came(self) -> None:
        """Return when a request is on its way."""
        await asyncio.wait_for(self.holding.came.wait(), SECONDS)

    async def same_call(self) -> Any:
        """Make the same call in another process than the servers', which is this one; return its result."""
        settings = Settings(api_key=SecretStr(KEY), base_url=self.octave.url, state_url=f"sqlite:///{self.ledger}")
        async with Client(build_server(settings)) as client:
            return await client.call_tool("generate_personas", ASKING)

    async def lost_nothing(self) -> None:
        """Check that the persona is on record, and that the same call returns it and sends nothing."""
        assert self.states() == ["created"]
        result = await self.same_call()
        assert result.structured_content["personas"][0]["oId"] == "pe_0000k0000"
        assert len(self.octave.requests) == 1


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Octave and a ledger that nobody has used."""
    holding = Holding()
    async with upstream(holding) as octave:
        yield Place(octave, holding, tmp_path / "ledger")


@contextmanager
def process(env: dict[str, str], opening: bytes = LEGACY, **pipes: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A server whose client has called for a persona."""
    given: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **pipes}
    with subprocess.Popen(SERVER, env=env, bufsize=0, **given) as server:
        try:
            if server.stdin is not None:
                server.stdin.write(opening)
            yield server
        finally:
            server.kill()


async def end_of(server: "subprocess.Popen[bytes]") -> int:
    """Return a server's exit code when it has ended."""
    with anyio.fail_after(SECONDS):
        return await anyio.to_thread.run_sync(server.wait, abandon_on_cancel=True)


async def still_runs(server: "subprocess.Popen[bytes]") -> None:
    """Check that a server that has a reason to end waits for what is in flight."""

    def runs() -> None:
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(0.2)

    await anyio.to_thread.run_sync(runs)


# --- A host that ends or dies -----------------------------------------------------------------------------------------


def close_stdin(server: "subprocess.Popen[bytes]") -> None:
    """As a host does that ends."""
    assert server.stdin is not None
    server.stdin.close()


def close_stdout(server: "subprocess.Popen[bytes]") -> None:
    """As a host does that no longer listens."""
    assert server.stdout is not None
    server.stdout.close()


def close_all(server: "subprocess.Popen[bytes]") -> None:
    """As a host does that dies."""
    for pipe in (server.stdin, server.stdout, server.stderr):
        assert pipe is not None
        pipe.close()


def signalled(number: int) -> Callable[["subprocess.Popen[bytes]"], None]:
    """As a system does that ends."""
    return lambda server: server.send_signal(number)


@pytest.mark.parametrize(
    ("end", "code", "opening"),
    [
        pytest.param(close_stdin, 0, LEGACY, id="stdin ends"),
        pytest.param(close_stdin, 0, MODERN, id="stdin ends, 2026"),
        pytest.param(close_stdout, 0, LEGACY, id="stdout is closed"),
        pytest.param(close_stdout, 0, MODERN, id="stdout is closed, 2026"),
        pytest.param(close_all, 0, LEGACY, id="all are closed"),
        pytest.param(close_all, 0, MODERN, id="all are closed, 2026"),
        pytest.param(signalled(signal.SIGTERM), 143, LEGACY, id="SIGTERM"),
        pytest.param(signalled(signal.SIGINT), 130, MODERN, id="SIGINT, 2026"),
        pytest.param(signalled(signal.SIGHUP), 143, LEGACY, id="SIGHUP"),
    ],
)
async def test_whatever_ends_the_server_what_was_sent_is_finished_and_recorded(
    end: Callable[["subprocess.Popen[bytes]"], None], code: int, opening: bytes, place: Place
) -> None:
    """Also while a client listens for changes; the persona that is being paid for is returned to the next call."""
    with process(place.environment(), opening) as server:
        await place.came()
        end(server)
        await still_runs(server)
        place.holding.go.set()
        assert await end_of(server) == code
        if server.stderr is not None and not server.stderr.closed:
            assert b"Traceback" not in server.stderr.read()
    await place.lost_nothing()


HOST = """
import json, subprocess, sys, time
server = subprocess.Popen([sys.executable, "-m", "octave_mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
server.stdin.write(sys.stdin.buffer.read())
server.stdin.flush()
print(server.pid, flush=True)
time.sleep(60)
"""
"""A host that starts a server, whose stderr is its own, calls for a persona, and reads nothing."""


@pytest.mark.parametrize("opening", ERAS)
async def test_a_host_that_is_killed_loses_nothing(opening: bytes, place: Place) -> None:
    """Its end of each pipe closes at the same moment, and the server outlives it until the persona is on record."""
    host = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
        [sys.executable, "-c", HOST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=place.environment(),
        bufsize=0,
    )
    assert host.stdin is not None
    assert host.stdout is not None
    assert host.stderr is not None
    with host.stdin, host.stdout, host.stderr:
        host.stdin.write(opening)
        host.stdin.close()
        server = int(host.stdout.readline())
        try:
            await place.came()
            host.kill()
            await end_of(host)
            await asyncio.sleep(0.2)  # in which a server would die of a broken pipe
            assert place.states() == ["sent"]
            place.holding.go.set()
            with anyio.fail_after(SECONDS):  # what the server has of the host's stderr ends with it
                told = await anyio.to_thread.run_sync(host.stderr.read, abandon_on_cancel=True)
            assert b"Traceback" not in told
        finally:
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGKILL)
    await place.lost_nothing()
    async with Client(StdioServerParameters(command=SERVER[0], args=SERVER[1:], env=place.environment())) as client:
        result: Any = await client.call_tool("generate_personas", ASKING)
    assert result.structured_content["personas"][0]["oId"] == "pe_0000k0000"
    assert len(place.octave.requests) == 1


async def test_a_server_over_http_that_is_hung_up_on_finishes_what_was_sent(place: Place) -> None:
    """As at SIGTERM: a terminal that is closed sends it to all that were started in it, some twice."""
    async with http.process(place.environment()) as server:
        call = asyncio.create_task(http.called(server.url, "generate_personas", ASKING))
        await place.came()
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.2)
        place.holding.go.set()
        assert (await call)["structuredContent"]["status"] == "complete"
        assert await asyncio.wait_for(server.process.wait(), SECONDS) == 143
    await place.lost_nothing()


async def test_the_command_generate_that_is_hung_up_on_finishes_what_was_sent(place: Place) -> None:
    """And says how to get it."""
    command = await started("generate", "-", env=place.environment(), stdin=True)
    assert command.stdin is not None
    command.stdin.write(json.dumps(ASKING).encode())
    command.stdin.close()
    await place.came()
    command.send_signal(signal.SIGHUP)
    await asyncio.sleep(0.2)
    place.holding.go.set()
    ran = await ended(command)
    assert ran.code == 143
    assert "--collect gen_" in ran.err
    await place.lost_nothing()


async def test_hanging_up_is_ignored_by_a_server_that_was_started_so(place: Place) -> None:
    """As `nohup` does. Signals to end are received even if the starting process ignored or blocked them."""

    def start() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    with process(place.environment(), preexec_fn=start) as server:
        await place.came()
        server.send_signal(signal.SIGHUP)
        await still_runs(server)
        place.holding.go.set()
        assert server.stdout is not None
        await anyio.to_thread.run_sync(read_until, server.stdout, b'"id":2')
        server.send_signal(signal.SIGTERM)
        assert await end_of(server) == 143
    await place.lost_nothing()


def read_until(stream: Any, words: bytes) -> bytes:
    """Return the first line that has these words."""
    line: bytes = next(line for line in iter(stream.readline, b"") if words in line)
    return line


async def test_the_wait_at_the_end_is_bounded_and_leaves_the_truth(place: Place) -> None:
    """What was in flight is unknown, at once, to whoever comes next; and is not sent again."""
    with process(place.environment(OCTAVE_MCP_SHUTDOWN_SECONDS="0.2")) as server:
        await place.came()
        close_all(server)
        assert await end_of(server) == 0
    assert place.states() == ["unknown"]


async def test_a_killed_server_leaves_what_it_had_sent(place: Place) -> None:
    """It was recorded before the first byte left; until the lease runs out another process waits, and sends nothing."""
    with process(place.environment()) as server:
        await place.came()
        server.kill()
        await end_of(server)
    assert place.states() == ["sent"]
    settings = Settings(
        api_key=SecretStr(KEY), base_url=place.octave.url, state_url=f"sqlite:///{place.ledger}", wait_seconds=0.5
    )
    async with Client(build_server(settings)) as client:
        result: Any = await client.call_tool("generate_personas", ASKING)
    assert result.structured_content["status"] == "pending"
    assert len(place.octave.requests) == 1


# --- Streams ----------------------------------------------------------------------------------------------------------


async def test_a_stderr_that_nobody_reads_holds_nothing(place: Place) -> None:
    """The log is far longer than a pipe holds; calls are answered, and the end comes at once."""
    place.holding.go.set()
    with process(place.environment(OCTAVE_MCP_LOG_LEVEL="DEBUG"), b"no message\n" * 2000 + LEGACY) as server:
        assert server.stdout is not None
        with anyio.fail_after(SECONDS):
            result = await anyio.to_thread.run_sync(read_until, server.stdout, b'"id":2')
        assert json.loads(result)["result"]["structuredContent"]["status"] == "complete"
        close_stdin(server)
        assert await end_of(server) == 0
    await place.lost_nothing()


async def test_a_stderr_that_is_closed_is_no_error(place: Place) -> None:
    """Whatever is logged."""
    place.holding.go.set()
    with process(place.environment(OCTAVE_MCP_LOG_LEVEL="DEBUG")) as server:
        assert server.stderr is not None
        assert server.stdout is not None
        server.stderr.close()
        with anyio.fail_after(SECONDS):
            await anyio.to_thread.run_sync(read_until, server.stdout, b'"id":2')
        close_stdin(server)
        assert await end_of(server) == 0
    await place.lost_nothing()


async def test_a_client_that_reads_nothing_does_not_keep_the_server_alive(place: Place) -> None:
    """Its end is bounded though nothing can be written."""
    place.holding.go.set()
    asking = [{"id": number, "method": "tools/list"} for number in range(3, 60)]
    with process(place.environment(OCTAVE_MCP_SHUTDOWN_SECONDS="0.1"), LEGACY + lines(*asking)) as server:
        await place.came()
        close_stdin(server)
        assert await end_of(server) == 0


async def test_a_thousand_inherited_descriptors_and_a_pipe_that_does_not_block_are_no_trouble(place: Place) -> None:
    """A launcher may leave both to what it starts."""
    place.holding.go.set()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    many = [os.dup(reading) for _ in range(1100)]
    with process(place.environment(), stdout=writing, pass_fds=many) as server:
        for descriptor in (writing, *many):
            os.close(descriptor)
        with anyio.fail_after(SECONDS), os.fdopen(reading, "rb") as stdout:
            await anyio.to_thread.run_sync(read_until, stdout, b'"id":2')
            close_stdin(server)
            assert await end_of(server) == 0
    await place.lost_nothing()


# --- Several servers --------------------------------------------------------------------------------------------------


async def test_several_servers_that_are_asked_the_same_at_once_send_it_once(place: Place) -> None:
    """A desktop program, an editor and a terminal share one ledger."""
    server = StdioServerParameters(command=SERVER[0], args=SERVER[1:], env=place.environment())
    results: list[Any] = []
    began = 0
    all_began = asyncio.Event()

    async def call() -> None:
        nonlocal began
        async with Client(server) as client:
            began += 1
            if began == 4:
                all_began.set()
            await all_began.wait()
            results.append(await client.call_tool("generate_personas", ASKING))

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(call)
            await all_began.wait()
            await anyio.to_thread.run_sync(all_joined, place.ledger)
            place.holding.go.set()
    assert len(place.octave.requests) == 1
    assert {result.structured_content["personas"][0]["oId"] for result in results} == {"pe_0000k0000"}
    assert len(results) == 4


def all_joined(ledger: Path) -> None:
    """Return when four calls have been recorded; only the file says so, since other processes wrote them."""
    while True:
        rows = sqlite3.connect(ledger)
        try:
            if rows.execute("SELECT count(*) FROM places").fetchone() == (4,):
                return
        except sqlite3.OperationalError:
            pass  # not made yet
        finally:
            rows.close()
        time.sleep(0.02)
