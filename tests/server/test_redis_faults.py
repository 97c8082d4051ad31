"""Redis that is down, slow, restarted or emptied, as a caller over HTTP sees it: nothing is sent without a record."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from support.command import environment
from support.http import ASKING, called, process, said, serving, until
from support.redis_server import RedisServer, needs_redis, redis_server
from support.upstream import Request, answer, by_the_page, page_answer, upstream

from octave_mcp.server import http

pytestmark = [pytest.mark.anyio, needs_redis]

KEY = "sk-canary-0123456789"


@pytest.fixture
def redis(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """One that keeps what it is told."""
    monkeypatch.setattr(http, "READY_SECONDS", 0.0)
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as running:
        yield running


async def ready(url: str) -> bool:
    """Whether it says so."""
    async with httpx.AsyncClient() as asking:
        return (await asking.get(url.replace("/mcp", "/readyz"))).status_code == 200


@pytest.mark.parametrize("fault", ["down", "slow"])
async def test_nothing_is_sent_while_it_cannot_be_recorded(redis: RedisServer, fault: str) -> None:
    """The text says so; and all is well by itself when Redis is."""
    async with upstream(by_the_page) as octave, serving(api_key=KEY, base_url=octave.url, state_url=redis.url) as url:
        assert not (await called(url, "generate_personas", ASKING))["isError"]
        assert await ready(url)
        (redis.pause if fault == "slow" else redis.kill)()
        try:
            refused = await called(url, "generate_personas", ASKING)
            assert refused["isError"]
            assert "OCTAVE_MCP_STATE_URL" in said(refused)
            assert "Nothing was sent to Octave and nothing was paid for." in said(refused)
            assert str(redis.port) not in said(refused)
            assert len(octave.requests) == 1
            assert not await ready(url)
        finally:
            (redis.go_on if fault == "slow" else redis.start)()
        await until_ready(url)
        assert not (await called(url, "generate_personas", ASKING))["isError"]
        assert len(octave.requests) == 2


@pytest.mark.parametrize("fault", ["restarted", "emptied"])
async def test_what_is_under_way_is_told_or_said_to_be_in_doubt(redis: RedisServer, fault: str) -> None:
    """It was paid for: what Redis kept is handed over; where it lost the record, nobody is told to try again."""
    go = asyncio.Event()

    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(go.wait(), 20)
        writer.write(answer(page_answer(request)))

    async with upstream(hold) as octave, serving(api_key=KEY, base_url=octave.url, state_url=redis.url) as url:
        call = asyncio.create_task(called(url, "generate_personas", ASKING))
        await until(lambda: octave.requests)
        if fault == "restarted":
            redis.kill()
            redis.start()
        else:
            with redis.client() as client:
                client.flushall()
        go.set()
        result = await call
        if fault == "restarted":
            assert result["structuredContent"]["status"] == "complete"
        else:
            assert result["isError"]
            assert "may have been made and paid for" in said(result)
        assert "try again" not in said(result).lower()
        assert len(octave.requests) == 1


async def until_ready(url: str) -> None:
    """Return when it is."""
    async with asyncio.timeout(20):
        while not await ready(url):  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.05)


async def test_a_redis_that_hangs_does_not_hold_up_the_end(redis: RedisServer) -> None:
    """However much there is to record."""
    go = asyncio.Event()

    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(go.wait(), 30)
        writer.write(answer(page_answer(request)))

    many = {"personas": [{**ASKING["personas"][0], "name": f"P{number}"} for number in range(12)]}
    async with upstream(hold) as octave:
        own = {"OCTAVE_MCP_STATE_URL": redis.url, "OCTAVE_MCP_SHUTDOWN_SECONDS": "1", "OCTAVE_MCP_CONCURRENCY": "12"}
        async with process(environment(octave, **own)) as server:
            call = asyncio.create_task(called(server.url, "generate_personas", many))
            await until(lambda: len(octave.requests) == len(many["personas"]))
            redis.pause()
            try:
                server.process.terminate()
                go.set()
                async with asyncio.timeout(25):
                    await server.process.wait()
            finally:
                redis.go_on()
            await asyncio.wait([call])
            call.exception()
