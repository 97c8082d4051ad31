"""The rules of the ledger, the same in every database: what a request joins, and which item may change how."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.ledgers import MovedTime, begin, finish, ledger_in_postgres, ledger_in_sqlite, rows

from octave_mcp.ledger import ledger as ledger_module
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.queries import LIST_LAG_SECONDS
from octave_mcp.ledger.records import (
    DAY_SECONDS,
    RETENTION_SECONDS,
    LimitReached,
    RequestedPersona,
    SpendingLimits,
    State,
)

pytestmark = pytest.mark.anyio

T = "tenant"


@pytest.fixture
def time() -> MovedTime:
    """Return the time of all ledgers in a test."""
    return MovedTime()


@pytest.fixture
def opened(request: pytest.FixtureRequest, time: MovedTime, tmp_path: Path) -> Callable[[], Ledger]:
    """Return a function that opens the ledger, as another process would at each call."""
    if request.param == "postgres":
        database = request.getfixturevalue("database")
        return lambda: ledger_in_postgres(database.url, time)
    return lambda: ledger_in_sqlite(tmp_path / "folder" / "ledger" if request.param == "file" else None, time)


each_database = pytest.mark.parametrize("opened", ["file", "memory", "postgres"], indirect=True)
each_shared_database = pytest.mark.parametrize("opened", ["file", "postgres"], indirect=True)


@pytest.fixture
async def ledger(opened: Callable[[], Ledger]) -> AsyncIterator[Ledger]:
    """Open a ledger, and close it after the test."""
    one = opened()
    yield one
    await one.close()


# --- The one rule -----------------------------------------------------------------------------------------------------


@each_database
@pytest.mark.parametrize(
    ("state", "is_new"),
    [
        (None, False),
        (State.SENT, False),
        (State.CREATED, False),
        (State.UNKNOWN, False),
        (State.FAILED, True),
    ],
)
async def test_the_same_request_is_new_only_if_nothing_was_created(
    ledger: Ledger,
    state: State | None,
    is_new: bool,  # noqa: FBT001 - drawn by the table
) -> None:
    """It joins what is queued, sent, created or unknown, however often it is made; what failed is sent."""
    first = await begin(ledger, "A")
    if state is State.SENT:
        await ledger.mark_sent(first.record.items[0].id)
    elif state is not None:
        await finish(ledger, first, state)
    for _ in range(3):
        again = await begin(ledger, "A")
        assert again.new == ((0,) if is_new else ())
        assert again.record.joined == (frozenset() if is_new else {first.record.items[0].id})
        if is_new:
            await finish(ledger, again, State.FAILED)


@each_database
@pytest.mark.parametrize("state", [State.CREATED, State.UNKNOWN])
async def test_the_window_ends(ledger: Ledger, time: MovedTime, state: State) -> None:
    """After it, the same request makes another persona."""
    await finish(ledger, await begin(ledger, "A"), state)
    time.now += 99
    assert (await begin(ledger, "A", replay=100)).new == ()
    time.now += 2
    assert (await begin(ledger, "A", replay=100)).new == (0,)


@each_database
async def test_a_request_joins_the_persona_that_was_created(ledger: Ledger, time: MovedTime) -> None:
    """A late answer counts, although the request was taken as failed and made again meanwhile."""
    lost = await begin(ledger, "A")
    await finish(ledger, lost, State.UNKNOWN)
    item = lost.record.items[0].id
    await ledger.mark_not_created(item, "{}")
    time.now += 1
    again = await begin(ledger, "A")
    assert again.new == (0,)
    await ledger.settle(item, State.CREATED, "{}")
    time.now += 1
    joined = await begin(ledger, "A")
    assert (joined.new, joined.record.items[0].id) == ((), item)


@each_database
async def test_each_persona_of_a_request_stands_for_itself(ledger: Ledger) -> None:
    """A request that repeats a part of another joins that part, and no more."""
    await finish(ledger, await begin(ledger, "A", "B"), State.CREATED, State.FAILED)
    assert (await begin(ledger, "A", "B", "C")).new == (1, 2)
    assert (await begin(ledger, "C", "A")).new == ()
    earlier = await ledger.earlier(T, requested_of("A", "X"), replay_seconds=100, limits=SpendingLimits())
    assert [item and item.state for item in earlier] == [State.CREATED, None]


def requested_of(*names: str) -> list[RequestedPersona]:
    """Return requested personas of these names."""
    return [RequestedPersona(f"print of {name}", name, name) for name in names]


@each_database
async def test_tenants_share_nothing(ledger: Ledger) -> None:
    """Neither an item nor a generation, nor the place in a list."""
    mine = await begin(ledger, "A")
    other = await begin(ledger, "A", tenant="other")
    assert other.new == (0,)
    assert await ledger.generation("other", mine.record.id) is None
    assert [record.id for record in await ledger.latest("other", 10)] == [other.record.id]


# --- Limits -----------------------------------------------------------------------------------------------------------


@each_database
@pytest.mark.parametrize(
    ("state", "later", "is_taken"),
    [
        (None, 0, True),
        (State.UNKNOWN, 3600, True),
        (State.CREATED, LIST_LAG_SECONDS - 1, True),
        (State.CREATED, LIST_LAG_SECONDS + 1, False),
        (State.FAILED, 0, False),
    ],
)
async def test_a_name_is_taken_by_what_octaves_list_may_lack(
    ledger: Ledger,
    time: MovedTime,
    state: State | None,
    later: float,
    is_taken: bool,  # noqa: FBT001 - drawn by the table
) -> None:
    """Of this tenant's earlier calls; the items of one call do not take each other's names."""
    first = await begin(ledger, "A")
    if state is not None:
        await finish(ledger, first, state)
    time.now += later
    second = await begin(ledger, "A", "A", "B", fingerprints=["x", "y", "z"])
    assert second.new == (0, 1, 2)
    taken = {name: namesake.generation for name, namesake in second.namesakes.items()}
    assert taken == ({"A": first.record.id} if is_taken else {})
    assert (await begin(ledger, "A", tenant="another")).namesakes == {}


@each_database
async def test_the_daily_limit_counts_what_may_have_been_created(ledger: Ledger, time: MovedTime) -> None:
    """It counts neither what failed nor what was joined, and a day later there is room again."""
    limits = SpendingLimits(personas_per_day=3)
    await finish(ledger, await begin(ledger, "A", "B", "C"), State.CREATED, State.FAILED, State.UNKNOWN)
    with pytest.raises(LimitReached) as caught:
        await begin(ledger, "D", "E", limits=limits)
    assert (caught.value.left, caught.value.unit) == (1, "personas")
    with pytest.raises(LimitReached, match=r"limit of 3 personas .* leaves 1"):
        await ledger.earlier(T, requested_of("D", "E"), replay_seconds=100, limits=limits)
    assert (await begin(ledger, "D", limits=limits)).new == (0,)
    assert (await begin(ledger, "D", limits=limits)).new == ()
    time.now += DAY_SECONDS + 1
    assert (await begin(ledger, "E", "F", "G", limits=limits)).new == (0, 1, 2)


@each_database
async def test_the_limit_of_credits_expects_the_price_that_was_seen(ledger: Ledger, time: MovedTime) -> None:
    """Before any price is known one call passes; later, what is in progress counts at the average price."""
    limits = SpendingLimits(credits_per_day=35)
    await finish(ledger, await begin(ledger, "A", "B", limits=limits), State.CREATED, State.CREATED, usage=10)
    with pytest.raises(LimitReached) as caught:
        await begin(ledger, "C", "D", limits=limits)
    assert (caught.value.left, caught.value.unit) == (15, "credits")
    in_progress = await begin(ledger, "C", limits=limits)
    with pytest.raises(LimitReached):
        await begin(ledger, "D", limits=limits)
    await finish(ledger, in_progress, State.FAILED)
    assert (await begin(ledger, "D", limits=limits)).new == (0,)
    time.now += DAY_SECONDS + 1
    assert (await begin(ledger, "E", "F", "G", limits=limits)).new == (0, 1, 2)


@each_database
async def test_the_limit_of_credits_counts_what_may_have_been_charged(ledger: Ledger) -> None:
    """A persona whose answer was lost counts at the average price, and a charge without a persona as reported."""
    limits = SpendingLimits(credits_per_day=35)
    for name, state, usage in (
        ("A", State.CREATED, 10),
        ("B", State.FAILED, 5),
        ("C", State.FAILED, None),
        ("D", State.UNKNOWN, None),
    ):
        await finish(ledger, await begin(ledger, name, limits=limits), state, usage=usage)
    with pytest.raises(LimitReached) as caught:
        await begin(ledger, "E", "F", limits=limits)
    assert caught.value.left == 10
    await finish(ledger, await begin(ledger, "E", limits=limits), State.CREATED)
    with pytest.raises(LimitReached) as caught:
        await begin(ledger, "F", limits=limits)
    assert caught.value.left == 0


@each_database
async def test_spending_is_what_octave_reported(ledger: Ledger, time: MovedTime) -> None:
    """It covers the last day and the retention; without any report there is no number."""
    await finish(ledger, await begin(ledger, "A"), State.CREATED)
    nothing = await ledger.spending(T)
    assert (nothing.personas, nothing.credits, nothing.priced) == (1, None, 0)
    await finish(ledger, await begin(ledger, "B"), State.CREATED, usage=7.5)
    time.now += DAY_SECONDS + 1
    await finish(ledger, await begin(ledger, "C"), State.CREATED, usage=10)
    seen = await ledger.spending(T)
    assert (seen.day_personas, seen.day_credits, seen.personas, seen.credits, seen.priced) == (1, 10, 3, 17.5, 2)


# --- Items ------------------------------------------------------------------------------------------------------------


@each_database
async def test_a_refused_item_is_queued_only_if_a_call_still_asks_for_it(ledger: Ledger) -> None:
    """A call that gave up while its POST was in progress asks for no other."""
    first = await begin(ledger, "A", "B", "C")
    await begin(ledger, "B")
    ids = [item.id for item in first.record.items]
    for item in ids[:2]:
        assert await ledger.mark_sent(item)
    await ledger.settle(ids[2], State.UNKNOWN, "{}")
    await ledger.give_up(first.record.id)
    for item in ids:
        await ledger.requeue(item)
    record = await ledger.generation(T, first.record.id)
    assert record is not None
    assert [item.state for item in record.items] == [State.FAILED, State.QUEUED, State.UNKNOWN]
    assert [item.settled_at is None for item in record.items] == [False, True, False]
    assert [await ledger.mark_sent(item) for item in ids] == [False, True, False]


@each_database
async def test_giving_up_stops_only_what_no_other_call_asks_for(ledger: Ledger) -> None:
    """It changes nothing that was sent."""
    first = await begin(ledger, "A", "B", "C")
    await ledger.mark_sent(first.record.items[0].id)
    second = await begin(ledger, "B")
    await ledger.give_up(first.record.id)
    record = await ledger.generation(T, first.record.id)
    assert record is not None
    assert [item.state for item in record.items] == [State.SENT, State.QUEUED, State.FAILED]
    await ledger.give_up(second.record.id)
    await begin(ledger, "D")
    await ledger.give_up_queued()
    states = [[item.state for item in one.items] for one in await ledger.latest(T, 10)]
    assert states.count([State.FAILED]) == 2


@each_shared_database
async def test_a_lease_ends_unless_it_is_renewed(opened: Callable[[], Ledger], time: MovedTime) -> None:
    """A sent item is unknown then, a queued one has failed, and neither is free for another process to send."""
    owner, other = opened(), opened()
    started = await begin(owner, "A", "B", "C")
    ids = [item.id for item in started.record.items]
    time.now += 29
    await owner.mark_sent(ids[0])
    await owner.renew(ids[1:2])
    time.now += 29
    seen = await other.generation(T, started.record.id)
    assert seen is not None
    assert [item.state for item in seen.items] == [State.SENT, State.QUEUED, State.FAILED]
    time.now += 2
    seen = await other.generation(T, started.record.id)
    assert seen is not None
    assert [item.state for item in seen.items] == [State.UNKNOWN, State.FAILED, State.FAILED]
    assert not any([await other.mark_sent(item) for item in ids])
    await owner.settle(ids[0], State.CREATED, "{}", oids=["pe_1"])
    again = await begin(other, "A")
    assert (again.new, again.record.items[0].state) == ((), State.CREATED)
    await owner.close()
    await other.close()


@each_shared_database
async def test_a_process_that_ends_leaves_the_truth(opened: Callable[[], Ledger], time: MovedTime) -> None:
    """What it sent is unknown, and what it queued has failed."""
    owner, other = opened(), opened()
    started = await begin(owner, "A", "B")
    await owner.mark_sent(started.record.items[0].id)
    await owner.close()
    record = await other.generation(T, started.record.id)
    assert record is not None
    assert [item.state for item in record.items] == [State.UNKNOWN, State.FAILED]
    assert time.now > 0
    await other.close()


@each_database
async def test_a_persona_is_adopted_only_if_it_is_proven(ledger: Ledger) -> None:
    """There is one candidate, no item has claimed it, and it could be no other item's."""
    done, lost = await begin(ledger, "A"), await begin(ledger, "B")
    await finish(ledger, done, State.CREATED)
    await finish(ledger, lost, State.UNKNOWN)
    item, claimed = lost.record.items[0].id, f"pe_{done.record.items[0].id}"
    assert await ledger.adopt(item, {claimed: "{}"}) == "absent"
    assert await ledger.adopt(item, {"pe_1": "{}", "pe_2": "{}"}) == "ambiguous"
    assert await ledger.adopt("no such item", {"pe_1": "{}"}) == "absent"
    rival = await begin(ledger, "B", fingerprints=["another request of that name"])
    await ledger.mark_sent(rival.record.items[0].id)
    assert await ledger.adopt(item, {"pe_1": "{}"}) == "ambiguous"
    await ledger.settle(rival.record.items[0].id, State.FAILED, "{}")
    assert await ledger.adopt(item, {"pe_1": "{}", claimed: "{}"}) == "matched"
    assert await ledger.adopt(item, {"pe_1": "{}"}) == "matched", "run again, as the first commit was lost"
    await ledger.mark_not_created(item, "{}")
    record = await ledger.generation(T, lost.record.id)
    assert record is not None
    assert record.items[0].state is State.CREATED


@each_database
@pytest.mark.parametrize(
    ("mine", "theirs", "match"),
    [
        ("wa_1", "wa_2", "matched"),
        ("wa_1", "wa_1", "ambiguous"),
        ("wa_1", None, "ambiguous"),
        (None, "wa_2", "ambiguous"),
    ],
)
async def test_a_lost_item_of_another_workspace_is_no_rival(
    ledger: Ledger, mine: str | None, theirs: str | None, match: str
) -> None:
    """Tenants of one server usually have workspaces of their own; a persona of one is never another's."""
    lost, rival = await begin(ledger, "CISO"), await begin(ledger, "CISO", tenant="another")
    await finish(ledger, lost, State.UNKNOWN)
    await finish(ledger, rival, State.UNKNOWN)
    assert await ledger.adopt(rival.record.items[0].id, {"pe_9": "{}"}, workspace=theirs) == "ambiguous"
    assert await ledger.adopt(lost.record.items[0].id, {"pe_1": "{}"}, workspace=mine) == match


@each_database
async def test_the_first_claim_of_a_persona_holds(ledger: Ledger) -> None:
    """An answer that names a persona of another item takes it from nobody."""
    lost, other = await begin(ledger, "A"), await begin(ledger, "B")
    await finish(ledger, lost, State.UNKNOWN)
    assert await ledger.adopt(lost.record.items[0].id, {"pe_1": "{}"}) == "matched"
    item = other.record.items[0].id
    await ledger.mark_sent(item)
    await ledger.settle(item, State.CREATED, "{}", oids=["pe_1", "pe_2"])
    assert dict(await rows(ledger, "SELECT oid, item FROM claims")) == {"pe_1": lost.record.items[0].id, "pe_2": item}


@each_database
async def test_a_transaction_can_be_repeated(ledger: Ledger) -> None:
    """The second run, after a commit whose outcome was lost, finds what the first one did."""
    values = (requested_of("A"),)
    first = await ledger.begin("gen_1", T, *values, replay_seconds=100, limits=SpendingLimits())
    second = await ledger.begin("gen_1", T, *values, replay_seconds=100, limits=SpendingLimits())
    assert first == second
    item = first.record.items[0].id
    assert [await ledger.mark_sent(item) for _ in range(2)] == [True, True]
    for _ in range(2):
        await ledger.settle(item, State.CREATED, "{}", oids=["pe_1"])
    await ledger.settle(item, State.UNKNOWN, "{}")
    record = await ledger.generation(T, "gen_1")
    assert record is not None
    assert record.items[0].state is State.CREATED


@each_database
async def test_what_is_kept_is_bounded(ledger: Ledger, time: MovedTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settled items are kept for a week, and the newest unreadable answers; what is live is never forgotten."""
    old = await begin(ledger, "old")
    await finish(ledger, old, State.CREATED)
    time.now += RETENTION_SECONDS - 1
    await begin(ledger, "live")
    time.now += 2
    await begin(ledger, "new")
    assert await ledger.generation(T, old.record.id) is None
    assert len(await ledger.latest(T, 10)) == 2
    assert len(await ledger.latest(T, 1)) == 1
    monkeypatch.setattr(ledger_module, "MAX_UNREADABLE", 2)
    for number, name in enumerate("ABCD"):
        time.now += 1
        (item,) = (await begin(ledger, name)).record.items
        await ledger.mark_sent(item.id)
        await ledger.settle(item.id, State.UNKNOWN, "{}", unreadable=b"<html> %d" % number)
    kept = await rows(ledger, "SELECT unreadable FROM items WHERE unreadable IS NOT NULL ORDER BY settled_at")
    assert kept == [(b"<html> 2",), (b"<html> 3",)]


@each_database
async def test_the_database_can_be_checked_and_synced_at_any_time(ledger: Ledger) -> None:
    """Before anything was recorded, and after."""
    for _ in range(2):
        await ledger.check()
        await ledger.sync()
        await begin(ledger, "A")


@each_shared_database
async def test_a_generation_may_be_given_up_by_another_process(opened: Callable[[], Ledger]) -> None:
    """Its owner then must not send what was queued, and may finish what was sent."""
    owner, other = opened(), opened()
    record = (await begin(owner, "A", "B")).record
    sent, queued = (item.id for item in record.items)
    assert await owner.mark_sent(sent)
    await other.give_up(record.id)
    assert not await owner.mark_sent(queued)
    found = await other.generation(T, record.id)
    assert found is not None
    assert [item.state for item in found.items] == [State.SENT, State.FAILED]
