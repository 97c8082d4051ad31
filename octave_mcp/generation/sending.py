"""Sends what a call asked for, and records what became of it."""

import itertools
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import anyio.abc

from octave_mcp.generation.clock import Clock
from octave_mcp.generation.ledger import Begun, Item, Ledger, LedgerError
from octave_mcp.generation.limits import Limits
from octave_mcp.generation.outcome import NotSent, Outcome
from octave_mcp.generation.throttle import Lane
from octave_mcp.observability.telemetry import About, count_settled
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import OctaveError, OutcomeUnknown, Refused
from octave_mcp.octave.models import GenerateRequest

__all__ = ["Sender", "quietly"]

logger = logging.getLogger(__name__)


@dataclass
class _Call:
    """What the POSTs of one call share: the request, and the problem that they would all meet, once one has met it."""

    request: GenerateRequest
    stopped_by: OctaveError | None = None


@dataclass(frozen=True)
class _Batch:
    """One POST: items, and their places in the request."""

    items: tuple[Item, ...]
    places: tuple[int, ...]


class Sender:
    """Works on one key's items, in tasks that outlive the calls which asked for them.

    `working` counts what is being worked on, `posting` what is on its way; once `ending` is set, nothing that was
    refused is sent again. `unrecorded` has outcomes, by item, that
    the ledger would not take yet.
    """

    def __init__(
        self,
        client: OctaveClient,
        ledger: Ledger,
        limits: Limits,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        notify: Callable[[Collection[str]], None],
    ) -> None:
        """Use all of these, which stay the caller's to open and close. `notify` is told which items changed."""
        self.working = 0
        self.posting = 0
        self.ending = False
        self.unrecorded: dict[str, Outcome] = {}
        self._client = client
        self._ledger = ledger
        self._limits = limits
        self._lane = Lane(limits.concurrency, clock)
        self._tasks = tasks
        self._notify = notify

    def work_on(self, begun: Begun, request: GenerateRequest) -> None:
        """Start on the new items, with a few workers, so that a large call and a small one take turns in the lane."""
        call = _Call(request)
        size = 1
        starts = range(0, len(begun.new), size)
        batches = [
            _Batch(tuple(begun.record.items[place] for place in places), places)
            for places in (begun.new[start : start + size] for start in starts)
        ]
        waiting = iter(batches)
        for _ in range(min(self._limits.concurrency, len(batches))):
            self._tasks.start_soon(self._work, call, waiting)

    async def _work(self, call: _Call, waiting: Iterator[_Batch]) -> None:
        for batch in waiting:
            self.working += 1
            try:
                async with self._lane.limiter:
                    await self._deliver(call, batch)
            except Exception as error:
                # One item's surprise must not end the server, nor may what it bought be taken for unsent.
                logger.exception("An item ended unexpectedly")
                lost = OutcomeUnknown(f"The server met an unexpected problem ({type(error).__name__}).")
                await self._settle(batch.items, itertools.repeat(Outcome.of(lost)))
            finally:
                self.working -= 1

    async def _deliver(self, call: _Call, batch: _Batch) -> None:
        """Send a batch, and again while it is refused and may be."""
        tries = 1
        while refused := await self._post(call, batch, tries):
            if self.ending or not await self._lane.pause(refused, tries):
                return await self._fail(call, batch.items, refused)
            tries += 1
        return None

    async def _post(self, call: _Call, batch: _Batch, tries: int) -> Refused | None:
        """Send a batch once, and record what became of it; or return why it was refused, with its items queued."""
        await self._lane.open()
        if call.stopped_by:
            await self._fail(call, batch.items, call.stopped_by)
            return None
        self.posting += 1
        try:
            sent = await self._ledger.mark_sent([item.id for item in batch.items])
            items = [item for item in batch.items if item.id in sent]
            if not items:  # given up meanwhile
                return None
            pairs = zip(batch.items, batch.places, strict=True)
            places = [place for item, place in pairs if item.id in sent]
            part = call.request.model_copy(update={"personas": [call.request.personas[place] for place in places]})
            about: About = {"octave.persona.index": places, "octave.try": tries}
            key = str(uuid.UUID(items[0].id))
            answer = await self._client.generate(part, idempotency_key=key, about=about)
            await self._settle(items, Outcome.all_of(answer, len(items)))
        except LedgerError as error:
            await self._settle(batch.items, itertools.repeat(Outcome.of(NotSent(str(error)))))
        except Refused as error:
            if await quietly(partial(self._ledger.requeue, [item.id for item in items])):
                return error
            await self._fail(call, items, error)
        except OctaveError as error:
            await self._fail(call, items, error)
        finally:
            self.posting -= 1
            self._notify([item.id for item in batch.items])
        return None

    async def _fail(self, call: _Call, items: Sequence[Item], error: OctaveError) -> None:
        if error.meets_every_call:
            call.stopped_by = error
        await self._settle(items, itertools.repeat(Outcome.of(error)))
        self._notify([item.id for item in items])

    async def _settle(self, items: Sequence[Item], outcomes: Iterable[Outcome]) -> None:
        """Record outcomes. What cannot be recorded is told from memory, and recorded later."""
        for item, outcome in zip(items, outcomes, strict=False):
            count_settled(outcome.state.value, type(outcome.error).__name__ if outcome.error else None, outcome.usage)
            if not await self._record(item.id, outcome):
                self.unrecorded[item.id] = outcome

    async def _record(self, item: str, outcome: Outcome) -> bool:
        unreadable = outcome.error.unreadable if isinstance(outcome.error, OutcomeUnknown) else None
        settle = partial(self._ledger.settle, item, outcome.state, outcome.dumps())
        return await quietly(partial(settle, oids=outcome.oids, unreadable=unreadable))

    async def record_all(self) -> None:
        """Record what could not be recorded before, until the ledger fails again: it would for each."""
        for item, outcome in list(self.unrecorded.items()):
            recorded = await self._record(item, outcome)
            self.unrecorded.pop(item, None)
            if not recorded:
                self.unrecorded[item] = outcome  # the last now: one that is never taken holds up no other
                return


async def quietly(operation: Callable[[], Awaitable[object]]) -> bool:
    """Whether the ledger took it. What it did not is in the log, and waits or does not matter."""
    try:
        await operation()
    except LedgerError as error:
        logger.warning("Not recorded: %s", error)
        return False
    return True
