"""Looks for a persona whose answer was lost. It proves, or says nothing: a wrong match would be worse than none.

A persona in Octave's list is a candidate where it has exactly the name that was asked for, was created after the
request was sent, and not long after. That it is the only one, and no other item's, is for the ledger to say, in one
transaction. What was asked for without a name, or is listed with a date only, proves nothing.
"""

import logging
import re
from collections.abc import AsyncIterator, Callable, Collection
from datetime import UTC, datetime

import anyio

from octave_mcp.generation.clock import Clock
from octave_mcp.generation.ledger import RIVAL_SECONDS, Item, Ledger, LedgerError
from octave_mcp.generation.outcome import Outcome
from octave_mcp.observability.telemetry import count_found
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import OctaveError, OutcomeUnknown, Unreachable
from octave_mcp.octave.lookups import PersonaPage
from octave_mcp.octave.models import Persona

__all__ = ["Looker", "candidates"]

logger = logging.getLogger(__name__)

LOOKS = (0.0, 1.0, 3.0)
"""Seconds before each look into Octave's list; then the item stays unknown until somebody asks for it again."""

LOOKS_AT_ONCE = 4

PAGE = 50
MAX_PAGES = 20
"""A list that is longer is not read to its end, so that nothing on it is known to be the only one."""

_FRACTION = re.compile(r"[.,]\d")
"""Of a second, in a time."""


class Looker:
    """Looks for the personas of one key, in tasks of its own."""

    def __init__(
        self,
        client: OctaveClient,
        ledger: Ledger,
        clock: Clock,
        spawn: Callable[..., None],
        notify: Callable[[Collection[str]], None],
    ) -> None:
        """Use all of these, which stay the caller's. `spawn` starts a task, `notify` is told whose look is over."""
        self._client = client
        self._ledger = ledger
        self._clock = clock
        self._spawn = spawn
        self._notify = notify
        self._limiter = anyio.CapacityLimiter(LOOKS_AT_ONCE)
        self._looks: dict[str, anyio.Event] = {}

    def look(self, item: Item) -> anyio.Event:
        """Look for an item's persona, and have the ledger adopt it. The event is set when that is over."""
        if item.id not in self._looks:
            self._spawn(self._find, item)
            self._looks[item.id] = anyio.Event()
        return self._looks[item.id]

    async def _find(self, item: Item) -> None:
        try:
            for pause in LOOKS if item.name else ():
                await self._clock.sleep(pause)
                async with self._limiter:
                    if await self._is_found(item):
                        count_found()
                        return
        except (OctaveError, ValueError) as error:  # ValueError: a record nested too deep to keep
            told = type(error).__name__ if isinstance(error, ValueError) else error  # its text may quote the record
            self._warn(told)
        finally:
            self._looks.pop(item.id).set()
            self._notify([item.id])

    async def _is_found(self, item: Item) -> bool:
        """Whether the ledger has its persona now. Raises OctaveError where another look would meet the same.

        What took the answer may take the first look as well, and the ledger may be another's for a moment.
        """
        try:
            found = await candidates(self._client, item, self._clock)
            outcomes = {one.oId: Outcome((one,), identified=True).dumps() for one in found if one.oId}
            return bool(outcomes) and await self._ledger.adopt(item.id, outcomes)
        except (Unreachable, OutcomeUnknown, LedgerError) as error:
            self._warn(error)
            return False

    def _warn(self, told: object) -> None:
        logger.warning("A persona whose answer was lost cannot be looked for: %s", told)


async def candidates(client: OctaveClient, item: Item, clock: Clock) -> list[Persona]:
    """The personas that may have been made for `item`, each with its oId. Raises OctaveError."""
    if not item.name or item.sent_at is None:
        return []
    found: dict[str, Persona] = {}
    async for page in _pages(client, item.name):
        # Where Octave's clock is ahead of ours, what was created before we sent has a later time than that.
        told = _moment(page.metadata.timestamp)
        sent_at = item.sent_at + (max(0.0, told[0] - clock.now()) if told else 0.0)
        for persona in page.data:
            created = _moment(persona.createdAt)
            if not created or not persona.oId or persona.deletedAt or persona.name != item.name:
                continue
            at, resolution = created
            if sent_at < at + resolution and at < sent_at + RIVAL_SECONDS:
                found[persona.oId] = persona
    return list(found.values())


async def _pages(client: OctaveClient, text: str) -> AsyncIterator[PersonaPage]:
    """All pages of the list, or, should it be too long, none."""
    pages: list[PersonaPage] = []
    offset = 0
    for _ in range(MAX_PAGES):
        page = await client.list_personas(text=text, limit=PAGE, offset=offset)
        pages.append(page)
        offset += len(page.data)
        all_told = page.total is not None and offset >= page.total
        if not page.data or page.hasNext is False or (page.hasNext is None and all_told):
            for one in pages:
                yield one
            return


def _moment(text: str | None) -> tuple[float, float] | None:
    """A time in seconds since the epoch, and how many it may be later than it says. None for a date alone."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if len(text or "") <= len("2026-01-01"):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp(), 0.001 if _FRACTION.search(text or "") else 1.0
