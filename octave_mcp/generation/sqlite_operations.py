"""The ledger's operations as SQL, each to be run in a transaction that holds the write lock. See `Ledger`."""

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from secrets import token_urlsafe
from uuid import uuid4

from octave_mcp.generation.ledger import (
    DAY_SECONDS,
    LEASE_SECONDS,
    MAX_SETTLED,
    MAX_UNREADABLE,
    RETENTION_SECONDS,
    RIVAL_SECONDS,
    Begun,
    Item,
    LimitReached,
    Record,
    State,
    Wanted,
)

VERSION = 1
"""Of the schema, in the file's `user_version`."""

SCHEMA = """
CREATE TABLE items (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, fingerprint TEXT NOT NULL, name TEXT, state TEXT NOT NULL,
    owner TEXT NOT NULL, lease_until REAL NOT NULL, created_at REAL NOT NULL, sent_at REAL, settled_at REAL,
    handed_over_at REAL, outcome TEXT, unreadable BLOB
);
CREATE INDEX items_of_a_wish ON items (tenant, fingerprint);
CREATE INDEX items_live ON items (owner) WHERE state IN ('queued', 'sent');
CREATE TABLE generations (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, created_at REAL NOT NULL, given_up INTEGER);
CREATE TABLE places (
    generation TEXT NOT NULL, place INTEGER NOT NULL, item TEXT NOT NULL, joined INTEGER NOT NULL,
    PRIMARY KEY (generation, place)
);
CREATE INDEX places_of_an_item ON places (item);
CREATE TABLE claims (oid TEXT PRIMARY KEY, item TEXT NOT NULL);
"""

_SETTLED = "state NOT IN ('queued', 'sent')"

INDEXES = (
    f"CREATE INDEX IF NOT EXISTS items_settled ON items (settled_at) WHERE {_SETTLED}",
    "CREATE INDEX IF NOT EXISTS items_unreadable ON items (id) WHERE unreadable IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS claims_of_an_item ON claims (item)",
)
"""What makes it quick to forget. A file of an older version gets them too: it works with them as without."""

_COLUMNS = "id, tenant, name, state, owner, created_at, sent_at, settled_at, handed_over_at, outcome"

_STILL_ASKED_FOR = (
    "SELECT 1 FROM places p JOIN generations g ON g.id = p.generation WHERE p.item = items.id AND g.given_up IS NULL"
)


def end_of(connection: sqlite3.Connection, now: float, whose: str, *values: object) -> None:
    """Settle live items whose owner is gone: what was sent is unknown, what was not has failed."""
    change = f"""UPDATE items SET state = CASE state WHEN 'sent' THEN 'unknown' ELSE 'failed' END, settled_at = ?
        WHERE state IN ('queued', 'sent') AND {whose}"""
    connection.execute(change, (now, *values))


def begin(
    connection: sqlite3.Connection,
    now: float,
    owner: str,
    tenant: str,
    wanted: Sequence[Wanted],
    replay_seconds: float,
    day_limit: int | None,
) -> Begun:
    """See `Ledger.begin`."""
    _forget(connection, now)
    fingerprints = {wish.fingerprint for wish in wanted}
    joined = [_to_join(connection, tenant, wish.fingerprint, now - replay_seconds, fingerprints) for wish in wanted]
    new = tuple(place for place, found in enumerate(joined) if found is None)
    _keep_the_limit(connection, now, tenant, len(new), day_limit)
    handle = f"gen_{token_urlsafe(16)}"
    connection.execute("INSERT INTO generations VALUES (?, ?, ?, NULL)", (handle, tenant, now))
    for place, (wish, found) in enumerate(zip(wanted, joined, strict=True)):
        item = found.id if found else uuid4().hex
        if not found:
            connection.execute(
                "INSERT INTO items (id, tenant, fingerprint, name, state, owner, lease_until, created_at) "
                "VALUES (?, ?, ?, ?, 'queued', ?, ?, ?)",
                (item, tenant, wish.fingerprint, wish.name, owner, now + LEASE_SECONDS, now),
            )
        connection.execute("INSERT INTO places VALUES (?, ?, ?, ?)", (handle, place, item, found is not None))
    record = generation(connection, tenant, handle)
    assert record is not None  # noqa: S101 - it was recorded three lines above
    return Begun(record, new)


def _items_of(connection: sqlite3.Connection, tenant: str, fingerprint: str) -> list[Item]:
    """The items of a wish, the newest first."""
    query = f"SELECT {_COLUMNS} FROM items WHERE tenant = ? AND fingerprint = ? ORDER BY rowid DESC"
    return [_read(row) for row in connection.execute(query, (tenant, fingerprint)).fetchall()]


def _to_join(
    connection: sqlite3.Connection, tenant: str, fingerprint: str, since: float, wanted: set[str]
) -> Item | None:
    """The item that a wish joins, if any."""
    items = _items_of(connection, tenant, fingerprint)
    recent = [one for one in items if one.state.is_live or (one.settled_at is not None and one.settled_at >= since)]
    for item in recent:  # a late answer may stand behind a newer item
        if item.state.is_live or (item.state is State.DONE and item.handed_over_at is None):
            return item
    newest = recent[0] if recent and recent[0] is items[0] else None
    if newest is None or newest.state is State.FAILED:
        return None
    if newest.handed_over_at is None or (newest.state is State.DONE and _is_retried(connection, newest, wanted)):
        return newest
    return None


def _is_retried(connection: sqlite3.Connection, item: Item, wanted: set[str]) -> bool:
    """Whether a call for `wanted` retries, edited or not, a generation with this item that did not get everything.

    Of several it is the one that has most in common with this call, and of those the newest.
    """
    rows = connection.execute(
        "SELECT mine.generation, i.fingerprint, i.state = 'done' AND i.handed_over_at IS NOT NULL FROM places mine "
        "JOIN generations g ON g.id = mine.generation JOIN places p ON p.generation = g.id "
        "JOIN items i ON i.id = p.item WHERE mine.item = ? ORDER BY g.rowid DESC",
        (item.id,),
    ).fetchall()
    asked: dict[str, set[str]] = {}
    got: dict[str, set[str]] = {}
    for generation, fingerprint, handed_over in rows:
        asked.setdefault(generation, set()).add(fingerprint)
        got.setdefault(generation, set()).update([fingerprint] if handed_over else [])
    retried = max(asked, key=lambda generation: len(asked[generation] & wanted))
    return got[retried] < asked[retried] and not wanted <= got[retried]


def _keep_the_limit(connection: sqlite3.Connection, now: float, tenant: str, more: int, day_limit: int | None) -> None:
    if day_limit is None or not more:
        return
    (bought,) = connection.execute(
        "SELECT count(*) FROM items WHERE tenant = ? AND created_at > ? AND state != 'failed'",
        (tenant, now - DAY_SECONDS),
    ).fetchone()
    if bought + more > day_limit:
        raise LimitReached(day_limit, max(0, day_limit - bought))


def mark_sent(connection: sqlite3.Connection, now: float, owner: str, ids: Collection[str]) -> frozenset[str]:
    """See `Ledger.mark_sent`."""
    change = (
        "UPDATE items SET state = 'sent', sent_at = ?, lease_until = ? WHERE id = ? AND owner = ? AND state = 'queued'"
    )
    return frozenset(
        item for item in ids if connection.execute(change, (now, now + LEASE_SECONDS, item, owner)).rowcount
    )


def requeue(connection: sqlite3.Connection, now: float, owner: str, ids: Collection[str]) -> None:
    """See `Ledger.requeue`."""
    wanted_still = f"CASE WHEN EXISTS ({_STILL_ASKED_FOR}) THEN 'queued' ELSE 'failed' END"
    change = (
        f"UPDATE items SET sent_at = NULL, state = {wanted_still}, settled_at = CASE {wanted_still} WHEN 'failed' "
        "THEN ? END WHERE id = ? AND owner = ? AND state = 'sent'"
    )
    connection.executemany(change, [(now, item, owner) for item in ids])


def hand_over(connection: sqlite3.Connection, now: float, told: Mapping[str, State]) -> None:
    """See `Ledger.hand_over`."""
    change = "UPDATE items SET handed_over_at = coalesce(handed_over_at, ?) WHERE id = ? AND state = ?"
    connection.executemany(change, [(now, item, state) for item, state in told.items()])


def settle(
    connection: sqlite3.Connection,
    now: float,
    owner: str,
    item: str,
    state: State,
    outcome: str,
    oids: Collection[str],
    unreadable: bytes | None,
) -> None:
    """See `Ledger.settle`."""
    changed = connection.execute(
        "UPDATE items SET state = ?, outcome = ?, settled_at = ?, handed_over_at = NULL, unreadable = ? "
        "WHERE id = ? AND owner = ? AND state IN ('queued', 'sent', 'unknown')",
        (state, outcome, now, unreadable, item, owner),
    ).rowcount
    if changed:
        connection.executemany("INSERT OR IGNORE INTO claims VALUES (?, ?)", [(oid, item) for oid in oids])


def adopt(connection: sqlite3.Connection, now: float, owner: str, item: str, found: Mapping[str, str]) -> bool:
    """See `Ledger.adopt`."""
    lost = _item(connection, f"SELECT {_COLUMNS} FROM items WHERE id = ?", (item,))
    if lost is None or lost.sent_at is None:
        return False
    if lost.state is not State.UNKNOWN and (lost.state is not State.SENT or lost.owner != owner):
        return False
    claim = "SELECT 1 FROM claims WHERE oid = ?"
    unclaimed = [oid for oid in found if connection.execute(claim, (oid,)).fetchone() is None]
    rivals = connection.execute(
        "SELECT 1 FROM items WHERE name = ? AND id != ? AND (state = 'sent' OR (state = 'unknown' AND sent_at > ?))",
        (lost.name, item, lost.sent_at - RIVAL_SECONDS),
    ).fetchone()
    if len(unclaimed) != 1 or rivals:
        return False
    (oid,) = unclaimed
    connection.execute("INSERT INTO claims VALUES (?, ?)", (oid, item))
    connection.execute(
        "UPDATE items SET state = 'done', outcome = ?, settled_at = ?, handed_over_at = NULL WHERE id = ?",
        (found[oid], now, item),
    )
    return True


def generation(connection: sqlite3.Connection, tenant: str, handle: str) -> Record | None:
    """See `Ledger.generation`."""
    row = connection.execute(
        "SELECT created_at FROM generations WHERE id = ? AND tenant = ?", (handle, tenant)
    ).fetchone()
    if row is None:
        return None
    columns = ", ".join(f"i.{column}" for column in _COLUMNS.split(", "))
    rows = connection.execute(
        f"SELECT p.joined, {columns} FROM items i JOIN places p ON p.item = i.id WHERE p.generation = ? "
        "ORDER BY p.place",
        (handle,),
    ).fetchall()
    items = tuple(_read(rest) for _, *rest in rows)
    return Record(handle, row[0], items, frozenset(rest[0] for joined, *rest in rows if joined))


def uncollected(connection: sqlite3.Connection, tenant: str) -> list[Record]:
    """See `Ledger.uncollected`."""
    rows = connection.execute(
        "SELECT id FROM generations g WHERE tenant = ? AND EXISTS "
        "(SELECT 1 FROM places p JOIN items i ON i.id = p.item "
        "WHERE p.generation = g.id AND (i.handed_over_at IS NULL OR i.state = 'unknown')) ORDER BY rowid DESC",
        (tenant,),
    ).fetchall()
    return [record for (one,) in rows if (record := generation(connection, tenant, one))]


def unknown(connection: sqlite3.Connection, tenant: str, fingerprints: Collection[str]) -> list[Item]:
    """See `Ledger.unknown`."""
    items = (_items_of(connection, tenant, fingerprint) for fingerprint in fingerprints)
    return [of_a_wish[0] for of_a_wish in items if of_a_wish and of_a_wish[0].state is State.UNKNOWN]


def give_up(connection: sqlite3.Connection, now: float, owner: str, generation: str | None) -> None:
    """See `Ledger.give_up`."""
    connection.execute("UPDATE generations SET given_up = 1 WHERE id = ?", (generation,))
    of_it = "SELECT item FROM places WHERE generation = ?"
    only_its = f"id IN ({of_it}) AND NOT EXISTS ({_STILL_ASKED_FOR})"
    connection.execute(
        "UPDATE items SET state = 'failed', settled_at = ? "
        f"WHERE state = 'queued' AND owner = ? {'' if generation is None else f'AND {only_its}'}",
        (now, owner) if generation is None else (now, owner, generation),
    )


def renew(connection: sqlite3.Connection, now: float, owner: str) -> None:
    """See `Ledger.renew`."""
    connection.execute(
        "UPDATE items SET lease_until = ? WHERE owner = ? AND state IN ('queued', 'sent')",
        (now + LEASE_SECONDS, owner),
    )


def _forget(connection: sqlite3.Connection, now: float) -> None:
    """Keep to the bounds of what is kept. Indexes tell whether there is anything to do, since each call asks."""
    (settled,) = connection.execute(f"SELECT count(*) FROM items WHERE {_SETTLED}").fetchone()
    gone = connection.execute(
        f"SELECT id FROM items WHERE {_SETTLED} AND settled_at < ? UNION "
        f"SELECT * FROM (SELECT id FROM items WHERE {_SETTLED} ORDER BY rowid LIMIT ?)",
        (now - RETENTION_SECONDS, max(0, settled - MAX_SETTLED)),
    ).fetchall()
    for item in gone:
        of_it = connection.execute("SELECT generation FROM places WHERE item = ?", item).fetchall()
        for table, column in (("items", "id"), ("claims", "item"), ("places", "item")):
            connection.execute(f"DELETE FROM {table} WHERE {column} = ?", item)
        connection.executemany(
            "DELETE FROM generations WHERE id = ? AND id NOT IN (SELECT generation FROM places WHERE generation = ?)",
            [(generation, generation) for (generation,) in of_it],
        )
    (kept,) = connection.execute("SELECT count(*) FROM items WHERE unreadable IS NOT NULL").fetchone()
    oldest = "SELECT id FROM items WHERE unreadable IS NOT NULL ORDER BY rowid LIMIT ?"
    if kept > MAX_UNREADABLE:
        connection.execute(f"UPDATE items SET unreadable = NULL WHERE id IN ({oldest})", (kept - MAX_UNREADABLE,))


def _item(connection: sqlite3.Connection, query: str, values: tuple[object, ...]) -> Item | None:
    row = connection.execute(query, values).fetchone()
    return _read(row) if row else None


def _read(row: Sequence[object]) -> Item:
    """An item from a row of `_COLUMNS`."""
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    return Item(**{**values, "state": State(str(values["state"]))})  # type: ignore[arg-type]
