"""The PostgreSQL server that tests have does what its faults say, so that a test of a fault meets that fault."""

import time

import psycopg
import pytest

from support.postgres import Database, PostgresServer
from support.postgres_proxy import postgres_proxy

pytestmark = pytest.mark.anyio

CREATE = "CREATE TABLE item (id int PRIMARY KEY)"


def connect(url: str) -> psycopg.Connection:
    """Return a connection as the program under test has it."""
    return psycopg.connect(url, autocommit=True, connect_timeout=10)


def items(database: Database) -> list[int]:
    """Return what the table has."""
    return [number for (number,) in database.execute("SELECT id FROM item ORDER BY id")]


@pytest.mark.parametrize("way", ["restart", "crash", "kill"])
def test_what_was_committed_is_there_after_each_end(postgres: PostgresServer, database: Database, way: str) -> None:
    """A server that was stopped in order, that crashed, or that was killed has what it answered for."""
    with connect(database.url) as connection:
        connection.execute(CREATE)
        connection.execute("INSERT INTO item VALUES (1)")
        if way == "restart":
            postgres.stop()
        else:
            getattr(postgres, way)()
        with pytest.raises(psycopg.OperationalError):
            connect(database.url)
        postgres.start()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert items(database) == [1]


def test_a_read_only_server_a_full_disk_and_a_limit_have_their_codes(
    postgres: PostgresServer, database: Database
) -> None:
    """Each refuses with the SQLSTATE that PostgreSQL has for it, and is over when its block ends."""
    with connect(database.url) as connection:
        connection.execute(CREATE)
        with postgres.read_only(), pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("INSERT INTO item VALUES (1)")
        with database.full_disk(), pytest.raises(psycopg.errors.DiskFull):
            connection.execute("INSERT INTO item VALUES (1)")
        with database.connection_limit(1), pytest.raises(psycopg.OperationalError, match="too many connections"):
            connect(database.url)
        connection.execute("INSERT INTO item VALUES (1)")
        database.end_connections()
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")
    assert items(database) == [1]


def test_a_lock_and_a_pause_keep_a_statement_waiting(postgres: PostgresServer, database: Database) -> None:
    """A lock ends a statement by its own limit; a paused server does not answer, and goes on afterwards."""
    with connect(database.url) as connection:
        connection.execute(CREATE)
        connection.execute("SET lock_timeout = 50")
        with database.locked("item"), pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("INSERT INTO item VALUES (1)")
        with postgres.paused():
            started = time.monotonic()
            with pytest.raises(psycopg.OperationalError, match="timeout"):
                psycopg.connect(database.url, connect_timeout=2)
            assert time.monotonic() - started > 1
        connection.execute("INSERT INTO item VALUES (1)")
    assert items(database) == [1]


def test_a_copy_follows_and_takes_over(postgres: PostgresServer, database: Database) -> None:
    """A synchronous copy has each commit, refuses writes, and takes them once it is promoted."""
    with connect(database.url) as connection:
        connection.execute(CREATE)
        with postgres.standby() as copy:
            connection.execute("INSERT INTO item VALUES (1)")
            postgres.kill()
            with connect(database.at(copy).url) as second:
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    second.execute("INSERT INTO item VALUES (2)")
                copy.promote()
                second.execute("INSERT INTO item VALUES (2)")
            assert items(database.at(copy)) == [1, 2]
    postgres.start()
    assert items(database) == [1]


@pytest.mark.parametrize(("when", "recorded"), [("cut_before", []), ("cut_after", [1])])
async def test_a_connection_is_cut_in_the_middle_of_a_commit(
    database: Database, when: str, recorded: list[int]
) -> None:
    """The client sees the same in both cases; only the server knows whether it has the commit."""
    async with postgres_proxy(database) as proxy:
        connection = await psycopg.AsyncConnection.connect(proxy.url)
        async with connection:
            await connection.execute(CREATE)
            await connection.commit()
            setattr(proxy, when, b"COMMIT")
            await connection.execute("INSERT INTO item VALUES (1)")
            with pytest.raises(psycopg.OperationalError):
                await connection.commit()
        assert proxy.cuts == 1
        assert items(database) == recorded


async def test_a_proxy_refuses_and_falls_silent(database: Database) -> None:
    """New connections are closed at once, or are open and unanswered."""
    async with postgres_proxy(database) as proxy:
        proxy.refuses = True
        with pytest.raises(psycopg.OperationalError):
            await psycopg.AsyncConnection.connect(proxy.url)
        proxy.refuses = False
        proxy.passes.clear()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            await psycopg.AsyncConnection.connect(proxy.url, connect_timeout=2)
        proxy.passes.set()
        async with await psycopg.AsyncConnection.connect(proxy.url) as connection:
            await connection.execute("SELECT 1")
            await proxy.cut()
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT 1")
