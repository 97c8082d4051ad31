"""Real server processes over real stdio: what they share, how they end, and what they leave."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from support.upstream import Request, Upstream, answer, page_answer, upstream

pytestmark = pytest.mark.anyio

OPENING = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
    '"clientInfo":{"name":"t","version":"1"}}}\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
    '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"generate_personas","arguments":'
    '{"personas":[{"name":"A","sources":[{"type":"TEXT","value":"notes"}]}]}}}\n'
)
ASKING = {"personas": [{"name": "A", "sources": [{"type": "TEXT", "value": "notes"}]}]}


def environment(octave: Upstream, ledger: Path, **more: str) -> dict[str, str]:
    """A server's."""
    own = {"OCTAVE_API_KEY": "sk-0123456789", "OCTAVE_BASE_URL": octave.url}
    return {**os.environ, **own, "OCTAVE_MCP_STATE_URL": f"sqlite:///{ledger}", **more}


@contextmanager
def process(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server whose client has called for a persona."""
    command = [sys.executable, "-m", "octave_mcp"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env) as server:
        assert server.stdin is not None
        try:
            server.stdin.write(OPENING.encode())
            server.stdin.flush()
            yield server
        finally:
            server.kill()


def states(ledger: Path) -> list[str]:
    """Of all items."""
    rows = sqlite3.connect(ledger)
    try:
        return [state for (state,) in rows.execute("SELECT state FROM items ORDER BY rowid")]
    finally:
        rows.close()


class Holding:
    """An upstream that holds its answers until it is let go."""

    def __init__(self) -> None:
        """Hold."""
        self.came = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Hold, then answer."""
        self.came.set()
        await asyncio.wait_for(self.go.wait(), 30)
        writer.write(answer(page_answer(request)))


async def end_of(server: subprocess.Popen[bytes]) -> int:
    """Its exit code."""
    with anyio.fail_after(30):
        return await anyio.to_thread.run_sync(server.wait, abandon_on_cancel=True)


@pytest.mark.parametrize(("ends_by", "code"), [(None, 0), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_polite_end_waits_for_what_is_in_flight(
    ends_by: signal.Signals | None, code: int, tmp_path: Path
) -> None:
    """The client hung up, or the system ends: the persona that is being paid for is recorded, and handed over later."""
    holding, ledger = Holding(), tmp_path / "ledger"
    async with upstream(holding) as octave:
        with process(environment(octave, ledger)) as server:
            assert server.stdin is not None
            await asyncio.wait_for(holding.came.wait(), 30)
            if ends_by:
                server.send_signal(ends_by)
            else:
                server.stdin.close()
            await anyio.to_thread.run_sync(still_runs, server)
            holding.go.set()
            assert await end_of(server) == code
        assert states(ledger) == ["done"]
        async with Client(
            StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp"], env=environment(octave, ledger))
        ) as client:
            result = await client.call_tool("generate_personas", ASKING)
    assert not result.is_error
    assert len(octave.requests) == 1


def still_runs(server: subprocess.Popen[bytes]) -> None:
    """Although it was told to end a moment ago."""
    with pytest.raises(subprocess.TimeoutExpired):
        server.wait(0.3)


async def test_the_wait_at_the_end_is_bounded_and_leaves_the_truth(tmp_path: Path) -> None:
    """What was in flight is unknown, at once, to whoever comes next; and is not bought again."""
    holding, ledger = Holding(), tmp_path / "ledger"
    async with upstream(holding) as octave:
        with process(environment(octave, ledger, OCTAVE_MCP_SHUTDOWN_SECONDS="0.2")) as server:
            assert server.stdin is not None
            await asyncio.wait_for(holding.came.wait(), 30)
            server.stdin.close()
            assert await end_of(server) == 0
        assert states(ledger) == ["unknown"]
        async with Client(
            StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp"], env=environment(octave, ledger))
        ) as client:
            result = await client.call_tool("generate_personas", ASKING)
    assert result.is_error
    assert "may have been made" in str(result.content)
    assert len(octave.requests) == 1


async def test_a_killed_server_leaves_what_it_had_sent(tmp_path: Path) -> None:
    """It was recorded before the first byte left; until the lease runs out another process waits, and buys nothing."""
    holding, ledger = Holding(), tmp_path / "ledger"
    async with upstream(holding) as octave:
        with process(environment(octave, ledger)) as server:
            await asyncio.wait_for(holding.came.wait(), 30)
            server.kill()
            await end_of(server)
        assert states(ledger) == ["sent"]
        env = environment(octave, ledger, OCTAVE_MCP_WAIT_SECONDS="0.5")
        async with Client(StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp"], env=env)) as client:
            result: Any = await client.call_tool("generate_personas", ASKING)
            assert result.structured_content["status"] == "pending"
    assert len(octave.requests) == 1


async def test_several_servers_that_are_asked_the_same_at_once_buy_it_once(tmp_path: Path) -> None:
    """A desktop program, an editor and a terminal share one ledger."""
    holding, ledger = Holding(), tmp_path / "ledger"
    async with upstream(holding) as octave:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "octave_mcp"], env=environment(octave, ledger)
        )
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
                await anyio.to_thread.run_sync(all_joined, ledger)
                holding.go.set()
    assert len(octave.requests) == 1
    assert {result.structured_content["personas"][0]["oId"] for result in results} == {"pe_0000k0000"}
    assert len(results) == 4


def all_joined(ledger: Path) -> None:
    """Return when four wishes have been recorded; only the file says so, since other processes wrote them."""
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


async def test_a_client_that_gave_up_without_a_word_is_handed_what_it_missed(tmp_path: Path) -> None:
    """Its answer went to nobody. The same call after that buys nothing, and only the one after that makes anew."""

    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1.2)
        writer.write(answer(page_answer(request)))

    async with upstream(slow) as octave:
        env = environment(octave, tmp_path / "ledger")
        server = StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp"], env=env)
        async with Client(server) as client:
            made: list[Any] = []
            for _ in range(3):
                result: Any = await client.call_tool("generate_personas", ASKING)
                made.append(result.structured_content["personas"][0]["oId"])
                await asyncio.sleep(1.5)  # longer than a result takes to count as handed over, where that is sure
        assert made[0] == made[1] != made[2]
        assert len(octave.requests) == 2


def modes_in(folder: Path) -> dict[str, int]:
    """The permissions of the ledger's files."""
    return {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("ledger*")}


async def test_by_default_the_ledger_is_in_the_users_data_folder_and_private(tmp_path: Path) -> None:
    """No other user reads what was asked for."""
    holding = Holding()
    holding.go.set()
    async with upstream(holding) as octave:
        env = {name: value for name, value in environment(octave, tmp_path).items() if name != "OCTAVE_MCP_STATE_URL"}
        async with Client(StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp"], env=env)) as client:
            await client.call_tool("generate_personas", ASKING)
            modes = modes_in(tmp_path)
    assert set(modes.values()) == {0o600}
    assert "ledger.sqlite3" in modes


async def test_a_client_that_reads_no_more_does_not_keep_the_server_alive(tmp_path: Path) -> None:
    """Its end is bounded though nothing can be written."""
    holding = Holding()
    async with upstream(holding) as octave:
        env = environment(octave, tmp_path / "ledger", OCTAVE_MCP_SHUTDOWN_SECONDS="0.1")
        command = [sys.executable, "-m", "octave_mcp"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as server:  # noqa: ASYNC220
            assert server.stdin is not None
            pings = "".join(f'{{"jsonrpc":"2.0","id":{n},"method":"tools/list"}}\n' for n in range(3, 60))
            server.stdin.write((OPENING + pings).encode())
            server.stdin.close()
            assert await end_of(server) == 0
