"""The ledger in PostgreSQL, for several replicas of a team server.

Operations run in threads, each with a connection of a pool. The first statement of a transaction sets its bounds and
reads the server's clock, so that replicas agree on the time. A transaction whose commit was lost is run once more,
since every operation is repeatable.
"""

import logging
import re
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolTimeout

from octave_mcp.ledger.records import LedgerError, Transaction
from octave_mcp.ledger.schema import SCHEMA, SCHEMA_VERSION

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
"""The number of connections of one process, and so of transactions at once. Each takes milliseconds."""

CONNECT_SECONDS = 3
"""How long to wait for a connection."""

STATEMENT_SECONDS = 4
"""How long one statement may take, a wait for a lock included."""

OPERATION_SECONDS = 10.0
"""How long one operation may take, also when the server stops answering. Its thread is then left to end by itself."""

SCHEMA_NAME = "octave_personas"
"""The schema of the tables, so that the database may have other tables too."""

_OPEN_TRANSACTION = (
    "SELECT set_config('statement_timeout', %s, true), set_config('search_path', %s, true), "
    "extract(epoch FROM clock_timestamp())::float8"
)

_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (errors.ReadOnlySqlTransaction, "the server is read-only. Ask the operator for the address of the primary"),
    ((errors.DiskFull, errors.OutOfMemory), "the server's disk or memory is full. Ask the operator to free some"),
    (errors.TooManyConnections, "the server has too many connections. Ask the operator to raise max_connections"),
    ((errors.QueryCanceled, errors.LockNotAvailable), "it took too long. Ask the operator for locks and slow disks"),
    (
        errors.InsufficientPrivilege,
        f"the user needs the rights to connect, and to create and use the schema {SCHEMA_NAME}",
    ),
    ((errors.InvalidPassword, errors.InvalidAuthorizationSpecification), "it rejects the user or password"),
    (errors.InvalidCatalogName, "the database does not exist. Ask the operator to create it"),
    (psycopg.OperationalError, "the server cannot be reached. Ask the operator to check the address and the server"),
)

_CONNECTION_ERRORS: tuple[tuple[str, type[psycopg.Error]], ...] = (
    ("too many (connections|clients)|connection slots", errors.TooManyConnections),
    ('database ".*" does not exist', errors.InvalidCatalogName),
    ('password|role ".*" does not exist|pg_hba', errors.InvalidPassword),
    ("permission denied", errors.InsufficientPrivilege),
)
"""What the server says when it refuses a connection, for which psycopg has no class."""

_Result = TypeVar("_Result")


class _OtherVersionError(Exception):
    """Another version of this server made the tables."""


class _PostgresTransaction:
    """An open transaction. See `Transaction`."""

    def __init__(self, connection: psycopg.Connection[Any], now: float) -> None:
        self.now = now
        self._connection = connection

    def execute(self, sql: str, values: Sequence[object] = ()) -> psycopg.Cursor[Any]:
        # A text with a NUL, or with half of a surrogate pair, cannot be stored.
        storable = [_storable(value) if isinstance(value, str) else value for value in values]
        return self._connection.execute(sql.replace("?", "%s").encode(), storable)

    def lock(self, name: str) -> None:
        """Hold a lock until the end of the transaction."""
        key = zlib.crc32(name.encode())
        self._connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (zlib.crc32(b"octave") >> 1, key >> 1))


class PostgresDatabase:
    """A `Database` at a `postgresql://` address. Nothing is opened before the first operation."""

    def __init__(self, url: str, *, skew: Callable[[], float] = lambda: 0.0) -> None:
        """Take the address, and in tests how many seconds to add to the server's clock.

        Raises LedgerError if the address cannot be read.
        """
        try:
            given = psycopg.conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise LedgerError("OCTAVE_MCP_STATE_URL is not a PostgreSQL address that can be read.") from None
        defaults = {
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": round(OPERATION_SECONDS * 1000),
            "keepalives_idle": 30,
            "application_name": "octave-personas-mcp",
            "target_session_attrs": "read-write",  # of several hosts, the primary
        }
        self._parameters: dict[str, Any] = {**defaults, **given}
        self._skew = skew
        self._pool: ConnectionPool[psycopg.Connection[Any]] | None = None
        self._has_tables = False
        self._limiter = anyio.CapacityLimiter(MAX_CONNECTIONS)

    async def run(self, operation: Callable[[Transaction], _Result], *, durable: bool = True) -> _Result:  # noqa: ARG002
        """Run one operation in a transaction. See `Database`. Every commit is as durable as the server's settings."""
        until = time.monotonic() + OPERATION_SECONDS

        def in_time(transaction: Transaction) -> _Result:
            result = operation(transaction)
            if time.monotonic() > until:  # its caller was told that nothing was recorded, so it is rolled back
                raise errors.QueryCanceled
            return result

        try:
            with anyio.fail_after(OPERATION_SECONDS):
                return await anyio.to_thread.run_sync(
                    lambda: self._run(in_time), abandon_on_cancel=True, limiter=self._limiter
                )
        except TimeoutError:
            raise _ledger_error(errors.QueryCanceled()) from None

    async def sync(self) -> None:
        """Do nothing: each commit is durable."""

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await anyio.to_thread.run_sync(lambda: self._opened().close(timeout=1))

    def _run(self, operation: Callable[[Transaction], _Result]) -> _Result:
        try:
            try:
                return self._transact(operation)
            except (psycopg.OperationalError, errors.DeadlockDetected) as error:
                if isinstance(error, errors.QueryCanceled | errors.DiskFull | PoolTimeout):
                    raise
                logger.info("A transaction of the ledger is repeated: %s", type(error).__name__)
                self._opened().check()  # when one connection has ended, so have others
                return self._transact(operation)
        except PoolTimeout:
            raise _ledger_error(self._why_unreachable()) from None
        except (psycopg.Error, _OtherVersionError) as error:
            self._has_tables = False  # they are looked for again
            raise _ledger_error(error) from None

    def _transact(self, operation: Callable[[Transaction], _Result]) -> _Result:
        with self._opened().connection(timeout=CONNECT_SECONDS) as connection:
            if not self._has_tables:
                _create_tables(connection)
                self._has_tables = True
            return operation(self._begin(connection))

    def _begin(self, connection: psycopg.Connection[Any]) -> _PostgresTransaction:
        bounds = (f"{round(STATEMENT_SECONDS * 1000)}", f"{SCHEMA_NAME}, pg_catalog")
        row = connection.execute(_OPEN_TRANSACTION, bounds).fetchone()
        return _PostgresTransaction(connection, (row[2] if row else 0.0) + self._skew())

    def _opened(self) -> ConnectionPool[psycopg.Connection[Any]]:
        if self._pool is None:
            self._pool = ConnectionPool(
                kwargs=self._parameters,
                min_size=1,
                max_size=MAX_CONNECTIONS,
                open=True,
                # A server that is down is asked again by the next operation, not by a backoff that grows.
                reconnect_timeout=CONNECT_SECONDS,
            )
        return self._pool

    def _why_unreachable(self) -> Exception:
        """Return the error that a connection meets, which the pool does not report."""
        try:
            psycopg.connect(**self._parameters).close()
        except psycopg.Error as error:
            return next((kind() for words, kind in _CONNECTION_ERRORS if re.search(words, str(error))), error)
        return errors.TooManyConnections()


def _create_tables(connection: psycopg.Connection[Any]) -> None:
    """Create the schema and its tables unless they exist, one process at a time. Commits."""
    connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (zlib.crc32(b"octave") >> 1,))
    exists = connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA_NAME}.version",)).fetchone()
    if not exists or exists[0] is None:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA_NAME}".encode())
        connection.execute(f"SET LOCAL search_path = {SCHEMA_NAME}".encode())
        for statement in ("CREATE TABLE version (version INTEGER NOT NULL)", *SCHEMA):
            connection.execute(statement.encode())
        connection.execute("INSERT INTO version VALUES (%s)", (SCHEMA_VERSION,))
    row = connection.execute(f"SELECT version FROM {SCHEMA_NAME}.version".encode()).fetchone()  # noqa: S608 - a constant
    if row is None or row[0] != SCHEMA_VERSION:
        raise _OtherVersionError
    connection.commit()


def _storable(text: str) -> str:
    return text.replace("\0", "\ufffd").encode(errors="replace").decode() if not text.isprintable() else text


def _ledger_error(error: Exception) -> LedgerError:
    reason = next((text for kind, text in _REASONS if isinstance(error, kind)), "the server reports an error")
    if isinstance(error, _OtherVersionError):
        reason = "its tables are of another version of this server. Use one version, or another database"
    problem = f"The ledger of requests to Octave (OCTAVE_MCP_STATE_URL) cannot be used: {reason}."
    logger.warning("%s (%s)", problem, type(error).__name__)
    return LedgerError(problem)
