"""Three replicas, a real PostgreSQL and a real proxy: what one began, another finishes; each persona is made once."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from support.http import MODES, called, client, until
from support.postgres import Database
from support.proxy import caddy
from support.replicas import Replica, replicas
from support.upstream import Request, Upstream, answer, page_answer, timestamp, upstream

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"
NAMES = ("CISO", "VP Sales", "Procurement", "Head of IT", "CFO", "Counsel")
ASKING = {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in NAMES]}


class Making:
    """An upstream that makes personas at once, and answers when it is let."""

    def __init__(self) -> None:
        """Hold."""
        self.go = asyncio.Event()
        self.octave: Upstream | None = None
        self.answered = 0

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Make, and answer later."""
        answered = page_answer(request)
        for persona in answered["data"]:
            persona["createdAt"] = timestamp()
        assert self.octave is not None
        self.octave.library += answered["data"]
        await asyncio.wait_for(self.go.wait(), 60)
        self.answered += 1
        writer.write(answer(answered))


@dataclass
class Running:
    """All of it."""

    url: str
    making: Making
    octave: Upstream
    replicas: list[Replica]


@asynccontextmanager
async def running(database: Database, folder: Path, **settings: str) -> AsyncIterator[Running]:
    """Run three replicas on one ledger, the proxy in front of them, and the upstream behind them."""
    making = Making()
    async with upstream(making) as octave:
        making.octave = octave
        own = {"OCTAVE_API_KEY": KEY, "OCTAVE_BASE_URL": octave.url, "OCTAVE_MCP_STATE_URL": database.url}
        own |= {"OCTAVE_MCP_CONCURRENCY": "8", **settings}
        async with replicas(3, folder, **own) as there, caddy(*(one.port for one in there)) as proxy:
            yield Running(proxy.url, making, octave, there)
            making.go.set()


def oids(result: dict[str, Any]) -> list[str]:
    """Of the personas of a result."""
    return [persona["oId"] for persona in result["structuredContent"]["personas"]]


async def test_what_one_began_another_joins_and_another_collects(database: Database, tmp_path: Path) -> None:
    """By the id that the first gave, and by the same call."""
    async with running(database, tmp_path, OCTAVE_MCP_WAIT_SECONDS="1") as all_:
        first, second, third = (replica.url for replica in all_.replicas)
        began = await called(first, "generate_personas", ASKING)
        assert began["structuredContent"]["status"] == "pending"
        joining = asyncio.create_task(called(second, "generate_personas", ASKING))
        await asyncio.sleep(0.2)
        all_.making.go.set()
        handle = {"generationId": began["structuredContent"]["generationId"]}
        collected = await called(third, "get_generation", handle)
        joined = await joining
        assert sorted(oids(collected)) == sorted(oids(joined))
        assert len(set(oids(collected))) == len(NAMES) == len(all_.octave.asked)


@pytest.mark.parametrize("mode", MODES)
async def test_a_replica_that_is_killed_midway_costs_no_persona(mode: str, database: Database, tmp_path: Path) -> None:
    """Its client calls again, and is handed every persona, each made once."""
    async with running(database, tmp_path) as all_:
        victim = all_.replicas[0]
        call: asyncio.Task[Any] | None = None
        try:
            async with client(victim.url, mode) as one:
                await one.list_tools()
                call = asyncio.create_task(one.call_tool("generate_personas", ASKING))
                await until(lambda: len(all_.octave.asked) == len(NAMES))
                await victim.end(signal.SIGKILL)
                await asyncio.wait([call], timeout=10)
        except* httpx2.TransportError:
            pass  # the SDK's client of one era raises it, that of the other hands it to the call
        assert call is not None
        assert call.done()
        assert call.cancelled() or call.exception() is not None
        async with client(all_.url, mode) as again:
            result = await again.call_tool("generate_personas", ASKING)
        content = result.structured_content
        assert content is not None
        assert content["status"] == "complete"
        assert sorted(persona["name"] for persona in content["personas"]) == sorted(NAMES)
        assert sorted(one["name"] for one in all_.octave.asked) == sorted(NAMES)


@pytest.mark.parametrize("mode", MODES)
async def test_replicas_are_replaced_while_people_work(mode: str, database: Database, tmp_path: Path) -> None:
    """One after the other, politely: every call is answered, and nothing is created twice.

    What a replica has not sent yet when it is told to stop, it does not send; it says that the same call may be made
    again. That is rare, unless the machine is busy.
    """
    results: list[Any] = []
    over = asyncio.Event()

    async def create(speaking: Client, wish: dict[str, Any]) -> Any:
        result = await speaking.call_tool("generate_personas", {"personas": [wish]})
        failed = (result.structured_content or {}).get("failed")
        return await create(speaking, wish) if failed and failed[0]["retry"] == "same_call" else result

    async def work(name: str, speaking: Client) -> None:
        number = 0
        while not over.is_set():
            wish = {"name": f"{name} {number}", "sources": [{"type": "TEXT", "value": "notes"}]}
            results.append(await create(speaking, wish))
            number += 1
            await asyncio.sleep(0.05)  # the processes that start have to come to their turn

    async with running(database, tmp_path) as all_:
        all_.making.go.set()
        async with client(all_.url, mode) as speaking:
            await speaking.list_tools()
            working = [asyncio.create_task(work(name, speaking)) for name in "ABC"]
            for replica in all_.replicas:
                await asyncio.sleep(0.3)
                await replica.end(signal.SIGTERM)
                await replica.start()
            over.set()
            await asyncio.gather(*working)
        made = [one["name"] for one in all_.octave.asked]
        assert len(made) == len(set(made))
        assert [one.content for one in results if one.is_error] == []
        assert {one.structured_content["status"] for one in results} == {"complete"}
        assert len(results) == len(made) > 10
