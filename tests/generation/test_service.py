"""What outlives a call, what is told while it waits, and what is sent again: with a clock that the test moves."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from support.moved_clock import MovedClock, settle
from support.upstream import (
    Request,
    Respond,
    Upstream,
    answer,
    by_the_page,
    error_envelope,
    page_answer,
    timestamp,
    upstream,
)

from octave_mcp.generation import recovery, throttle
from octave_mcp.generation.limits import Limits
from octave_mcp.generation.outcome import Generation, NotSent
from octave_mcp.generation.records import LedgerError, State
from octave_mcp.generation.service import DOUBT_SECONDS, Runner, running
from octave_mcp.generation.sqlite import SqliteLedger
from octave_mcp.generation.tenant import Tenant
from octave_mcp.octave import errors
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest

pytestmark = pytest.mark.anyio

Told = list[tuple[float, int, str]]


def asking(*names: str | None) -> GenerateRequest:
    """A request for a persona of each name, with a field that all share."""
    personas = [{**({"name": name} if name else {}), "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]
    return GenerateRequest.model_validate({"personas": personas, "playbookOId": "pb_1"})


class Held:
    """An upstream that holds each answer until it is let go, by name."""

    def __init__(self) -> None:
        """Hold everything."""
        self.go: dict[str, asyncio.Event] = {}

    def let_go(self, *names: str) -> None:
        """Answer these by the page."""
        for name in names:
            self.go.setdefault(name, asyncio.Event()).set()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Hold, then answer."""
        name = request.json["personas"][0]["name"]
        await asyncio.wait_for(self.go.setdefault(name, asyncio.Event()).wait(), 20)
        writer.write(answer(page_answer(request)))


class Place:
    """A clock, and runners on one store."""

    def __init__(self, octave: Upstream, path: Path | None, stack: AsyncExitStack) -> None:
        """Remember."""
        self.clock = MovedClock()
        self.octave = octave
        self.path = path
        self.stack = stack
        self.told: Told = []

    async def runner(self, key: str = "sk-0123456789", *, ledger: SqliteLedger | None = None, **limits: Any) -> Runner:
        """Another process's runner, to all that it can tell; on a store of the test's own, or one of this place's."""
        ledger = ledger or SqliteLedger(self.path, now=self.clock.now)
        self.stack.push_async_callback(ledger.close)
        client = await self.stack.enter_async_context(OctaveClient(self.octave.url, SecretStr(key)))
        tenant = Tenant(SecretStr(key), self.octave.url)
        given = Limits(**{"shutdown_seconds": 0, **limits})
        return await self.stack.enter_async_context(running(client, ledger, tenant, given, self.clock))

    async def progress(self, value: float, asked: int, message: str) -> None:
        """Remember what was told."""
        self.told.append((value, asked, message))

    def generate(self, runner: Runner, *names: str | None) -> "asyncio.Task[Generation]":
        """Begin a call with a window of 45 seconds."""
        return asyncio.create_task(runner.generate(asking(*names), 45, self.progress))


@asynccontextmanager
async def place(respond: Respond, path: Path | None = None) -> AsyncIterator[Place]:
    """Bounded in time."""
    with anyio.fail_after(20):
        async with upstream(respond) as octave, AsyncExitStack() as stack:
            yield Place(octave, path, stack)


async def until(condition: Callable[[], bool]) -> None:
    """Let things run until this is so."""
    while not condition():
        await settle()


async def test_a_call_ends_with_its_window_and_the_work_goes_on() -> None:
    """Whatever Octave does."""
    held = Held()
    async with place(held) as here:
        runner = await here.runner()
        call = here.generate(runner, "A", "B")
        held.let_go("A")
        await until(lambda: len(here.told) == 1)
        await here.clock.move(44)
        assert not call.done()
        await here.clock.move(1.1)
        first = await call
        assert [part.state for part in first.parts] == [State.CREATED, State.SENT]
        held.let_go("B")
        rest = await runner.collect(first.id, 45, here.progress)
        assert rest is not None
        assert [one.name for one in rest.personas] == ["A", "B"]
        assert await runner.collect("gen_other", 45, here.progress) is None
        assert len(here.octave.requests) == 2


async def test_progress_is_told_every_five_seconds_and_always_grows() -> None:
    """In words; and nothing after the end."""
    held = Held()
    async with place(held) as here:
        call = here.generate(await here.runner(), "A", "B")
        await until(lambda: len(here.octave.requests) == 2)
        for _ in range(3):
            await here.clock.move(5)
        held.let_go("A")
        await until(lambda: len(here.told) == 4)
        await here.clock.move(5)
        held.let_go("B")
        await call
        await here.clock.move(60)
    assert [message for _, _, message in here.told] == [*["0 of 2 ready"] * 3, *["1 of 2 ready"] * 2, "2 of 2 ready"]
    values = [value for value, _, _ in here.told]
    assert values == sorted(set(values))
    assert values[-1] == 2


async def test_a_cancelled_call_finishes_what_was_sent_and_sends_no_more() -> None:
    """The rest may be asked for once more; what was finished is handed over then."""
    held = Held()
    async with place(held) as here:
        runner = await here.runner(concurrency=1)
        call = here.generate(runner, "A", "B")
        await until(lambda: len(here.octave.requests) == 1)
        call.cancel()
        await asyncio.wait([call])
        held.let_go("A", "B")
        (left,) = await runner.uncollected()
        seen = await runner.collect(left.id, 45, here.progress)
        assert seen is not None
        assert [part.state for part in seen.parts] == [State.CREATED, State.FAILED]
        assert seen.parts[1].outcome is not None
        assert isinstance(seen.parts[1].outcome.error, NotSent)
        assert [one["name"] for one in here.octave.asked] == ["A"]
        again = await here.generate(runner, "A", "B")
        assert [one.name for one in again.personas] == ["A", "B"]
        assert [part.joined for part in again.parts] == [True, False]
    assert [one["name"] for one in here.octave.asked] == ["A", "B"]


async def test_what_a_second_call_waits_for_is_sent_though_the_first_is_gone() -> None:
    """It asks for it too."""
    held = Held()
    async with place(held) as here:
        runner = await here.runner(concurrency=1)
        first = here.generate(runner, "A", "B")
        await until(lambda: len(here.octave.requests) == 1)
        second = here.generate(runner, "A", "B")
        await settle()
        first.cancel()
        held.let_go("A", "B")
        assert [one.name for one in (await second).personas] == ["A", "B"]
    assert len(here.octave.requests) == 2


async def test_the_same_call_at_once_buys_once_over_processes_too(tmp_path: Path) -> None:
    """One sends, the others wait for it."""
    held = Held()
    async with place(held, tmp_path / "ledger") as here:
        one, other = await here.runner(), await here.runner()
        calls = [here.generate(runner, "A", "B") for runner in (one, one, other)]
        await until(lambda: len(here.octave.requests) == 2)
        held.let_go("A", "B")
        while not all(call.done() for call in calls):
            await here.clock.move(1)  # another process's work is read from the ledger now and then
        results = [await call for call in calls]
        assert len({tuple(one.oId for one in result.personas) for result in results}) == 1
    assert len(here.octave.requests) == 2


@pytest.mark.parametrize(("passes", "bought"), [(DOUBT_SECONDS - 1, 1), (DOUBT_SECONDS + 1, 2)])
async def test_a_result_that_took_long_is_in_doubt_for_a_while(passes: float, bought: int) -> None:
    """The client may have given up without a word; later, the same call is meant."""
    held = Held()
    async with place(held) as here:
        runner = await here.runner()
        call = here.generate(runner, "A")
        await until(lambda: len(here.octave.requests) == 1)
        await here.clock.move(6)
        held.let_go("A")
        runner.hand_over(await call)
        await settle()
        await here.clock.move(passes)
        await here.generate(runner, "A")
        assert len(here.octave.requests) == bought


async def test_twins_are_two_and_nothing_is_shared_between_keys(tmp_path: Path) -> None:
    """The place among twins is part of the wish, and so is whose it is."""
    async with place(by_the_page, tmp_path / "ledger") as here:
        one, other = await here.runner(), await here.runner("sk-another-key")
        assert len((await here.generate(one, "A", "A")).personas) == 2
        assert len((await here.generate(other, "A", "A")).personas) == 2
    assert len(here.octave.requests) == 4
    assert len({request.header("idempotency-key") for request in here.octave.requests}) == 4


async def test_the_end_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    """And no longer than told; what it did not wait for is unknown to whoever comes next."""
    held = Held()
    async with place(held, tmp_path / "ledger") as here:
        async with AsyncExitStack() as stack:
            process = Place(here.octave, here.path, stack)
            process.clock = here.clock
            call = process.generate(await process.runner(shutdown_seconds=20, concurrency=2), "A", "B", "C")
            await until(lambda: len(here.octave.requests) == 2)
            call.cancel()
            await asyncio.wait([call])

            async def end() -> None:
                await settle()
                held.let_go("A")
                await settle()
                await here.clock.move(21)

            ending = asyncio.create_task(end())
        await ending
        (left,) = await (await here.runner()).uncollected()
        assert [part.state for part in left.parts] == [State.CREATED, State.UNKNOWN, State.FAILED]


@pytest.mark.parametrize("ending", [False, True])
async def test_what_is_refused_after_the_end_began_or_nobody_wants_is_not_sent_again(ending: bool) -> None:  # noqa: FBT001 - both
    """A wait that Octave asked for is not waited for either."""
    go = asyncio.Event()

    async def refuse(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(go.wait(), 20)
        writer.write(answer(error_envelope("Slow down"), status=429, headers={"retry-after": "0"}))

    async with place(refuse) as here:
        runner = await here.runner(shutdown_seconds=20)
        call = here.generate(runner, "A")
        await until(lambda: len(here.octave.requests) == 1)
        if ending:
            drained = asyncio.create_task(runner.drain())
        else:
            call.cancel()
            drained = asyncio.create_task(asyncio.sleep(0))
        await settle()
        go.set()
        await drained
        await settle()
        (left,) = await runner.uncollected()
        assert [part.state for part in left.parts] == [State.FAILED]
        assert len(here.octave.requests) == 1
        await asyncio.wait([call])


async def test_a_loss_that_comes_to_light_at_the_end_is_told_as_one() -> None:
    """There is no time to look for it, and it is known that it may exist."""
    held = Held()

    async def lose(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(held.go.setdefault("A", asyncio.Event()).wait(), 20)
        writer.transport.abort()

    async with place(lose) as here:
        runner = await here.runner(shutdown_seconds=20)
        call = here.generate(runner, "A")
        await until(lambda: len(here.octave.requests) == 1)
        draining = asyncio.create_task(runner.drain())
        await settle()
        held.let_go("A")
        assert [part.state for part in (await call).parts] == [State.UNKNOWN]
        await draining


async def busy_once(retry_after: str | None, status: int = 429) -> Respond:
    """Busy at first, then by the page."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        headers = {} if retry_after is None else {"retry-after": retry_after}
        busy = answer(error_envelope("Slow down"), status=status, headers=headers)
        writer.write(busy if request.number == 0 else answer(page_answer(request)))

    return respond


@pytest.mark.parametrize("status", [429, 503])
async def test_one_keys_wait_is_that_keys_and_nobody_elses(status: int, tmp_path: Path) -> None:
    """Its whole queue waits as long as Octave asked for."""
    async with place(await busy_once("7", status), tmp_path / "ledger") as here:
        busy, free = await here.runner(concurrency=1), await here.runner("sk-another-key")
        call = here.generate(busy, "A", "B")
        await until(lambda: len(here.octave.requests) == 1)
        await settle()
        assert len((await here.generate(free, "C")).personas) == 1
        await here.clock.move(6.9)
        assert [one["name"] for one in here.octave.asked] == ["A", "C"]
        await here.clock.move(0.2)
        assert len((await call).personas) == 2
    assert [one["name"] for one in here.octave.asked] == ["A", "C", "A", "B"]


async def test_what_never_left_is_tried_three_times(caplog: pytest.LogCaptureFixture) -> None:
    """Then it has failed, nothing was made, and the rest is not tried."""
    async with upstream(by_the_page) as gone:
        pass
    async with place(by_the_page) as here:
        here.octave = gone
        call = here.generate(await here.runner(concurrency=1), "A", "B")
        while not call.done():
            await here.clock.move(1)
        result = await call
    assert [part.state for part in result.parts] == [State.FAILED] * 2
    assert all(isinstance(part.outcome.error, errors.Unreachable) for part in result.parts if part.outcome)
    assert len([record for record in caplog.records if "ConnectError" in record.getMessage()]) == 3


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        (errors.Unreachable("Gone."), [0.75, 1.5, None]),
        (errors.Busy("Busy.", retry_after=None), [3, 6, 12, 24, None]),
        (errors.Busy("Busy.", retry_after=7), [7, 7, 7, 7, None]),
        (errors.Busy("Busy.", retry_after=0), [0, 0, 0, 0, None]),
        (errors.Busy("Busy.", retry_after=121), [None]),
        (errors.Busy("Busy.", retry_after=math.inf), [None]),
    ],
)
async def test_pauses_are_as_told_or_grow_and_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch, error: errors.Refused, pauses: list[float | None]
) -> None:
    """None is the end: the person is told instead of kept waiting."""
    monkeypatch.setattr(throttle, "UNREACHABLE_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(throttle, "BUSY_PAUSE_SECONDS", 2.0)
    clock = MovedClock()
    way = throttle.Lane(1, clock, chance=lambda: 0.5)
    for tries, expected in enumerate(pauses, 1):
        pausing = asyncio.create_task(way.pause(error, tries))
        await settle()
        if expected:
            assert list(clock.waiting.values()) == [clock.time + expected]
            await clock.move(expected)
        assert await pausing == (expected is not None)


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ([{"name": "A"}], True),
        ([], False),
        ([{"name": "A", "created": -2}], False),
        ([{"name": "A", "created": 0.5, "whole": True}], True),
        ([{"name": "A", "created": -0.5, "fraction": True}], False),
        ([{"name": "A"}, {"name": "A"}], False),
        ([{"name": "A"}, {"name": "A", "created": -60}], True),
        ([{"name": "A "}, {"name": "a"}, {"name": "A B"}], False),
        ([{"name": "A", "createdAt": "2027-01-15"}], False),
        ([{"name": "A", "createdAt": None}], False),
        ([{"name": "A", "deletedAt": "2027-01-15T09:00:00Z"}], False),
        ([{"name": f"A {number}"} for number in range(120)] + [{"name": "A"}], True),
        ([{"name": "A", "created": 7200}], False),
    ],
)
async def test_a_lost_persona_is_adopted_only_where_it_is_proven(listed: list[dict[str, Any]], found: bool) -> None:  # noqa: FBT001 - drawn by the table
    """The exact name, created since, the only one."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        for number, one in enumerate(listed):
            at = here.clock.time + one.get("created", 0.5)
            stamp = timestamp(at)[:19] + "Z" if one.get("whole") else timestamp(at)
            stamp = timestamp(at)[:19] + ".000Z" if one.get("fraction") else stamp
            here.octave.library.append({"oId": f"pe_{number}", "createdAt": stamp, **one})

    async with place(lose) as here:
        result = await here.generate(await here.runner(), "A")
        assert [part.state for part in result.parts] == [State.CREATED if found else State.UNKNOWN]
    assert len(here.octave.requests) == 1


async def test_a_persona_without_a_name_is_not_looked_for() -> None:
    """Nothing could prove it."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        here.octave.library.append({"oId": "pe_1", "name": "CFO", "createdAt": timestamp(here.clock.time + 1)})

    async with place(lose) as here:
        result = await here.generate(await here.runner(), None)
        assert [part.state for part in result.parts] == [State.UNKNOWN]
    assert here.octave.looked_up == []


async def test_no_two_items_take_the_same_persona() -> None:
    """Two were lost, one was made: it may be either's."""

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        if not here.octave.library:
            here.octave.library.append({"oId": "pe_1", "name": "A", "createdAt": timestamp(here.clock.time + 1)})

    async with place(lose) as here:
        result = await here.generate(await here.runner(), "A", "A")
        assert [part.state for part in result.parts] == [State.UNKNOWN] * 2


async def test_what_was_lost_is_looked_for_before_it_is_bought_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows up late, after the caller was told that it may exist."""
    monkeypatch.setattr(recovery, "LOOKS", (0.0,))

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        """Say nothing."""

    async with place(lose) as here:
        runner = await here.runner()
        first = await here.generate(runner, "A")
        assert first.parts[0].state is State.UNKNOWN
        runner.hand_over(first)
        here.octave.library.append({"oId": "pe_1", "name": "A", "createdAt": timestamp(here.clock.time + 30)})
        second = await here.generate(runner, "A")
        assert [one.oId for one in second.personas] == ["pe_1"]
        assert len(here.octave.requests) == 1
        runner.hand_over(second)
        third = await here.generate(runner, "A")
    assert third.parts[0].state is State.UNKNOWN
    assert len(here.octave.requests) == 2, "asked for on purpose"


@pytest.mark.parametrize(("status", "looks", "found"), [(None, 2, True), (500, 2, True), (429, 1, False)])
async def test_what_took_the_answer_may_take_the_first_look(
    status: int | None,
    looks: int,
    found: bool,  # noqa: FBT001 - drawn by the table
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A moment later it is looked for once more, unless Octave asked to wait."""
    monkeypatch.setattr(recovery, "LOOKS", (0.0, 1.0))

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        here.octave.library.append({"oId": "pe_1", "name": "A", "createdAt": timestamp(here.clock.time + 0.5)})

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.number:
            await here.octave.list_personas(request, writer)
        elif status:
            writer.write(answer(error_envelope("Not now"), status=status))

    async with place(lose) as here:
        here.octave.look_up = look_up
        call = here.generate(await here.runner(), "A")
        await until(lambda: bool(here.octave.looked_up))
        await settle()
        await here.clock.move(1)
        assert [part.state for part in (await call).parts] == [State.CREATED if found else State.UNKNOWN]
    assert len(here.octave.looked_up) == looks
    assert len(here.octave.requests) == 1


class Slow(SqliteLedger):
    """A store whose reading arrives late, with what was so before, while told to."""

    holding: asyncio.Event | None = None
    held: bool = False
    adopted: bool = False

    async def generation(self, tenant: str, generation: str) -> Any:
        """Read, and tell it late."""
        found = await super().generation(tenant, generation)
        if self.holding:
            self.held = True
            await self.holding.wait()
        return found

    async def adopt(self, item: str, found: Any) -> bool:
        """Note it."""
        self.adopted = await super().adopt(item, found)
        return self.adopted


async def test_what_is_found_while_the_record_is_read_is_told() -> None:
    """The record as it was before would tell a persona as lost that was found."""
    look = asyncio.Event()

    async def lose(_: Request, __: asyncio.StreamWriter) -> None:
        here.octave.library.append({"oId": "pe_1", "name": "A", "createdAt": timestamp(here.clock.time + 1)})

    async def look_up(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(look.wait(), 20)
        await here.octave.list_personas(request, writer)

    async with place(lose) as here:
        here.octave.look_up = look_up
        ledger = Slow(None, now=here.clock.now)
        call = here.generate(await here.runner(ledger=ledger), "A")
        await until(lambda: bool(here.octave.looked_up))
        ledger.holding = reading = asyncio.Event()
        await here.clock.move(5)  # the heartbeat reads
        await until(lambda: ledger.held)
        look.set()
        await until(lambda: ledger.adopted)
        await settle()
        ledger.holding = None
        reading.set()
        result = await call
    assert [(part.state, part.outcome and part.outcome.oids) for part in result.parts] == [(State.CREATED, ["pe_1"])]


class Failing(SqliteLedger):
    """A store whose disk fills up."""

    broken: str = ""
    synced: bool = False

    async def sync(self) -> None:
        """Note it."""
        await super().sync()
        self.synced = True

    async def generation(self, tenant: str, generation: str) -> Any:
        """Fail once, if told to."""
        if self.broken == "generation":
            self.broken = ""
            raise LedgerError("The disk is full.")
        return await super().generation(tenant, generation)

    async def settle(self, *values: Any, **more: Any) -> None:
        """Fail while told to."""
        if self.broken == "settle":
            raise LedgerError("The disk is full.")
        await super().settle(*values, **more)

    async def mark_sent(self, ids: Any) -> frozenset[str]:
        """Fail while told to."""
        if self.broken == "mark_sent":
            raise LedgerError("The disk is full.")
        return await super().mark_sent(ids)


async def failing(here: Place, broken: str) -> tuple[Runner, Failing]:
    """A runner on such a store."""
    ledger = Failing(None, now=here.clock.now)
    ledger.broken = broken
    return await here.runner(ledger=ledger), ledger


async def test_a_result_that_cannot_be_recorded_is_told_and_recorded_later() -> None:
    """It has been paid for."""
    async with place(by_the_page) as here:
        runner, ledger = await failing(here, "settle")
        result = await here.generate(runner, "A")
        assert [one.name for one in result.personas] == ["A"]
        ledger.broken = ""
        await here.clock.move(11)
        record = await ledger.generation(Tenant(SecretStr("sk-0123456789"), here.octave.url).id, result.id)
        assert record is not None
        assert record.items[0].state is State.CREATED


async def test_what_became_of_it_is_synced_though_nobody_waits_for_it() -> None:
    """In seconds, and not with the next persona that somebody asks for."""
    async with place(by_the_page) as here:
        runner, ledger = await failing(here, "")
        await here.generate(runner, "A")
        assert not ledger.synced
        await here.clock.move(11)
        assert ledger.synced


async def test_a_store_that_fails_for_a_moment_ends_no_call() -> None:
    """It is read again."""
    async with place(by_the_page) as here:
        runner, _ = await failing(here, "generation")
        call = here.generate(runner, "A")
        await until(lambda: bool(here.clock.waiting))
        await here.clock.move(0.6)
        assert [one.name for one in (await call).personas] == ["A"]


async def test_what_cannot_be_recorded_as_sent_is_not_sent() -> None:
    """And the reason is told."""
    async with place(by_the_page) as here:
        runner, _ = await failing(here, "mark_sent")
        result = await here.generate(runner, "A")
        assert result.parts[0].outcome is not None
        assert isinstance(result.parts[0].outcome.error, NotSent)
        assert "disk is full" in str(result.parts[0].outcome.error)
        assert here.octave.requests == []


async def test_a_surprise_costs_one_item_and_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not taken for unsent."""
    generate = OctaveClient.generate

    async def surprising(client: OctaveClient, request: GenerateRequest, **more: Any) -> Any:
        if request.personas[0].name == "A":
            raise KeyError("surprise")
        return await generate(client, request, **more)

    monkeypatch.setattr(OctaveClient, "generate", surprising)
    async with place(by_the_page) as here:
        result = await here.generate(await here.runner(), "A", "B")
    assert [part.state for part in result.parts] == [State.UNKNOWN, State.CREATED]


async def test_a_problem_that_every_call_would_meet_stops_what_was_not_sent() -> None:
    """And each that was not sent has that problem."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        refused = answer(error_envelope("No credits"), status=402)
        writer.write(refused if request.number == 1 else answer(page_answer(request)))

    async with place(respond) as here:
        result = await here.generate(await here.runner(concurrency=1), *"ABCDE")
    assert [part.state for part in result.parts] == [State.CREATED, *[State.FAILED] * 4]
    assert len(here.octave.requests) == 2


@pytest.mark.parametrize(("size", "parts"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (50, [5])])
async def test_a_part_has_as_many_personas_as_the_setting_says(size: int, parts: list[int]) -> None:
    """The last has what is left; shared fields go along with each."""
    async with place(by_the_page) as here:
        result = await here.generate(await here.runner(concurrency=1, personas_per_request=size), *"ABCDE")
    assert [len(request.json["personas"]) for request in here.octave.requests] == parts
    assert [one.name for one in result.personas] == list("ABCDE")
    assert {request.json["playbookOId"] for request in here.octave.requests} == {"pb_1"}
