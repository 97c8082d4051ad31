"""The generation service of one tenant: record what is asked for, send it once, and wait for a bounded time.

The items of a call are sent by tasks that outlive the call, so a persona that is being paid for is finished and
recorded even if nobody waits for it. Waiting reads the ledger, whoever sends the items: this process, or another that
shares the ledger.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from secrets import token_hex
from typing import Any

import anyio
import anyio.abc

from octave_mcp.generation.clock import Clock
from octave_mcp.generation.events import ItemEvents
from octave_mcp.generation.outcome import Generation, progress_words
from octave_mcp.generation.preview import NameCheck, Preview, PreviewPart, check_names
from octave_mcp.generation.recovery import Recovery
from octave_mcp.generation.sending import Sender, was_recorded
from octave_mcp.generation.tenant import Limits, Tenant
from octave_mcp.ledger.ledger import Ledger, new_generation_id
from octave_mcp.ledger.records import (
    LEASE_SECONDS,
    GenerationRecord,
    Item,
    LedgerError,
    RecordLost,
    Spending,
    Started,
    State,
)
from octave_mcp.observability.telemetry import count_joined
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest

HEARTBEAT_SECONDS = 5.0
"""The longest time between two progress reports of a waiting call."""

POLL_SECONDS = 0.5
"""How often the ledger is read while another process works on an item that a call waits for."""

READ_SECONDS = 2.0
"""How long a waiting call reads again a ledger that cannot be read, as another program may have it locked."""

RECORD_SECONDS = 3.0
"""How long the end may take to record outcomes, beyond the wait for requests in progress."""

Progress = Callable[[float, int, str], Awaitable[None]]
"""Receives the progress, strictly increasing and never above what is ready; the total; and words: `2 of 5 ready`."""


async def no_progress(progress: float, total: int, message: str) -> None:
    """Show no progress."""


@asynccontextmanager
async def open_service(
    client: OctaveClient, ledger: Ledger, tenant: Tenant, limits: Limits, clock: Clock | None = None
) -> AsyncIterator["GenerationService"]:
    """Run the service of one tenant. At the end it sends nothing more and waits, bounded, for requests in progress."""
    async with anyio.create_task_group() as tasks:
        service = GenerationService(client, ledger, tenant, limits, clock or Clock(), tasks)
        tasks.start_soon(service.keep_alive)
        try:
            yield service
        finally:
            with anyio.CancelScope(shield=True):
                await service.drain()
            tasks.cancel_scope.cancel()


class GenerationService:
    """Generates and collects the personas of one tenant. `open_service` opens it."""

    def __init__(
        self,
        client: OctaveClient,
        ledger: Ledger,
        tenant: Tenant,
        limits: Limits,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        """Use these objects. The caller opens and closes them."""
        self._client = client
        self._ledger = ledger
        self._tenant = tenant
        self._limits = limits
        self._clock = clock
        self._tasks = tasks
        self._events = ItemEvents()
        self._sender = Sender(client, ledger, limits, clock, tasks, self._events.publish)
        self._recovery = Recovery(client, ledger, clock, self._spawn, self._events.publish)
        self._given_up: set[str] = set()
        self._ending = False
        self._drained = False
        self._running = 0

    # --- What a caller asks for ---------------------------------------------------------------------------------------

    async def generate(
        self,
        request: GenerateRequest,
        *,
        seconds: float,
        progress: Progress,
        new: bool = False,
        preview: Preview | None = None,
    ) -> Generation:
        """Generate what a request asks for, and return what is known of it after `seconds` at the latest.

        The same request joins what an earlier call asked for, unless `new` asks for another persona each. If a
        `preview` is given, what it found of names and earlier calls is used again, so that nothing is sent that it did
        not announce. If the call is cancelled, what was not sent is given up, unless another call asks for it too.
        Octave's errors are in the parts. Raises LedgerError and LimitReached if nothing was sent, and RecordLost if the
        ledger fails after that.
        """
        began = self._clock.elapsed()
        requested = self._tenant.requested(request, salt=token_hex(8) if new else "")
        generation_id = new_generation_id()
        self._check_open()
        with anyio.CancelScope(shield=True):  # so that no cancellation comes between recording and sending
            try:
                started = await self._ledger.begin(
                    generation_id,
                    self._tenant.id,
                    requested,
                    replay_seconds=self._limits.replay_seconds,
                    limits=self._limits.spending,
                    previewed=[part.earlier for part in preview.parts] if preview else (),
                )
                self._check_open()  # the end may have begun since
            except LedgerError:
                self._given_up.add(generation_id)  # it may be on record, where the answer of the database was lost
                if self._ending:  # no task does it any more
                    await self._record_given_up()
                raise
            known = preview.names if preview else NameCheck()
            self._sender.start(started, request, None if new or self._limits.allow_same_name else known)
        count_joined(len(started.record.joined))
        try:
            generation = await self._wait(generation_id, began + seconds, progress, started)
        except anyio.get_cancelled_exc_class():
            if not self._ending:
                self._given_up.add(generation_id)
                self._spawn(self._record_given_up)
            raise
        except LedgerError as error:
            raise RecordLost(str(error)) from error
        if generation is None:
            raise RecordLost("The record of this call was removed from the ledger (OCTAVE_MCP_STATE_URL).")
        return generation

    async def collect(self, generation_id: str, *, seconds: float, progress: Progress) -> Generation | None:
        """Wait for a generation, and return what is known of it after `seconds` at the latest.

        Returns None if this tenant has no generation of that id. Raises LedgerError.
        """
        return await self._wait(generation_id, self._clock.elapsed() + seconds, progress)

    async def cancel(self, generation_id: str) -> bool:
        """Send nothing more of what only this generation asks for. What was sent is finished and recorded.

        Returns False if this tenant has no generation of that id. Raises LedgerError.
        """
        if await self._ledger.generation(self._tenant.id, generation_id) is None:
            return False
        await self._ledger.give_up(generation_id)
        self._events.publish()
        return True

    async def sync(self) -> None:
        """Make what was recorded so far survive a crash of the machine. Raises LedgerError."""
        await self._ledger.sync()

    async def latest(self, limit: int = 20) -> list[Generation]:
        """Return this tenant's latest generations, the newest first. Raises LedgerError."""
        return [self._generation(record) for record in await self._ledger.latest(self._tenant.id, limit)]

    async def preview(self, request: GenerateRequest, *, new: bool = False) -> Preview:
        """Return what `generate` would do with this request. Nothing is recorded or sent.

        Raises LedgerError and LimitReached, as `generate` would.
        """
        requested = self._tenant.requested(request, salt=token_hex(8) if new else "")
        limits = self._limits
        earlier = await self._ledger.earlier(
            self._tenant.id, requested, replay_seconds=limits.replay_seconds, limits=limits.spending
        )
        found = NameCheck()
        if not (new or limits.allow_same_name):
            unseen = [one for one, item in zip(requested, earlier, strict=True) if item is None]
            found = NameCheck().with_namesakes(await self._ledger.namesakes(self._tenant.id, unseen))
            found = await check_names(self._client, {one.name for one in unseen if one.name}, found)
        parts = (
            PreviewPart(one.name, one.fingerprint, item, None if item else found.existing.get(one.name or ""))
            for one, item in zip(requested, earlier, strict=True)
        )
        return Preview(tuple(parts), found)

    async def spending(self) -> Spending:
        """Return what this tenant's personas have cost lately. Raises LedgerError."""
        return await self._ledger.spending(self._tenant.id)

    @property
    def busy(self) -> bool:
        """Whether something of this tenant is in progress, or not recorded yet."""
        return bool(self._running or self._sender.active or self._sender.unrecorded)

    def _check_open(self) -> None:
        """Raise LedgerError if the end has begun."""
        if self._ending:
            raise LedgerError("This server is shutting down.")

    async def _record_given_up(self) -> None:
        """Record which generations nobody waits for any more, until the ledger fails, as it would for each."""
        for generation in list(self._given_up):
            if not await was_recorded(partial(self._ledger.give_up, generation)):
                return
            self._given_up.discard(generation)
            self._events.publish()

    def _spawn(self, work: Callable[..., Coroutine[Any, Any, object]], *values: object) -> None:
        """Start a task that outlives the call."""
        self._running += 1
        self._tasks.start_soon(self._count_while, work, *values)

    async def _count_while(self, work: Callable[..., Coroutine[Any, Any, object]], *values: object) -> None:
        try:
            await work(*values)
        finally:
            self._running -= 1

    # --- Waiting ------------------------------------------------------------------------------------------------------

    async def _wait(
        self, generation: str, until: float, progress: Progress, started: Started | None = None
    ) -> Generation | None:
        """Wait until a generation is settled, lost answers included, or until a time of the clock's `elapsed`.

        One that was `started` just now is read only when one of its items changes, unless it has joined items, which
        may have changed already.
        """
        known = started.record if started and not started.record.joined else None
        reporter = _Reporter(progress, self._clock)
        with self._recovery.waiting() as search:
            while True:
                with self._events.subscribe() as subscription:
                    record, known = known or await self._read(generation, until), None
                    if record is None:
                        return None
                    subscription.narrow([item.id for item in record.items])
                    pending = [item for item in record.items if self._is_pending(item)]
                    for item in pending:
                        if item.state is State.UNKNOWN:
                            search(item)
                    await reporter.report(map(self._state, record.items), len(record.items), len(pending))
                    now = self._clock.elapsed()
                    if not pending or now >= until or self._drained:
                        return self._generation(record)
                    is_foreign = any(item.owner != self._ledger.owner for item in pending)
                    wake = min(reporter.next_at, until, now + POLL_SECONDS if is_foreign else until)
                    await self._clock.wait(subscription.event, wake - now)

    def _is_pending(self, item: Item) -> bool:
        """Return whether an item is in progress, or is unknown and has a name by which it may still be found."""
        may_be_found = item.state is State.UNKNOWN and item.name is not None and not self._ending
        return may_be_found or self._state(item).is_live

    def _state(self, item: Item) -> State:
        """Return the item's state, or that of an outcome which the ledger did not take yet."""
        outcome = self._sender.unrecorded.get(item.id)
        return outcome.state if outcome else item.state

    async def _read(self, generation: str, until: float) -> GenerationRecord | None:
        """Read a generation, and try again for a while if the ledger cannot be read. Raises LedgerError."""
        until = min(until, self._clock.elapsed() + READ_SECONDS)
        while True:
            try:
                return await self._ledger.generation(self._tenant.id, generation)
            except LedgerError:
                if self._clock.elapsed() + POLL_SECONDS > until:
                    raise
            await self._clock.sleep(POLL_SECONDS)

    def _generation(self, record: GenerationRecord) -> Generation:
        moved_at, pause = self._clock.moved_at(), self._sender.throttle.pause_seconds
        sends_at = self._clock.now() + pause if pause else None
        return Generation.of_record(record, self._sender.unrecorded, self._recovery.searches, moved_at, sends_at)

    # --- Running and ending -------------------------------------------------------------------------------------------

    async def keep_alive(self) -> None:
        """Renew leases, record what could not be recorded before, and make it durable, until cancelled."""
        while True:
            await self._clock.sleep(LEASE_SECONDS / 3)
            self._clock.moved_at()
            if self._sender.active:
                await was_recorded(partial(self._ledger.renew, frozenset(self._sender.active)))
            await self._record_given_up()
            await self._sender.record_all()
            await was_recorded(self._ledger.sync)

    async def drain(self) -> None:
        """Send nothing more, and wait a bounded time for requests in progress. Waiting calls then return."""
        is_again, self._ending, self._sender.ending = self._ending, True, True
        with anyio.move_on_after(RECORD_SECONDS if is_again else self._limits.shutdown_seconds + RECORD_SECONDS):
            await self._finish_requests()
        self._drained = True
        self._events.publish()

    async def _finish_requests(self) -> None:
        until = self._clock.elapsed() + self._limits.shutdown_seconds
        if self._sender.active:
            await was_recorded(self._ledger.give_up_queued)
        while self._sender.posting and (left := until - self._clock.elapsed()) > 0:
            with self._events.subscribe() as subscription:
                await self._clock.wait(subscription.event, left)
        await self._sender.record_all()


class _Reporter:
    """Reports progress: at each settled persona, and every few seconds. `next_at` is when the next report is due."""

    def __init__(self, progress: Progress, clock: Clock) -> None:
        self._progress = progress
        self._clock = clock
        self._settled = 0
        self._beats = 0
        self.next_at = clock.elapsed() + HEARTBEAT_SECONDS

    async def report(self, states: Iterable[State], asked: int, pending: int) -> None:
        """Report what has changed, or that the call still waits. The value never reaches the next whole persona."""
        settled, created = asked - pending, sum(state is State.CREATED for state in states)
        if settled > self._settled:
            self._settled, self._beats = settled, 0
        elif self._clock.elapsed() < self.next_at:
            return
        else:
            self._beats += 1
        self.next_at = self._clock.elapsed() + HEARTBEAT_SECONDS
        value = settled + 0.01 * self._beats / (self._beats + 1)
        await self._progress(value, asked, progress_words(asked, created, settled - created))
