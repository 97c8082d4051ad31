"""The ledger in SQLite: a file that any number of processes of one user share, or memory.

Each operation is one transaction that takes the write lock at its start, so that what it read still holds when it
writes. It takes less time than a thread would, so it runs in the event loop. The database uses a write-ahead log: what
is committed survives the process at once, and survives the machine once the log is synced to the disk. That takes
longer, so it is done in a thread, and once for all operations that wait for it.
"""

import logging
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from octave_mcp.ledger.records import LedgerError, Transaction
from octave_mcp.ledger.schema import SCHEMA, SCHEMA_VERSION

logger = logging.getLogger(__name__)

BUSY_SECONDS = 2.0
"""How long to wait for the write lock of another process, which needs it for milliseconds."""

RETRY_SECONDS = 0.01
"""The pause before the lock is tried again."""

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
        self._opening = anyio.Lock()
        self._syncing = anyio.Lock()
        self._commits = 0
        self._synced = 0

    async def run(self, operation: Callable[[Transaction], _Result], *, durable: bool = True) -> _Result:
        """Run one operation in a transaction. See `Database`."""
        with self._reported():
            result = await self._transact(operation)
        if durable:
            await self.sync()
        return result

    async def sync(self) -> None:
        """Write to the disk what the log has. Operations that wait for this at the same time share one write."""
        if self._path is None:
            return
        wanted = self._commits
        async with self._syncing:
            if self._synced >= wanted:
                return
            written = self._commits
            with self._reported():
                await anyio.to_thread.run_sync(_sync, self._path.with_name(f"{self._path.name}-wal"))
            self._synced = written

    async def close(self) -> None:
        """Close the connection."""
        self._disconnect()
        if self._removed is not None:
            self._removed.close()
            self._removed = None

    async def _transact(self, operation: Callable[[Transaction], _Result]) -> _Result:
        """Run one operation, and wait a while if another process holds the write lock."""
        until = time.monotonic() + BUSY_SECONDS
        while True:
            connection = await self._connected()
            try:
                with _transaction(connection):
                    result = operation(_SqliteTransaction(connection, self._now()))
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            else:
                self._commits += 1
                return result
            await anyio.sleep(RETRY_SECONDS)

    async def _connected(self) -> sqlite3.Connection:
        """Return the connection, opened anew if the file was removed or replaced."""
        while (connection := self._usable()) is None:
            async with self._opening:
                if self._usable() is None:
                    await anyio.to_thread.run_sync(self._open)
        return connection

    def _usable(self) -> sqlite3.Connection | None:
        """Return the connection, or None if none is open, or if its file was removed or replaced."""
        if self._connection is not None and self._path is not None and _identity(self._path) != self._file:
            self._removed, self._connection = self._removed or self._connection, None
        return self._connection

    def _open(self) -> None:
        """Open the file, and copy into it what a removed file had: it may be in progress, and is not sent twice.

        This runs in a thread, so until here SQLite itself waits for the lock and for the disk.
        """
        connection = _connect(self._path)
        try:
            if self._removed is not None:
                _copy(self._removed, connection)
                self._removed.close()
                self._removed = None
            connection.execute("PRAGMA busy_timeout = 0")  # from now on `_transact` waits for the lock
            connection.execute("PRAGMA synchronous = NORMAL")  # and `sync` for the disk
        except BaseException:
            connection.close()
            raise
        self._file = None if self._path is None else _identity(self._path)
        self._connection = connection

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Raise LedgerError for every problem with the database. The next operation then opens it anew."""
        try:
            yield
        except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
            code = getattr(error, "sqlite_errorcode", -1) & 0xFF
            logger.warning("The ledger %s cannot be used: %s", self._path, error)
            if code != sqlite3.SQLITE_BUSY and self._path is not None:
                self._disconnect()
            reason = _NEWER_VERSION if isinstance(error, _NewerVersionError) else _REASONS.get(code, _OTHER_REASON)
            problem = f"The ledger of requests to Octave (OCTAVE_MCP_STATE_URL) cannot be used: {reason}."
            raise LedgerError(problem) from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _sync(path: Path) -> None:
    """Write a file to the disk."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
        return _connect_to(":memory:")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _folder_lock(path.parent):  # so that only one process creates the file, or sets it aside
        _create_private(path)
        try:
            return _connect_to(path)
        except _OlderVersionError as error:
            _set_aside(path, int(str(error)))
        _create_private(path)
        return _connect_to(path)


def _connect_to(path: Path | str) -> sqlite3.Connection:
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
    connection.execute("PRAGMA synchronous = FULL")  # a new log's entry in its folder is synced too
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        damaged = sqlite3.DatabaseError("the check of the file failed")
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged
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
                time.sleep(RETRY_SECONDS)  # in a thread of its own
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
            time.sleep(RETRY_SECONDS)  # in a thread of its own
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
