"""The ledger's file: what is in its way, who may read it, what outlives the machine, and other versions of it."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.ledgers import begin, finish

from octave_mcp.ledger import sqlite
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import LedgerError, State
from octave_mcp.ledger.schema import SCHEMA_VERSION
from octave_mcp.ledger.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio

T = "tenant"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where a test's ledger is."""
    return tmp_path / "ledger"


@pytest.fixture
async def ledger(file: Path) -> AsyncIterator[Ledger]:
    """Open a ledger in that file, and close it after the test."""
    one = Ledger(SqliteDatabase(file))
    yield one
    with suppress(LedgerError):
        await one.close()


def locked(path: Path) -> sqlite3.Connection:
    """Return another program's connection that holds the lock."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    return holder


def connection(ledger: Ledger) -> sqlite3.Connection:
    """Return the connection that a ledger has open."""
    assert isinstance(ledger.database, SqliteDatabase)
    assert ledger.database._connection is not None
    return ledger.database._connection


@pytest.fixture
def disk(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that has what survives a loss of power: the file and its log as they were when last synced."""
    folder = tmp_path / "disk"
    folder.mkdir()
    sync = os.fsync

    def synced(descriptor: int) -> None:
        sync(descriptor)
        for name in ("ledger", "ledger-wal"):
            shutil.copy(file.with_name(name), folder)

    monkeypatch.setattr(os, "fsync", synced)
    return folder


def state_in(folder: Path) -> str:
    """Return the state of the one item of the ledger in a folder."""
    with closing(sqlite3.connect(folder / "ledger")) as copy:
        (state,) = copy.execute("SELECT state FROM items").fetchone()
        return str(state)


async def test_a_sent_item_outlives_the_machine(ledger: Ledger, disk: Path) -> None:
    """Before a byte of its request has left."""
    (item,) = (await begin(ledger, "A")).record.items
    assert list(disk.iterdir()) == []
    assert await ledger.mark_sent(item.id)
    assert state_in(disk) == "sent"


async def test_what_is_synced_outlives_the_machine(ledger: Ledger, disk: Path) -> None:
    """So does what became of an item, although no caller waits for the disk."""
    await finish(ledger, await begin(ledger, "A"), State.CREATED)
    assert state_in(disk) == "sent"
    await ledger.sync()
    assert state_in(disk) == "created"


async def test_operations_at_once_share_one_write_to_the_disk(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is under way may not have what came after it, so at most one more follows."""
    items = (await begin(ledger, *map(str, range(20)))).record.items
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert all(await asyncio.gather(*(ledger.mark_sent(item.id) for item in items)))
    assert len(synced) in {1, 2}


async def test_a_file_that_cannot_be_synced_is_reported(ledger: Ledger, file: Path) -> None:
    """In the same words as any other operation."""
    await begin(ledger, "A")
    file.with_name("ledger-wal").unlink()
    with pytest.raises(LedgerError, match="OCTAVE_MCP_STATE_URL"):
        await ledger.sync()


async def test_a_locked_file_is_reported_and_used_once_it_is_free(
    ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program may hold the lock for a moment, not for good."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    await begin(ledger, "A")
    holder = locked(file)
    with pytest.raises(LedgerError, match="locked"):
        await begin(ledger, "B")
    holder.close()
    assert (await begin(ledger, "B")).new == (0,)


async def test_a_lock_of_another_program_holds_up_nothing_else(ledger: Ledger, file: Path) -> None:
    """An operation that waits for it lets others run meanwhile, and runs when it can."""
    await begin(ledger, "A")
    holder = locked(file)
    waiting = asyncio.create_task(begin(ledger, "B"))
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    holder.close()
    assert (await waiting).new == (0,)


async def test_a_full_disk_is_reported(ledger: Ledger) -> None:
    """As SQLite finds it when a file must not grow."""
    await begin(ledger, "A")
    (pages,) = connection(ledger).execute("PRAGMA page_count").fetchone()
    connection(ledger).execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="disk is full"):
        await begin(ledger, *("x" * 3000 + str(number) for number in range(50)))
    assert (await begin(ledger, "B")).new == (0,)


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_damaged_file_is_reported_without_its_path(ledger: Ledger, file: Path, content: bytes) -> None:
    """The path may hold a person's name."""
    file.write_bytes(content)
    with pytest.raises(LedgerError, match=r"OCTAVE_MCP_STATE_URL.*damaged") as caught:
        await begin(ledger, "A")
    assert str(file.parent) not in str(caught.value)
    file.unlink()


async def test_a_file_with_a_damaged_page_is_reported_as_damaged(ledger: Ledger, file: Path) -> None:
    """SQLite opens it, and only its check finds the page."""
    await begin(ledger, "A")
    await ledger.close()
    content = bytearray(file.read_bytes())
    content[2 * 4096 : 3 * 4096] = b"\xff" * 4096
    file.write_bytes(content)
    with pytest.raises(LedgerError, match="the file is damaged"):
        await begin(ledger, "A")


async def test_a_newer_versions_file_is_left_alone(ledger: Ledger, file: Path) -> None:
    """A newer server may be using it."""
    with closing(sqlite3.connect(file)) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="newer version"):
        await begin(ledger, "A")
    with closing(sqlite3.connect(file)) as newer:
        assert newer.execute("PRAGMA user_version").fetchone() == (99,)


def make_older(file: Path, *, in_log: bool = False) -> sqlite3.Connection:
    """Make an older version's file with one row, whose log is not in the file yet if `in_log`."""
    older = sqlite3.connect(file, isolation_level=None)
    if in_log:
        older.execute("PRAGMA journal_mode = WAL")
    older.execute("CREATE TABLE items (id TEXT)")
    older.execute("INSERT INTO items VALUES ('paid for')")
    older.execute(f"PRAGMA user_version = {SCHEMA_VERSION - 1}")
    return older


@pytest.mark.parametrize("in_log", [False, True])
async def test_an_older_versions_file_is_set_aside(
    ledger: Ledger,
    file: Path,
    caplog: pytest.LogCaptureFixture,
    in_log: bool,  # noqa: FBT001 - both
) -> None:
    """It is kept whole, under another name that the log tells, and a new file takes its place."""
    older = make_older(file, in_log=in_log)
    if in_log:  # as after a crash: the log is all that has the rows
        for name in ("ledger", "ledger-wal"):
            shutil.copy(file.with_name(name), file.with_name(f"{name}.crashed"))
        older.close()
        file.with_name("ledger.crashed").rename(file)
        file.with_name("ledger-wal.crashed").rename(file.with_name("ledger-wal"))
    older.close()
    assert (await begin(ledger, "A")).new == (0,)
    (aside,) = file.parent.glob("ledger.version-*")
    assert aside.name in caplog.text
    with closing(sqlite3.connect(aside)) as kept:
        assert kept.execute("SELECT id FROM items").fetchall() == [("paid for",)]


async def test_an_older_versions_file_in_use_is_not_touched(
    ledger: Ledger, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older server has to end first."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    older = make_older(file, in_log=True)
    older.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        await begin(ledger, "A")
    assert list(file.parent.glob("ledger.version-*")) == []
    older.close()


async def test_several_processes_set_an_older_file_aside_once(file: Path) -> None:
    """Whoever comes second finds the new one, and takes it for nothing else."""
    make_older(file).close()
    ledgers = [Ledger(SqliteDatabase(file)) for _ in range(4)]
    started = await asyncio.gather(*(begin(one, "A") for one in ledgers))
    assert sorted(one.new for one in started) == [(), (), (), (0,)]
    assert len(list(file.parent.glob("ledger.version-*"))) == 1
    for one in ledgers:
        await one.close()


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_a_file_that_is_removed_meanwhile_is_written_again(
    ledger: Ledger,
    file: Path,
    is_replaced: bool,  # noqa: FBT001 - both
) -> None:
    """With all that it had: what is in progress, or was created, is not sent once more."""
    sent, created, queued = (await begin(ledger, "A", "B", "C")).record.items
    for item in (sent, created):
        assert await ledger.mark_sent(item.id)
    await ledger.settle(created.id, State.CREATED, "{}", oids=["pe_1"])
    shutil.rmtree(file.parent)
    if is_replaced:  # by a process that started meanwhile
        other = Ledger(SqliteDatabase(file))
        assert (await begin(other, "E")).new == (0,)
        await other.close()
    again = await begin(ledger, "A", "B", "C", "D")
    assert again.new == (3,)
    assert [item.state for item in again.record.items[:3]] == [State.SENT, State.CREATED, State.QUEUED]
    assert await ledger.mark_sent(queued.id)
    await ledger.settle(sent.id, State.CREATED, "{}", oids=["pe_2"])
    await ledger.close()
    with closing(sqlite3.connect(file)) as after:
        assert after.execute("SELECT oid FROM claims ORDER BY oid").fetchall() == [("pe_1",), ("pe_2",)]


async def test_what_a_removed_file_had_waits_for_the_lock_of_its_successor(ledger: Ledger, file: Path) -> None:
    """Another program that holds it for a moment does not make the operation fail."""
    await begin(ledger, "A")
    shutil.rmtree(file.parent)
    other = Ledger(SqliteDatabase(file))
    await other.check()
    holder = locked(file)
    waiting = asyncio.create_task(begin(ledger, "A"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    holder.close()
    assert (await waiting).new == ()
    await other.close()


async def test_what_a_removed_file_had_waits_for_a_file_that_can_be_used(ledger: Ledger, file: Path) -> None:
    """Nothing is sent before."""
    (item,) = (await begin(ledger, "A")).record.items
    for path in file.parent.iterdir():
        path.unlink()
    file.mkdir()
    for _ in range(2):
        with pytest.raises(LedgerError, match="cannot be opened"):
            await ledger.mark_sent(item.id)
    file.rmdir()
    assert await ledger.mark_sent(item.id)
    assert (await begin(ledger, "A")).new == ()


async def test_a_path_that_cannot_be_a_file_is_reported(tmp_path: Path) -> None:
    """It is no text, a folder, or below a file."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "\ud800", tmp_path, tmp_path / "file" / "ledger"):
        with pytest.raises(LedgerError, match="cannot be opened"):
            await begin(Ledger(SqliteDatabase(path)), "A")


_AS_ANOTHER_USER = """
import os, sys, anyio
from pathlib import Path
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import LedgerError
from octave_mcp.ledger.sqlite import SqliteDatabase
async def main():
    await Ledger(SqliteDatabase(None)).check()  # loads what the interpreter loads late
    if os.getuid() == 0:
        os.setuid(65534)
    await Ledger(SqliteDatabase(Path(sys.argv[1]))).give_up("gen_1")
try:
    anyio.run(main)
except LedgerError as error:
    print(error)
"""


def test_a_file_that_must_not_be_written_is_reported(tmp_path: Path) -> None:
    """To a user who must not write it, which root never is."""
    target = tmp_path / "ledger"
    sqlite._connect(target).close()
    target.chmod(0o444)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != folder.parent and "pytest" in str(folder):
            folder.chmod(0o755)
    tmp_path.chmod(0o555)
    ran = subprocess.run(
        [sys.executable, "-c", _AS_ANOTHER_USER, target], capture_output=True, text=True, encoding="utf-8", check=False
    )
    tmp_path.chmod(0o755)
    assert "OCTAVE_MCP_STATE_URL" in ran.stdout, ran.stderr
    assert "writ" in ran.stdout
    assert str(tmp_path) not in ran.stdout


def test_the_file_and_its_folder_are_private(tmp_path: Path) -> None:
    """Also a file that others could read until now; one that nobody may write is not made writable."""
    ledger = tmp_path / "new" / "ledger"
    sqlite._connect(ledger).close()
    assert (ledger.stat().st_mode & 0o777, ledger.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    ledger.chmod(0o644)
    sqlite._connect(ledger).close()
    assert ledger.stat().st_mode & 0o777 == 0o600
    ledger.chmod(0o444)
    sqlite._create_private(ledger)
    assert ledger.stat().st_mode & 0o777 == 0o400
