"""Ledgers in each database, at a time that a test moves, and short forms of their operations."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from octave_mcp.ledger.ledger import Ledger, new_generation_id
from octave_mcp.ledger.postgres import PostgresDatabase
from octave_mcp.ledger.records import RequestedPersona, SpendingLimits, Started, State
from octave_mcp.ledger.sqlite import SqliteDatabase


class MovedTime:
    """The time of a test's ledgers, in seconds since the epoch."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def ledger_in_sqlite(path: Path | None, moved: MovedTime) -> Ledger:
    """Return a ledger in a file, or in memory."""
    return Ledger(SqliteDatabase(path, now=moved))


def ledger_in_postgres(url: str, moved: MovedTime) -> Ledger:
    """Return a ledger in PostgreSQL, whose clock is set to the test's time."""
    # A skew is added to the server's clock, so it is set to the difference at the moment at which it is read.
    return Ledger(PostgresDatabase(url, skew=lambda: moved.now - time.time()))


async def begin(
    ledger: Ledger,
    *names: str,
    tenant: str = "tenant",
    replay: float = 1e9,
    limits: SpendingLimits | None = None,
    fingerprints: Sequence[str] = (),
) -> Started:
    """Begin a generation of personas with these names."""
    prints = fingerprints or [f"print of {name}" for name in names]
    requested = [RequestedPersona(one, name, name) for one, name in zip(prints, names, strict=True)]
    return await ledger.begin(
        new_generation_id(), tenant, requested, replay_seconds=replay, limits=limits or SpendingLimits()
    )


async def finish(ledger: Ledger, started: Started, *states: State, usage: float | None = None) -> None:
    """Send and settle the new items, each created one with an oId of its own."""
    for place, state in zip(started.new, states, strict=True):
        item = started.record.items[place].id
        await ledger.mark_sent(item)
        oids = [f"pe_{item}"] if state is State.CREATED else []
        await ledger.settle(item, state, "{}", usage=usage, oids=oids)


async def rows(ledger: Ledger, query: str) -> list[tuple[Any, ...]]:
    """Return what the tables have, for what no operation shows."""
    return [tuple(row) for row in await ledger.database.run(lambda transaction: transaction.execute(query).fetchall())]
