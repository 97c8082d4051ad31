"""How long things take over stdio: a start, a call, ten slow personas, many calls at once."""

import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import islice
from statistics import median
from typing import Final

import httpx

from bench.caller import GENERATE, LIST, Call, asking_for, asking_for_many, names
from bench.compare import ANY_NAME, FLOOR, OPENAPI, OURS, RECORDING, THIN, Goal, Measure, Sample
from bench.conversation import MODERN_ERA, OLDEST_ERA, Conversation
from bench.processes import octave_settings
from bench.run import Run

COLD = {
    OLDEST_ERA: Measure("cold start to tools/list, ms", (Goal(1.05, THIN), Goal(0.75, OPENAPI))),
    MODERN_ERA: Measure("the same in the newest revision, ms"),
}

WARM_GOALS = (Goal(2.2, THIN), Goal(1.5, RECORDING))
WARM = {
    GENERATE: Measure("warm generate_personas of one, ms", WARM_GOALS, 2),
    LIST: Measure("warm list_personas of ten, ms", (), 2),
}
WARM_ANY_NAME = Measure("the same with OCTAVE_MCP_ALLOW_SAME_NAME, ms", WARM_GOALS, 2)
NOTHING: Final = Call("nothing", lambda _: {}, "done")
NO_OP = Measure("of (c): a call that does nothing, ms", (), 2)
RAW = {
    GENERATE: Measure("of (c): a POST by httpx, connection kept, ms", (), 2),
    LIST: Measure("of (c): a GET by httpx, connection kept, ms", (), 2),
}
FRESH = {
    GENERATE: Measure("not in (c): a POST by httpx, connection new, ms", (), 2),
    LIST: Measure("not in (c): a GET by httpx, connection new, ms", (), 2),
}

SECONDS_A_PERSONA: Final = 0.5
"""Of an upstream that writes a body's personas one after the other."""

TEN = Measure("ten personas of half a second, s", (Goal(0.33, THIN), Goal(0.33, OPENAPI)), 2)

AT_ONCE = 16
RATE = Measure(f"calls a second, {AT_ONCE} in progress", (Goal(0.5, THIN, at_least=True),))
RATE_ANY_NAME = Measure("the same with OCTAVE_MCP_ALLOW_SAME_NAME", RATE.goals)


async def cold_start(run: Run, rounds: int) -> AsyncIterator[Sample]:
    """From the start of a process to its tools, after one start that is not counted."""
    async with run.upstream() as port:
        for era in (OLDEST_ERA, MODERN_ERA):
            for number, column in run.turns(run.starting, rounds + 1):
                began = time.perf_counter()
                async with run.serving(column, port, era) as server:
                    await server.open()
                    took = time.perf_counter() - began
                if number:
                    yield Sample(COLD[era], column.name, number, took * 1000)


async def warm_call(run: Run, rounds: int, calls: int) -> AsyncIterator[Sample]:
    """Calls of one persona, or for a list, one after the other, at an upstream that answers at once.

    The floor is what nothing on this SDK can be below: a call that does nothing, and the request that has to be made.
    """
    async with run.upstream() as port, AsyncExitStack() as stack:
        servers = {one.name: await stack.enter_async_context(run.serving(one, port)) for one in run.columns}
        for server in servers.values():
            await server.open()
        for number, call in ((number, call) for number in range(rounds + 1) for call in WARM):
            samples = [one async for one in _round(run, servers, call, number, calls)]
            samples += [one async for one in _floor(samples, port, call, calls)]
            for sample in _with_variant(samples, WARM[call], WARM_ANY_NAME, call is GENERATE) if number else ():
                yield sample


def _with_variant(samples: Sequence[Sample], measure: Measure, variant: Measure, is_measured: bool) -> list[Sample]:  # noqa: FBT001
    """Give the variant of ours a row of its own, beside the other columns' values of the same round."""
    others = [one for one in samples if one.column != ANY_NAME]
    if not is_measured:
        return others
    rows = [one for one in samples if one.measure == measure and one.column != OURS]
    names = {ANY_NAME: OURS}
    return others + [Sample(variant, names.get(one.column, one.column), one.round, one.value) for one in rows]


async def _round(
    run: Run, servers: Mapping[str, Conversation], call: Call, number: int, calls: int
) -> AsyncIterator[Sample]:
    """Of each column, and of the call that does nothing."""
    for column in run.turn(run.columns, number):
        asked, measure = (NOTHING, NO_OP) if column.name == FLOOR else (call, WARM[call])
        fresh = names()
        took = [await _seconds(servers[column.name].call(asked, next(fresh))) for _ in range(calls)]
        yield Sample(measure, column.name, number, median(took) * 1000)


async def _floor(samples: Sequence[Sample], port: int, call: Call, calls: int) -> AsyncIterator[Sample]:
    """The bare request, on a connection that is kept and on a new one each; and with the first, the floor."""
    nothing = next(one for one in samples if one.measure is NO_OP)
    for measure, kept in ((RAW[call], 1), (FRESH[call], 0)):
        limits = httpx.Limits(max_keepalive_connections=kept)
        own = octave_settings(port)
        async with httpx.AsyncClient(
            base_url=own["OCTAVE_BASE_URL"], headers={"api_key": own["OCTAVE_API_KEY"]}, limits=limits
        ) as client:
            took = [await _seconds(_request(client, call)) for _ in range(calls)]
        raw = median(took) * 1000
        yield Sample(measure, FLOOR, nothing.round, raw)
        if kept:
            yield Sample(WARM[call], FLOOR, nothing.round, nothing.value + raw)


async def _request(client: httpx.AsyncClient, call: Call) -> None:
    if call is GENERATE:
        answer = await client.post("/api/v2/persona/generate", json=asking_for("Bench"))
    else:
        answer = await client.get("/api/v2/persona/list", params={"limit": 10})
    assert answer.json()["data"]


async def _seconds(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def ten_personas(run: Run, rounds: int, seconds_a_persona: float = SECONDS_A_PERSONA) -> AsyncIterator[Sample]:
    """One call of ten, at an upstream that writes a body's personas one after the other."""
    async with run.upstream("--seconds-a-persona", f"{seconds_a_persona}") as port, AsyncExitStack() as stack:
        servers = {one.name: await stack.enter_async_context(run.serving(one, port)) for one in run.wrappers}
        for server in servers.values():
            await server.open()
        fresh = names()
        for number, column in run.turns(run.wrappers, rounds):
            took = await _seconds(servers[column.name].call(asking_for_many(10), next(fresh)))
            yield Sample(TEN, column.name, number, took)


async def calls_a_second(run: Run, rounds: int, calls: int) -> AsyncIterator[Sample]:
    """Calls of one persona, many under way, at an upstream that answers at once."""
    async with run.upstream() as port, AsyncExitStack() as stack:
        servers = {one.name: await stack.enter_async_context(run.serving(one, port)) for one in run.columns}
        for server in servers.values():
            await server.open()
        for number in range(rounds + 1):
            samples = []
            for column in run.turn(run.columns, number):
                call = NOTHING if column.name == FLOOR else GENERATE
                took = await servers[column.name].call_many(call, list(islice(names(), calls)), AT_ONCE)
                samples.append(Sample(RATE, column.name, number, calls / took))
            for sample in _with_variant(samples, RATE, RATE_ANY_NAME, is_measured=True) if number else ():
                yield sample
