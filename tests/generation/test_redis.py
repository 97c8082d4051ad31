"""What the store in Redis does where Redis is away, slow, full, another one or not to be trusted."""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trustme
from redis import Redis, exceptions
from support.redis_server import RedisServer, Relay, needs_redis, redis_server

from octave_mcp.generation import redis, redis_answers
from octave_mcp.generation.ledger import LEASE_SECONDS, RETENTION_SECONDS, Begun, LedgerError, State, Wanted
from octave_mcp.generation.redis import NAMESPACE, RedisLedger

pytestmark = [pytest.mark.anyio, needs_redis]

T = "tenant"
BOUND_SECONDS = 3.2
"""An operation ends by then, whatever Redis does."""


@pytest.fixture(scope="module")
def running() -> Iterator[RedisServer]:
    """One Redis for all tests that do not break it."""
    with redis_server() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> Iterator[RedisServer]:
    """The same, empty, and as it was set up."""
    with running.client() as client:
        client.flushall()
        client.script_flush()
    yield running
    with running.client() as client:
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")


@asynccontextmanager
async def opened(where: RedisServer | str, **options: Any) -> AsyncIterator[RedisLedger]:
    """A store, closed at the end also where Redis is not there to be told."""
    ledger = RedisLedger(where if isinstance(where, str) else where.url, **options)
    try:
        yield ledger
    finally:
        with suppress(LedgerError):
            await ledger.close()


async def begin(ledger: RedisLedger, *names: str | None, limit: int | None = None) -> Begun:
    """A call that asks for these."""
    wanted = [Wanted(f"print of {name!r}", name) for name in names]
    return await ledger.begin(T, wanted, replay_seconds=100, day_limit=limit)


async def states(ledger: RedisLedger, begun: Begun) -> list[State]:
    """What became of a call's items."""
    record = await ledger.generation(T, begun.record.id)
    assert record is not None
    return [item.state for item in record.items]


def items(server: RedisServer) -> list[dict[bytes, bytes]]:
    """All that Redis has of items."""
    with server.client() as client:
        return [client.hgetall(name) for name in client.keys(f"{NAMESPACE}:item:*")]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for it, bounded."""
    ends = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


def has_a_replica(client: Redis) -> bool:
    """Whether one follows it, and has said so."""
    client.set("theirs", "1")
    return bool(client.wait(1, 100) == 1)


async def test_a_redis_that_is_down_says_so_and_is_used_once_it_is_up(caplog: pytest.LogCaptureFixture) -> None:
    """No text has the address, or the password."""
    with redis_server(password="hush-hush", started=False) as server:
        async with opened(server) as ledger:
            with pytest.raises(LedgerError, match=r"OCTAVE_MCP_STATE_URL.*cannot be reached") as caught:
                await begin(ledger, "A")
            server.start()
            assert items(server) == []
            assert (await begin(ledger, "A")).new == (0,)
            shown = "".join(traceback.format_exception(caught.value))
            for text in (str(caught.value), caplog.text, shown):
                assert not [word for word in ("hush", str(server.port), "127.0.0.1", "localhost") if word in text]


async def test_what_was_recorded_survives_redis(caplog: pytest.LogCaptureFixture) -> None:
    """A kill loses nothing of it, and what its owner has sent is unknown when the owner is gone."""
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        now = 1_000_000.0
        async with opened(server, now=lambda: now) as other:
            gone = RedisLedger(server.url, now=lambda: now)
            begun = await begin(gone, "A", "B")
            await gone.mark_sent([begun.record.items[0].id])
            await gone._disconnect()
            server.kill()
            server.start()
            assert await states(other, begun) == [State.SENT, State.QUEUED]
            now += LEASE_SECONDS + 1
            assert await states(other, begun) == [State.UNKNOWN, State.FAILED]
            assert (await begin(other, "A", "B")).new == (1,)
    assert "restart" not in caplog.text


async def test_a_begin_that_redis_was_late_to_confirm_leaves_nothing_live(server: RedisServer) -> None:
    """It happened, and is undone before anything else is done; also where a third has joined it."""
    async with opened(server) as ledger, opened(server) as other:
        await ledger.check()
        server.pause()
        began = time.monotonic()
        try:
            with pytest.raises(LedgerError, match="in time"):
                await begin(ledger, "A")
            assert time.monotonic() - began < BOUND_SECONDS
        finally:
            server.go_on()
        await until(lambda: len(items(server)) == 1)
        joined = await begin(other, "A")
        assert joined.new == ()
        await ledger.renew()
        assert await states(other, joined) == [State.FAILED]
        assert (await begin(ledger, "A")).new == (0,)
        assert ledger._abandoned == set()


async def test_however_many_wait_for_a_redis_that_hangs_each_is_told_in_time(server: RedisServer) -> None:
    """Also those that have not had their turn; and nothing of it is left over."""
    async with opened(server) as ledger:
        begun = await begin(ledger, "A")
        assert abs(begun.record.created_at - time.time()) < 5, "Redis's clock, which is this machine's"
        server.pause()
        began = time.monotonic()
        try:
            found = await asyncio.gather(*(states(ledger, begun) for _ in range(100)), return_exceptions=True)
        finally:
            server.go_on()
        assert time.monotonic() - began < BOUND_SECONDS
        assert {type(one) for one in found if "in time" in str(one)} <= {LedgerError, redis._InDoubtError}
        assert all("in time" in str(one) for one in found)
        assert await states(ledger, begun) == [State.QUEUED]


async def test_a_begin_that_arrives_after_it_was_given_up_is_none(server: RedisServer) -> None:
    """As one may that was on its way for long; and one that arrives twice is one."""
    async with opened(server) as ledger:
        call = ("gen_late", T, "100", "", "1", "item", "print", "1", "name")
        ledger._abandoned.add("gen_late")
        await ledger.renew()
        with pytest.raises(LedgerError, match="in time"):
            await ledger._do("begin", *call)
        assert items(server) == []
        first, again = [await ledger._do("begin", "gen_other", *call[1:]) for _ in range(2)]
        assert first == again
        assert len(items(server)) == 1


async def test_a_cancelled_begin_leaves_nothing_live(server: RedisServer) -> None:
    """It goes on without its caller, and is undone."""
    async with opened(server) as ledger:
        await ledger.check()
        task = asyncio.create_task(begin(ledger, "A"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert ledger._abandoned
        await ledger.renew()
        await until(lambda: not ledger._working)
        assert {item[b"state"] for item in items(server)} <= {b"failed"}
        assert (await begin(ledger, "A")).new == (0,)


async def test_a_late_mark_sent_does_not_outlive_what_came_after_it(server: RedisServer) -> None:
    """What could not be marked is settled as not sent; a copy that comes late changes nothing."""
    async with opened(server) as ledger:
        begun = await begin(ledger, "A")
        item = begun.record.items[0].id
        server.pause()
        began = time.monotonic()
        try:
            with pytest.raises(LedgerError, match="in time"):
                await ledger.mark_sent([item])
            assert time.monotonic() - began < BOUND_SECONDS
        finally:
            server.go_on()
        await until(lambda: items(server)[0][b"state"] == b"sent")
        await ledger.settle(item, State.FAILED, "{}")
        assert await states(ledger, begun) == [State.FAILED]


async def test_an_operation_that_comes_again_or_late_is_answered_as_it_was(server: RedisServer) -> None:
    """By its number: one that was sent twice has happened once."""
    async with opened(server) as ledger:
        begun = await begin(ledger, "A")
        item = begun.record.items[0].id
        values = [item.encode()]

        async def sent_with(number: int, operation: str, *more: bytes) -> list[Any]:
            header = ledger._header(operation, ())
            header[11] = str(number)
            return await ledger._twice(operation, [*header, *more], [])

        assert await sent_with(100, "mark_sent", b"1", *values) == [b"ok", values]
        assert await sent_with(100, "mark_sent", b"1", *values) == [b"ok", values]
        await sent_with(101, "requeue", b"1", *values)
        assert await sent_with(100, "mark_sent", b"1", *values) == [b"ok", []]
        assert await sent_with(102, "mark_sent", b"1", *values) == [b"ok", values]
        await sent_with(101, "requeue", b"1", *values)
        assert await states(ledger, begun) == [State.SENT]
        assert await sent_with(103, "adopt", *values, b"1", b"pe_1", b"{}") == [b"ok", b"1"]
        assert await sent_with(103, "adopt", *values, b"1", b"pe_1", b"{}") == [b"ok", b"1"]
        assert not await ledger.adopt(item, {"pe_1": "{}"})


async def test_a_full_redis_says_so_and_has_nothing_half_done(server: RedisServer) -> None:
    """What is recorded can still be read."""
    async with opened(server) as ledger:
        begun = await begin(ledger, "A")
        with server.client() as client:
            before = sorted(client.keys())
            client.config_set("maxmemory", 1)
            with pytest.raises(LedgerError, match="full"):
                await begin(ledger, "B", "C")
            with pytest.raises(LedgerError, match="full"):
                await ledger.mark_sent([begun.record.items[0].id])
            with pytest.raises(LedgerError, match="full"):
                await ledger.check()
            assert sorted(client.keys()) == before
            assert await states(ledger, begun) == [State.QUEUED]
            client.config_set("maxmemory", 0)
        assert (await begin(ledger, "B")).new == (0,)


@pytest.mark.parametrize(
    ("memory", "policy", "refused"),
    [(10**8, "allkeys-lru", True), (0, "allkeys-lru", False), (10**8, "volatile-lru", False)],
)
async def test_a_redis_that_may_evict_records_is_not_used(
    server: RedisServer, *, memory: int, policy: str, refused: bool
) -> None:
    """Evicted, what was bought would be bought again; what has no time to live is not evicted by every policy."""
    with server.client() as client:
        client.config_set("maxmemory", memory)
        client.config_set("maxmemory-policy", policy)
        async with opened(server) as ledger:
            if refused:
                for _ in range(2):
                    with pytest.raises(LedgerError, match="set its maxmemory-policy to noeviction"):
                        await ledger.check()
                client.config_set("maxmemory-policy", "noeviction")
            await ledger.check()
            await begin(ledger, "A")
        assert {client.ttl(name) for name in client.scan_iter()} == {-1}


async def test_a_wrong_password_says_so() -> None:
    """And does not show it, nor none."""
    with redis_server(password="right-one") as server:
        for who in (":wrong-one@", ""):
            async with opened(server.url.replace(":right-one@", who)) as ledger:
                with pytest.raises(LedgerError, match="password") as caught:
                    await ledger.check()
                assert "-one" not in str(caught.value)
        async with opened(server) as ledger:
            await ledger.check()


async def test_a_user_who_may_not_ask_how_redis_is_set_up_is_served(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """With one warning in the log; and one who may not write is told."""
    with server.client() as client:
        client.acl_setuser("worker", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-info"])
        client.acl_setuser("reader", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@read", "+@connection"])
    async with opened(server.url.replace("//", "//worker:pw@")) as ledger:
        await begin(ledger, "A")
        ledger._inspected = None
        await ledger.check()
    assert caplog.text.count("does not tell") == 1
    async with opened(server.url.replace("//", "//reader:pw@")) as ledger:
        with pytest.raises(LedgerError, match="permit"):
            await ledger.check()


async def test_a_restart_that_would_forget_is_warned_of_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """It is the user's choice."""
    async with opened(server) as ledger:
        for _ in range(3):
            ledger._inspected = None
            await ledger.check()
    assert caplog.text.count("A restart of Redis forgets what was bought") == 1


async def test_after_a_failover_what_was_sent_is_still_known() -> None:
    """The replica had it before the POST left; and the service comes back by itself."""
    fast = ("--repl-diskless-sync-delay", "0")
    with redis_server(*fast) as first, redis_server(*fast, "--replicaof", "127.0.0.1", str(first.port)) as second:
        async with Relay(first.port) as relay, opened(f"redis://localhost:{relay.port}", replicas=1) as ledger:
            with first.client() as old, second.client() as new:
                await until(lambda: has_a_replica(old))
                begun = await begin(ledger, "A", "B")
                item = begun.record.items[0].id
                assert await ledger.mark_sent([item]) == {item}
                new.replicaof("NO", "ONE")
                old.replicaof("127.0.0.1", second.port)
                relay.lead(second.port)
                await until(lambda: has_a_replica(new))
                await ledger.settle(item, State.DONE, "{}", oids=["pe_1"])
                await ledger.mark_sent([begun.record.items[1].id])
                assert await states(ledger, begun) == [State.DONE, State.SENT]
                assert new.hget(f"{NAMESPACE}:item:{item}", "state") == b"done"
        async with opened(first) as ledger:
            with pytest.raises(LedgerError, match="replica, which takes no writes"):
                await ledger.check()


async def test_what_too_few_replicas_have_is_not_sent(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """It is undone; an outcome is kept all the same."""
    async with opened(server, replicas=1) as ledger, opened(server) as other:
        with pytest.raises(LedgerError, match="too few replicas"):
            await begin(ledger, "A")
        assert (await begin(other, "A")).new == ()
        await ledger.renew()
        assert [item[b"state"] for item in items(server)] == [b"failed"]
        ledger._replicas = 0
        begun = await begin(ledger, "B")
        item = begun.record.items[0].id
        ledger._replicas = 1
        with pytest.raises(LedgerError, match="too few replicas"):
            await ledger.mark_sent([item])
        await ledger.settle(item, State.FAILED, "{}")
        assert await states(ledger, begun) == [State.FAILED]
    assert "Fewer than 1 replicas" in caplog.text


async def test_tls_is_verified() -> None:
    """Against the authority that the URL names, whatever else it says."""
    authority, stranger = trustme.CA(), trustme.CA()
    with redis_server(authority=authority) as server:
        async with opened(server) as ledger:
            assert (await begin(ledger, "A")).new == (0,)
        stranger.cert_pem.write_to_path(str(server.folder / "ca.pem"))
        for more in ("", "&ssl_cert_reqs=none&ssl_check_hostname=false"):
            async with opened(server.url + more) as ledger:
                with pytest.raises(LedgerError, match="certificate"):
                    await ledger.check()


@pytest.mark.parametrize(
    "url", ["http://localhost", "redis://localhost?socket_timeout=x", "redis://localhost?no=thing"]
)
def test_an_address_that_is_none_of_a_redis_says_so(url: str) -> None:
    """Before anything is connected."""
    with pytest.raises(LedgerError, match="the address is not one of a Redis"):
        RedisLedger(url)


async def test_other_keys_are_left_alone(server: RedisServer) -> None:
    """Somebody else may keep theirs in the same Redis."""
    with server.client() as client:
        client.set("theirs", "1")
        client.set("octave-personas-mcp", "2")
        async with opened(server) as ledger:
            begun = await begin(ledger, "A", "B")
            await ledger.mark_sent([item.id for item in begun.record.items])
            await ledger.settle(begun.record.items[0].id, State.DONE, "{}", oids=["pe_1"], unreadable=b"x")
        assert (client.get("theirs"), client.get("octave-personas-mcp")) == (b"1", b"2")
        others = [name for name in client.scan_iter() if not name.startswith(f"{NAMESPACE}:".encode())]
        assert sorted(others) == [b"octave-personas-mcp", b"theirs"]


async def test_of_many_calls_at_once_for_the_same_one_makes_it(server: RedisServer) -> None:
    """In whichever process they come."""
    async with opened(server) as one, opened(server) as other:
        begun = await asyncio.gather(*(begin(ledger, "A") for ledger in (one, other) * 25))
        assert [call.new for call in begun if call.new] == [(0,)]
        assert len({call.record.items[0].id for call in begun}) == 1


async def test_many_operations_at_once_wait_for_their_turn(server: RedisServer) -> None:
    """None fails for want of a connection, and there are not many."""
    async with opened(server) as ledger:
        begun = await asyncio.gather(*(begin(ledger, str(number)) for number in range(200)))
        assert len({call.record.items[0].id for call in begun}) == 200
        with server.client() as client:
            assert client.info("clients")["connected_clients"] <= redis.MAX_CONNECTIONS + 1


async def test_cancels_mix_up_no_answers(server: RedisServer) -> None:
    """What was under way goes on without its caller."""
    async with opened(server) as ledger:
        begun = [await begin(ledger, str(number)) for number in range(50)]
        for pause in (0.0, 0.001, 0.005):
            tasks = [asyncio.create_task(states(ledger, one)) for one in begun]
            await asyncio.sleep(pause)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            records = await asyncio.gather(*(ledger.generation(T, one.record.id) for one in begun))
            assert [record.id for record in records if record] == [one.record.id for one in begun]


async def test_what_is_forgotten_leaves_no_trace(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number at each call; what is live stays."""
    monkeypatch.setattr(redis, "MAX_FORGOTTEN", 20)
    now = 1_000_000.0
    async with opened(server, now=lambda: now) as ledger:
        for name in range(10):
            begun = await begin(ledger, f"{name} A", f"{name} B", None, f"{name} C")
            ids = [item.id for item in begun.record.items]
            await ledger.mark_sent(ids)
            await ledger.settle(ids[0], State.DONE, "{}", oids=[f"pe_{name}", "pe_shared"])
            await ledger.settle(ids[1], State.UNKNOWN, "{}", unreadable=b"\xff")
            await ledger.settle(ids[2], State.FAILED, "{}")
            await ledger.adopt(ids[1], {f"pe_found_{name}": "{}"})
            if name % 2:
                await ledger.give_up(begun.record.id)
        await ledger.give_up_queued()
        other = await begin(ledger, "live")
        for item in [item for one in await ledger.uncollected(T) for item in one.items]:
            if item.state is State.SENT:
                await ledger.settle(item.id, State.UNKNOWN, "{}")
        now += RETENTION_SECONDS + 1
        await begin(ledger)
        with server.client() as client:
            assert len(client.keys(f"{NAMESPACE}:item:*")) == 21
            await begin(ledger)
            assert await states(ledger, other) == [State.QUEUED]
            await ledger.settle(other.record.items[0].id, State.DONE, "{}", oids=["pe_last"])
            now += RETENTION_SECONDS + 1
            await begin(ledger)
            assert sorted(client.keys()) == [f"{NAMESPACE}:{name}".encode() for name in ("seq", "version")]


async def test_what_redis_lost_is_told(server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody removed it, or it was evicted: it is not taken for what never was."""
    async with opened(server) as ledger:
        begun, other = await begin(ledger, "A", "B"), await begin(ledger, "C")
        item = begun.record.items[0].id
        with server.client() as client:
            client.delete(f"{NAMESPACE}:item:{item}")
        with pytest.raises(LedgerError, match="lost"):
            await ledger.generation(T, begun.record.id)
        assert [record.id for record in await ledger.uncollected(T)] == [other.record.id]
        assert await ledger.mark_sent([item]) == frozenset()
        await ledger.settle(item, State.DONE, "{}", oids=["pe_1"])
        await ledger.renew()
    assert "lost a part" in caplog.text
    assert "lost the record" in caplog.text


async def test_another_versions_record_is_left_alone(server: RedisServer) -> None:
    """A newer server may be using it."""
    with server.client() as client:
        client.set(f"{NAMESPACE}:version", "99")
        async with opened(server) as ledger:
            with pytest.raises(LedgerError, match="another version"):
                await begin(ledger, "A")
            with pytest.raises(LedgerError, match="another version"):
                await ledger.check()
        assert client.keys() == [f"{NAMESPACE}:version".encode()]


async def test_any_text_comes_back_as_it_was(server: RedisServer) -> None:
    """And to the microsecond; what is no text is refused, and nothing is recorded."""
    async with opened(server, now=lambda: 1_795_506_334.123457) as ledger:
        names = ["", None, "a:b {c}", "naïve \0 \r\n \U0001f600 \u2028 \\ud800"]
        begun = await begin(ledger, *names)
        assert [item.name for item in begun.record.items] == names
        assert begun.record.created_at == begun.record.items[0].created_at == 1_795_506_334.123457
        outcome, item = "".join(map(chr, [*range(0x800), 0x2028, 0x1F600])), begun.record.items[0].id
        await ledger.settle(item, State.UNKNOWN, outcome, unreadable=bytes(range(256)))
        (record,) = await ledger.uncollected(T)
        assert record.items[0].outcome == outcome
        found = await ledger.unknown(T, ["print of ''", "print of None", "of nothing"])
        assert found == [record.items[0]]
        with server.client() as client:
            assert client.hget(f"{NAMESPACE}:item:{item}", "unreadable") == bytes(range(256))
        with pytest.raises(LedgerError, match="OCTAVE_MCP_STATE_URL"):
            await begin(ledger, "fine", "\ud800")
        assert len(items(server)) == 4


async def test_nothing_is_opened_for_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A store that was never used is closed without a Redis; and one that was used, with what it says."""
    with redis_server(started=False) as server:
        await RedisLedger(server.url).close()
        async with opened(server) as ledger:
            with pytest.raises(LedgerError, match="reached"):
                await ledger.check()
            with pytest.raises(LedgerError, match="reached"):
                await ledger.close()
    assert str(server.port) not in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (exceptions.ResponseError("ERR Error running script: -OOM command not allowed"), "full"),
        (exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "disk"),
        (exceptions.ResponseError("NOREPLICAS Not enough good replicas to write."), "too few replicas"),
        (exceptions.ResponseError("ERR surprise at 10.0.0.1"), "answers with an error"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "loading"),
        (exceptions.InvalidResponse("Protocol Error"), "answers with an error"),
    ],
)
def test_what_redis_says_is_told_in_words(error: Exception, told: str) -> None:
    """Also what only older versions say so, and never as Redis says it."""
    text = redis_answers.reason(error)
    assert told in text
    assert "10.0.0.1" not in text
