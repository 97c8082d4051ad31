"""The ledger in SQLite: a file that any number of processes of one user share, or memory.

Each operation is one transaction that takes the write lock at its start, so that what it read still holds when it
writes. The log is written ahead: what is recorded survives the process at once, and the machine from the next sync on.
What is about to be sent is synced at its commit, in a thread. What waits for no disk is done at once, where no other
process holds the lock: a thread would take longer than the work.
"""

import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import anyio
import anyio.to_thread

from octave_mcp.generation import sqlite_operations as operations
from octave_mcp.generation.ledger import Begun, Item, LedgerError, Record, State, Wanted

__all__ = ["SqliteLedger"]

logger = logging.getLogger(__name__)

BUSY_SECONDS = 2.0
"""How long another process may hold the write lock, which it needs for milliseconds."""

_REASONS = {
    sqlite3.SQLITE_BUSY: "another program holds it locked. Have the user close what else has it open",
    sqlite3.SQLITE_READONLY: "it is read-only. Have the user make the file and its folder writable",
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Have the user move it away; a new one is made",
    sqlite3.SQLITE_NOTADB: "the file is damaged, or something else. Have the user move it away; a new one is made",
    sqlite3.SQLITE_FULL: "the disk is full. Have the user make room",
}
_OTHER_REASON = "it cannot be opened or written. Have the user look at the file and its folder"
_OTHER_VERSION = "the file is of another version of this server. Have the user update all of them, or name another file"

_AT_ONCE = frozenset(
    {
        operations.begin,  # lost with the machine, it has not been sent either: what marks it as sent syncs both
        operations.generation,
        operations.unknown,
        operations.uncollected,
        operations.settle,  # lost with the machine, it is on record as sent, so that it is looked for
        operations.hand_over,  # lost with the machine, it is handed over once more
    }
)
"""Operations that need not be synced at once: the next that is syncs them too, or `sync`."""

_Result = TypeVar("_Result")


class _HeldElsewhere(Exception):
    """Another process has the lock."""


class _OtherVersion(sqlite3.DatabaseError):
    """The tables are not those that this version knows."""


class SqliteLedger:
    """`Ledger` in SQLite. `path` None keeps it in memory: then it ends with the process and is nobody else's.

    Nothing is opened before the first operation, and what failed to open is tried again by the next.
    """

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time) -> None:
        """Remember where. `now` is the time, in seconds since the epoch, that all processes on the file share."""
        self.owner = uuid4().hex
        self._path = path
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._is_synced = True
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._lock = threading.RLock()

    async def begin(
        self, tenant: str, wanted: Sequence[Wanted], *, replay_seconds: float, day_limit: int | None
    ) -> Begun:
        """See `Ledger`."""
        return await self._do(operations.begin, self._now(), self.owner, tenant, wanted, replay_seconds, day_limit)

    async def mark_sent(self, ids: Collection[str]) -> frozenset[str]:
        """See `Ledger`."""
        return await self._do(operations.mark_sent, self._now(), self.owner, ids)

    async def requeue(self, ids: Collection[str]) -> None:
        """See `Ledger`."""
        await self._do(operations.requeue, self._now(), self.owner, ids)

    async def settle(
        self, item: str, state: State, outcome: str, *, oids: Collection[str] = (), unreadable: bytes | None = None
    ) -> None:
        """See `Ledger`."""
        await self._do(operations.settle, self._now(), self.owner, item, state, outcome, oids, unreadable)

    async def adopt(self, item: str, found: Mapping[str, str]) -> bool:
        """See `Ledger`."""
        return await self._do(operations.adopt, self._now(), self.owner, item, found)

    async def generation(self, tenant: str, generation: str) -> Record | None:
        """See `Ledger`."""
        return await self._do(operations.generation, tenant, generation)

    async def uncollected(self, tenant: str) -> list[Record]:
        """See `Ledger`."""
        return await self._do(operations.uncollected, tenant)

    async def unknown(self, tenant: str, fingerprints: Collection[str]) -> list[Item]:
        """See `Ledger`."""
        return await self._do(operations.unknown, tenant, fingerprints)

    async def hand_over(self, told: Mapping[str, State]) -> None:
        """See `Ledger`."""
        await self._do(operations.hand_over, self._now(), told)

    async def give_up(self, generation: str) -> None:
        """See `Ledger`."""
        await self._do(operations.give_up, self._now(), self.owner, generation)

    async def give_up_queued(self) -> None:
        """See `Ledger`."""
        await self._do(operations.give_up, self._now(), self.owner, None)

    async def renew(self) -> None:
        """See `Ledger`."""
        await self._do(operations.renew, self._now(), self.owner)

    async def sync(self) -> None:
        """See `Ledger`."""
        if not self._is_synced and self._path is not None:
            await anyio.to_thread.run_sync(self._checkpoint, limiter=self._one_at_a_time)

    async def check(self) -> None:
        """See `Ledger`."""
        await self._do(lambda _: None)

    async def close(self) -> None:
        """See `Ledger`."""
        try:
            if self._connection is not None:
                await self._do(operations.end_of, self._now(), "owner = ?", self.owner)
        finally:
            await anyio.to_thread.run_sync(self._disconnect, limiter=self._one_at_a_time)

    async def _do(
        self,
        operation: Callable[..., _Result],
        *values: object,
    ) -> _Result:
        """Run one operation in a transaction; it is done or undone, never left half-way by a cancel.

        In a thread, unless it can be done at once. The limiter keeps threads from piling up. It cannot keep them apart,
        as asyncio's own cancel sets it free while the thread goes on: that is the lock's.
        """
        if (self._path is None or operation in _AT_ONCE) and self._lock.acquire(blocking=False):
            try:
                if self._connection is not None:
                    return self._transact(operation, values, wait=False)
            except _HeldElsewhere:
                pass
            finally:
                self._lock.release()
        return await anyio.to_thread.run_sync(self._transact, operation, values, limiter=self._one_at_a_time)

    def _transact(self, operation: Callable[..., _Result], values: tuple[object, ...], *, wait: bool = True) -> _Result:
        """Raises _HeldElsewhere where another process has the lock and it is not to `wait`; else LedgerError."""
        with self._lock:
            try:
                if self._connection is not None and self._path is not None and not _is_there(self._path, self._file):
                    self._disconnect()  # what is recorded in a file that was removed is lost with this process
                if self._connection is None:
                    self._connection = _connect(self._path)
                    self._file = None if self._path is None else _identity(self._path)
                connection = self._connection
                connection.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000) if wait else 0}")
                connection.execute(f"PRAGMA synchronous = {'NORMAL' if operation in _AT_ONCE else 'FULL'}")
                self._is_synced &= operation not in _AT_ONCE
                with _transaction(connection):
                    operations.end_of(
                        connection, self._now(), "owner != ? AND lease_until < ?", self.owner, self._now()
                    )
                    return operation(connection, *values)
            except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
                raise self._problem(error, wait=wait) from error

    def _checkpoint(self) -> None:
        """Have the log synced, and what is in it moved to the file, as far as nobody is in the way of that."""
        with self._lock:
            try:
                if self._connection is not None:
                    self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                    self._is_synced = True
            except sqlite3.Error as error:
                raise self._problem(error, wait=True) from error

    def _problem(self, error: Exception, *, wait: bool) -> Exception:
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF
        if code == sqlite3.SQLITE_BUSY and not wait:
            return _HeldElsewhere()
        logger.warning("The ledger %s cannot be used: %s", self._path, error)
        if code != sqlite3.SQLITE_BUSY and self._path is not None:
            self._disconnect()
        reason = _OTHER_VERSION if isinstance(error, _OtherVersion) else _REASONS.get(code, _OTHER_REASON)
        return LedgerError(f"The record of what is sent to Octave (OCTAVE_MCP_STATE_URL) cannot be kept: {reason}.")

    def _disconnect(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _is_there(path: Path, file: tuple[int, int] | None) -> bool:
    """Whether the file is still the one that was opened."""
    try:
        return _identity(path) == file
    except FileNotFoundError:
        return False


def _connect(path: Path | None) -> sqlite3.Connection:
    """Open the store, private to the user, and make its tables if it is new."""
    if path is not None:
        _make_private(path)
    connection = sqlite3.connect(
        path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        _write_ahead(connection)
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_private(path: Path) -> None:
    """Make the file before SQLite would, since it gives its other files the permissions of this one.

    A file that is there is not opened: closing it again would release the locks that this process has on it.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if os.name == "posix" and path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            with suppress(PermissionError):  # another user's, which SQLite will say more of
                path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have the log written ahead. Where another process does the same now, SQLite says busy and does not wait."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)  # in a thread of its own
        else:
            return


def _check(connection: sqlite3.Connection) -> None:
    """Make the tables if the store is new. Raises where it is damaged, or another version's."""
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("the check of the file failed")
    with _transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in filter(str.strip, operations.SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {operations.VERSION}")
        elif version != operations.VERSION:
            raise _OtherVersion(f"schema {version} is not of this version of the server")
        for statement in operations.INDEXES:
            connection.execute(statement)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
