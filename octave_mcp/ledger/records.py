"""What the ledger records of each requested persona, and the database that it needs.

    queued -> sent -> created | failed | unknown        queued -> failed        unknown -> created | failed

An item is one requested persona. It is `sent` in the ledger before the first byte of its request leaves, so whatever
ends the process, the ledger knows what may have been created. A live item (`queued` or `sent`) has an owner, which is
the process that works on it, and a lease that the owner renews. When another process finds that a lease ran out, a
queued item has failed, since nothing was sent for it, and a sent item is unknown. No other process ever sends it. Its
owner may still renew the lease, or record an answer that comes late, and recovery may still find its persona in Octave.

A generation is the list of items of one call. A call that repeats an earlier request joins the earlier items, so
several generations may share an item. Every generation and item belongs to one tenant and is invisible to the others.

The ledger stores names, Octave's answers, and keyed hashes of the rest: no key, and no source.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol, TypeVar

LEASE_SECONDS = 30.0
"""How long an item stays live after its owner last renewed it. Owners renew three times as often."""

DAY_SECONDS = 24 * 3600.0
"""The day of the daily limits: the 24 hours before now, so that no time zone matters."""

RETENTION_SECONDS = 7 * DAY_SECONDS
"""How long a settled item is kept, and the longest replay window. The persona itself stays in Octave."""


class State(StrEnum):
    """What is known of an item."""

    QUEUED = "queued"
    SENT = "sent"
    CREATED = "created"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_live(self) -> bool:
        """Whether a process is working on the item."""
        return self in {State.QUEUED, State.SENT}


class LedgerError(Exception):
    """The database cannot be used, and nothing was sent. The text says why and what to do, for a person."""


class RecordLost(Exception):
    """The record of a call cannot be read any more, although what it asked for may have been sent."""


class LimitReached(Exception):
    """A daily limit leaves too little room: `left` of `limit`, in `unit`. Nothing was recorded."""

    def __init__(self, limit: float, left: float, unit: Literal["personas", "credits"]) -> None:
        """Take the limit, what is left of it, and its unit."""
        setting = f"OCTAVE_MCP_MAX_{unit.upper()}_PER_DAY"
        super().__init__(f"The limit of {limit:g} {unit} in 24 hours ({setting}) leaves {left:g}.")
        self.left = left
        self.unit = unit


@dataclass(frozen=True)
class RequestedPersona:
    """One persona of a request. Equal fingerprints mean the same request by the same tenant."""

    fingerprint: str
    name: str | None
    name_key: str | None
    """What it has in common with every other form of this name: see `octave.text`."""


@dataclass(frozen=True)
class Item:
    """One requested persona as recorded. Times are seconds since the epoch.

    `name_free` tells that Octave's list had no persona of this name just before this one was sent. `outcome` is JSON
    that the service wrote; None while the item is live, or when its owner ended before writing it.
    """

    id: str
    fingerprint: str
    name: str | None
    state: State
    owner: str
    created_at: float
    sent_at: float | None
    settled_at: float | None
    name_free: bool | None
    outcome: str | None


@dataclass(frozen=True)
class GenerationRecord:
    """A generation as recorded: its items in the order of the request, and the ids of those it joined."""

    id: str
    created_at: float
    items: tuple[Item, ...]
    joined: frozenset[str]


@dataclass(frozen=True)
class Namesake:
    """An item of an earlier call for a persona of the same name, and a generation that has it."""

    item: Item
    generation: str


@dataclass(frozen=True)
class Started:
    """A generation that was just recorded, and the positions of its new items, which the caller has to send.

    `namesakes` has, by the name that was asked for, items of earlier calls: see `queries.find_namesakes`.
    """

    record: GenerationRecord
    new: tuple[int, ...]
    namesakes: Mapping[str, Namesake]


@dataclass(frozen=True)
class SpendingLimits:
    """The most personas and credits in any 24 hours, for one tenant; None means no limit."""

    personas_per_day: int | None = None
    credits_per_day: float | None = None


@dataclass(frozen=True)
class Spending:
    """Personas created by one tenant, and the credits that Octave reported for them; None if it reported none.

    `day_…` covers the last 24 hours, the others all that the ledger keeps (7 days). `priced` counts the personas whose
    credits were reported.
    """

    day_personas: int
    day_credits: float | None
    personas: int
    credits: float | None
    priced: int

    @property
    def average(self) -> float | None:
        """The credits of one persona on average; None if Octave reported none."""
        return None if self.credits is None or not self.priced else self.credits / self.priced


Match = Literal["matched", "absent", "ambiguous"]
"""Whether exactly one persona in Octave's list can be an item's, none, or it cannot be told."""

_Result = TypeVar("_Result")


class Cursor(Protocol):
    """The rows of one statement, as every DB-API has them."""

    @property
    def rowcount(self) -> int:
        """The number of rows that were changed."""

    def fetchone(self) -> tuple[object, ...] | None:
        """Return the next row."""

    def fetchall(self) -> list[tuple[object, ...]]:
        """Return all rows."""


class Transaction(Protocol):
    """One open transaction. `now` is the database's time, in seconds since the epoch."""

    now: float

    def execute(self, sql: str, values: Sequence[object] = ()) -> Cursor:
        """Run one statement whose placeholders are question marks."""

    def lock(self, name: str) -> None:
        """Wait until no other open transaction holds the lock of this name, and hold it until the end."""


class Database(Protocol):
    """Where the ledger is kept."""

    async def run(self, operation: Callable[[Transaction], _Result], *, durable: bool = True) -> _Result:
        """Run one operation in a transaction and commit it. Raises LedgerError.

        What is `durable` survives a crash of the machine when this returns; the rest does after the next durable one.
        An operation may be run twice when the outcome of its commit was lost, so it has to be repeatable.
        """

    async def sync(self) -> None:
        """Make everything recorded so far durable."""

    async def close(self) -> None:
        """Close all connections."""
