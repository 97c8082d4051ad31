"""The TypeScript SDK's client, as it comes: it gives up after 60 seconds."""

import asyncio
import sys

import pytest
from support.command import environment
from support.npm import MODULES, node
from support.program import TESTS, told
from support.records import record
from support.upstream import Request, answer, metadata, upstream

pytestmark = pytest.mark.anyio

LONGER_THAN_A_MINUTE = 62.0
"""Seconds that a persona takes; the client's own limit is 60."""


async def meets(
    name: str, *, takes: float, patience: float = 0, **settings: str
) -> tuple[list[dict[str, object]], int]:
    """What the client tells, and how many POSTs it cost, where a persona takes so many seconds."""

    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(takes)
        made = [record(0) | {"name": one["name"], "oId": "pe_made"} for one in request.json["personas"]]
        writer.write(answer({"_metadata": metadata(), "data": made}))

    async def one(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"_metadata": metadata(usage=0), **record(0), "oId": "pe_made"}))

    program = MODULES / "with_typescript.mjs"  # Node looks for packages where the program is
    command = (node(), str(program), name, str(patience), sys.executable, "-m", "octave_mcp")
    program.write_bytes((TESTS / "clients" / "with_typescript.mjs").read_bytes())
    async with upstream(slow) as octave:
        octave.look_up = one
        lines = await told(*command, env=environment(octave, **settings), seconds=150)
        return lines, len(octave.requests)


async def test_a_client_that_gave_up_and_calls_again_is_handed_what_it_missed() -> None:
    """It cancelled after a second and a half; the persona is bought once."""
    lines, posts = await meets("Impatient", takes=3, patience=1500)
    assert {"gaveUp": -32001} in lines
    assert lines[-1] == {"read": "pe_made", "made": "pe_made"}
    assert posts == 1


async def test_a_generation_that_takes_longer_than_the_clients_minute_ends_well() -> None:
    """With every default: the server's wait ends first, and what was pending is collected, bought once."""
    lines, posts = await meets("Slow", takes=LONGER_THAN_A_MINUTE)
    assert [line["status"] for line in lines if "status" in line] == ["pending", "complete"]
    assert len(lines[0]["tools"]) == 6  # type: ignore[arg-type]
    assert lines[-1] == {"read": "pe_made", "made": "pe_made"}
    assert posts == 1
