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
from support.ledgers import MovedTime, begin, ledger_in_postgres, ledger_in_sqlite
from support.postgres import Database, PostgresServer

from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import LEASE_SECONDS, GenerationRecord, Item, State

REPLAY = 600.0
TENANTS = ("one", "other")
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
    (State.UNKNOWN, State.FAILED),
    (State.FAILED, State.CREATED),  # an answer that came late
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
        self.time = MovedTime()
        self.folder = Path(tempfile.mkdtemp())
        self.owners = [self.opened()] if self.in_memory else [self.opened(), self.opened()]
        self.observer = self.owners[0] if self.in_memory else self.opened()
        self.seen: dict[str, Item] = {}
        self.adopted: dict[str, str] = {}
        self.whose: dict[str, str] = {}

    def opened(self) -> Ledger:
        """A process's view of the store."""
        return ledger_in_sqlite(None if self.in_memory else self.folder / "ledger", self.time)

    def crash(self, gone: Ledger) -> None:
        """End a process as a crash does: without a word."""
        self.do(gone.database.close())

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
        """A call joins what is live, created or unknown within the window, and has new items for the rest only."""
        self.everything_moves_as_it_may()
        owner = self.owner(number)
        prints = [f"{tenant} {wish}" for wish in wishes]
        started = self.do(begin(owner, *wishes, tenant=tenant, replay=REPLAY, fingerprints=prints))
        for place, item in enumerate(started.record.items):
            earlier = [one for one in self.seen.values() if one.fingerprint == prints[place] and self.holds(one)]
            if place in started.new:
                assert earlier == []
                assert (item.state, item.owner) == (State.QUEUED, owner.owner)
                assert item.id not in self.seen
            else:
                assert item.id in {one.id for one in earlier}
                created = [one for one in earlier if one.state is State.CREATED]
                assert item.state is State.CREATED or not created
        self.whose[started.record.id] = tenant
        self.look(started.record)
        return multiple(started.record)

    def holds(self, item: Item) -> bool:
        """Whether an item keeps the same request from being sent."""
        if item.state.is_live:
            return True
        return item.state is not State.FAILED and (item.settled_at or 0) >= self.time.now - REPLAY

    @rule(record=records, number=st.integers(0, 1))
    def mark_sent(self, record: GenerationRecord, number: int) -> None:
        """Only the owner may send, and only what is queued; or, repeated, what it has just sent."""
        self.everything_moves_as_it_may()
        owner = self.owner(number)
        for item in record.items:
            before = self.seen[item.id]
            if self.do(owner.mark_sent(item.id)):
                assert before.state in {State.QUEUED, State.SENT}
                assert before.owner == owner.owner

    @rule(record=records, number=st.integers(0, 1))
    def requeue(self, record: GenerationRecord, number: int) -> None:
        """Octave refused it."""
        self.do(self.owner(number).requeue(record.items[0].id))

    @rule(
        record=records,
        number=st.integers(0, 1),
        state=st.sampled_from([State.CREATED, State.FAILED, State.UNKNOWN]),
        oid=st.sampled_from("xyz"),
    )
    def settle(self, record: GenerationRecord, number: int, state: State, oid: str) -> None:
        """An answer came, or none."""
        oids = [oid] if state is State.CREATED else []
        self.do(self.owner(number).settle(record.items[0].id, state, "{}", oids=oids, unreadable=b"x"))

    @rule(record=records, number=st.integers(0, 1), oids=st.sets(st.sampled_from("pqr"), min_size=1))
    def adopt(self, record: GenerationRecord, number: int, oids: set[str]) -> None:
        """A persona was found: it goes to one unknown item."""
        self.everything_moves_as_it_may()
        item = record.items[-1].id
        before = self.seen[item]
        if self.do(self.owner(number).adopt(item, dict.fromkeys(oids, "{}"))) == "matched":
            assert before.state in {State.UNKNOWN, State.CREATED}
            if before.state is State.UNKNOWN:
                (oid,) = oids - set(self.adopted)
                self.adopted[oid] = item

    @rule(record=records, number=st.integers(0, 1))
    def mark_not_created(self, record: GenerationRecord, number: int) -> None:
        """A complete list of Octave's showed that it was not created."""
        self.do(self.owner(number).mark_not_created(record.items[-1].id, "{}"))

    @rule(record=consumes(records), number=st.integers(0, 1))
    def give_up(self, record: GenerationRecord, number: int) -> None:
        """The caller is gone: nothing that was sent changes."""
        self.do(self.owner(number).give_up(record.id))

    @rule(record=records, number=st.integers(0, 1))
    def renew(self, record: GenerationRecord, number: int) -> None:
        """The owner still works on it."""
        self.do(self.owner(number).renew([item.id for item in record.items]))

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS + 1, REPLAY + 1]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.time.now += seconds

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
    def look_as_a_stranger(self, record: GenerationRecord) -> None:
        """No tenant sees another's."""
        (stranger,) = set(TENANTS) - {self.whose[record.id]}
        assert self.do(self.owner(0).generation(stranger, record.id)) is None
        assert all(self.whose[one.id] == stranger for one in self.do(self.owner(0).latest(stranger, 100)))

    @invariant()
    def everything_moves_as_it_may(self) -> None:
        """Each item, as any process sees it; a lease that ran out is seen as what it means."""
        for handle, tenant in self.whose.items():
            record = self.do(self.observer.generation(tenant, handle))
            assert record is not None
            self.look(record)

    def look(self, record: GenerationRecord) -> None:
        """Compare with what was seen before."""
        for item in record.items:
            before = self.seen.get(item.id)
            if before is not None and before.state is not item.state:
                live_or_unknown = {before.state, item.state} <= {State.QUEUED, State.SENT, State.UNKNOWN}
                assert (before.state, item.state) in MOVES or live_or_unknown
                assert before.state is not State.CREATED
            assert item.state.is_live or item.settled_at is not None
            self.seen[item.id] = item


class MemoryMachine(LedgerMachine):
    """The same in memory, which is one process's."""

    in_memory = True


class PostgresMachine(LedgerMachine):
    """The same in PostgreSQL, with a database of its own for each sequence."""

    server: PostgresServer

    def __init__(self) -> None:
        """Create the database."""
        self.database: Database = self.server.create_database()
        super().__init__()

    def opened(self) -> Ledger:
        """A process's view of the ledger."""
        return ledger_in_postgres(self.database.url, self.time)

    def teardown(self) -> None:
        """Close everything."""
        super().teardown()
        self.server.drop_database(self.database)


@pytest.mark.parametrize("machine", [LedgerMachine, MemoryMachine])
def test_no_item_moves_but_as_it_may(machine: type[LedgerMachine]) -> None:
    """Over any sequence of calls, crashes and waits."""
    run(machine, 60)


def test_no_item_moves_but_as_it_may_in_postgresql(postgres: PostgresServer) -> None:
    """As above, with fewer sequences, since each takes longer."""
    run(type("Machine", (PostgresMachine,), {"server": postgres}), 15)


def run(machine: type[LedgerMachine], examples: int) -> None:
    """Search for a sequence that breaks a rule."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
