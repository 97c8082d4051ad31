"""What is recorded of each persona asked for: its states, and what a store of them has to do.

    queued -> sent -> done | failed | unknown        queued -> failed        unknown -> done | failed

An item is one persona that a call asked for. It is `sent` in the store before the first byte leaves, so whatever ends
the process, what may have been bought is known. A live item (`queued` or `sent`) has an owner, the process that works
on it, and a lease that the owner renews. Where a lease has run out, a queued item has failed, as nothing of it was
sent, and a sent one is unknown; it is never free to be sent by another. Its owner may still learn what became of it,
when the machine wakes from a sleep, and its persona may still be found in Octave.

A generation is what one call asked for: places, each with its item. Several generations may share an item, since a
call that repeats an earlier one joins its items. Every generation and item belongs to one tenant, and is invisible to
any other.

Stored are names, what Octave answered, and keyed hashes of the rest: no key, and no source.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = [
    "DAY_SECONDS",
    "LEASE_SECONDS",
    "Begun",
    "Item",
    "Ledger",
    "LedgerError",
    "LimitReached",
    "Record",
    "RecordGone",
    "State",
    "Wanted",
]

LEASE_SECONDS = 30.0
"""After the last sign of life of its owner, an item's outcome counts as unknown. Owners renew three times as often."""

DAY_SECONDS = 24 * 3600.0
"""The day of the daily limit: the time before now, so that no time zone matters."""

RETENTION_SECONDS = 7 * DAY_SECONDS
"""A settled item is forgotten after so long; its persona stays in Octave."""

MAX_SETTLED = 5000
"""Settled items kept, the newest, if more came within the retention: some 25 MB of personas."""

MAX_UNREADABLE = 20
"""Unreadable answers kept for diagnosis, the newest."""

RIVAL_SECONDS = 3600.0
"""A persona found in Octave may be another item's of the same name, if that item's outcome is unknown and it was sent
at most so long before."""


class State(StrEnum):
    """What is known of an item."""

    QUEUED = "queued"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_live(self) -> bool:
        """Whether somebody is working on it."""
        return self in {State.QUEUED, State.SENT}


class LedgerError(Exception):
    """The store cannot be used. The text says why and what to do, for a person; the operation has not happened."""


class RecordGone(Exception):
    """What was recorded of a call cannot be read any more: what it asked for may have been sent."""


class LimitReached(Exception):
    """The daily limit leaves room for `left` personas only. Nothing was recorded."""

    def __init__(self, limit: int, left: int) -> None:
        """Take the limit, and what it leaves."""
        super().__init__(f"{left} of {limit} left")
        self.limit = limit
        self.left = left


@dataclass(frozen=True)
class Wanted:
    """One persona that a call asks for. Equal fingerprints are the same wish, of the same tenant."""

    fingerprint: str
    name: str | None


@dataclass(frozen=True)
class Item:
    """One persona that was asked for, as recorded. Times are seconds since the epoch.

    `outcome` is what the runner wrote when it was settled; None where its owner ended before it could.
    """

    id: str
    tenant: str
    name: str | None
    state: State
    owner: str
    created_at: float
    sent_at: float | None
    settled_at: float | None
    handed_over_at: float | None
    outcome: str | None


@dataclass(frozen=True)
class Record:
    """A generation as recorded: its items, in the order asked, and those that an earlier call had asked for."""

    id: str
    created_at: float
    items: tuple[Item, ...]
    joined: frozenset[str]


@dataclass(frozen=True)
class Begun:
    """A generation that was just recorded, and the places whose items are new: the caller's to send."""

    record: Record
    new: tuple[int, ...]


class Ledger(Protocol):
    """A store of items. Each operation is atomic, also between processes, and outlives the process when it returns.

    What is marked as sent outlives the machine too, and with it all before; the rest does from the next `sync` on.
    Each raises LedgerError where the store cannot be used. Each begins with what leases that ran out mean. `owner` is
    this process; its own items never expire while it lives.
    """

    owner: str

    async def begin(
        self, tenant: str, wanted: Sequence[Wanted], *, replay_seconds: float, day_limit: int | None
    ) -> Begun:
        """Record a generation, joining what earlier calls asked for and have not been handed.

        For each wish an item of its fingerprint is joined if it is live; if it is done, was never handed over, and
        was settled within `replay_seconds`. Else the newest is, if it is unknown and the same holds; or if it is done
        and this call is the edited retry of one that it was handed to: that one did not get all that it asked for,
        and this one wants more than that one got. Else there is a new item, queued, owned by this process.

        Raises LimitReached where the new items are more than `day_limit` leaves.
        """

    async def mark_sent(self, ids: Collection[str]) -> frozenset[str]:
        """Record that these are about to be sent. Returns those that may be: queued until now, and this process's."""

    async def requeue(self, ids: Collection[str]) -> None:
        """Record that these were refused, so that nothing was made, and wait for another try.

        Those that only generations ask for which were given up have failed instead.
        """

    async def settle(
        self, item: str, state: State, outcome: str, *, oids: Collection[str] = (), unreadable: bytes | None = None
    ) -> None:
        """Record what became of an item of this process's, and claim the personas that it got.

        Possible while it is live, and where its lease had run out meanwhile. `unreadable` is kept, bounded.
        """

    async def adopt(self, item: str, found: Mapping[str, str]) -> bool:
        """Make an item done whose answer was lost, with the one persona in `found` that no item has claimed.

        `found` has the outcome to record for each oId. The item must be unknown, or sent by this process. False, and
        nothing happens, where not exactly one is unclaimed, or where it might have been made for another item: one of
        the same name that is sent, or unknown and no older than `RIVAL_SECONDS`.
        """

    async def generation(self, tenant: str, generation: str) -> Record | None:
        """A generation of that tenant, or None."""

    async def uncollected(self, tenant: str) -> list[Record]:
        """The generations with an item that is live, was never handed over, or is unknown, the newest first."""

    async def unknown(self, tenant: str, fingerprints: Collection[str]) -> list[Item]:
        """The newest item of each fingerprint, where its outcome is unknown."""

    async def hand_over(self, told: Mapping[str, State]) -> None:
        """Record that a caller was told what became of these items, where that is still what became of them."""

    async def give_up(self, generation: str) -> None:
        """Have those queued items of this process's fail which no generation but this, given up, asks for."""

    async def give_up_queued(self) -> None:
        """Have all queued items of this process's fail: it is about to end."""

    async def renew(self) -> None:
        """Renew the leases of this process's live items."""

    async def sync(self) -> None:
        """Have all that was recorded outlive the machine."""

    async def check(self) -> None:
        """Raise LedgerError where the store cannot be used now."""

    async def close(self) -> None:
        """Leave: what this process has sent and not settled is unknown, what it has queued has failed."""
