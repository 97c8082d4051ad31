"""The ledger in a real PostgreSQL whose server, disk, connections and commits fail.

In each case nothing is sent without a record, the text says what to do, and the service returns by itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from psycopg import sql
from support.ledgers import begin, finish, rows
from support.postgres import ROLE, Database, PostgresServer
from support.postgres_proxy import postgres_proxy

from octave_mcp.ledger import postgres as postgres_module
from octave_mcp.ledger.databases import open_ledger
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.postgres import PostgresDatabase
from octave_mcp.ledger.records import LedgerError, SpendingLimits, State

pytestmark = pytest.mark.anyio

T = "tenant"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing wait long for a server that is away."""
    monkeypatch.setattr(postgres_module, "CONNECT_SECONDS", 1)
    monkeypatch.setattr(postgres_module, "STATEMENT_SECONDS", 0.5)
    monkeypatch.setattr(postgres_module, "OPERATION_SECONDS", 3.0)


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    """Open a ledger, and close it after the test."""
    one = open_ledger(database.url, None)
    yield one
    await one.close()


async def returns(ledger: Ledger) -> None:
    """Wait until the ledger can be used again."""
    for _ in range(20):
        try:
            return await ledger.check()
        except LedgerError:
            await asyncio.sleep(0.1)
    return await ledger.check()


async def state_of(ledger: Ledger, generation: str) -> list[State]:
    """Return the states of a generation's items."""
    record = await ledger.generation(T, generation)
    assert record is not None
    return [item.state for item in record.items]


@pytest.mark.parametrize("way", ["stop", "crash", "kill"])
async def test_a_server_that_is_down_is_reported_and_its_return_is_noticed(
    postgres: PostgresServer, ledger: Ledger, way: str
) -> None:
    """Meanwhile nothing is recorded as sent, so nothing is sent."""
    started = await begin(ledger, "A")
    getattr(postgres, way)()
    try:
        with pytest.raises(LedgerError, match="cannot be reached"):
            await ledger.mark_sent(started.record.items[0].id)
    finally:
        postgres.start()
    await returns(ledger)
    assert await state_of(ledger, started.record.id) == [State.QUEUED]
    assert await ledger.mark_sent(started.record.items[0].id)


async def test_a_restart_between_two_operations_is_not_noticed(postgres: PostgresServer, ledger: Ledger) -> None:
    """The connections of the pool are gone, and the operation is run again with a new one."""
    started = await begin(ledger, "A")
    postgres.restart()
    await returns(ledger)
    assert await ledger.mark_sent(started.record.items[0].id)


async def test_connections_that_the_server_ends_are_replaced(database: Database, ledger: Ledger) -> None:
    """As an administrator or a failover does it."""
    started = await begin(ledger, "A")
    for _ in range(3):
        database.end_connections()
        assert (await begin(ledger, "A")).record.joined == {started.record.items[0].id}


async def test_a_server_that_stops_answering_ends_no_call(postgres: PostgresServer, ledger: Ledger) -> None:
    """The operation ends at its bound, and others follow when the server goes on. It failed, and stays undone."""
    started = await begin(ledger, "A")
    began = time.monotonic()
    with postgres.paused(), pytest.raises(LedgerError, match="too long"):
        await begin(ledger, "B")
    assert time.monotonic() - began < 30
    await returns(ledger)
    await asyncio.sleep(0.5)  # its thread goes on as well
    assert await state_of(ledger, started.record.id) == [State.QUEUED]
    assert await rows(ledger, "SELECT name FROM items") == [("A",)]


async def test_a_lock_that_is_held_ends_at_a_bound(database: Database, ledger: Ledger) -> None:
    """A migration or a backup of somebody else's may hold it."""
    started = await begin(ledger, "A")
    with database.locked("octave_personas.items"), pytest.raises(LedgerError, match="too long"):
        await ledger.mark_sent(started.record.items[0].id)
    assert await ledger.mark_sent(started.record.items[0].id)


async def test_a_commit_whose_answer_was_lost_is_found_done(database: Database) -> None:
    """The connection breaks after the server got the commit: the second run changes nothing more."""
    async with postgres_proxy(database) as proxy:
        ledger = open_ledger(proxy.url, None)
        started = await begin(ledger, "A")
        proxy.cut_after = b"COMMIT"
        assert await ledger.mark_sent(started.record.items[0].id)
        proxy.cut_after = b"COMMIT"
        await finish(ledger, await begin(ledger, "B"), State.CREATED)
        assert (await begin(ledger, "B")).new == ()
        assert proxy.cuts == 2
        assert len(await rows(ledger, "SELECT id FROM items")) == 2
        await ledger.close()


async def test_a_failover_to_a_copy_keeps_every_record(postgres: PostgresServer, database: Database) -> None:
    """With a synchronous copy whatever was recorded is there; the address names both servers."""
    with postgres.standby() as copy:
        both = database.url.replace(f"127.0.0.1:{postgres.port}", f"127.0.0.1:{postgres.port},127.0.0.1:{copy.port}")
        ledger = open_ledger(both, None)
        started = await begin(ledger, "A")
        await finish(ledger, started, State.CREATED)
        postgres.kill()
        try:
            copy.promote()
            await returns(ledger)
            assert (await begin(ledger, "A")).new == ()
            assert await state_of(ledger, started.record.id) == [State.CREATED]
        finally:
            await ledger.close()
            postgres.start()


async def test_a_read_only_server_is_reported(postgres: PostgresServer, database: Database) -> None:
    """As a standby is, or a primary whose disk is watched."""
    ledger = open_ledger(f"{database.url}?target_session_attrs=any", None)
    await begin(ledger, "A")
    with postgres.read_only(), pytest.raises(LedgerError, match="read-only"):
        await begin(ledger, "B")
    await returns(ledger)
    await ledger.close()


async def test_a_full_disk_is_reported(database: Database, ledger: Ledger) -> None:
    """Nothing is recorded, so nothing is sent."""
    await begin(ledger, "A")
    with database.full_disk(), pytest.raises(LedgerError, match="disk"):
        await begin(ledger, "B")
    assert (await begin(ledger, "B")).new == (0,)


async def test_too_many_connections_are_reported(database: Database) -> None:
    """Another program may use them all up."""
    ledger = open_ledger(database.url, None)
    with database.connection_limit(0), pytest.raises(LedgerError, match="too many connections"):
        await begin(ledger, "A")
    await returns(ledger)
    await ledger.close()


async def test_texts_that_postgresql_cannot_store_are_stored_without_that(ledger: Ledger) -> None:
    """A NUL, and half of a surrogate pair."""
    started = await begin(ledger, "A\0B\ud800C")
    assert [item.name for item in started.record.items] == ["A\ufffdB?C"]


async def test_tables_that_were_dropped_are_made_again(database: Database, ledger: Ledger) -> None:
    """After one operation that fails, without a restart."""
    await begin(ledger, "A")
    database.server.execute("DROP SCHEMA octave_personas CASCADE", database=database.name)
    with pytest.raises(LedgerError, match="reports an error"):
        await begin(ledger, "A")
    assert len((await begin(ledger, "A")).new) == 1


async def test_many_processes_make_the_tables_once(database: Database) -> None:
    """Replicas start at the same time."""
    ledgers = [open_ledger(database.url, None) for _ in range(4)]
    started = await asyncio.gather(*(begin(one, "A") for one in ledgers))
    assert sorted(one.new for one in started) == [(), (), (), (0,)]
    for one in ledgers:
        await one.close()


async def test_another_versions_tables_are_left_alone(database: Database, ledger: Ledger) -> None:
    """Replicas of two versions must not share them."""
    await begin(ledger, "A")
    database.execute("UPDATE octave_personas.version SET version = 99")
    other = open_ledger(database.url, None)
    with pytest.raises(LedgerError, match="another version"):
        await begin(other, "A")
    await other.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://octave@127.0.0.1:{port}/nowhere", "does not exist"),
        ("postgresql://nobody@127.0.0.1:{port}/postgres", "rejects the user"),
    ],
)
async def test_an_address_that_leads_nowhere_is_reported(postgres: PostgresServer, url: str, reason: str) -> None:
    """With what to do, and without the address, which may hold a password."""
    ledger = open_ledger(url.replace("{port}", str(postgres.port)), None)
    with pytest.raises(LedgerError, match=reason) as caught:
        await ledger.check()
    assert "127.0.0.1" not in str(caught.value)
    await ledger.close()


async def test_a_user_without_the_right_to_connect_is_told(database: Database, ledger: Ledger) -> None:
    """The server can be reached; its address is not what is wrong."""
    revoke = sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC, {}")
    database.execute(revoke.format(sql.Identifier(database.name), sql.Identifier(ROLE)))
    with pytest.raises(LedgerError, match="needs the rights to connect"):
        await ledger.check()


def test_an_address_that_cannot_be_read_is_reported() -> None:
    """At once, and not shown."""
    with pytest.raises(LedgerError, match="can be read") as caught:
        PostgresDatabase("postgresql://user:secret@host:port:port/?nonsense=1")
    assert "secret" not in str(caught.value)


async def test_one_limit_holds_for_all_replicas(database: Database) -> None:
    """They begin at the same time, and one transaction at a time checks it."""
    ledgers = [open_ledger(database.url, None) for _ in range(3)]
    limits = SpendingLimits(personas_per_day=2)
    calls = (begin(one, f"{name}", limits=limits) for one, name in zip(ledgers * 2, "ABCDEF", strict=True))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in results) == 2
    for one in ledgers:
        await one.close()
