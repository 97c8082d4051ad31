"""The ledger in Redis, which any number of processes on any number of machines share.

Each operation is one script that Redis runs by itself (`redis_operations.lua`), on Redis's own clock. No key has a time
to live, as a Redis that may evict evicts those first: what is old is forgotten by later calls, a bounded number each.

Unlike a file, Redis may have done what it was too late to say. So an operation can be sent again, and is, once: what it
makes has its name from here, and what it changes is numbered. A `begin` that failed all the same may yet have happened:
whatever this process does next undoes that first.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from importlib.resources import files
from itertools import count
from secrets import token_urlsafe
from typing import Any, TypeVar
from uuid import uuid4

import anyio
from redis import exceptions
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from octave_mcp.generation import redis_answers as answers
from octave_mcp.generation.ledger import (
    DAY_SECONDS,
    LEASE_SECONDS,
    MAX_SETTLED,
    MAX_UNREADABLE,
    RETENTION_SECONDS,
    RIVAL_SECONDS,
    Begun,
    Item,
    LedgerError,
    LimitReached,
    Record,
    State,
    Wanted,
)

__all__ = ["RedisLedger"]

logger = logging.getLogger(__name__)

VERSION = 1
"""Of what is kept, in the key `version`. Not in the namespace: another version's record is refused, not overlooked."""

NAMESPACE = "{octave-personas-mcp}"

SOCKET_SECONDS = 1.0
"""How long Redis may take to be connected to, or to answer, before it is tried once more."""

OPERATION_SECONDS = 2.5
"""How long an operation may take in all."""

REPLICAS_MILLISECONDS = 800
"""How long replicas may take to have what was recorded: less than what the answer as a whole may take."""

INSPECT_SECONDS = 30.0
"""How often Redis is asked for how it is set up, which someone may change."""

MAX_CONNECTIONS = 16
"""At once; operations beyond that wait for their turn."""

MAX_FORGOTTEN = 200
"""Items that one call forgets, so that none takes long."""

_NOW_AND_LATER = (exceptions.ConnectionError, exceptions.TimeoutError, OSError)
_Result = TypeVar("_Result")


class _InDoubtError(LedgerError):
    """The operation may have happened all the same, now or later."""


class RedisLedger:
    """`Ledger` in Redis. With `replicas`, what is about to be sent is recorded when so many of them have it, too.

    Nothing is opened before the first operation. An operation goes on when its caller is cancelled, for the time that
    it may take, as a transaction in a file does.
    """

    def __init__(self, url: str, *, now: Callable[[], float] | None = None, replicas: int = 0) -> None:
        """Remember where. `now` is the time, in seconds since the epoch, for tests: else it is Redis's."""
        self.owner = uuid4().hex
        self._pool = _pool(url)
        self._now = now
        self._replicas = replicas
        self._script = files("octave_mcp.generation").joinpath("redis_operations.lua").read_bytes()
        self._sha = answers.sha(self._script)
        self._numbers = count(1)
        self._at_once = anyio.CapacityLimiter(MAX_CONNECTIONS)
        self._working: set[asyncio.Task[Any]] = set()
        self._abandoned: set[str] = set()
        self._inspected: float | None = None
        self._warned: set[str] = set()
        self._used = False

    async def begin(
        self, tenant: str, wanted: Sequence[Wanted], *, replay_seconds: float, day_limit: int | None
    ) -> Begun:
        """See `Ledger`."""
        generation = f"gen_{token_urlsafe(16)}"
        wishes = [
            value
            for wish in wanted
            for value in (uuid4().hex, wish.fingerprint, "0" if wish.name is None else "1", wish.name or "")
        ]
        limit = "" if day_limit is None else str(day_limit)
        values = (generation, tenant, f"{replay_seconds:.6f}", limit, str(len(wanted)), *wishes)
        try:
            tag, *rest = await self._do("begin", *values)
        except (_InDoubtError, asyncio.CancelledError):
            self._abandoned.add(generation)
            raise
        if tag == b"limit":
            raise LimitReached(day_limit or 0, int(rest[0]))
        record = answers.record(rest[0])
        return Begun(record, answers.new(rest[0]))

    async def mark_sent(self, ids: Collection[str]) -> frozenset[str]:
        """See `Ledger`."""
        _, sent = await self._do("mark_sent", *_counted(ids))
        return frozenset(item.decode() for item in sent)

    async def requeue(self, ids: Collection[str]) -> None:
        """See `Ledger`."""
        await self._do("requeue", *_counted(ids))

    async def settle(
        self, item: str, state: State, outcome: str, *, oids: Collection[str] = (), unreadable: bytes | None = None
    ) -> None:
        """See `Ledger`."""
        kept = ("0", b"") if unreadable is None else ("1", unreadable)
        tag, *_ = await self._do("settle", item, state.value, outcome, *kept, *_counted(oids))
        if tag == b"missing":
            logger.warning("An item was settled of which Redis has lost the record: %s", item)

    async def adopt(self, item: str, found: Mapping[str, str]) -> bool:
        """See `Ledger`."""
        _, adopted = await self._do("adopt", item, str(len(found)), *(part for pair in found.items() for part in pair))
        return bool(adopted == b"1")

    async def generation(self, tenant: str, generation: str) -> Record | None:
        """See `Ledger`."""
        _, found = await self._do("generation", tenant, generation)
        return None if found is None else answers.record(found)

    async def uncollected(self, tenant: str) -> list[Record]:
        """See `Ledger`. What a part of was lost is left out, so that the rest can be told."""
        _, found = await self._do("uncollected", tenant)
        whole = [one for one in found if one != answers.LOST]
        if len(whole) < len(found):
            logger.warning("Redis has lost a part of the record of %d calls", len(found) - len(whole))
        return [answers.record(one) for one in whole]

    async def unknown(self, tenant: str, fingerprints: Collection[str]) -> list[Item]:
        """See `Ledger`."""
        _, found = await self._do("unknown", tenant, *_counted(fingerprints))
        return [answers.item(one) for one in found]

    async def hand_over(self, told: Mapping[str, State]) -> None:
        """See `Ledger`."""
        await self._do("hand_over", str(len(told)), *(part for item, state in told.items() for part in (item, state)))

    async def give_up(self, generation: str) -> None:
        """See `Ledger`."""
        await self._do("give_up", generation)

    async def give_up_queued(self) -> None:
        """See `Ledger`."""
        await self._do("give_up_queued")

    async def renew(self) -> None:
        """See `Ledger`."""
        await self._do("renew")

    async def sync(self) -> None:
        """Nothing: when Redis has its memory on disk, it knows by how it is set up (`appendfsync`)."""

    async def check(self) -> None:
        """See `Ledger`."""
        await self._do("check")

    async def close(self) -> None:
        """See `Ledger`."""
        try:
            if self._used:
                await self._do("close")
        finally:
            await self._run(self._disconnect())

    async def _do(self, operation: str, *values: str | bytes) -> list[Any]:
        """Run one operation, in a task of its own that no cancel of the caller's reaches."""
        self._used = True
        return await self._run(self._transact(operation, values))

    async def _run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._is_done)
        return await asyncio.shield(task)

    def _is_done(self, task: asyncio.Task[Any]) -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more

    async def _transact(self, operation: str, values: Sequence[str | bytes]) -> list[Any]:
        in_doubt: list[BaseException] = []
        abandoned = tuple(self._abandoned)
        try:
            sent = [value.encode() if isinstance(value, str) else value for value in values]
            async with asyncio.timeout(OPERATION_SECONDS):
                answer = await self._twice(operation, [*self._header(operation, abandoned), *sent], in_doubt)
        except (exceptions.RedisError, OSError, UnicodeEncodeError) as error:
            reason = answers.reason(error)
            logger.warning("The ledger cannot be used: %s (%s)", reason, type(error).__name__)
            kind = _InDoubtError if in_doubt else LedgerError
            raise kind(answers.cannot(reason)) from None  # its own text has the address, which a traceback would show
        if answer[0] in answers.REFUSED:
            reason = answers.REFUSED[answer[0]]
            logger.warning("The ledger cannot be used: %s", reason)
            raise LedgerError(answers.cannot(reason))
        self._abandoned.difference_update(abandoned)
        return answer

    def _header(self, operation: str, abandoned: Collection[str]) -> list[str]:
        now = "" if self._now is None else f"{self._now():.6f}"
        bounds = (LEASE_SECONDS, RETENTION_SECONDS, RIVAL_SECONDS, DAY_SECONDS, MAX_SETTLED, MAX_UNREADABLE)
        numbers = [str(number) for number in (VERSION, *bounds, MAX_FORGOTTEN)]
        return [*numbers, operation, now, self.owner, str(next(self._numbers)), *_counted(abandoned)]

    async def _twice(self, operation: str, values: list[Any], in_doubt: list[BaseException]) -> list[Any]:
        """Run a script, and once more on a new connection where that may help. `in_doubt` tells of what may happen."""
        async with self._at_once:
            try:
                return await self._once(operation, values, in_doubt)
            except (*_NOW_AND_LATER, exceptions.ResponseError) as error:
                if isinstance(error, exceptions.ResponseError) and not answers.is_readonly(error):
                    raise
                self._inspected = None
                with suppress(*_NOW_AND_LATER):
                    await self._pool.disconnect(inuse_connections=False)  # all may lead to what is no longer there
                if answers.is_final(error):
                    raise
            return await self._once(operation, values, in_doubt)

    async def _once(self, operation: str, values: list[Any], in_doubt: list[BaseException]) -> list[Any]:
        if self._inspected is None or time.monotonic() > self._inspected + INSPECT_SECONDS:
            await self._inspect()
        must_have = self._replicas if operation in {"begin", "mark_sent", "settle"} else 0
        wait = [("WAIT", must_have, REPLICAS_MILLISECONDS)] if must_have else []
        answer, *have = await self._exchange(("EVALSHA", self._sha, 1, NAMESPACE, *values), *wait, in_doubt=in_doubt)
        if isinstance(answer, exceptions.NoScriptError):
            answer, *have = await self._exchange(
                ("EVAL", self._script, 1, NAMESPACE, *values), *wait, in_doubt=in_doubt
            )
        if isinstance(answer, Exception):
            raise answer
        if must_have and answer[0] == b"ok" and (isinstance(have[0], Exception) or have[0] < must_have):
            if operation == "settle":  # it has happened in Octave, whoever has the record
                logger.warning("Fewer than %d replicas of Redis have the outcome of an item", must_have)
            else:
                in_doubt.append(error := answers.RefusedError(answers.TOO_FEW_REPLICAS))
                raise error
        return list(answer)

    async def _exchange(self, *commands: tuple[Any, ...], in_doubt: list[BaseException]) -> list[Any]:
        """Send commands on one connection, and read what each was answered with: a value, or an error."""
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        found: list[Any] = []
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            for _ in commands:
                try:
                    found.append(await connection.read_response())
                except exceptions.ResponseError as error:
                    found.append(error)
            if any(isinstance(one, Exception) and answers.is_readonly(one) for one in found):
                await connection.disconnect()
        except BaseException as error:
            if not answers.is_final(error):
                in_doubt.append(error)
            await connection.disconnect(nowait=True)
            raise
        finally:
            await self._pool.release(connection)
        return found

    async def _inspect(self) -> None:
        """Look at how Redis is set up. Raises where it may lose what is recorded, and is a replica."""
        found, saves = await self._exchange(("INFO",), ("CONFIG", "GET", "save"), in_doubt=[])
        self._inspected = time.monotonic()
        if isinstance(found, Exception):
            self._warn_once(
                "Redis does not tell how it is set up: it may evict, or lose at a restart, what is recorded"
            )
            return
        try:
            answers.accept(found)
        except BaseException:
            self._inspected = None
            raise
        if answers.forgets_at_a_restart(found, saves):
            self._warn_once("A restart of Redis forgets what was bought: it has neither appendonly nor save")

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            logger.warning(text)

    async def _disconnect(self) -> None:
        others = self._working - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=OPERATION_SECONDS)
        with suppress(*_NOW_AND_LATER):
            await self._pool.disconnect()


def _counted(values: Collection[str]) -> list[str]:
    return [str(len(values)), *values]


def _pool(url: str) -> BlockingConnectionPool:
    """What connects, with the URL's own say in where and as whom, and in nothing else. Raises LedgerError."""
    try:
        options: dict[str, Any] = {**parse_url(url)}
        if options.get("connection_class") is SSLConnection:
            options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
        options |= {
            "protocol": 2,
            "decode_responses": False,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": SOCKET_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            "health_check_interval": 0,
            "max_connections": MAX_CONNECTIONS,
            "timeout": OPERATION_SECONDS,
        }
        pool = BlockingConnectionPool(**options)
        pool.make_connection()  # type: ignore[no-untyped-call]  # connects nothing, but reads the options
    except (TypeError, ValueError, exceptions.RedisError):
        raise LedgerError(answers.cannot(answers.NO_ADDRESS)) from None
    return pool
