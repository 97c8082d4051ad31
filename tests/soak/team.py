"""Rounds over HTTP: replicas behind a proxy, one ledger in PostgreSQL, two tenants, and replicas that are killed.

Both tenants ask for the same personas in the same words, with the same JSON-RPC ids, at the same time. Each has an
Octave of its own behind the one address, told apart by the key, and a mark in all that it creates.
"""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx2
from mcp.shared.exceptions import MCPError
from pydantic import SecretStr
from support.http import MODES, client
from support.postgres import Database
from support.proxy import caddy
from support.replicas import Replica, replicas
from support.upstream import Request, Upstream, upstream

from octave_mcp.generation.tenant import Tenant
from soak.count import COLLECT_SECONDS, Item, compare, left_over, postgres_rows, recorded, settle
from soak.hosts import LIFE_SECONDS, Host, Seen, Start
from soak.octave import Octave
from soak.rounds import TIMES


@dataclass
class Team:
    """What all rounds share: replicas, the proxy's address, the ledger, and an upstream that knows each key."""

    url: str
    database: Database
    octave_url: str
    replicas: list[Replica]
    by_key: dict[str, Upstream] = field(default_factory=dict)

    def tenant(self, key: str) -> str:
        """Return the name that the ledger has for the holders of a key."""
        return Tenant(SecretStr(key), self.octave_url).id


@asynccontextmanager
async def team(database: Database, folder: Path) -> AsyncIterator[Team]:
    """Start everything, and end it."""
    by_key: dict[str, Upstream] = {}

    def upstream_of(request: Request) -> Upstream:
        return by_key[request.header("api_key") or ""]

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        await upstream_of(request).respond(request, writer)

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        found = upstream_of(request).look_up
        assert found is not None
        await found(request, writer)

    async with upstream(respond) as octave:
        octave.look_up = look_up
        own = {"OCTAVE_BASE_URL": octave.url, "OCTAVE_MCP_CALLER_KEYS": "true", "OCTAVE_MCP_STATE_URL": database.url}
        own |= {"OCTAVE_MCP_WAIT_SECONDS": "0.5", "OCTAVE_MCP_SHUTDOWN_SECONDS": "1", "OCTAVE_MCP_LOG_LEVEL": "ERROR"}
        async with replicas(3, folder, TIMES, **own) as running, caddy(*(one.port for one in running)) as proxy:
            yield Team(proxy.url, database, octave.url, running, by_key)


@dataclass
class Player:
    """A tenant in a round: its key, its Octave, and what its clients saw."""

    key: str
    octave: Octave
    seen: Seen

    def start(self, url: str, mode: str) -> Start:
        """Return what connects a client of this tenant."""
        return lambda: client(url, mode, x_octave_api_key=self.key)


async def team_round(playing: Team, chance: random.Random, number: int) -> tuple[list[str], Counter[str]]:
    """Play two tenants, each with two hosts, while replicas are killed and come again. Then settle, and compare."""
    players = []
    for name, other in (("ann", "bob"), ("bob", "ann")):
        octave = Octave(chance, f"{name}{number}x")
        own = Upstream(octave)
        octave.use(own)
        playing.by_key[f"sk-{name}-{number}"] = own
        players.append(Player(f"sk-{name}-{number}", octave, Seen(foreign=f"{other}{number}x")))

    async def play(player: Player) -> None:
        host = Host(player.seen, chance, patient=chance.random() < 0.4, lossy=True)
        for _ in range(chance.randint(1, 3)):
            try:
                await host.live(player.start(playing.url, chance.choice(MODES)), chance.randint(2, 5))
            except* (httpx2.TransportError, anyio.BrokenResourceError, anyio.ClosedResourceError, MCPError):
                await host.finish()  # its connection broke with the replica, or an answer came as it was closed

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_kill_now_and_then, playing.replicas, chance)
        await asyncio.gather(*(play(player) for player in players for _ in range(2)))
        tasks.cancel_scope.cancel()
    await asyncio.gather(*(_start_again(replica) for replica in playing.replicas))
    problems: list[str] = []
    total: Counter[str] = Counter()
    with anyio.fail_after(COLLECT_SECONDS + LIFE_SECONDS):
        left = True
        # What is settled for one tenant may let a replica that goes on searching find another tenant's persona.
        while left:
            await asyncio.gather(*(_settle(playing, player) for player in players))
            await asyncio.gather(*(_start_again(replica) for replica in playing.replicas))
            left = any(_left_over(playing, player) for player in players)
    for player in players:
        found, tally = _count(playing, player)
        problems += [f"{player.key}: {problem}" for problem in found]
        total.update(tally)
    return problems, total


async def _kill_now_and_then(replicas: list[Replica], chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        replica = chance.choice(replicas)
        await replica.end(signal.SIGKILL if chance.random() < 0.7 else signal.SIGTERM)
        await replica.start()


async def _start_again(replica: Replica) -> None:
    """Start a replica anew, so that it does nothing any more for the calls of the round."""
    if replica.process is not None and replica.process.returncode is None:
        await replica.end(signal.SIGKILL)
    await replica.start()


async def _settle(playing: Team, player: Player) -> None:
    """Settle what is left of one tenant. All do so at once, as an item of one may stand in the way of another's."""
    rows, tenant = postgres_rows(playing.database), playing.tenant(player.key)
    start = player.start(playing.url, MODES[0])
    await settle(start, player.seen, lambda: recorded(rows, tenant), lambda: recorded(rows))
    await player.octave.finish()


def _left_over(playing: Team, player: Player) -> list[Item]:
    rows = postgres_rows(playing.database)
    return left_over(player.seen, recorded(rows, playing.tenant(player.key)), recorded(rows))


def _count(playing: Team, player: Player) -> tuple[list[str], Counter[str]]:
    rows = postgres_rows(playing.database)
    return compare(player.octave, recorded(rows, playing.tenant(player.key)), player.seen, recorded(rows))
