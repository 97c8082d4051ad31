"""The count of `counting`, over HTTP: replicas behind a proxy, a real Redis, two tenants, and replicas that are killed.

Both tenants ask for the same personas in the same words, with the same JSON-RPC ids, at the same time. Each has an
Octave of its own behind the one address, told apart by the key, and marks all that it makes.
"""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import redis.asyncio
from mcp.shared.exceptions import MCPError
from pydantic import SecretStr
from support.http import MODES, client
from support.proxy import nginx
from support.replicas import Replica, replicas
from support.upstream import Request, Upstream, upstream

from octave_mcp.generation.tenant import Tenant
from soak.counting import COLLECT_SECONDS, LIFE_SECONDS, Host, Octave, Recorded, Seen, Start, check


@dataclass
class Team:
    """What all rounds share: replicas, the proxy's address, Redis, and an upstream that knows each key."""

    url: str
    redis_url: str
    octave: Upstream
    replicas: list[Replica]
    by_key: dict[str, Upstream] = field(default_factory=dict)


@asynccontextmanager
async def team(redis_url: str, folder: Path) -> AsyncIterator[Team]:
    """Everything started, and ended."""
    by_key: dict[str, Upstream] = {}

    def whose(request: Request) -> Upstream:
        return by_key[request.header("api_key") or ""]

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        await whose(request).respond(request, writer)

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        await whose(request).list_personas(request, writer)

    async with upstream(respond) as octave:
        octave.look_up = look_up
        own = {"OCTAVE_BASE_URL": octave.url, "OCTAVE_MCP_CALLER_KEYS": "true", "OCTAVE_MCP_STATE_URL": redis_url}
        own |= {"OCTAVE_MCP_WAIT_SECONDS": "0.5", "OCTAVE_MCP_SHUTDOWN_SECONDS": "1", "OCTAVE_MCP_LOG_LEVEL": "ERROR"}
        async with replicas(3, folder, **own) as there, nginx(*(replica.port for replica in there)) as proxy:
            yield Team(proxy.url, redis_url, octave, there, by_key)


@dataclass
class Player:
    """A tenant in a round: its key, its Octave, and what its clients saw."""

    key: str
    octave: Octave
    seen: Seen

    def start(self, url: str, mode: str) -> Start:
        """A client of its."""
        return lambda: client(url, mode, x_octave_api_key=self.key)


async def team_round(playing: Team, chance: random.Random, number: int) -> tuple[list[str], Counter[str]]:
    """Two tenants, each with two hosts, while replicas are killed and come again; then all is collected and counted."""
    players = []
    for name, other in (("ann", "bob"), ("bob", "ann")):
        octave = Octave(chance, f"{name}{number}x")
        behind = Upstream(octave)
        octave.serves(behind)
        playing.by_key[f"sk-{name}-{number}"] = behind
        players.append(Player(f"sk-{name}-{number}", octave, Seen(foreign=f"{other}{number}x")))
    names = [f"Persona {letter}" for letter in "ABCDE"]

    async def host(player: Player) -> None:
        lives = Host(player.seen, chance, names, patient=chance.random() < 0.4, lossy=True)
        for _ in range(chance.randint(1, 3)):
            try:
                await lives.live(player.start(playing.url, chance.choice(MODES)), chance.randint(2, 5))
            except* (httpx2.TransportError, anyio.BrokenResourceError, anyio.ClosedResourceError, MCPError):
                await lives.rest()  # its connection broke with the replica, or an answer came as it was closed

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_kill_now_and_then, playing.replicas, chance)
        await asyncio.gather(*(host(player) for player in players for _ in range(2)))
        tasks.cancel_scope.cancel()
    await asyncio.gather(*(_there(replica) for replica in playing.replicas))
    problems: list[str] = []
    total: Counter[str] = Counter()
    for player in players:
        found, tally = await _count(playing, player)
        problems += [f"{player.key}: {problem}" for problem in found]
        total.update(tally)
    return problems, total


async def _kill_now_and_then(replicas: list[Replica], chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        replica = chance.choice(replicas)
        await replica.end(signal.SIGKILL if chance.random() < 0.7 else signal.SIGTERM)
        await replica.start()


async def _there(replica: Replica) -> None:
    """Have a replica there that was killed as the round ended."""
    if replica.process is not None and replica.process.returncode is None:
        await replica.end(signal.SIGKILL)
    await replica.start()


async def _count(playing: Team, player: Player) -> tuple[list[str], Counter[str]]:
    """Collect what is left, and compare."""
    recalled = Seen(foreign=player.seen.foreign)
    tenant = Tenant(SecretStr(player.key), playing.octave.url).id
    with anyio.fail_after(2 * COLLECT_SECONDS + LIFE_SECONDS):
        async with player.start(playing.url, MODES[0])() as speaking:
            await Host(player.seen, random.Random(0), [], patient=True).collect(speaking)
            wishes = (await recorded(playing.redis_url, tenant)).places.values()
            asked = {generation for places in wishes for generation, _ in places}
            forgotten = Host(recalled, random.Random(0), [], patient=True)
            for generation in sorted(asked - player.seen.generations):
                await forgotten.call(speaking, "get_generation", {"generationId": generation})
        await player.octave.rest()
    problems, tally = check(player.octave.journal, await recorded(playing.redis_url, tenant), player.seen, recalled)
    return problems + player.octave.odd, tally


async def recorded(redis_url: str, tenant: str) -> Recorded:
    """What Redis has of a tenant."""
    store: Any = redis.asyncio.Redis.from_url(redis_url, decode_responses=True)
    try:
        items = []
        async for key in store.scan_iter("{octave-personas-mcp}:item:*", count=1000):
            item = await store.hgetall(key)
            if item.get("tenant") == tenant:
                items.append(_item(key.rpartition(":")[2], item))
        items.sort(key=lambda item: item["seq"])
        read = Recorded(items, {}, {})
        ids = {item["id"] for item in items}
        async for key in store.scan_iter("{octave-personas-mcp}:places:*", count=1000):
            for place, one in enumerate(await store.lrange(key, 0, -1)):
                if one[1:] in ids:
                    read.places.setdefault(one[1:], set()).add((key.rpartition(":")[2], place))
        claims = await store.hgetall("{octave-personas-mcp}:claims")
        read.claims = {oid: item for oid, item in claims.items() if item in ids}
        return read
    finally:
        await store.aclose()


def _item(handle: str, kept: dict[str, str]) -> dict[str, Any]:
    times = ("created_at", "sent_at", "settled_at", "handed_over_at", "seq")
    item: dict[str, Any] = {"id": handle, "name": None, "outcome": None, **kept}
    return item | {name: float(kept[name]) if name in kept else None for name in times}
