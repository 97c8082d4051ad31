"""The service: what outlives a call, what it reports while it waits, what is sent again. The test moves the clock."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr
from support.moved_clock import settle
from support.services import Held, Services, asking, services, until
from support.upstream import (
    Request,
    Respond,
    always,
    answer,
    by_the_page,
    error_envelope,
    page_answer,
    upstream,
)

from octave_mcp.generation.outcome import NotSent
from octave_mcp.generation.service import GenerationService, no_progress, open_service
from octave_mcp.generation.tenant import Limits, Tenant
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import LedgerError, State
from octave_mcp.ledger.sqlite import SqliteDatabase
from octave_mcp.octave import errors
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_a_call_ends_with_its_window_and_the_work_goes_on() -> None:
    """Whatever Octave does."""
    held = Held()
    async with services(held) as here:
        service = await here.service()
        call = here.generate(service, "A", "B")
        held.let_go("A")
        await until(lambda: len(here.reports) == 1)
        await here.clock.move(44)
        assert not call.done()
        await here.clock.move(1.1)
        first = await call
        assert [part.state for part in first.parts] == [State.CREATED, State.SENT]
        held.let_go("B")
        rest = await service.collect(first.id, seconds=45, progress=here.progress)
        assert rest is not None
        assert [one.name for one in rest.personas] == ["A", "B"]
        assert await service.collect("gen_other", seconds=45, progress=here.progress) is None
        assert len(here.octave.requests) == 2


async def test_progress_is_told_every_five_seconds_and_always_grows() -> None:
    """In words; and nothing after the end."""
    held = Held()
    async with services(held) as here:
        call = here.generate(await here.service(), "A", "B")
        await until(lambda: len(here.octave.requests) == 2)
        for _ in range(3):
            await here.clock.move(5)
        held.let_go("A")
        await until(lambda: len(here.reports) == 4)
        await here.clock.move(5)
        held.let_go("B")
        await call
        await here.clock.move(60)
    assert [message for _, _, message in here.reports] == [*["0 of 2 ready"] * 3, *["1 of 2 ready"] * 2, "2 of 2 ready"]
    values = [value for value, _, _ in here.reports]
    assert values == sorted(set(values))
    assert values[-1] == 2


async def test_a_cancelled_call_finishes_what_was_sent_and_sends_no_more() -> None:
    """The rest may be asked for once more; what was finished is returned then."""
    held = Held()
    async with services(held) as here:
        service = await here.service(concurrency=1)
        call = here.generate(service, "A", "B")
        await until(lambda: len(here.octave.requests) == 1)
        call.cancel()
        await asyncio.wait([call])
        held.let_go("A", "B")
        (left,) = await service.latest()
        seen = await service.collect(left.id, seconds=45, progress=here.progress)
        assert seen is not None
        assert [part.state for part in seen.parts] == [State.CREATED, State.FAILED]
        assert seen.parts[1].outcome is not None
        assert isinstance(seen.parts[1].outcome.error, NotSent)
        assert [one["name"] for one in here.octave.asked] == ["A"]
        again = await here.generate(service, "A", "B")
        assert [one.name for one in again.personas] == ["A", "B"]
        assert [part.joined for part in again.parts] == [True, False]
    assert [one["name"] for one in here.octave.asked] == ["A", "B"]


async def test_a_generation_is_cancelled_by_its_tenant_only() -> None:
    """Nothing more of it is sent, and whoever waits for it learns so at once."""
    held = Held()
    async with services(held) as here:
        service, stranger = await here.service(concurrency=1), await here.service("sk-9876543210")
        call = here.generate(service, "A", "B")
        await until(lambda: len(here.octave.requests) == 1)
        (started,) = await service.latest()
        assert not await stranger.cancel(started.id)
        assert not await service.cancel("gen_none")
        assert (await service.latest())[0].live == 2
        assert await service.cancel(started.id)
        held.let_go("A", "B")
        assert [part.state for part in (await call).parts] == [State.CREATED, State.FAILED]
        assert await service.cancel(started.id), "what has ended may be cancelled too, to no effect"
    assert [one["name"] for one in here.octave.asked] == ["A"]


async def test_what_a_preview_said_would_be_joined_is_not_sent_though_it_failed_since() -> None:
    """The person was asked about the rest only. The next preview announces it as new."""
    refuse_a = asyncio.Event()

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.json["personas"][0]["name"] == "A":
            await refuse_a.wait()
            writer.write(answer(error_envelope("no"), status=422))
        else:
            writer.write(answer(page_answer(request)))

    async with services(respond) as here:
        service = await here.service()
        first = here.generate(service, "A")
        await until(lambda: len(here.octave.requests) == 1)
        preview = await service.preview(asking("A", "B"))
        refuse_a.set()
        await first
        call = service.generate(asking("A", "B"), seconds=45, progress=here.progress, preview=preview)
        assert [part.state for part in (await call).parts] == [State.FAILED, State.CREATED]
        assert [asked["name"] for asked in here.octave.asked] == ["A", "B"]
        assert [part.is_new for part in (await service.preview(asking("A", "B"))).parts] == [True, False]


async def test_what_a_second_call_waits_for_is_sent_though_the_first_is_gone() -> None:
    """It asks for it too."""
    held = Held()
    async with services(held) as here:
        service = await here.service(concurrency=1)
        first = here.generate(service, "A", "B")
        await until(lambda: len(here.octave.requests) == 1)
        second = here.generate(service, "A", "B")
        await settle()
        first.cancel()
        held.let_go("A", "B")
        assert [one.name for one in (await second).personas] == ["A", "B"]
    assert len(here.octave.requests) == 2


async def test_the_same_call_at_once_is_sent_once_over_processes_too(tmp_path: Path) -> None:
    """One sends, the others wait for it."""
    held = Held()
    async with services(held, tmp_path / "ledger") as here:
        one, other = await here.service(), await here.service()
        calls = [here.generate(service, "A", "B") for service in (one, one, other)]
        await until(lambda: len(here.octave.requests) == 2)
        held.let_go("A", "B")
        while not all(call.done() for call in calls):
            await here.clock.move(1)  # another process's work is read from the ledger now and then
        results = [await call for call in calls]
        assert len({tuple(one.oId for one in result.personas) for result in results}) == 1
    assert len(here.octave.requests) == 2


async def test_a_call_that_is_repeated_in_another_unicode_form_is_the_same() -> None:
    """A client may have composed the letters meanwhile."""
    async with services(by_the_page) as here:
        service = await here.service()
        first, again = [await here.generate(service, name) for name in ("Cafe\u0301 owner", "Caf\u00e9 owner")]
        assert again.parts[0].joined
        assert [one.oId for one in first.personas] == [one.oId for one in again.personas]
    assert len(here.octave.requests) == 1


@pytest.mark.parametrize("name", [None, "CISO of a bank"])
async def test_a_call_that_is_repeated_in_another_layout_is_the_same(name: str | None) -> None:
    """Models that write a call once more change the order of sources, and white space."""
    text, url = {"type": "TEXT", "value": "One two\n\nthree"}, {"type": "URL", "value": "https://example.com/a"}
    named = {"name": name} if name else {}
    first = {"personas": [{**named, "sources": [text, url]}], "playbookOId": "pb_1"}
    named = {"name": f" {name.replace(' ', '  ')} "} if name else {}
    loose = {"type": "TEXT", "value": " One two\r\n three\n"}
    again = {"personas": [{**named, "sources": [url, loose]}], "playbookOId": "pb_1 "}
    other = {"personas": [{"sources": [url, {"type": "TEXT", "value": "One twothree"}]}], "playbookOId": "pb_1"}
    async with services(by_the_page) as here:
        service = await here.service()
        joined = []
        for body in (first, again, other):
            request = GenerateRequest.model_validate(body)
            result = await service.generate(request, seconds=45, progress=no_progress)
            joined.append(result.parts[0].joined)
    assert joined == [False, True, False]
    assert len(here.octave.requests) == 2


async def test_twins_are_two_and_nothing_is_shared_between_keys(tmp_path: Path) -> None:
    """The position among equal items is part of the request, and so is the tenant."""
    async with services(by_the_page, tmp_path / "ledger") as here:
        one, other = await here.service(), await here.service("sk-another-key")
        assert len((await here.generate(one, "A", "A")).personas) == 2
        assert len((await here.generate(other, "A", "A")).personas) == 2
    assert len(here.octave.requests) == 4
    assert len({request.header("idempotency-key") for request in here.octave.requests}) == 4


async def test_the_end_waits_for_what_is_in_flight(tmp_path: Path) -> None:
    """And no longer than told; what it did not wait for is unknown to whoever comes next."""
    held = Held()
    async with services(held, tmp_path / "ledger") as here:
        async with AsyncExitStack() as stack:
            process = Services(here.octave, here.path, stack)
            process.clock = here.clock
            call = process.generate(await process.service(shutdown_seconds=20, concurrency=2), "A", "B", "C")
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
        (left,) = await (await here.service()).latest()
        assert [part.state for part in left.parts] == [State.CREATED, State.UNKNOWN, State.FAILED]


@pytest.mark.parametrize("ending", [False, True])
async def test_what_is_refused_after_the_end_began_or_nobody_wants_is_not_sent_again(ending: bool) -> None:  # noqa: FBT001 - both
    """A wait that Octave asked for is not waited for either."""
    go = asyncio.Event()

    async def refuse(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(go.wait(), 20)
        writer.write(answer(error_envelope("Slow down"), status=429, headers={"retry-after": "0"}))

    async with services(refuse) as here:
        service = await here.service(shutdown_seconds=20)
        call = here.generate(service, "A")
        await until(lambda: len(here.octave.requests) == 1)
        if ending:
            drained = asyncio.create_task(service.drain())
        else:
            call.cancel()
            drained = asyncio.create_task(asyncio.sleep(0))
        await settle()
        go.set()
        await drained
        await settle()
        (left,) = await service.latest()
        assert [part.state for part in left.parts] == [State.FAILED]
        assert len(here.octave.requests) == 1
        await asyncio.wait([call])


async def test_a_loss_that_comes_to_light_at_the_end_is_told_as_one() -> None:
    """There is no time to look for it, and it is known that it may exist."""
    held = Held()

    async def lose(_: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(held.go.setdefault("A", asyncio.Event()).wait(), 20)
        writer.transport.abort()

    async with services(lose) as here:
        service = await here.service(shutdown_seconds=20)
        call = here.generate(service, "A")
        await until(lambda: len(here.octave.requests) == 1)
        draining = asyncio.create_task(service.drain())
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
    async with services(await busy_once("7", status), tmp_path / "ledger") as here:
        busy, free = await here.service(concurrency=1), await here.service("sk-another-key")
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
    async with services(by_the_page) as here:
        here.octave = gone
        call = here.generate(await here.service(concurrency=1, allow_same_name=True), "A", "B")
        while not call.done():
            await here.clock.move(1)
        result = await call
    assert [part.state for part in result.parts] == [State.FAILED] * 2
    assert all(isinstance(part.outcome.error, errors.Unreachable) for part in result.parts if part.outcome)
    assert len([record for record in caplog.records if "ConnectError" in record.getMessage()]) == 3


class Failing(Ledger):
    """A store whose disk fills up."""

    broken: str = ""
    synced: bool = False

    async def sync(self) -> None:
        """Note it."""
        await super().sync()
        self.synced = True

    async def generation(self, *values: Any) -> Any:
        """Fail once, if told to."""
        if self.broken == "generation":
            self.broken = ""
            raise LedgerError("The disk is full.")
        return await super().generation(*values)

    async def settle(self, *values: Any, **more: Any) -> None:
        """Fail while told to."""
        if self.broken == "settle":
            raise LedgerError("The disk is full.")
        if self.broken == "settle, with a bug":
            raise RuntimeError("A bug.")
        await super().settle(*values, **more)

    async def mark_sent(self, *values: Any, **more: Any) -> bool:
        """Fail while told to."""
        if self.broken == "mark_sent":
            raise LedgerError("The disk is full.")
        return await super().mark_sent(*values, **more)


async def failing(here: Services, broken: str) -> tuple[GenerationService, Failing]:
    """A service on such a store."""
    ledger = Failing(SqliteDatabase(None, now=here.clock.now))
    ledger.broken = broken
    return await here.service(ledger=ledger), ledger


@pytest.mark.parametrize("broken", ["settle", "settle, with a bug"])
async def test_a_result_that_cannot_be_recorded_is_told_and_recorded_later(broken: str) -> None:
    """It has been paid for."""
    async with services(by_the_page) as here:
        service, ledger = await failing(here, broken)
        result = await here.generate(service, "A")
        assert [one.name for one in result.personas] == ["A"]
        ledger.broken = ""
        await here.clock.move(11)
        record = await ledger.generation(Tenant(SecretStr("sk-0123456789"), here.octave.url).id, result.id)
        assert record is not None
        assert record.items[0].state is State.CREATED


class _Buggy(OctaveClient):
    """A client whose look-ups fail as nobody expects."""

    async def list_personas(self, **_: Any) -> Any:
        """Fail."""
        raise RuntimeError("A bug.")


async def test_a_look_up_that_fails_unexpectedly_ends_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither when a name is checked, nor when a lost answer is searched for: over HTTP it was everybody's service."""
    monkeypatch.setattr("support.services.OctaveClient", _Buggy)
    async with services(always(b"", status=500)) as here:
        service = await here.service()
        first = await here.passing(here.generate(service, "A"))
        again = await here.passing(here.generate(service, "A", "B"))
    assert [part.state for part in (*first.parts, *again.parts)] == [State.UNKNOWN] * 3
    assert {part.search.finding for part in again.parts if part.search} == {"unreadable"}
    assert [one["name"] for one in here.octave.asked] == ["A", "B"]


async def test_what_became_of_it_is_synced_though_nobody_waits_for_it() -> None:
    """In seconds, and not with the next persona that somebody asks for."""
    async with services(by_the_page) as here:
        service, ledger = await failing(here, "")
        await here.generate(service, "A")
        assert not ledger.synced
        await here.clock.move(11)
        assert ledger.synced


async def test_a_store_that_fails_for_a_moment_ends_no_call() -> None:
    """It is read again."""
    async with services(by_the_page) as here:
        service, _ = await failing(here, "generation")
        call = here.generate(service, "A")
        await until(lambda: bool(here.clock.waiting))
        await here.clock.move(0.6)
        assert [one.name for one in (await call).personas] == ["A"]


async def test_what_cannot_be_recorded_as_sent_is_not_sent() -> None:
    """And the reason is told."""
    async with services(by_the_page) as here:
        service, _ = await failing(here, "mark_sent")
        result = await here.generate(service, "A")
        assert result.parts[0].outcome is not None
        assert isinstance(result.parts[0].outcome.error, NotSent)
        assert "disk is full" in str(result.parts[0].outcome.error)
        assert here.octave.requests == []


class LosingAnswers(Ledger):
    """A ledger whose database records a call, while the answer that it did so is lost."""

    loses: bool = True

    async def begin(self, *values: Any, **more: Any) -> Any:
        """Record, and fail."""
        started = await super().begin(*values, **more)
        if self.loses:
            raise LedgerError("It took too long.")
        return started


async def test_a_call_that_failed_and_is_on_record_all_the_same_is_given_up() -> None:
    """Nobody sends it, and a call for the same would wait for it."""
    async with services(by_the_page) as here:
        ledger = LosingAnswers(SqliteDatabase(None, now=here.clock.now))
        service = await here.service(ledger=ledger)
        with pytest.raises(LedgerError, match="too long"):
            await here.generate(service, "A")
        ledger.loses = False
        await here.clock.move(11)
        again = await here.passing(here.generate(service, "A"))
        assert [part.state for part in again.parts] == [State.CREATED]
        assert len(here.octave.requests) == 1


class FailingToGiveUp(Ledger):
    """A ledger whose database is away for a while."""

    is_away: bool = True

    async def give_up(self, *values: Any) -> None:
        """Fail while it is away."""
        if self.is_away:
            raise LedgerError("It is away.")
        await super().give_up(*values)


async def test_what_a_cancelled_call_gave_up_is_recorded_when_the_ledger_is_back() -> None:
    """One persona is being written; the other was not sent, and is not sent any more."""
    held = Held()
    async with services(held) as here:
        ledger = FailingToGiveUp(SqliteDatabase(None, now=here.clock.now))
        service = await here.service(ledger=ledger, concurrency=1)
        call = here.generate(service, "A", "B")
        await until(lambda: len(here.octave.requests) == 1)
        call.cancel()
        await asyncio.wait([call])
        ledger.is_away = False
        await here.clock.move(11)
        (left,) = await service.latest()
        assert [part.state for part in left.parts] == [State.SENT, State.FAILED]
        held.let_go("A")
        await settle()
        assert len(here.octave.requests) == 1


class SlowToBegin(Ledger):
    """A ledger that records a call late."""

    holding: asyncio.Event | None = None

    async def begin(self, *values: Any, **more: Any) -> Any:
        """Wait until it may go on."""
        assert self.holding is not None
        await self.holding.wait()
        return await super().begin(*values, **more)


async def test_a_call_that_is_recorded_after_the_end_began_sends_nothing() -> None:
    """It says that the server is shutting down, and the persona can be asked for again."""
    async with services(by_the_page) as here:
        ledger = SlowToBegin(SqliteDatabase(None, now=here.clock.now))
        ledger.holding = asyncio.Event()
        service = await here.service(ledger=ledger)
        call = here.generate(service, "A")
        await settle()
        await service.drain()
        ledger.holding.set()
        with pytest.raises(LedgerError, match="shutting down"):
            await call
        (left,) = await service.latest()
        assert [part.state for part in left.parts] == [State.FAILED]
        assert here.octave.requests == []


async def test_a_call_that_is_recorded_after_the_service_has_ended_is_told_so() -> None:
    """PostgreSQL may take its time, and the end waits for no call."""
    async with services(by_the_page) as here:
        ledger = SlowToBegin(SqliteDatabase(None, now=here.clock.now))
        ledger.holding = asyncio.Event()
        tenant = Tenant(SecretStr("sk-0123456789"), here.octave.url)
        client = await here.stack.enter_async_context(OctaveClient(here.octave.url, SecretStr("sk-0123456789")))
        async with open_service(client, ledger, tenant, Limits(shutdown_seconds=0), here.clock) as service:
            call = here.generate(service, "A")
            await settle()
        ledger.holding.set()
        with pytest.raises(LedgerError, match="shutting down"):
            await call
        (left,) = await service.latest()
        assert [part.state for part in left.parts] == [State.FAILED]
        assert here.octave.requests == []


async def test_a_surprise_costs_one_item_and_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not taken for unsent."""
    generate = OctaveClient.generate

    async def surprising(client: OctaveClient, request: GenerateRequest, **more: Any) -> Any:
        if request.personas[0].name == "A":
            raise KeyError("surprise")
        return await generate(client, request, **more)

    monkeypatch.setattr(OctaveClient, "generate", surprising)
    async with services(by_the_page) as here:
        result = await here.passing(here.generate(await here.service(), "A", "B"))
    assert [part.state for part in result.parts] == [State.UNKNOWN, State.CREATED]


async def test_a_problem_that_every_call_would_meet_stops_what_was_not_sent() -> None:
    """And each that was not sent has that problem."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        refused = answer(error_envelope("No credits"), status=402)
        writer.write(refused if request.number == 1 else answer(page_answer(request)))

    async with services(respond) as here:
        result = await here.generate(await here.service(concurrency=1), *"ABCDE")
    assert [part.state for part in result.parts] == [State.CREATED, *[State.FAILED] * 4]
    assert len(here.octave.requests) == 2
