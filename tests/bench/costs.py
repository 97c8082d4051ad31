"""What things cost over stdio: tokens of what a model reads, memory, personas created twice."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
from mcp.types import CallToolResult
from support.tokens import channels, o200k

from bench.caller import GENERATE, asking_for_many, names
from bench.compare import FLOOR, OURS, THIN, Goal, Measure, Sample
from bench.octave import POSTED
from bench.processes import octave_settings, proportional_bytes, resident_bytes
from bench.run import Run

TOOLS: Final = Measure("tokens of tools/list")
RESULTS: Final = {
    1: Measure("tokens of a result of 1 persona", (Goal(1200),)),
    5: Measure("tokens of a result of 5 personas", (Goal(5500),)),
    20: Measure("tokens of a result of 20 personas", (Goal(6000),)),
    100: Measure("tokens of a result of 100 personas", (Goal(6000),)),
}

PATIENCE_SECONDS: Final = 2.0
"""After which the client gives up, on an upstream that takes twice as long."""

WANTED: Final = 2
TWICE: Final = Measure(f"personas created twice, of {WANTED}, after a time-out", (Goal(0),))

AT_START: Final = Measure("resident memory at tools/list, MiB", (Goal(1.25, THIN),), 1)
CALLS: Final = 200
AFTERWARDS: Final = Measure(f"resident memory after {CALLS} calls, MiB", (Goal(1.25, THIN),), 1)
SHARED_OUT: Final = Measure("of that, shared pages divided (PSS), MiB", (), 1)


async def tokens(run: Run) -> AsyncIterator[Sample]:
    """What a model may be shown: the tools, and results in both their channels. (c) is the API's answer, once."""
    async with run.upstream() as port:
        for column in run.wrappers:
            many = {"OCTAVE_MCP_MAX_PERSONAS_PER_CALL": f"{max(RESULTS)}"} if column.name == OURS else {}
            async with run.serving(column, port, settings=many) as server:
                yield Sample(TOOLS, column.name, 0, o200k(_compact(await server.open())))
                fresh = names()
                for count, measure in RESULTS.items():
                    result = await server.call(asking_for_many(count), next(fresh))
                    yield Sample(measure, column.name, 0, _tokens_of(result))
        for count, measure in RESULTS.items():
            body = asking_for_many(count).arguments(next(names()))
            async with _client(port) as client:
                answer = await client.post("/api/v2/persona/generate", json=body)
            yield Sample(measure, FLOOR, 0, o200k(_compact(answer.json())))


def _tokens_of(result: dict[str, Any]) -> int:
    text, structured = channels(CallToolResult.model_validate(result))
    return o200k(text) + (o200k(structured) if result.get("structuredContent") else 0)


def _compact(what: Any) -> str:
    return json.dumps(what, ensure_ascii=False, separators=(",", ":"))


async def duplicates(run: Run, patience: float = PATIENCE_SECONDS) -> AsyncIterator[Sample]:
    """A client gives up on a call, says so, and makes the very same call again."""
    for column in run.wrappers:
        async with run.upstream("--latency", f"{patience * 2}") as port:
            async with run.serving(column, port) as server:
                await server.open()
                call, name = asking_for_many(WANTED), next(names())
                await server.given_up(call, name, patience)
                await server.call(call, name)
            async with _client(port) as client:
                posted = int((await client.get(POSTED)).text)
        yield Sample(TWICE, column.name, 0, posted - WANTED)


async def memory(run: Run, rounds: int, calls: int = CALLS) -> AsyncIterator[Sample]:
    """Of a new process each time."""
    async with run.upstream() as port:
        for number, column in run.turns(run.wrappers, rounds):
            async with run.serving(column, port) as server:
                await server.open()
                yield Sample(AT_START, column.name, number, resident_bytes(server.pid) / 2**20)
                fresh = names()
                for _ in range(calls):
                    await server.call(GENERATE, next(fresh))
                yield Sample(AFTERWARDS, column.name, number, resident_bytes(server.pid) / 2**20)
                if (proportional := proportional_bytes(server.pid)) is not None:
                    yield Sample(SHARED_OUT, column.name, number, proportional / 2**20)


def _client(port: int) -> httpx.AsyncClient:
    own = octave_settings(port)
    return httpx.AsyncClient(base_url=own["OCTAVE_BASE_URL"], headers={"api_key": own["OCTAVE_API_KEY"]})
