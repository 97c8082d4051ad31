"""Tenants never meet, and none waits for another: the pool of their services, its limits, opening and eviction."""

import asyncio
from typing import Any

import anyio
import anyio.abc
import pytest
from mcp.types import PromptReference
from pydantic import SecretStr
from support.http import ASKING, MODES, called, client, said, serving, until
from support.upstream import Request, answer, by_the_page, error_envelope, page_answer, upstream

from octave_mcp.http import tenants
from octave_mcp.http.octave_keys import KeySource
from octave_mcp.http.settings import HttpSettings
from octave_mcp.http.tenants import TenantPool
from octave_mcp.ledger.databases import open_ledger
from octave_mcp.settings import load

pytestmark = pytest.mark.anyio

ANN, BOB = "sk-of-ann", "sk-of-bob"


class OfEach:
    """An upstream that answers each key in its own way."""

    def __init__(self, **answers: Any) -> None:
        """Take what each key's POSTs are answered by."""
        self._answers = answers

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """By the key."""
        await self._answers[(request.header("api_key") or "").removeprefix("sk-of-")](request, writer)


async def test_one_tenants_generation_is_nobody_elses() -> None:
    """Not by its id, not in the list, and not by the same words at the same time."""
    async with upstream(by_the_page) as octave, serving(caller_keys=True, base_url=octave.url) as url:
        results = await asyncio.gather(
            *(called(url, "generate_personas", ASKING, x_octave_api_key=key) for key in (ANN, BOB))
        )
        mine, others = (result["structuredContent"]["generationId"] for result in results)
        assert mine != others
        assert len(octave.requests) == 2
        stolen = await called(url, "get_generation", {"generationId": mine}, x_octave_api_key=BOB)
        assert stolen["isError"]
        assert "There is no generation with this generationId" in said(stolen)
        again = await called(url, "get_generation", {"generationId": mine}, x_octave_api_key=ANN)
        assert not again["isError"]


@pytest.mark.parametrize("mode", MODES)
async def test_completions_and_resources_are_each_tenants_own(mode: str) -> None:
    """Also where they are kept for a while."""
    rows = {ANN: {"oId": "px_a", "name": "Of Ann"}, BOB: {"oId": "px_b", "name": "Of Bob"}}

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        row = rows[request.header("api_key") or ""]
        writer.write(answer(row if request.path.endswith("/get") else {"data": [row], "hasNext": False, "total": 1}))

    async with upstream(by_the_page) as octave, serving(caller_keys=True, base_url=octave.url) as url:
        octave.look_up = look_up
        for _ in range(2):
            for key, row in rows.items():
                async with client(url, mode, x_octave_api_key=key) as one:
                    reference = PromptReference(type="ref/prompt", name="build_personas")
                    completed = await one.complete(reference, {"name": "playbook", "value": ""})
                    assert completed.completion.values == [row["name"]]
                    (content,) = (await one.read_resource("octave://personas/px_1")).contents
                    assert row["oId"] in content.text  # type: ignore[union-attr]


async def test_one_tenants_slow_octave_or_429_delays_nobody_else() -> None:
    """Each key has its own throttle."""

    async def busy(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(error_envelope("Slow down"), status=429, headers={"retry-after": "100"}))

    many = {"personas": [{**ASKING["personas"][0], "name": f"P{number}"} for number in range(20)]}
    async with (
        upstream(OfEach(ann=busy, bob=by_the_page)) as octave,
        serving(caller_keys=True, base_url=octave.url, wait_seconds=3, shutdown_seconds=0) as url,
    ):
        slow = asyncio.create_task(called(url, "generate_personas", many, x_octave_api_key=ANN))
        await until(lambda: octave.requests)
        quick = await called(url, "generate_personas", many, x_octave_api_key=BOB)
        assert quick["structuredContent"]["status"] == "complete"
        assert not slow.done()
        assert (await slow)["structuredContent"]["status"] == "pending"


async def test_calls_at_once_are_bounded_for_each_tenant() -> None:
    """One call too many is refused, with what to do; other tenants are not."""
    held = asyncio.Event()

    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(held.wait(), 20)
        writer.write(answer(page_answer(request)))

    async with (
        upstream(OfEach(ann=hold, bob=by_the_page)) as octave,
        serving(caller_keys=True, base_url=octave.url, calls_at_once=2) as url,
    ):
        two = [asyncio.create_task(called(url, "generate_personas", ASKING, x_octave_api_key=ANN)) for _ in "ab"]
        await until(lambda: octave.requests)
        await asyncio.sleep(0.1)
        third = await called(url, "generate_personas", ASKING, x_octave_api_key=ANN)
        assert "OCTAVE_MCP_CALLS_AT_ONCE" in said(third)
        assert "Nothing was sent to Octave" in said(third)
        assert not (await called(url, "generate_personas", ASKING, x_octave_api_key=BOB))["isError"]
        held.set()
        assert not any(result["isError"] for result in await asyncio.gather(*two))
        assert not (await called(url, "generate_personas", ASKING, x_octave_api_key=ANN))["isError"]


async def test_calls_in_a_minute_are_bounded_for_each_tenant() -> None:
    """And what needs no services, such as the list of tools, is not counted."""
    async with (
        upstream(by_the_page) as octave,
        serving(caller_keys=True, base_url=octave.url, calls_per_minute=3) as url,
    ):
        async with client(url, x_octave_api_key=ANN) as ann:
            for _ in range(3):
                await ann.list_tools()
                assert not (await ann.call_tool("list_personas", {})).is_error
            refused = await ann.call_tool("list_personas", {})
            assert refused.is_error
            assert "OCTAVE_MCP_CALLS_PER_MINUTE" in refused.content[0].text  # type: ignore[union-attr]
        assert not (await called(url, "list_personas", {}, x_octave_api_key=BOB))["isError"]


class AnyKey(KeySource):
    """The request is the key."""

    def key_of(self, request: Any) -> SecretStr:
        """It."""
        return SecretStr(request)


class Pool:
    """A pool of tenants, and a time that is moved by hand."""

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start empty, in the sandbox."""
        self.now = 0.0
        settings = load(HttpSettings, sandbox=True)
        self.tenants = TenantPool(settings, AnyKey(), open_ledger(None, None), tasks, now=lambda: self.now)

    async def call(self, key: str) -> Any:
        """Return the services of a key after one call that used them, or why there are none."""
        async with self.tenants.call_state(key) as state:
            return state.services or state.refusal.problem


async def test_an_idle_tenant_is_evicted_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """And stays open as long as it has calls."""
    monkeypatch.setattr(tenants, "EVICTION_SECONDS", 0.01)
    async with anyio.create_task_group() as tasks:
        pool = Pool(tasks)
        tasks.start_soon(pool.tenants.evict_idle_tenants)
        first = await pool.call("a")
        assert await pool.call("a") is first
        async with pool.tenants.call_state("b"):
            pool.now = tenants.IDLE_SECONDS
            await until(lambda: len(pool.tenants._tenants) == 1)
        assert await pool.call("a") is not first
        await pool.tenants.close()
        tasks.cancel_scope.cancel()


async def test_tenants_are_bounded_and_the_longest_idle_one_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys somebody makes up."""
    monkeypatch.setattr(tenants, "MAX_TENANTS", 2)
    async with anyio.create_task_group() as tasks:
        pool = Pool(tasks)
        opened = []
        for number, key in enumerate("ab"):
            pool.now = number
            opened.append(await pool.call(key))
        async with pool.tenants.call_state("c") as third, pool.tenants.call_state("b") as second:
            assert third.services is not None
            assert second.services is opened[1]
            assert "as many Octave keys" in await pool.call("a")
        pool.now = 9
        assert await pool.call("a") not in opened
        assert len(pool.tenants._tenants) == 2
        await pool.tenants.close()
        assert "This server is shutting down" in await pool.call("z")
        tasks.cancel_scope.cancel()


async def test_a_cancelled_call_is_no_longer_counted() -> None:
    """At whatever moment it is cancelled."""
    async with anyio.create_task_group() as tasks:
        pool = Pool(tasks)
        for turns in range(12):
            call = asyncio.create_task(pool.call(f"key {turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])
        assert all(tenant.calls == 0 for tenant in pool.tenants._tenants.values())
        await pool.tenants.close()
        tasks.cancel_scope.cancel()
