"""The ledger in SQLite: a file that any number of processes of one user share, or memory.

Each operation is one transaction that takes the write lock at its start, so that what it read still holds when it
writes. The database uses a write-ahead log: what is committed survives the process at once, and survives the machine
from the next durable commit on. A durable commit waits for the disk, so it runs in a thread. The others run at once
when no other process holds the lock, because a thread would take longer than the work.
"""

import logging
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from octave_mcp.generation.records import LedgerError, Transaction
from octave_mcp.generation.schema import SCHEMA, SCHEMA_VERSION

__all__ = ["SqliteDatabase"]

logger = logging.getLogger(__name__)

BUSY_SECONDS = 2.0
"""How long to wait for the write lock of another process, which needs it for milliseconds."""

_REASONS = {
    sqlite3.SQLITE_BUSY: "another program has locked it. Close what else has the file open",
    sqlite3.SQLITE_READONLY: "it is read-only. Make the file and its folder writable",
    sqlite3.SQLITE_CORRUPT: "the file is damaged. Move it away; a new one is created",
    sqlite3.SQLITE_NOTADB: "the file is not a ledger, or damaged. Move it away; a new one is created",
    sqlite3.SQLITE_FULL: "the disk is full. Free some space",
}
_OTHER_REASON = "it cannot be opened or written. Check the file and its folder"
_NEWER_VERSION = "a newer version of this server wrote the file. Update this server, or name another file"

_Result = TypeVar("_Result")


class _LockedElsewhereError(Exception):
    """Another process holds the write lock."""


class _NewerVersionError(sqlite3.DatabaseError):
    """A newer version of this server made the tables."""


class _OlderVersionError(sqlite3.DatabaseError):
    """An older version of this server made the tables."""


class _SqliteTransaction:
    """An open transaction that holds the write lock. See `Transaction`."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self.now = now
        self._connection = connection

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def lock(self, name: str) -> None:
        """Do nothing: the write lock is held already."""


class SqliteDatabase:
    """A `Database` in a file, or in memory if `path` is None: then it ends with the process.

    Nothing is opened before the first operation. If opening fails, the next operation tries again.
    """

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time) -> None:
        """Take the file, and the time in seconds since the epoch that all processes on the file share."""
        self._path = path
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._removed: sqlite3.Connection | None = None
        self._is_synced = True
        self._pragmas: dict[str, object] = {}
        self._one_thread = anyio.CapacityLimiter(1)
        self._lock = threading.RLock()

    async def run(self, operation: Callable[[Transaction], _Result], *, durable: bool = True) -> _Result:
        """Run one operation in a transaction. See `Database`.

        The limiter keeps waiting threads few. The lock keeps operations apart, since asyncio's own cancellation frees
        the limiter while its thread goes on.
        """
        waits_for_disk = durable and self._path is not None
        if not waits_for_disk and self._connection is not None and self._lock.acquire(blocking=False):
            try:
                return self._run(operation, durable=durable, wait=False)
            except _LockedElsewhereError:
                pass
            finally:
                self._lock.release()
        return await anyio.to_thread.run_sync(
            lambda: self._run(operation, durable=durable, wait=True), limiter=self._one_thread
        )

    async def sync(self) -> None:
        """Write the log to the disk, and move it to the file as far as no other process reads it."""
        if not self._is_synced and self._path is not None:
            await anyio.to_thread.run_sync(self._checkpoint, limiter=self._one_thread)

    async def close(self) -> None:
        """Close the connection."""
        await anyio.to_thread.run_sync(self._disconnect, limiter=self._one_thread)
        if self._removed is not None:
            self._removed.close()
            self._removed = None

    def _run(self, operation: Callable[[Transaction], _Result], *, durable: bool, wait: bool) -> _Result:
        """Raise _LockedElsewhereError if another process has the lock and `wait` is false; else LedgerError."""
        with self._lock:
            try:
                connection = self._connected()
                self._set(connection, "busy_timeout", round(BUSY_SECONDS * 1000) if wait else 0)
                self._set(connection, "synchronous", "FULL" if durable else "NORMAL")
                self._is_synced &= durable
                with _transaction(connection):
                    return operation(_SqliteTransaction(connection, self._now()))
            except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
                raise self._problem(error, wait=wait) from error

    def _set(self, connection: sqlite3.Connection, pragma: str, value: object) -> None:
        if self._pragmas.get(pragma) != value:
            connection.execute(f"PRAGMA {pragma} = {value}")
            self._pragmas[pragma] = value

    def _connected(self) -> sqlite3.Connection:
        """Return the connection, opened anew if the file was removed or replaced.

        What the removed file has is then copied into the new one: it may be in progress, and is not sent twice.
        """
        if self._path is not None and self._connection is not None and _identity(self._path) != self._file:
            self._removed = self._removed or self._connection
            self._connection = None
        if self._connection is None:
            self._connection = _connect(self._path)
            self._pragmas = {}
            self._file = None if self._path is None else _identity(self._path)
        if self._removed is not None:
            _copy(self._removed, self._connection)
            self._removed.close()
            self._removed = None
        return self._connection

    def _checkpoint(self) -> None:
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
            return _LockedElsewhereError()
        logger.warning("The ledger %s cannot be used: %s", self._path, error)
        if code != sqlite3.SQLITE_BUSY and self._path is not None:
            self._disconnect()
        reason = _NEWER_VERSION if isinstance(error, _NewerVersionError) else _REASONS.get(code, _OTHER_REASON)
        return LedgerError(f"The ledger of requests to Octave (OCTAVE_MCP_STATE_URL) cannot be used: {reason}.")

    def _disconnect(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy the records that `target` lacks. Those of a source that is damaged are lost."""
    with _transaction(target):
        for (table,) in target.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            try:
                rows = source.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - a name of the schema
            except sqlite3.Error as error:
                logger.warning("The records of the ledger that was removed cannot be read: %s", error)
                return
            for row in rows:
                places = ", ".join("?" * len(row))
                target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)  # noqa: S608 - as above


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at `path` from another at the same path, or None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


# --- Opening ----------------------------------------------------------------------------------------------------------


def _connect(path: Path | None) -> sqlite3.Connection:
    """Open the database, private to the user, with its tables. An older version's file is set aside."""
    if path is None:
        return _open(":memory:")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _folder_lock(path.parent):  # so that only one process creates the file, or sets it aside
        _create_private(path)
        try:
            return _open(path)
        except _OlderVersionError as error:
            _set_aside(path, int(str(error)))
        _create_private(path)
        return _open(path)


def _open(path: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Make the tables if there are none. Raises if the file is damaged, or of another version."""
    _set_journal_mode(connection, "WAL")
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("the check of the file failed")
    with _transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise _NewerVersionError(version)
        if 0 < version < SCHEMA_VERSION:
            raise _OlderVersionError(version)
        for statement in () if version else SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _set_aside(path: Path, version: int) -> None:
    """Rename an older version's file, so that a new one takes its place. Raises if a program still uses it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        _set_journal_mode(older, "DELETE")  # everything is in the one file now, and no other program has it open
    number = 1
    while (aside := path.with_name(f"{path.name}.version-{version}-{number}")).exists():
        number += 1
    path.rename(aside)
    logger.warning("The ledger %s is of an older version. It is kept as %s, and a new one is used", path, aside.name)


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Hold a lock that other processes of this program respect, if the system and its file system have such a lock."""
    if os.name != "posix":  # pragma: no cover
        yield
        return
    import fcntl  # noqa: PLC0415 - POSIX only

    descriptor = os.open(folder, os.O_RDONLY)
    until = time.monotonic() + BUSY_SECONDS
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)  # in a thread of its own
            except OSError:  # such as a network file system that has no such lock
                break
            else:
                break
        yield
    finally:
        os.close(descriptor)


def _create_private(path: Path) -> None:
    """Create the file before SQLite would, since SQLite gives its other files the permissions of this one.

    A file that exists is not opened: closing it again would release the locks that this process has on it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if os.name == "posix" and path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            with suppress(PermissionError):  # another user's file, of which SQLite will say more
                path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)


def _set_journal_mode(connection: sqlite3.Connection, mode: str) -> None:
    """Switch the journal. If another process uses the file now, SQLite reports busy without waiting."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)  # in a thread of its own
        else:
            return


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
