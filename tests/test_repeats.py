"""The one rule for repeats, over real stdio: however the first call ended, one persona costs one POST."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult
from support.command import environment
from support.upstream import Request, Upstream, answer, error_envelope, page_answer, timestamp, upstream

pytestmark = pytest.mark.anyio

ASKED = {"personas": [{"name": "A", "sources": [{"type": "TEXT", "value": "notes"}]}]}
MODES = ("legacy", "auto")
"""The protocol's eras: an `initialize` of 2025, and the requests of 2026 that carry everything themselves."""


def servers(octave: Upstream, ledger: Path, mode: Any) -> Callable[[], Client]:
    """Return a function that starts a server process on the ledger, with a client of its own."""
    settings = {"OCTAVE_MCP_STATE_URL": f"sqlite:///{ledger}", "OCTAVE_MCP_WAIT_SECONDS": "3"}
    parameters = StdioServerParameters(
        command=sys.executable, args=["-P", "-m", "octave_mcp"], env=environment(octave, **settings)
    )
    return lambda: Client(parameters, mode=mode)


async def call(client: Client) -> CallToolResult:
    """Ask for the persona."""
    return await client.call_tool("generate_personas", ASKED)


async def create(octave: Upstream, request: Request, writer: asyncio.StreamWriter) -> None:
    """Create the persona, and answer by the page."""
    made = page_answer(request)
    octave.library += made["data"]
    writer.write(answer(made))


def oid(result: CallToolResult) -> str:
    """Return the oId of the one persona in a result."""
    assert result.structured_content is not None
    (persona,) = result.structured_content["personas"]
    return str(persona["oId"])


@pytest.mark.parametrize("mode", MODES)
async def test_the_same_call_costs_one_post(tmp_path: Path, mode: str) -> None:
    """Three in a row, three at once, after a restart, and from two processes: one POST, the same persona."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        await create(octave, request, writer)

    with anyio.fail_after(60):
        async with upstream(respond) as octave:
            opened = servers(octave, tmp_path / "ledger", mode)
            async with opened() as one, opened() as other:
                in_a_row = [await call(one) for _ in range(3)]
                at_once = await asyncio.gather(call(one), call(one), call(other))
            async with opened() as restarted:
                later = await call(restarted)
    assert len({oid(result) for result in (*in_a_row, *at_once, later)}) == 1
    assert len(octave.requests) == 1


async def test_a_client_that_times_out_and_calls_again_costs_one_post(tmp_path: Path) -> None:
    """Its second call waits for the first one's persona."""
    go = asyncio.Event()

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(go.wait(), 30)
        await create(octave, request, writer)

    with anyio.fail_after(60):
        async with upstream(respond) as octave:
            opened = servers(octave, tmp_path / "ledger", "auto")
            async with opened() as client:
                with pytest.raises(TimeoutError), anyio.fail_after(0.5):
                    await call(client)
                second = asyncio.create_task(call(client))
                await asyncio.sleep(0.2)
                go.set()
                assert oid(await second)
    assert len(octave.requests) == 1


@pytest.mark.parametrize("created", [True, False])
async def test_a_lost_answer_costs_one_post(
    tmp_path: Path,
    created: bool,  # noqa: FBT001 - both
) -> None:
    """Created, the persona is found in the list; not created, nothing is sent until that is settled."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if created:
            octave.library += [{**one, "createdAt": timestamp()} for one in page_answer(request)["data"]]
        writer.transport.abort()

    with anyio.fail_after(60):
        async with upstream(respond) as octave:
            opened = servers(octave, tmp_path / "ledger", "auto")
            async with opened() as client:
                results = [await call(client) for _ in range(2)]
            async with opened() as restarted:
                results.append(await call(restarted))
    assert len(octave.requests) == 1
    if created:
        assert len({oid(result) for result in results}) == 1
    else:
        assert all(result.is_error for result in results)


async def test_an_error_of_octave_and_the_same_call_at_once_costs_one_post(tmp_path: Path) -> None:
    """HTTP 500 says nothing about whether the persona was created."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(error_envelope("boom"), status=500))

    with anyio.fail_after(60):
        async with upstream(respond) as octave:
            opened = servers(octave, tmp_path / "ledger", "auto")
            async with opened() as client:
                results = [await call(client) for _ in range(2)]
    assert all(result.is_error for result in results)
    assert len(octave.requests) == 1


async def test_what_octave_refused_is_sent_by_the_next_call(tmp_path: Path) -> None:
    """Nothing was created, so the same call is not held back."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number == 0:
            writer.write(answer(error_envelope("No credits"), status=402))
        else:
            await create(octave, request, writer)

    with anyio.fail_after(60):
        async with upstream(respond) as octave:
            opened = servers(octave, tmp_path / "ledger", "auto")
            async with opened() as client:
                assert (await call(client)).is_error
                assert oid(await call(client))
    assert len(octave.requests) == 2
