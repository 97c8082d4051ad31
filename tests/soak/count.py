"""The count: what the upstream accepted, what the ledger records and what clients received have to agree."""

import json
import random
import sqlite3
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client
from support.postgres import Database

from octave_mcp.ledger.records import State
from soak.hosts import Host, Seen, Start
from soak.octave import CREATED, Accepted, Octave

COLLECT_SECONDS = 30.0
"""A bound for settling all that is left, which takes a tenth of it."""

Rows = Callable[[str], list[tuple[Any, ...]]]
"""Runs a query on a ledger's tables."""


def sqlite_rows(file: Path) -> Rows:
    """Return what reads a ledger's file."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(file)) as connection:
            return connection.execute(query).fetchall()

    return rows


def postgres_rows(database: Database) -> Rows:
    """Return what reads a ledger in PostgreSQL."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with database.server.connect(database.name) as connection:
            connection.execute("SET search_path = octave_personas")
            (has_tables,) = connection.execute("SELECT to_regclass('items') IS NOT NULL").fetchone() or (False,)
            if not has_tables:  # no server ever reached the database
                return []
            return connection.execute(query.encode()).fetchall()

    return rows


@dataclass(frozen=True)
class Item:
    """One item on record."""

    id: str
    name: str | None
    fingerprint: str
    state: State
    outcome: str | None
    places: frozenset[tuple[str, int]]
    """The generation and position of each request for it."""
    oids: frozenset[str]
    """The personas that are recorded as its own."""

    @property
    def key(self) -> str:
        """Return the key that its POST carries."""
        return str(uuid.UUID(self.id))


def recorded(rows: Rows, tenant: str | None = None) -> list[Item]:
    """Return a ledger's items, of one tenant or of all."""
    places, oids = defaultdict(set), defaultdict(set)
    for item, generation, place in rows("SELECT item, generation, place FROM places"):
        places[item].add((generation, place))
    for item, oid in rows("SELECT item, oid FROM claims"):
        oids[item].add(oid)
    return [
        Item(id_, name, fingerprint, State(state), outcome, frozenset(places[id_]), frozenset(oids[id_]))
        for id_, name, fingerprint, state, outcome, whose in rows(
            "SELECT id, name, fingerprint, state, outcome, tenant FROM items ORDER BY created_at"
        )
        if tenant in {None, whose}
    ]


def unsettled(items: Collection[Item], everyones: Collection[Item] = ()) -> list[Item]:
    """Return the items that are still to be settled.

    One without a name stays unknown, and so may one beside another of its name, also another tenant's (`everyones`
    are all tenants' items), since a persona could be either's: two keys may belong to one workspace.
    """
    may_own = {State.SENT, State.UNKNOWN}
    by_name = Counter(item.name for item in everyones or items if item.state in may_own)
    found = [item for item in items if item.state is State.UNKNOWN and item.name and by_name[item.name] == 1]
    return found + [item for item in items if item.state.is_live]


async def settle(
    start: Start, seen: Seen, items: Callable[[], list[Item]], everyones: Callable[[], list[Item]]
) -> None:
    """Call `get_generation` until everything is settled, and everything created is reported.

    The search for what may stay unknown goes on in the background for a moment, so after the last call it may find a
    persona, or settle one of two items of a name, so that the other one can be settled: then all is done once more.
    """
    deadline = time.monotonic() + COLLECT_SECONDS
    wanted = items()
    while wanted and time.monotonic() < deadline:
        async with start() as client:
            host = Host(seen, random.Random(0), patient=True)
            while (left := unsettled(items(), everyones())) and time.monotonic() < deadline:
                await _collect(client, host, left)
            await _collect(client, host, wanted)
        wanted = left_over(seen, items(), everyones())


def left_over(seen: Seen, items: Collection[Item], everyones: Collection[Item] = ()) -> list[Item]:
    """Return the items that are still to be settled, and those that were created and not yet reported."""
    created = [item for item in items if item.state is State.CREATED and not item.oids <= seen.oids]
    return [*created, *unsettled(items, everyones)]


async def _collect(client: Client, host: Host, items: Collection[Item]) -> None:
    for generation in sorted({min(item.places)[0] for item in items}):
        await host.call(client, "get_generation", {"generationId": generation})


def compare(
    octave: Octave, items: list[Item], seen: Seen, everyones: Collection[Item] = ()
) -> tuple[list[str], Counter[str]]:
    """Return what does not agree, and how much there was of each kind."""
    accepted: dict[str, list[Accepted]] = defaultdict(list)
    for one in octave.journal:
        accepted[one.key].append(one)
    problems = [*octave.problems, *seen.problems]
    tally = Counter({"accepted": len(octave.journal)}) + Counter(item.state.value for item in items)
    keys = {item.key for item in items}
    problems += [f"accepted, and not on record: {one}" for one in octave.journal if one.key not in keys]
    problems += [f"never settled: {item}" for item in unsettled(items, everyones)]
    problems += [f"reported, and never created: {oid}" for oid in seen.oids - {one.oid for one in octave.journal}]
    by_fingerprint = Counter[str]()
    for item in items:
        own = accepted[item.key]
        by_fingerprint[item.fingerprint] += len(own)
        problems += [f"{wrong}: {item}, accepted {own}" for wrong in _wrongs(item, own, seen)]
        tally["found"] += item.state is State.CREATED and not {one.fault for one in own} & set(CREATED)
    problems += [
        f"accepted {count} times: {[item for item in items if item.fingerprint == fingerprint]}"
        for fingerprint, count in by_fingerprint.items()
        if count > 1
    ]
    return problems, tally


def _wrongs(item: Item, own: list[Accepted], seen: Seen) -> list[str]:
    """Return what is wrong with an item, whose POSTs were accepted as `own` says."""
    wrong = []
    created = {one.oid for one in own}
    if item.state is State.FAILED and own:
        wrong.append("failed, and accepted")
    if item.state is State.CREATED:
        kept = {persona["oId"] for persona in json.loads(item.outcome or "{}")["personas"]}
        if len(own) != 1 or kept != created or item.oids != created:
            wrong.append(f"created, with the personas {kept} and the claims {set(item.oids)}")
        if not created <= seen.oids:
            wrong.append("created, and never reported")
    if own and item.places & seen.not_created:
        wrong.append("reported as not created")
    return wrong
