"""Recovery of lost answers: search Octave's list for a persona whose POST was sent and whose answer was lost.

A wrong match would be worse than none, so a persona matches only if it has exactly the name that was asked for, was
created shortly after the request was sent, and is the only such persona that can be this item's. The ledger checks the
last condition in one transaction. If a complete list, read when Octave is no longer at work, has no such persona, it
was not created. A list is complete only if nothing in it, or about it, suggests that a row is missing or cannot be
read. An item without a name cannot be searched for.
"""

import logging
import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Literal, NamedTuple

import anyio

from octave_mcp.generation.clock import Clock
from octave_mcp.generation.outcome import NotCreated, Outcome, Search, settles_at
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.queries import RIVAL_SECONDS
from octave_mcp.ledger.records import DAY_SECONDS, Item, LedgerError
from octave_mcp.observability.telemetry import count_recovered
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import Busy, OctaveError, OutcomeUnknown
from octave_mcp.octave.lookup_models import PersonaPage
from octave_mcp.octave.models import Persona
from octave_mcp.octave.text import fold_name, same_name, search_word

logger = logging.getLogger(__name__)

FIRST_PAUSES = (1.0, 3.0)
"""Seconds before the second and third reading of Octave's list, which are made although no call waits."""

PAUSE_SECONDS = 5.0
"""Seconds before each further reading, while a call waits for the item."""

SEARCHES_AT_ONCE = 4
"""The number of items of one key that are searched for at once."""

PAGE = 100
MAX_PAGES = 20
"""A longer list is not read to its end, so nothing that is missing from it is known not to exist."""

_INCOMPLETE = "Octave's list of personas could not be read to its end."

_FRACTION = re.compile(r"[.,]\d")
"""A fraction of a second in a timestamp."""


class Recovery:
    """The searches for one key's unknown items, in tasks of its own. `searches` has the last finding by item."""

    def __init__(
        self,
        client: OctaveClient,
        ledger: Ledger,
        clock: Clock,
        spawn: Callable[..., None],
        publish: Callable[[str], None],
    ) -> None:
        """Use these objects, which the caller closes. `publish` receives the item's id after each search."""
        self.searches: dict[str, Search] = {}
        self._client = client
        self._ledger = ledger
        self._clock = clock
        self._spawn = spawn
        self._publish = publish
        self._limiter = anyio.CapacityLimiter(SEARCHES_AT_ONCE)
        self._running: set[str] = set()
        self._waiting: Counter[str] = Counter()

    def start(self, item: Item) -> None:
        """Search for an item's persona at once and a few times more, and as long as a call waits for it."""
        if item.id not in self._running:
            self._spawn(self._search, item)
            self._running.add(item.id)

    @contextmanager
    def waiting(self) -> Iterator[Callable[[Item], None]]:
        """Return a function that starts the search for an item, which then goes on until the end of the block."""
        wanted: set[str] = set()

        def want(item: Item) -> None:
            if item.id not in wanted:
                wanted.add(item.id)
                self._waiting[item.id] += 1
            self.start(item)

        try:
            yield want
        finally:
            self._waiting.subtract(wanted)
            self._waiting += Counter()  # drops what nobody waits for

    async def _search(self, item: Item) -> None:
        try:
            reads = 0
            while not await self._is_settled(item):
                reads += 1
                if reads > len(FIRST_PAUSES) and item.id not in self._waiting:
                    return
                await self._clock.sleep(FIRST_PAUSES[reads - 1] if reads <= len(FIRST_PAUSES) else PAUSE_SECONDS)
            self.searches.pop(item.id, None)
        finally:
            self._running.discard(item.id)
            self._publish(item.id)

    async def _is_settled(self, item: Item) -> bool:
        """Search once. Return whether the item is settled now, or can never be found."""
        earlier = self.searches.get(item.id)
        reads = earlier.reads + 1 if earlier else 1
        if item.name is None:
            self.searches[item.id] = Search("unnamed", self._clock.now(), 0)
            return True
        finding: Search
        try:
            async with self._limiter:
                match = await self._match(item)
            if match in {"matched", "not created"}:
                return True
            finding = Search("ambiguous" if match == "ambiguous" else "absent", self._clock.now(), reads)
        except Exception as error:  # noqa: BLE001 - an unexpected one must not end the server
            logger.warning(
                "Octave's list cannot be searched for a persona whose answer was lost: %s",
                # The text of any other error may quote a record.
                error if isinstance(error, OctaveError | LedgerError) else type(error).__name__,
            )
            finding = Search("unreadable", self._clock.now(), reads)
            if isinstance(error, Busy):
                await self._clock.sleep(min(error.retry_after or 0.0, PAUSE_SECONDS * 2))
        self.searches[item.id] = finding
        self._publish(item.id)
        return False

    async def _match(self, item: Item) -> str:
        """Return `matched` or `not created` if the item is settled now, else why it is not: absent or ambiguous.

        Raises OctaveError and LedgerError.
        """
        due = settles_at(item, Outcome.of_item(item), self._clock.moved_at())
        is_due = due is not None and self._clock.now() >= due
        match, is_complete = await self._adopt(item, text=search_word(item.name or ""))
        if match == "absent" and is_due:
            # Only the whole list proves that something is not in it: how Octave matches a text is not documented.
            match, is_complete = await self._adopt(item, text=None)
            if match == "absent" and is_complete:
                text = "Octave did not say what became of this, and its list does not have it."
                await self._ledger.mark_not_created(item.id, Outcome.of_error(NotCreated(text)).to_json())
                return "not created"
        if match == "absent" and not is_complete:
            raise OutcomeUnknown(_INCOMPLETE)
        if match == "matched":
            count_recovered()
        return match

    async def _adopt(self, item: Item, *, text: str | None) -> tuple[str, bool]:
        """Return whether the item was matched, and whether the list was complete."""
        personas = _PersonaList(self._client, text)
        found, doubtful = await _candidates(personas, item, self._clock)
        outcomes = {oid: Outcome((one,), identified=True).to_json() for oid, one in found.items()}
        match: str = "absent"
        if outcomes or doubtful:
            match = await self._ledger.adopt(item.id, outcomes, doubtful, personas.workspace)
        return match, personas.is_complete


class _PersonaList:
    """Octave's list of personas that match a text, or of all, page by page.

    `is_complete` says afterwards whether it was read to its end, and every row could be read. `workspace` is the oId of
    the workspace that its rows belong to, if one says so.
    """

    def __init__(self, client: OctaveClient, text: str | None) -> None:
        self.is_complete = False
        self.workspace: str | None = None
        self._text = text
        self._read_page = partial(client.list_personas, text=text, query_type="ALL", limit=PAGE)

    async def pages(self) -> AsyncIterator[PersonaPage]:
        """Yield each page. Raises OctaveError."""
        seen: set[str] = set()
        offset, total, is_readable = 0, 0.0, True
        for _ in range(MAX_PAGES):
            page = await self._read_page(offset=offset)
            yield page
            self.workspace = next((one.workspace.oId for one in page.data if one.workspace.oId), self.workspace)
            oids = {persona.oId for persona in page.data if persona.oId}
            total = max(total, page.total or 0)
            is_readable &= len(oids) == page.received and (page.is_list or page.total == 0)
            offset += page.received
            # A list that knows no offset comes again, whole. Counts may be wrong, and so end only a search.
            if oids <= seen or (self._text is not None and not page.goes_on(offset - page.received)):
                # A search's total may count more than what matches its text.
                has_all = self._text is not None or total <= len(seen | oids)
                self.is_complete = is_readable and has_all and page.hasNext is not True
                return
            seen |= oids
        raise OutcomeUnknown(_INCOMPLETE)


async def _candidates(personas: _PersonaList, item: Item, clock: Clock) -> tuple[dict[str, Persona], set[str]]:
    """Return the personas that match the item, by oId, and the oIds of those that are possible. Raises OctaveError."""
    found: dict[str, Persona] = {}
    doubtful: set[str] = set()
    async for page in personas.pages():
        octave_time = _timestamp(page.metadata.timestamp)
        # Octave has written the time before now, so this is the least that its clock can be ahead.
        ahead = octave_time.at - clock.now() if octave_time.resolution < DAY_SECONDS else 0.0
        for persona in page.data:
            if not persona.oId:
                continue
            fit = _fit(persona, item, ahead)
            if fit == "match":
                found[persona.oId] = persona
            elif fit == "possible":
                doubtful.add(persona.oId)
    return found, doubtful


def _fit(persona: Persona, item: Item, ahead: float) -> Literal["match", "possible", "other"]:
    """Return whether a persona in Octave's list is the one that an item's request created.

    It is possible if its name is missing or in another case, or if it is not certain that it was created after the
    request. `ahead` is the least number of seconds by which Octave's clock is ahead of ours; below 0, it may be behind.
    """
    sent_at, name = item.sent_at or 0.0, item.name or ""
    if persona.deletedAt or (persona.name and not same_name(persona.name, name)):
        return "other"
    created = _timestamp(persona.createdAt)
    created_before = created.at + created.resolution
    earliest = sent_at + max(ahead, 0.0)
    is_since = earliest < created_before and created.at < earliest + RIVAL_SECONDS
    # If Octave's clock is behind ours, what was created after the request has an earlier time than the request.
    may_be_since = is_since or sent_at + ahead < created_before <= sent_at
    if fold_name(persona.name or "") != fold_name(name):
        return "possible" if may_be_since else "other"
    # If the list had no such name just before the request was sent, an exact time is not needed.
    if (is_since and created.resolution < DAY_SECONDS) or (may_be_since and item.name_free):
        return "match"
    return "possible" if may_be_since or (item.name_free and not persona.archivedAt) else "other"


class _Moment(NamedTuple):
    """A time in seconds since the epoch, and how many seconds later it may have been."""

    at: float
    resolution: float


_ANY_TIME = _Moment(0.0, math.inf)


def _timestamp(text: str | None) -> _Moment:
    """Return when something was created, as exactly as `text` says: to a fraction of a second, a day, or not at all."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return _ANY_TIME
    is_date = len(text or "") <= len("2026-01-01")
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if is_date:  # of a day that began up to 14 hours before UTC's, and ended up to 12 hours after
        return _Moment(moment.timestamp() - DAY_SECONDS, 3 * DAY_SECONDS)
    return _Moment(moment.timestamp(), 0.001 if _FRACTION.search(text or "") else 1.0)


async def find_same_name(client: OctaveClient, name: str) -> Persona | None:
    """Return a persona of the very same name, case and white space aside, or None. Raises OctaveError."""
    personas = _PersonaList(client, search_word(name))
    async for page in personas.pages():
        for persona in page.data:
            is_there = persona.oId and not persona.deletedAt and not persona.archivedAt
            if is_there and same_name(persona.name or "", name):
                return persona
    if not personas.is_complete:
        raise OutcomeUnknown(_INCOMPLETE)
    return None
