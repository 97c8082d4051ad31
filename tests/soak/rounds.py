"""Rounds on this machine: several hosts on one ledger, with servers in this process or in processes that are killed."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from pydantic import SecretStr
from support.command import unmeasured
from support.postgres import PostgresServer
from support.postgres_proxy import PostgresProxy, postgres_proxy
from support.upstream import upstream

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings
from soak.count import COLLECT_SECONDS, Rows, compare, postgres_rows, recorded, settle, sqlite_rows
from soak.hosts import LIFE_SECONDS, Host, Seen, Start
from soak.octave import Octave

KEY = "sk-canary-0123456789"

TIMES: dict[str, float | tuple[float, ...]] = {
    "LEASE_SECONDS": 1.0,
    "UNREACHABLE_PAUSE_SECONDS": 0.001,
    "BUSY_PAUSE_SECONDS": 0.001,
    "FIRST_PAUSES": (0.05, 0.1),
    "PAUSE_SECONDS": 0.25,
    "ERROR_ANSWER_SECONDS": 2.5,
    "NO_ANSWER_SECONDS": 4.0,
}
"""In place of the package's own. The last two stay well above the time in which a persona comes into the list."""

PROGRAM = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import octave_mcp.generation.service
from octave_mcp.cli import main
from support.short_times import shorten
shorten(**{TIMES!r})
with open(os.environ["SOAK_PID_FILE"], "w") as file:
    file.write(str(os.getpid()))
sys.exit(main([]))
"""
"""A server with short times that writes its process id into a file."""


@dataclass
class RoundLedger:
    """A ledger of one round: its address for servers, how its tables are read, and the way to its database, if any."""

    url: str
    rows: Rows
    proxy: PostgresProxy | None = None


@asynccontextmanager
async def round_ledger(folder: Path, postgres: PostgresServer | None) -> AsyncIterator[RoundLedger]:
    """Have a ledger in a file, or in a new database behind a proxy."""
    if postgres is None:
        yield RoundLedger(f"sqlite:///{folder / 'ledger'}", sqlite_rows(folder / "ledger"))
        return
    database = postgres.create_database()
    try:
        async with postgres_proxy(database) as proxy:
            yield RoundLedger(proxy.url, postgres_rows(database), proxy)
    finally:
        postgres.drop_database(database)


@asynccontextmanager
async def trouble(ledger: RoundLedger, chance: random.Random) -> AsyncIterator[None]:
    """Cut connections to the database now and then, before and after commits, until the block ends."""
    if ledger.proxy is None or chance.random() < 0.3:
        yield
        return
    proxy = ledger.proxy

    async def cause() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.05, 0.6))
            match chance.choice(["before", "after", "after", "all", "refuse"]):
                case "before":
                    proxy.cut_before = b"COMMIT"
                case "after":
                    proxy.cut_after = b"COMMIT"
                case "all":
                    await proxy.cut()
                case _:
                    proxy.refuses = True
                    await proxy.cut()
                    await asyncio.sleep(0.2)
                    proxy.refuses = False

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cause)
        yield
        tasks.cancel_scope.cancel()
    proxy.cut_before = proxy.cut_after = None
    proxy.refuses = False


async def in_process_round(
    chance: random.Random, folder: Path, postgres: PostgresServer | None
) -> tuple[list[str], Counter[str]]:
    """Play a round of several hosts at once, each with servers in this process."""
    octave, seen = Octave(chance), Seen()
    async with upstream(octave) as served, round_ledger(folder, postgres) as ledger:
        octave.use(served)
        settings: dict[str, Any] = {"base_url": served.url, "api_key": SecretStr(KEY), "shutdown_seconds": 1}
        settings |= {"state_url": ledger.url, "wait_seconds": 0.3, "log_level": "ERROR"}
        settings |= {"allow_same_name": chance.random() < 0.5}

        def start() -> Client:
            server = build_server(Settings(**settings, concurrency=chance.choice([1, 2, 4])))
            # Without a wire between them a call runs in its caller's task, and giving up is asyncio's cancel.
            return Client(server) if chance.random() < 0.5 else Client(server, mode="legacy")

        async def play(host: Host) -> None:
            for _ in range(chance.randint(1, 3)):
                await host.live(start, chance.randint(1, 4))

        patient, refusals = chance.random() < 0.3, postgres is not None
        async with trouble(ledger, chance):
            hosts = [Host(seen, chance, patient=patient, refusals=refusals) for _ in range(chance.randint(2, 3))]
            await asyncio.gather(*map(play, hosts))
        return await _count(octave, seen, start, ledger)


async def process_round(
    chance: random.Random, folder: Path, postgres: PostgresServer | None
) -> tuple[list[str], Counter[str]]:
    """Play a round of two hosts at once, each with server processes that are killed."""
    octave, seen = Octave(chance), Seen()
    async with upstream(octave) as served, round_ledger(folder, postgres) as ledger:
        octave.use(served)
        own = {"OCTAVE_API_KEY": KEY, "OCTAVE_BASE_URL": served.url, "OCTAVE_MCP_STATE_URL": ledger.url}
        own |= {"OCTAVE_MCP_WAIT_SECONDS": "0.5", "OCTAVE_MCP_SHUTDOWN_SECONDS": "1", "OCTAVE_MCP_LOG_LEVEL": "ERROR"}
        own |= {"OCTAVE_MCP_ALLOW_SAME_NAME": chance.choice(["true", "false"])}

        def start(pid_file: Path) -> Client:
            env = {**unmeasured(), **own, "SOAK_PID_FILE": str(pid_file)}
            return Client(StdioServerParameters(command=sys.executable, args=["-c", PROGRAM], env=env))

        async def play(number: int) -> None:
            host = Host(seen, chance, patient=True, refusals=postgres is not None)
            pid_file = folder / f"pid {number}"
            for _ in range(chance.randint(1, 3)):
                await host.live(
                    lambda: start(pid_file),
                    chance.randint(1, 4),
                    kill=lambda: os.kill(int(pid_file.read_text(encoding="utf-8")), signal.SIGKILL),
                )

        async with trouble(ledger, chance):
            await asyncio.gather(*(play(number) for number in range(2)))
        return await _count(octave, seen, lambda: start(folder / "pid"), ledger)


async def _count(octave: Octave, seen: Seen, start: Start, ledger: RoundLedger) -> tuple[list[str], Counter[str]]:
    """Settle what is left with one more server, and compare."""
    with anyio.fail_after(COLLECT_SECONDS + LIFE_SECONDS):
        await settle(start, seen, lambda: recorded(ledger.rows), lambda: recorded(ledger.rows))
        await octave.finish()
    return compare(octave, recorded(ledger.rows), seen)
