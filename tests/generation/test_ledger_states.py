"""The ledger as a state machine: whatever owners, crashes and time do to it, no item moves but as it may."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from octave_mcp.generation.redis import RedisLedger
from support.redis_server import RedisServer, needs_redis, redis_server

from octave_mcp.generation.ledger import Ledger
from octave_mcp.generation.records import LEASE_SECONDS, Item, Record, State, Wanted
from octave_mcp.generation.sqlite import SqliteLedger

REPLAY = 600.0
TENANTS = ("one", "other")
LIVE = {State.QUEUED, State.SENT}
MOVES = {
    (State.QUEUED, State.SENT),
    (State.SENT, State.QUEUED),  # refused, to be sent again
    (State.QUEUED, State.FAILED),
    (State.QUEUED, State.CREATED),
    (State.QUEUED, State.UNKNOWN),
    (State.SENT, State.CREATED),
    (State.SENT, State.FAILED),
    (State.SENT, State.UNKNOWN),
    (State.UNKNOWN, State.CREATED),
    (State.UNKNOWN, State.FAILED),  # its owner had been taken for gone, and was told so late
}
_T = TypeVar("_T")


class LedgerMachine(RuleBasedStateMachine):
    """Two processes, two tenants, a few wishes, and time."""

    in_memory = False
    records = Bundle("records")

    def __init__(self) -> None:
        """Open the store."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 1_000_000.0
        self.folder = Path(tempfile.mkdtemp())
        self.owners = [self.opened()] if self.in_memory else [self.opened(), self.opened()]
        self.observer = self.owners[0] if self.in_memory else self.opened()
        self.seen: dict[str, Item] = {}
        self.fingerprints: dict[str, tuple[str, str]] = {}
        self.sent_by: dict[str, str] = {}
        self.adopted: dict[str, str] = {}
        self.whose: dict[str, str] = {}

    def opened(self) -> Ledger:
        """A process's view of the store."""
        return SqliteLedger(None if self.in_memory else self.folder / "ledger", now=lambda: self.now)

    def crash(self, gone: Ledger) -> None:
        """End a process as a crash does: without a word."""
        assert isinstance(gone, SqliteLedger)
        gone._disconnect()

    def do(self, operation: Coroutine[Any, Any, _T]) -> _T:
        """Run one operation to its end."""
        return self.loop.run_until_complete(operation)

    def owner(self, number: int) -> Ledger:
        """One of the processes."""
        return self.owners[number % len(self.owners)]

    def teardown(self) -> None:
        """Close everything."""
        for owner in {*self.owners, self.observer}:
            self.do(owner.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder)

    @rule(
        target=records,
        number=st.integers(0, 1),
        tenant=st.sampled_from(TENANTS),
        wishes=st.lists(st.sampled_from("abcde"), min_size=1, max_size=4, unique=True),
    )
    def begin(self, number: int, tenant: str, wishes: list[str]) -> Any:
        """A call: joins what is live or was never fetched, never makes a second of it."""
        before = self.newest(tenant)
        wanted = [Wanted(f"{tenant} {wish}", f"name {wish}") for wish in wishes]
        owner = self.owner(number)
        begun = self.do(owner.begin(tenant, wanted, replay_seconds=REPLAY, day_limit=None))
        for place, (wish, item) in enumerate(zip(wanted, begun.record.items, strict=True)):
            found = before.get(wish.fingerprint)
            assert item.name == wish.name
            if place in begun.new:
                assert item.state is State.QUEUED
                assert item.owner == owner.owner
                assert item.id not in self.seen
                if found is not None:
                    unfetched = found.handed_over_at is None and found.settled_at is not None
                    recent = found.settled_at is not None and found.settled_at >= self.now - REPLAY
                    assert found.state not in LIVE
                    assert not (found.state in {State.CREATED, State.UNKNOWN} and unfetched and recent)
            else:
                assert found is not None
                assert item.id == found.id or (item.state is State.CREATED and item.handed_over_at is None)
                assert item.state is not State.FAILED
            self.fingerprints[item.id] = (tenant, wish.fingerprint)
        self.whose[begun.record.id] = tenant
        self.look(begun.record)
        return multiple(begun.record)

    def newest(self, tenant: str) -> dict[str, Item]:
        """The newest item of each wish, as recorded now."""
        self.everything_moves_as_it_may()
        found: dict[str, Item] = {}
        for item, (whose, fingerprint) in self.fingerprints.items():  # in the order made
            if whose == tenant:
                found[fingerprint] = self.seen[item]
        return found

    @rule(record=records, number=st.integers(0, 1))
    def mark_sent(self, record: Record, number: int) -> None:
        """Only the owner may send, and only what is queued."""
        owner = self.owner(number)
        sendable = self.do(owner.mark_sent([item.id for item in record.items]))
        for item in sendable:
            assert self.seen[item].state is State.QUEUED
            assert self.seen[item].owner == owner.owner

    @rule(record=records, number=st.integers(0, 1))
    def requeue(self, record: Record, number: int) -> None:
        """It was refused."""
        self.do(self.owner(number).requeue([item.id for item in record.items]))

    @rule(
        record=records,
        number=st.integers(0, 1),
        state=st.sampled_from([State.CREATED, State.FAILED, State.UNKNOWN]),
        oid=st.sampled_from("xyz"),
    )
    def settle(self, record: Record, number: int, state: State, oid: str) -> None:
        """An answer came, or none."""
        oids = [oid] if state is State.CREATED else []
        self.do(self.owner(number).settle(record.items[0].id, state, "{}", oids=oids, unreadable=b"x"))

    @rule(record=records, number=st.integers(0, 1), oids=st.sets(st.sampled_from("pqr"), min_size=1))
    def adopt(self, record: Record, number: int, oids: set[str]) -> None:
        """A persona was found: it goes to one item, which had been sent."""
        item = record.items[-1].id
        if self.do(self.owner(number).adopt(item, dict.fromkeys(oids, "{}"))):
            before = self.seen[item]
            assert before.sent_at is not None
            assert before.state is State.UNKNOWN or before.state is State.SENT
            (oid,) = oids - set(self.adopted)
            self.adopted[oid] = item

    @rule(record=records)
    def hand_over(self, record: Record) -> None:
        """A caller was told."""
        self.do(self.owner(0).hand_over({item.id: self.seen[item.id].state for item in record.items}))

    @rule(record=consumes(records), number=st.integers(0, 1))
    def give_up(self, record: Record, number: int) -> None:
        """The caller is gone: nothing that was sent changes."""
        self.do(self.owner(number).give_up(record.id))

    @rule(number=st.integers(0, 1))
    def renew(self, number: int) -> None:
        """A sign of life."""
        self.do(self.owner(number).renew())

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS + 1, REPLAY + 1]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule(number=st.integers(0, 1), politely=st.booleans())
    def end(self, number: int, politely: bool) -> None:  # noqa: FBT001 - hypothesis draws it
        """A process ends, politely or not, and another takes its place. One that crashes takes memory with it."""
        if self.in_memory:
            return
        place = number % len(self.owners)
        gone = self.owners[place]
        if politely:
            self.do(gone.close())
        else:
            self.crash(gone)
        self.owners[place] = self.opened()

    @rule(record=records)
    def look_as_a_stranger(self, record: Record) -> None:
        """No tenant sees another's."""
        (stranger,) = set(TENANTS) - {self.whose[record.id]}
        assert self.do(self.owner(0).generation(stranger, record.id)) is None
        assert all(self.whose[one.id] == stranger for one in self.do(self.owner(0).uncollected(stranger)))

    @invariant()
    def everything_moves_as_it_may(self) -> None:
        """Each item, as any process sees it; a lease that ran out is seen as what it means."""
        for handle, tenant in self.whose.items():
            record = self.do(self.observer.generation(tenant, handle))
            assert record is not None
            self.look(record)

    def look(self, record: Record) -> None:
        """Compare with what was seen before."""
        for item in record.items:
            before = self.seen.get(item.id)
            if before is not None and before.state is not item.state:
                assert (before.state, item.state) in MOVES or {before.state, item.state} <= LIVE | {State.UNKNOWN}
                assert before.state not in {State.CREATED, State.FAILED}
            assert item.state in LIVE or item.settled_at is not None
            self.seen[item.id] = item


class MemoryMachine(LedgerMachine):
    """The same in memory, which is one process's."""

    in_memory = True


class RedisMachine(LedgerMachine):
    """The same in Redis, which is empty at the start of each sequence."""

    server: RedisServer

    def __init__(self) -> None:
        """Empty the store."""
        with self.server.client() as client:
            client.flushall()
        super().__init__()

    def opened(self) -> RedisLedger:
        """A process's view of the store."""
        return RedisLedger(self.server.url, now=lambda: self.now)

    def crash(self, gone: Ledger) -> None:
        """End a process as a crash does: without a word."""
        assert isinstance(gone, RedisLedger)
        self.do(gone._disconnect())


@needs_redis
def test_no_item_moves_but_as_it_may_in_redis() -> None:
    """Over any sequence of calls, crashes and waits."""
    with redis_server() as server:
        run(type("RedisMachine", (RedisMachine,), {"server": server}))


@pytest.mark.parametrize("machine", [LedgerMachine, MemoryMachine])
def test_no_item_moves_but_as_it_may(machine: type[LedgerMachine]) -> None:
    """Over any sequence of calls, crashes and waits, on each store."""
    run(machine)


def run(machine: type[LedgerMachine]) -> None:
    """Look for a sequence that breaks a rule."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
