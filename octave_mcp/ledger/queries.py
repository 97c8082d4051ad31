"""Queries and changes that several of the ledger's operations share, in SQL for every database."""

from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby
from typing import Any

from octave_mcp.ledger import records
from octave_mcp.ledger.records import (
    DAY_SECONDS,
    GenerationRecord,
    Item,
    LimitReached,
    Namesake,
    RequestedPersona,
    Spending,
    SpendingLimits,
    State,
    Transaction,
)

_COLUMNS = tuple(field.name for field in fields(Item))
ITEM_COLUMNS = ", ".join(f"items.{column}" for column in _COLUMNS)
_JOIN_ORDER = (State.CREATED, State.SENT, State.QUEUED, State.UNKNOWN)
"""Which of several earlier items of one fingerprint is joined."""

LIST_LAG_SECONDS = 60.0
"""How long Octave's list may lack a persona that was just created. An assumption: Octave publishes no figure."""

RIVAL_SECONDS = 3600.0
"""A persona in Octave's list may belong to another unknown item of the same name, if that item was sent at most this
long before. A generation takes minutes at most."""


def end_leases(transaction: Transaction, condition: str, *values: object) -> None:
    """Settle live items that nobody works on any more."""
    transaction.execute(
        "UPDATE items SET state = CASE state WHEN 'sent' THEN 'unknown' ELSE 'failed' END, settled_at = ? "
        f"WHERE state IN ('queued', 'sent') AND {condition}",
        (transaction.now, *values),
    )


def find_earlier(
    transaction: Transaction, tenant: str, requested: Sequence[RequestedPersona], replay_seconds: float
) -> list[Item | None]:
    """Return the earlier item that each requested persona joins: see `Ledger.begin`."""
    rows = transaction.execute(
        f"SELECT {ITEM_COLUMNS} FROM items WHERE tenant = ? AND fingerprint IN ({', '.join('?' * len(requested))})",
        (tenant, *(persona.fingerprint for persona in requested)),
    ).fetchall()
    found: dict[str, Item] = {}
    for item in map(item_from, rows):
        is_recent = item.state.is_live or (item.settled_at or 0.0) >= transaction.now - replay_seconds
        if item.state is not State.FAILED and is_recent:
            found[item.fingerprint] = min(found.get(item.fingerprint, item), item, key=_join_rank)
    return [found.get(persona.fingerprint) for persona in requested]


def _join_rank(item: Item) -> tuple[int, float]:
    return _JOIN_ORDER.index(item.state), -item.created_at


def find_namesakes(
    transaction: Transaction, tenant: str, requested: Sequence[RequestedPersona], generation: str = ""
) -> dict[str, Namesake]:
    """Return by name what earlier calls than `generation` asked for under these names, if Octave's list may lack it.

    It may lack what is live or unknown, and what was created just now.
    """
    names = {persona.name_key: persona.name for persona in requested if persona.name is not None}
    if not names:
        return {}
    rows: list[Any] = transaction.execute(
        f"SELECT items.name_key, places.generation, {ITEM_COLUMNS} FROM items JOIN places ON places.item = items.id "
        f"WHERE items.tenant = ? AND items.name_key IN ({', '.join('?' * len(names))}) "
        "AND (items.state IN ('queued', 'sent', 'unknown') OR (items.state = 'created' AND items.settled_at > ?)) "
        "AND items.id NOT IN (SELECT item FROM places WHERE generation = ?) "
        "ORDER BY CASE items.state WHEN 'created' THEN 1 ELSE 0 END, items.created_at",
        (tenant, *names, transaction.now - LIST_LAG_SECONDS, generation),
    ).fetchall()
    found = {row[0]: Namesake(item_from(row[2:]), row[1]) for row in rows}  # of several, one that exists
    return {
        persona.name: found[persona.name_key] for persona in requested if persona.name and persona.name_key in found
    }


def has_rival(transaction: Transaction, item: Item, workspace: str | None) -> bool:
    """Return whether another item of the same name may have created a persona of this workspace (an oId).

    Tenants may share a workspace. None, here or in the ledger, is a workspace that is not known.
    """
    row = transaction.execute(
        "SELECT 1 FROM items WHERE name_key = (SELECT name_key FROM items WHERE id = ?) AND id != ? "
        "AND (state = 'sent' OR (state = 'unknown' AND sent_at > ?)) "
        "AND COALESCE(workspace, ?, '') = COALESCE(?, workspace, '')",
        (item.id, item.id, (item.sent_at or 0.0) - RIVAL_SECONDS, workspace, workspace),
    ).fetchone()
    return row is not None


def check_limits(transaction: Transaction, tenant: str, more: int, limits: SpendingLimits) -> None:
    """Raise LimitReached if `more` personas do not fit.

    A persona that may exist and whose price Octave has not reported counts at the average price that was seen so far.
    What Octave charged without creating a persona counts too.
    """
    if not more or limits == SpendingLimits():
        return
    row: Any = transaction.execute(
        "SELECT count(CASE WHEN state != 'failed' THEN 1 END), "
        "count(CASE WHEN state != 'failed' AND usage IS NULL THEN 1 END), coalesce(sum(usage), 0) FROM items "
        "WHERE tenant = ? AND created_at > ?",
        (tenant, transaction.now - DAY_SECONDS),
    ).fetchone()
    personas, unpriced, spent = row
    if limits.personas_per_day is not None and personas + more > limits.personas_per_day:
        raise LimitReached(limits.personas_per_day, max(0, limits.personas_per_day - personas), "personas")
    if limits.credits_per_day is not None:
        seen = spending(transaction, tenant)
        price = (seen.credits or 0.0) / seen.priced if seen.priced else 0.0
        left = limits.credits_per_day - spent - price * unpriced
        if left <= 0 or price * more > left:
            raise LimitReached(limits.credits_per_day, max(0.0, left), "credits")


def spending(transaction: Transaction, tenant: str) -> Spending:
    """Return what a tenant's personas have cost."""
    day = "CASE WHEN settled_at > ? THEN"
    since = transaction.now - DAY_SECONDS
    row: Any = transaction.execute(
        f"SELECT coalesce(sum({day} 1 ELSE 0 END), 0), sum({day} usage END), count(*), sum(usage), count(usage) "
        "FROM items WHERE tenant = ? AND state = 'created'",
        (since, since, tenant),
    ).fetchone()
    return Spending(*row)


def read_generation(transaction: Transaction, tenant: str, generation: str) -> GenerationRecord | None:
    """Return a generation, or None if this tenant has none of that id."""
    found = read_generations(transaction, "generations.id = ? AND generations.tenant = ?", (generation, tenant))
    return found[0] if found else None


def read_generations(transaction: Transaction, condition: str, values: Sequence[object]) -> list[GenerationRecord]:
    """Return the generations that meet a condition, the newest first."""
    rows: list[Any] = transaction.execute(
        f"SELECT generations.id, generations.created_at, places.joined, {ITEM_COLUMNS} FROM generations "
        "JOIN places ON places.generation = generations.id JOIN items ON items.id = places.item "
        f"WHERE {condition} ORDER BY generations.created_at DESC, generations.id, places.place",
        values,
    ).fetchall()
    found = []
    for (generation, created_at), group in groupby(rows, key=lambda row: (row[0], row[1])):
        places = [(bool(row[2]), item_from(row[3:])) for row in group]
        joined = frozenset(item.id for joined, item in places if joined)
        found.append(GenerationRecord(generation, created_at, tuple(item for _, item in places), joined))
    return found


def item_from(row: Sequence[Any]) -> Item:
    """Return the item of a row of `ITEM_COLUMNS`."""
    values = dict(zip(_COLUMNS, row, strict=True))
    return Item(**{**values, "state": State(values["state"])})


def forget(transaction: Transaction) -> None:
    """Delete what is older than the retention."""
    old = "SELECT id FROM items WHERE settled_at < ?"
    limit = (transaction.now - records.RETENTION_SECONDS,)
    if transaction.execute(f"{old} LIMIT 1", limit).fetchone() is None:
        return
    transaction.execute(f"DELETE FROM claims WHERE item IN ({old})", limit)
    transaction.execute(f"DELETE FROM places WHERE item IN ({old})", limit)
    transaction.execute("DELETE FROM items WHERE settled_at < ?", limit)
    transaction.execute(
        "DELETE FROM generations WHERE created_at < ? "
        "AND NOT EXISTS (SELECT 1 FROM places WHERE places.generation = generations.id)",
        limit,
    )
