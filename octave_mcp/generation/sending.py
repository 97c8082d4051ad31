"""Send what a call asked for, one POST a persona, and record what became of it."""

import logging
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.abc

from octave_mcp.generation.clock import Clock
from octave_mcp.generation.outcome import NameExists, NotSent, Outcome
from octave_mcp.generation.preview import NameCheck, check_names
from octave_mcp.generation.tenant import Limits
from octave_mcp.generation.throttle import Throttle
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import Item, LedgerError, Started
from octave_mcp.observability.telemetry import count_outcome
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import OctaveError, OutcomeUnknown, Refused
from octave_mcp.octave.models import GenerateRequest

logger = logging.getLogger(__name__)


class _GivenUp(Exception):
    """The item must not be sent any more."""


@dataclass
class _Call:
    """The data that all POSTs of one call share. `stopped_by` is an error that each further POST would get too."""

    request: GenerateRequest
    stopped_by: OctaveError | None = None
    free: frozenset[str] = frozenset()
    """Names that Octave's list does not have, as far as they were searched for."""
    unchecked: frozenset[str] = frozenset()
    """Names of which it is not known whether Octave has them already."""


class Sender:
    """Sends one key's items, in tasks that outlive the calls that asked for them.

    `active` has the items that wait here or are being sent, and `posting` counts the latter. Once `ending` is set,
    nothing that was refused is sent again. `unrecorded` has outcomes, by item, that the ledger did not take yet, and
    `throttle` knows how long Octave asks to wait.
    """

    def __init__(
        self,
        client: OctaveClient,
        ledger: Ledger,
        limits: Limits,
        clock: Clock,
        tasks: anyio.abc.TaskGroup,
        publish: Callable[[str], None],
    ) -> None:
        """Use these objects, which the caller closes. `publish` receives the id of each item that changed."""
        self.active: set[str] = set()
        self.posting = 0
        self.ending = False
        self.unrecorded: dict[str, Outcome] = {}
        self._client = client
        self._ledger = ledger
        self._limits = limits
        self.throttle = Throttle(limits.concurrency, clock)
        self._tasks = tasks
        self._publish = publish

    def start(self, started: Started, request: GenerateRequest, known: NameCheck | None) -> None:
        """Start to send the new items of a generation.

        `known` is what was just found out about names; None allows each name, whether it exists or not.
        """
        new = [(started.record.items[place], place) for place in started.new]
        if new:
            self.active |= {item.id for item, _ in new}
            self._tasks.start_soon(
                self._send_all, _Call(request), new, known and known.with_namesakes(started.namesakes)
            )

    async def _send_all(self, call: _Call, new: list[tuple[Item, int]], known: NameCheck | None) -> None:
        """Check all names before the first POST, as equal names within one call are allowed; then send."""
        existing: dict[str, NameExists] = {}
        if known is not None:
            names = {item.name for item, _ in new if item.name}
            found = await check_names(self._client, names, known)
            existing, call.free = found.existing, found.free
            call.unchecked = frozenset(names - existing.keys() - call.free)
        for item, _ in new:
            if error := existing.get(item.name or ""):
                await self._finish(item, Outcome.of_error(error))
        waiting = iter([pair for pair in new if (pair[0].name or "") not in existing])
        # A few workers for each call, this one among them, so that a large call and a small one take turns.
        for _ in range(min(self._limits.concurrency, len(new)) - 1):
            self._tasks.start_soon(self._work, call, waiting)
        await self._work(call, waiting)

    async def _work(self, call: _Call, waiting: Iterator[tuple[Item, int]]) -> None:
        for item, place in waiting:
            try:
                async with self.throttle.limiter:
                    outcome = await self._send(call, item, place)
            except Exception as error:
                # An unexpected error must not end the server, and the item must not count as unsent: it may exist.
                logger.exception("Sending an item failed unexpectedly")
                lost = OutcomeUnknown(f"The server met an unexpected problem ({type(error).__name__}).")
                outcome = Outcome.of_error(lost)
            if outcome is None:
                self.active.discard(item.id)
                self._publish(item.id)
            else:
                await self._finish(item, outcome)

    async def _send(self, call: _Call, item: Item, place: int) -> Outcome | None:
        """Send one item, again while it is refused and may be sent again. Return None if it was given up before."""
        one = call.request.model_copy(update={"personas": [call.request.personas[place]]})
        tries = 0
        while True:
            tries += 1
            await self.throttle.wait()
            if call.stopped_by:
                return Outcome.of_error(call.stopped_by)
            try:
                return await self._post(call, item, one, {"octave.persona.index": place, "octave.try": tries})
            except _GivenUp:
                return None
            except LedgerError as error:
                return Outcome.of_error(NotSent(str(error)))
            except OctaveError as error:
                if isinstance(error, Refused) and await self._may_send_again(item, error, tries):
                    continue
                if error.affects_every_call:
                    call.stopped_by = error
                return Outcome.of_error(error)

    async def _may_send_again(self, item: Item, error: Refused, tries: int) -> bool:
        """Put a refused item back into the queue, and wait for its next try. False if there is none."""
        is_queued = await was_recorded(partial(self._ledger.requeue, item.id))
        self._publish(item.id)
        return is_queued and not self.ending and await self.throttle.pause(error, tries)

    async def _post(self, call: _Call, item: Item, one: GenerateRequest, about: dict[str, int]) -> Outcome:
        async def mark_sent() -> None:
            if not await self._ledger.mark_sent(item.id, name_free=item.name in call.free):
                raise _GivenUp

        self.posting += 1
        try:
            key = str(uuid.UUID(item.id))
            answer = await self._client.generate(one, idempotency_key=key, before_send=mark_sent, about=about)
            return Outcome.of_answer(answer, name_unchecked=item.name in call.unchecked)
        finally:
            self.posting -= 1

    async def _finish(self, item: Item, outcome: Outcome) -> None:
        """Record an outcome. One that the ledger does not take is reported from memory and recorded later."""
        count_outcome(outcome.state.value, type(outcome.error).__name__ if outcome.error else None, outcome.usage)
        if not await self._record(item.id, outcome):
            self.unrecorded[item.id] = outcome
        self.active.discard(item.id)
        self._publish(item.id)

    async def _record(self, item: str, outcome: Outcome) -> bool:
        async def settle() -> None:
            unreadable = outcome.error.unreadable if isinstance(outcome.error, OutcomeUnknown) else None
            await self._ledger.settle(
                item,
                outcome.state,
                outcome.to_json(),
                usage=outcome.usage,
                oids=outcome.oids,
                unreadable=unreadable,
            )

        return await was_recorded(settle)

    async def record_all(self) -> None:
        """Record what could not be recorded before, until the ledger fails again, as it would for each."""
        for item, outcome in list(self.unrecorded.items()):
            recorded = await self._record(item, outcome)
            self.unrecorded.pop(item, None)
            if not recorded:
                self.unrecorded[item] = outcome  # last now, so that one that is never taken does not hold up the others
                return
            self._publish(item)


async def was_recorded(operation: Callable[[], Awaitable[object]]) -> bool:
    """Run an operation on the ledger and return whether it succeeded. A failure is logged, and ends nothing."""
    try:
        await operation()
    except LedgerError as error:
        logger.warning("Not recorded: %s", error)
    except Exception:
        logger.exception("Not recorded, for an unexpected reason")
    else:
        return True
    return False
