"""What a store does where something is in its way, and what it joins, keeps and forgets."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from octave_mcp.generation.redis import NAMESPACE, RedisLedger
from support.redis_server import RedisServer, needs_redis, redis_server

from octave_mcp.generation import redis, sqlite, sqlite_operations
from octave_mcp.generation.ledger import RETENTION_SECONDS, Ledger
from octave_mcp.generation.records import DAY_SECONDS, Begun, LedgerError, LimitReached, State, Wanted
from octave_mcp.generation.sqlite import SqliteLedger

pytestmark = pytest.mark.anyio

T = "tenant"


class Time:
    """Moved by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def time() -> Time:
    """The time of all stores in a test."""
    return Time()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One Redis for all tests."""
    with redis_server() as running:
        yield running


@pytest.fixture
def opened(request: pytest.FixtureRequest, time: Time, tmp_path: Path) -> Callable[[], Ledger]:
    """Opens a store, the same at each call, as another process would."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("server")
        with server.client() as client:
            client.flushall()
        return lambda: RedisLedger(server.url, now=time)
    return lambda: SqliteLedger(tmp_path / "folder" / "ledger" if request.param == "file" else None, now=time)


ON_REDIS = pytest.param("redis", marks=needs_redis)
each_store = pytest.mark.parametrize("opened", ["file", "memory", ON_REDIS], indirect=True)
each_shared_store = pytest.mark.parametrize("opened", ["file", ON_REDIS], indirect=True)


@pytest.fixture
async def ledger(opened: Callable[[], Ledger]) -> AsyncIterator[Ledger]:
    """Each store."""
    one = opened()
    yield one
    await one.close()


def server_of(request: pytest.FixtureRequest) -> RedisServer | None:
    """The Redis of a test, if it is about one."""
    return request.getfixturevalue("server") if "redis" in request.node.name else None


def claims(ledger: Ledger, server: RedisServer | None) -> dict[str, str]:
    """Who claims which persona: no public door leads there."""
    if isinstance(ledger, SqliteLedger):
        assert ledger._connection is not None
        return dict(ledger._connection.execute("SELECT oid, item FROM claims").fetchall())
    assert server is not None
    with server.client() as client:
        found = client.hgetall(f"{NAMESPACE}:claims")
    return {oid.decode(): item.decode() for oid, item in found.items()}


def kept(ledger: Ledger, server: RedisServer | None) -> tuple[int, int]:
    """How many items are unknown, and how many unreadable answers are kept: no public door leads there."""
    if isinstance(ledger, SqliteLedger):
        assert ledger._connection is not None
        count = "SELECT count(*), count(unreadable) FROM items WHERE state = 'unknown'"
        unknown, unreadable = ledger._connection.execute(count).fetchone()
        return unknown, unreadable
    assert server is not None
    with server.client() as client:
        items = [client.hgetall(name) for name in client.keys(f"{NAMESPACE}:item:*")]
    lost = [one for one in items if one[b"state"] == b"unknown"]
    return len(lost), sum(b"unreadable" in one for one in lost)


async def begin(ledger: Ledger, *names: str, limit: int | None = None, replay: float = 100) -> Begun:
    """A call that asks for these."""
    wanted = [Wanted(f"print of {name}", name) for name in names]
    return await ledger.begin(T, wanted, replay_seconds=replay, day_limit=limit)


async def finish(ledger: Ledger, begun: Begun, *states: State, told: bool = True) -> None:
    """Have what was new end so, each with an oId of its own, and hand all over."""
    for place, state in zip(begun.new, states, strict=True):
        item = begun.record.items[place].id
        await ledger.mark_sent([item])
        await ledger.settle(item, state, "{}", oids=[f"pe_{item}"] if state is State.CREATED else [])
    if told:
        record = await ledger.generation(T, begun.record.id)
        assert record is not None
        await ledger.hand_over({item.id: item.state for item in record.items})


@each_store
async def test_what_was_never_handed_over_is_handed_over_for_a_while(ledger: Ledger, time: Time) -> None:
    """Then it is generated anew."""
    await finish(ledger, await begin(ledger, "A"), State.CREATED, told=False)
    time.now += 99
    assert (await begin(ledger, "A")).new == ()
    time.now += 2
    assert (await begin(ledger, "A")).new == (0,)


@each_store
@pytest.mark.parametrize(
    ("again", "new"),
    [("AB", (1,)), ("AX", (1,)), ("ABC", (1, 2)), ("BA", (0,)), ("A", (0,)), ("B", (0,)), ("CD", (0, 1))],
)
async def test_a_retry_of_what_did_not_all_come_back(ledger: Ledger, again: str, new: tuple[int, ...]) -> None:
    """Edited or not, it is handed what is there; what came back, asked for alone, is asked for on purpose."""
    await finish(ledger, await begin(ledger, "A", "B"), State.CREATED, State.FAILED)
    assert (await begin(ledger, *again)).new == new


@each_store
async def test_the_call_that_is_retried_is_the_one_with_most_in_common(ledger: Ledger) -> None:
    """Not a smaller one that got its own in between."""
    first = await begin(ledger, "A", "B")
    between = await begin(ledger, "A")
    await finish(ledger, first, State.CREATED, State.FAILED)
    assert between.new == ()
    assert (await begin(ledger, "A", "B")).new == (1,)


@each_store
async def test_an_answer_that_came_late_stands_behind_nothing(ledger: Ledger, time: Time) -> None:
    """It is handed over, though the wish was made again meanwhile, and that failed."""
    lost = await begin(ledger, "A")
    await finish(ledger, lost, State.UNKNOWN)
    again = await begin(ledger, "A")
    await finish(ledger, again, State.FAILED)
    assert await ledger.adopt(lost.record.items[0].id, {"pe_1": "{}"})
    joined = await begin(ledger, "A")
    assert (joined.new, joined.record.items[0].id) == ((), lost.record.items[0].id)
    assert time.now > 0


@each_store
async def test_what_was_refused_waits_only_if_somebody_still_asks_for_it(ledger: Ledger) -> None:
    """A call that was given up while its POST was under way wants no other."""
    first = await begin(ledger, "A", "B", "C")
    await begin(ledger, "B")
    ids = [item.id for item in first.record.items]
    await ledger.mark_sent(ids[:2])
    await ledger.settle(ids[2], State.UNKNOWN, "{}")
    await ledger.give_up(first.record.id)
    await ledger.requeue(ids)
    record = await ledger.generation(T, first.record.id)
    assert record is not None
    assert [item.state for item in record.items] == [State.FAILED, State.QUEUED, State.UNKNOWN]
    assert record.items[0].settled_at is not None
    assert record.items[1].settled_at is None
    assert await ledger.mark_sent(ids) == {ids[1]}


@each_shared_store
async def test_a_lease_begins_anew_when_it_is_sent(opened: Callable[[], Ledger], time: Time) -> None:
    """However long it waited for its turn."""
    owner, other = opened(), opened()
    begun = await begin(owner, "A")
    time.now += 29
    await owner.mark_sent([begun.record.items[0].id])
    time.now += 29
    record = await other.generation(T, begun.record.id)
    assert record is not None
    assert record.items[0].state is State.SENT
    await owner.close()
    await other.close()


@each_store
async def test_what_is_found_after_its_loss_was_told_is_to_be_handed_over(
    ledger: Ledger, request: pytest.FixtureRequest
) -> None:
    """It is listed until it is, and a claim is the first one's."""
    lost, other = await begin(ledger, "A"), await begin(ledger, "B")
    await finish(ledger, lost, State.UNKNOWN)
    assert [record.id for record in await ledger.uncollected(T)] == [other.record.id, lost.record.id], "in doubt"
    assert await ledger.adopt(lost.record.items[0].id, {"pe_1": "{}"})
    assert [record.id for record in await ledger.uncollected(T)] == [other.record.id, lost.record.id]
    item = other.record.items[0].id
    await ledger.mark_sent([item])
    await ledger.settle(item, State.CREATED, "{}", oids=["pe_1", "pe_2"])
    assert claims(ledger, server_of(request)) == {"pe_1": lost.record.items[0].id, "pe_2": item}


@each_store
async def test_after_a_complete_result_everything_is_made_anew(ledger: Ledger) -> None:
    """Also where an earlier one was not complete."""
    await finish(ledger, await begin(ledger, "A", "B"), State.CREATED, State.FAILED)
    await finish(ledger, await begin(ledger, "A", "B"), State.CREATED)
    assert (await begin(ledger, "A", "B")).new == (0, 1)


@each_store
async def test_the_limit_of_a_day_counts_what_may_have_been_bought(ledger: Ledger, time: Time) -> None:
    """Not what failed, nor what was joined; and a day later it is free again."""
    await finish(ledger, await begin(ledger, "A", "B", "C"), State.CREATED, State.FAILED, State.UNKNOWN)
    with pytest.raises(LimitReached) as caught:
        await begin(ledger, "D", "E", limit=3)
    assert (caught.value.limit, caught.value.left) == (3, 1)
    assert (await begin(ledger, "D", limit=3)).new == (0,)
    assert (await begin(ledger, "D", limit=3)).new == ()
    time.now += DAY_SECONDS + 1
    assert (await begin(ledger, "E", "F", "G", limit=3)).new == (0, 1, 2)


@each_store
async def test_what_is_kept_is_bounded(
    ledger: Ledger, time: Time, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """In time and in number; what is live is never forgotten."""
    old = await begin(ledger, "old")
    await finish(ledger, old, State.CREATED)
    await begin(ledger, "live")
    time.now += RETENTION_SECONDS + 1
    await begin(ledger, "new")
    assert await ledger.generation(T, old.record.id) is None
    for store in (sqlite_operations, redis):
        monkeypatch.setattr(store, "MAX_SETTLED", 2)
        monkeypatch.setattr(store, "MAX_UNREADABLE", 1)
    for name in "ABCD":
        (item,) = (await begin(ledger, name)).record.items
        await ledger.mark_sent([item.id])
        await ledger.settle(item.id, State.UNKNOWN, "{}", unreadable=b"<html>")
    await begin(ledger, "last")
    assert kept(ledger, server_of(request)) == (2, 1)


@each_store
async def test_giving_up_stops_only_what_nobody_else_asks_for(ledger: Ledger) -> None:
    """And nothing that was sent."""
    first = await begin(ledger, "A", "B", "C")
    await ledger.mark_sent([first.record.items[0].id])
    second = await begin(ledger, "B")
    await ledger.give_up(first.record.id)
    record = await ledger.generation(T, first.record.id)
    assert record is not None
    assert [item.state for item in record.items] == [State.SENT, State.QUEUED, State.FAILED]
    await ledger.give_up(second.record.id)
    record = await ledger.generation(T, first.record.id)
    assert record is not None
    assert record.items[1].state is State.FAILED


@each_store
async def test_a_persona_is_adopted_only_where_it_is_proven(ledger: Ledger, time: Time) -> None:
    """One candidate, claimed by none, and no other item that it could be."""
    done, lost = await begin(ledger, "A"), await begin(ledger, "B")
    await finish(ledger, done, State.CREATED)
    await finish(ledger, lost, State.UNKNOWN)
    item, claimed = lost.record.items[0].id, f"pe_{done.record.items[0].id}"
    assert not await ledger.adopt(item, {claimed: "{}"})
    assert not await ledger.adopt(item, {"pe_1": "{}", "pe_2": "{}"})
    assert not await ledger.adopt(done.record.items[0].id, {"pe_1": "{}"})
    rival = await begin(ledger, "B")
    await ledger.mark_sent([rival.record.items[0].id])
    assert not await ledger.adopt(item, {"pe_1": "{}"})
    await ledger.settle(rival.record.items[0].id, State.FAILED, "{}")
    assert await ledger.adopt(item, {"pe_1": "{}", claimed: "{}"})
    assert not await ledger.adopt(item, {"pe_3": "{}"})
    assert [record.items[0].id for record in await ledger.uncollected(T)] == [rival.record.items[0].id, item]
    assert time.now > 0


@each_shared_store
async def test_a_late_answer_is_still_recorded(opened: Callable[[], Ledger], time: Time) -> None:
    """Its owner slept, and was taken for gone; what was told meanwhile does not count as handed over."""
    owner, other = opened(), opened()
    begun = await begin(owner, "A")
    item = begun.record.items[0].id
    await owner.mark_sent([item])
    time.now += 31
    again = await begin(other, "A")
    assert (again.new, again.record.items[0].state) == ((), State.UNKNOWN)
    await other.hand_over({item: State.UNKNOWN})
    await owner.settle(item, State.CREATED, "{}", oids=["pe_1"])
    await other.hand_over({item: State.UNKNOWN})  # told before, and no longer so
    joined = await begin(other, "A")
    assert (joined.new, joined.record.items[0].state) == ((), State.CREATED)
    await owner.close()
    await other.close()


def _locked(path: Path) -> sqlite3.Connection:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    return holder


@each_store
async def test_a_store_that_can_be_used_is_found_to_be(ledger: Ledger) -> None:
    """Before anything was recorded, and after."""
    await ledger.check()
    await begin(ledger, "A")
    await ledger.check()


def state_in(file: Path) -> str | None:
    """What the file says of its one item, as after a loss of power: without the log that is written ahead of it."""
    alone = file.with_name("alone.db")
    shutil.copy(file, alone)
    with closing(sqlite3.connect(alone)) as copy, suppress(sqlite3.OperationalError):
        for (state,) in copy.execute("SELECT state FROM items"):
            return str(state)
    return None


async def test_what_is_synced_outlives_the_machine(tmp_path: Path, time: Time) -> None:
    """Also what became of an item, for which no caller waits longer than for the answer."""
    file = tmp_path / "ledger.db"
    ledger = SqliteLedger(file, now=time)
    await finish(ledger, await begin(ledger, "A"), State.CREATED)
    assert state_in(file) is None
    await ledger.sync()
    assert state_in(file) == "done"
    await ledger.close()


@each_store
async def test_a_store_is_synced_though_nothing_was_recorded(ledger: Ledger) -> None:
    """The next moment, or ever."""
    await ledger.sync()
    await begin(ledger, "A")
    await ledger.sync()
    await ledger.sync()


async def test_a_store_that_cannot_be_synced_says_so(tmp_path: Path, time: Time) -> None:
    """In the words of the others."""
    file = tmp_path / "ledger.db"
    ledger = SqliteLedger(file, now=time)
    await begin(ledger, "A")
    for one in (file, file.with_name("ledger.db-wal")):
        one.write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="OCTAVE_MCP_STATE_URL"):
        await ledger.sync()


async def test_a_locked_store_says_so_and_is_used_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program may hold it for a moment, not for good."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    ledger = SqliteLedger(tmp_path / "ledger")
    await begin(ledger, "A")
    holder = _locked(tmp_path / "ledger")
    with pytest.raises(LedgerError, match="locked"):
        await begin(ledger, "B")
    holder.close()
    assert (await begin(ledger, "B")).new == (0,)
    await ledger.close()


async def test_a_lock_that_another_program_holds_holds_up_nobody_else(tmp_path: Path) -> None:
    """What could have been done at once waits in a thread, and is done when it can be."""
    ledger = SqliteLedger(tmp_path / "ledger")
    await begin(ledger, "A")
    holder = _locked(tmp_path / "ledger")
    waiting = asyncio.create_task(begin(ledger, "B"))
    for _ in range(5):
        await asyncio.sleep(0.01)
    assert not waiting.done()
    holder.close()
    assert (await waiting).new == (0,)
    await ledger.close()


async def test_a_file_of_an_older_version_gets_what_makes_it_quick(tmp_path: Path) -> None:
    """It lacks indexes, and what is in it stays."""
    older = SqliteLedger(tmp_path / "ledger")
    generation = (await begin(older, "A")).record.id
    await older.close()
    with closing(sqlite3.connect(tmp_path / "ledger")) as file:
        for name in ("items_settled", "items_unreadable", "claims_of_an_item"):
            file.execute(f"DROP INDEX {name}")
    ledger = SqliteLedger(tmp_path / "ledger")
    assert await ledger.generation(T, generation) is not None
    await ledger.close()
    with closing(sqlite3.connect(tmp_path / "ledger")) as file:
        assert len(file.execute("SELECT 1 FROM sqlite_master WHERE name LIKE 'items_settled'").fetchall()) == 1


async def test_a_full_disk_says_so(tmp_path: Path) -> None:
    """As SQLite finds it when a file may not grow."""
    ledger = SqliteLedger(tmp_path / "ledger")
    await begin(ledger, "A")
    assert ledger._connection is not None
    (pages,) = ledger._connection.execute("PRAGMA page_count").fetchone()
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="disk is full"):
        await begin(ledger, *("x" * 3000 + str(number) for number in range(50)))
    assert (await begin(ledger, "B")).new == (0,)
    await ledger.close()


@pytest.mark.parametrize("content", [b"garbage " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_damaged_store_says_so_and_shows_no_path(tmp_path: Path, content: bytes) -> None:
    """The path may hold a person's name."""
    (tmp_path / "ledger").write_bytes(content)
    ledger = SqliteLedger(tmp_path / "ledger")
    with pytest.raises(LedgerError, match=r"OCTAVE_MCP_STATE_URL.*damaged") as caught:
        await begin(ledger, "A")
    assert str(tmp_path) not in str(caught.value)


async def test_another_versions_store_is_left_alone(tmp_path: Path) -> None:
    """A newer server may be using it."""
    with sqlite3.connect(tmp_path / "ledger") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LedgerError, match="another version"):
        await begin(SqliteLedger(tmp_path / "ledger"), "A")


async def test_a_file_that_was_removed_is_made_again(tmp_path: Path) -> None:
    """What is recorded in it would be lost: so nothing that was recorded before is sent."""
    ledger = SqliteLedger(tmp_path / "ledger")
    begun = await begin(ledger, "A")
    shutil.rmtree(tmp_path)
    assert await ledger.mark_sent([begun.record.items[0].id]) == frozenset()
    assert (await begin(ledger, "A")).new == (0,)
    assert (tmp_path / "ledger").is_file()
    await ledger.close()


async def test_a_path_that_no_file_can_have_says_so(tmp_path: Path) -> None:
    """Such as one with bytes that are no text."""
    with pytest.raises(LedgerError, match="cannot be opened"):
        await begin(SqliteLedger(tmp_path / "\ud800"), "A")


async def test_a_path_that_is_a_folder_or_under_a_file_says_so(tmp_path: Path) -> None:
    """In words."""
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "ledger"):
        with pytest.raises(LedgerError, match="cannot be opened"):
            await begin(SqliteLedger(path), "A")


_AS_ANOTHER_USER = """
import os, sys, anyio
from pathlib import Path
from octave_mcp.generation.records import LedgerError, Wanted
from octave_mcp.generation.sqlite import SqliteLedger
async def main():
    memory = SqliteLedger(None)
    await memory.begin("t", [], replay_seconds=1, day_limit=None)  # loads what the interpreter loads late
    await memory.close()
    if os.getuid() == 0:
        os.setuid(65534)
    await SqliteLedger(Path(sys.argv[1])).begin("t", [Wanted("f", "n")], replay_seconds=1, day_limit=None)
try:
    anyio.run(main)
except LedgerError as error:
    print(error)
"""


def test_a_store_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    """To a user who may not, which root never is."""
    target = tmp_path / "ledger"
    with sqlite3.connect(target) as made:
        made.execute("CREATE TABLE x (y)")
    made.close()
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
    """And are made so where they were not."""
    ledger = tmp_path / "new" / "ledger"
    sqlite._connect(ledger).close()
    assert (ledger.stat().st_mode & 0o777, ledger.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    ledger.chmod(0o644)
    sqlite._connect(ledger).close()
    assert ledger.stat().st_mode & 0o777 == 0o600
    ledger.chmod(0o444)
    sqlite._make_private(ledger)
    assert ledger.stat().st_mode & 0o777 == 0o400, "what nobody may write is not made writable"
