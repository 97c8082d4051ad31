"""Runs generations: what is asked for is recorded, sent once, recorded again, and waited for no longer than told.

A call's items are worked on in a task group that outlives the call, so that a persona that is being paid for is
finished and recorded though nobody waits for it. Waiting reads the ledger, whoever works on the items: this process,
or another that shares it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import anyio.abc

from octave_mcp.generation.clock import Clock
from octave_mcp.generation.events import Bell
from octave_mcp.generation.ledger import (
    LEASE_SECONDS,
    Ledger,
    LedgerError,
    LimitReached,
    Record,
    RecordGone,
    State,
    Wanted,
)
from octave_mcp.generation.limits import Limits
from octave_mcp.generation.outcome import Generation, Outcome, Part
from octave_mcp.generation.recovery import Looker
from octave_mcp.generation.sending import Sender, quietly
from octave_mcp.generation.tenant import Tenant
from octave_mcp.observability.telemetry import count_joined
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest

__all__ = ["Progress", "Runner", "running"]

HEARTBEAT_SECONDS = 5.0
"""A client that listens hears something at least so often."""

LOOK_FIRST_SECONDS = 4.5
"""How long a call looks for what an earlier one lost before it buys it anew: all looks, if Octave answers at once."""

POLL_SECONDS = 0.5
"""How often the ledger is read while another process works on what is waited for."""

LEDGER_PATIENCE_SECONDS = 2.0
"""A call that waits goes on though the ledger cannot be read for a moment: another program may have it locked."""

CONFIRM_SECONDS = 1.0
"""A result counts as handed over so long after it left, so that a process that ends on the way loses none."""

SURE_SECONDS = 1.0
"""No client gives up sooner: a result for which it waited no longer was received."""

DOUBT_SECONDS = 120.0
"""A client that gives up may not tell: older ones do not, nor can any over HTTP in the protocol's older versions. So a
result that took longer counts as handed over only so long after it left; until then the same call is handed it."""

RECORD_SECONDS = 3.0
"""At the end, for recording what was not waited for: a ledger that hangs may not hold it up."""

Progress = Callable[[float, int, str], Awaitable[None]]
"""Told how far it is, strictly increasing, of how many, and in words: `2 of 5 ready`."""


@dataclass
class _Start:
    """A call that is being recorded, and what came of that."""

    request: GenerateRequest
    wanted: Sequence[Wanted]
    over: anyio.Event = field(default_factory=anyio.Event)
    generation: str = ""
    error: LedgerError | LimitReached | None = None
    given_up: bool = False


@asynccontextmanager
async def running(
    client: OctaveClient, ledger: Ledger, tenant: Tenant, limits: Limits, clock: Clock | None = None
) -> AsyncIterator["Runner"]:
    """A runner for one key. At the end it sends nothing more, and waits a bounded time for what is in flight."""
    async with anyio.create_task_group() as tasks:
        runner = Runner(client, ledger, tenant, limits, clock or Clock(), tasks)
        tasks.start_soon(runner.keep_alive)
        try:
            yield runner
        finally:
            with anyio.CancelScope(shield=True):
                await runner.drain()
            tasks.cancel_scope.cancel()


class Runner:
    """One key's generations. Made by `running`."""

    def __init__(
        self,
        client: OctaveClient,
        ledger: Ledger,
        tenant: Tenant,
        limits: Limits,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        """Use all of these, which stay the caller's to open and close."""
        self._ledger = ledger
        self._tenant = tenant
        self._limits = limits
        self._clock = clock
        self._tasks = tasks
        self._bell = Bell()
        self._sender = Sender(client, ledger, limits, clock, tasks, self._bell.ring)
        self._looker = Looker(client, ledger, clock, self._spawn, self._bell.ring)
        self._ending = False
        self._drained = False
        self._under_way = 0
        self._told: dict[str, State] = {}
        self._doubted: dict[str, State] = {}

    # --- What a caller asks for ---------------------------------------------------------------------------------------

    async def generate(self, request: GenerateRequest, seconds: float, progress: Progress) -> Generation:
        """Generate what is asked for, and tell what is known of it after so many seconds at the latest.

        Whoever stops waiting stops what was not sent, unless another call asks for it; what was sent is finished.
        Never raises `OctaveError`: each part holds its own. Raises LedgerError and LimitReached, with nothing sent, and
        RecordGone where the ledger fails after that.
        """
        began = self._clock.elapsed()
        wanted = self._tenant.wanted(request)
        await self._flush()
        # A wish whose outcome is unknown may have been granted: found now, it need not be bought again.
        lost = await self._ledger.unknown(self._tenant.id, [wish.fingerprint for wish in wanted])
        looked = {item.id: self._looker.look(item) for item in lost}
        for over in looked.values():
            await self._clock.wait(over, began + min(LOOK_FIRST_SECONDS, seconds) - self._clock.elapsed())
        start = _Start(request, wanted)
        self._spawn(self._begin, start)
        try:
            await start.over.wait()
            if start.error:
                raise start.error
            generation = await self._recorded(start.generation, began, seconds, progress, looked)
        except anyio.get_cancelled_exc_class():
            start.given_up = True
            if start.generation and not self._ending:
                self._spawn(self._give_up, start.generation)
            raise
        return generation

    async def collect(self, generation: str, seconds: float, progress: Progress) -> Generation | None:
        """Wait for a generation, and tell what is known of it after so many seconds at the latest.

        None where this tenant has none of that id. Raises LedgerError.
        """
        return await self._wait(generation, self._clock.elapsed(), seconds, progress, {})

    async def uncollected(self) -> list[Generation]:
        """This tenant's generations with something unfinished, never handed over or unknown, the newest first."""
        await self._flush()
        return [self._told_of(record) for record in await self._ledger.uncollected(self._tenant.id)]

    def hand_over(self, generation: Generation, *, sure: bool = False) -> None:
        """Note that what is known of a generation is on its way to a caller, who is `sure` to get it or may be gone."""
        told = {part.item.id: part.item.state for part in generation.parts if not part.item.state.is_live}
        if self._ending:  # the end records it
            self._told |= told
        elif sure or generation.waited <= SURE_SECONDS:
            self._told |= told
            self._tasks.start_soon(self._confirm)
        else:
            self._doubted |= told
            self._tasks.start_soon(self._believe, told)

    async def _recorded(
        self, generation: str, began: float, seconds: float, progress: Progress, looked: dict[str, anyio.Event]
    ) -> Generation:
        """Wait for a generation that was begun. Raises RecordGone where the ledger fails by then."""
        try:
            found = await self._wait(generation, began, seconds, progress, looked)
        except LedgerError as error:
            raise RecordGone(str(error)) from error
        if found is None:
            raise RecordGone("The record of this call was removed while it was under way (OCTAVE_MCP_STATE_URL).")
        return found

    async def _begin(self, start: _Start) -> None:
        """Record a call and start on it: in a task of its own, so that no cancel comes between the two."""
        try:
            begun = await self._ledger.begin(
                self._tenant.id,
                start.wanted,
                replay_seconds=self._limits.replay_seconds,
                day_limit=self._limits.personas_per_day,
            )
            start.generation = begun.record.id
            count_joined(len(begun.record.joined))
            if start.given_up or self._ending:
                await self._give_up(start.generation)
            else:
                self._sender.work_on(begun, start.request)
        except (LedgerError, LimitReached) as error:
            start.error = error
        finally:
            if not start.generation:
                start.error = start.error or LedgerError("This server is ending.")
            start.over.set()

    async def _give_up(self, generation: str) -> None:
        await quietly(partial(self._ledger.give_up, generation))
        self._bell.ring()

    def _spawn(self, work: Callable[..., Coroutine[Any, Any, object]], *values: object) -> None:
        """Start on something that outlives the call. Raises LedgerError where the server is ending."""
        if self._ending:
            raise LedgerError("This server is ending.")
        self._under_way += 1
        self._tasks.start_soon(self._counted, work, *values)

    async def _counted(self, work: Callable[..., Coroutine[Any, Any, object]], *values: object) -> None:
        try:
            await work(*values)
        finally:
            self._under_way -= 1

    # --- Waiting ------------------------------------------------------------------------------------------------------

    async def _wait(
        self, generation: str, began: float, seconds: float, progress: Progress, looked: dict[str, anyio.Event]
    ) -> Generation | None:
        """Wait for a generation. `looked` has the items whose personas are, or were, looked for in this call."""
        until = began + seconds
        told, beats, next_beat = 0, 0, began + HEARTBEAT_SECONDS
        while True:
            with self._bell.heard() as changed:
                # A look that ends while the record is read may have found what the record does not have yet.
                looked_for = {item for item, over in looked.items() if over.is_set()}
                record = await self._read(generation, until)
                if record is None:
                    return None
                self._bell.only(changed, [item.id for item in record.items])
                lost = [one for one in record.items if one.state is State.UNKNOWN and not self._ending]
                looked |= {item.id: self._looker.look(item) for item in lost if item.id not in looked}
                looking = looked.keys() - looked_for
                now = self._clock.elapsed()
                found = self._told_of(record, now - began)
                pending = [part.item for part in found.parts if part.state.is_live or part.item.id in looking]
                settled = found.asked - len(pending)
                for number in range(told + 1, settled + 1):
                    await _report(progress, number, found.asked, max(0, found.done - settled + number), number)
                if settled != told:
                    told, beats, next_beat = settled, 0, now + HEARTBEAT_SECONDS
                elif now >= next_beat:
                    beats, next_beat = beats + 1, now + HEARTBEAT_SECONDS
                    await _report(progress, settled + beats / (beats + 1), found.asked, found.done, settled)
                if not pending or now >= until or self._drained:
                    return found
                foreign = any(item.owner != self._ledger.owner for item in pending)
                wake = min(next_beat, until, now + POLL_SECONDS if foreign else until)
                await self._clock.wait(changed, wake - now)

    async def _read(self, generation: str, until: float) -> Record | None:
        """Read a generation, patiently. Raises LedgerError."""
        until = min(until, self._clock.elapsed() + LEDGER_PATIENCE_SECONDS)
        while True:
            try:
                return await self._ledger.generation(self._tenant.id, generation)
            except LedgerError:
                if self._clock.elapsed() + POLL_SECONDS > until:
                    raise
            await self._clock.sleep(POLL_SECONDS)

    def _told_of(self, record: Record, waited: float = 0.0) -> Generation:
        parts = (
            Part(item, item.id in record.joined, self._sender.unrecorded.get(item.id) or Outcome.read(item))
            for item in record.items
        )
        return Generation(record.id, record.created_at, tuple(parts), waited)

    @property
    def busy(self) -> bool:
        """Whether something of this key's is on its way, or not recorded yet."""
        return bool(self._under_way or self._sender.working or self._sender.unrecorded or self._told or self._doubted)

    # --- Living and ending --------------------------------------------------------------------------------------------

    async def keep_alive(self) -> None:
        """Renew this process's leases, record what could not be recorded, and have it synced, until cancelled."""
        while True:
            await self._clock.sleep(LEASE_SECONDS / 3)
            if self._sender.working:
                await quietly(self._ledger.renew)
            await self._sender.record_all()
            await quietly(self._flush)
            await quietly(self._ledger.sync)

    async def drain(self) -> None:
        """Send nothing more, and wait a bounded time for what is in flight; then calls answer with what is known."""
        again, self._ending, self._sender.ending = self._ending, True, True
        with anyio.move_on_after(RECORD_SECONDS if again else self._limits.shutdown_seconds + RECORD_SECONDS):
            await self._come_to_rest()
        self._drained = True
        self._bell.ring()

    async def _come_to_rest(self) -> None:
        until = self._clock.elapsed() + self._limits.shutdown_seconds
        if self._sender.working:
            await quietly(self._ledger.give_up_queued)
        while self._sender.posting and (left := until - self._clock.elapsed()) > 0:
            with self._bell.heard() as changed:
                await self._clock.wait(changed, left)
        await self._sender.record_all()
        self._told |= self._doubted
        await quietly(self._flush)

    async def _believe(self, told: dict[str, State]) -> None:
        """Have a result count as handed over after a while, whoever may have been gone."""
        await self._clock.sleep(DOUBT_SECONDS)
        self._told |= {item: state for item, state in told.items() if self._doubted.pop(item, None)}
        await quietly(self._flush)

    async def _confirm(self) -> None:
        await self._clock.sleep(CONFIRM_SECONDS)
        await quietly(self._flush)

    async def _flush(self) -> None:
        """Record what was handed over."""
        told = dict(self._told)
        if told:
            await self._ledger.hand_over(told)
            self._told = {item: state for item, state in self._told.items() if told.get(item) is not state}


async def _report(progress: Progress, value: float, asked: int, ready: int, settled: int) -> None:
    failed = f", {settled - ready} not" if ready < settled else ""
    await progress(value, asked, f"{ready} of {asked} ready{failed}")
