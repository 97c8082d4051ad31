"""The ledger's operations, written once for every database. Each runs in one transaction.

Each is repeatable: run a second time, because the outcome of the first commit was lost, it changes nothing more.
"""

import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from functools import wraps
from secrets import token_urlsafe
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

from octave_mcp.ledger import records
from octave_mcp.ledger.queries import (
    ITEM_COLUMNS,
    check_limits,
    end_leases,
    find_earlier,
    find_namesakes,
    forget,
    has_rival,
    item_from,
    read_generation,
    read_generations,
    spending,
)
from octave_mcp.ledger.records import (
    Database,
    GenerationRecord,
    Item,
    LedgerError,
    Match,
    Namesake,
    RequestedPersona,
    Spending,
    SpendingLimits,
    Started,
    State,
    Transaction,
)

logger = logging.getLogger(__name__)

MAX_UNREADABLE = 20
"""The number of unreadable answers that are kept, the newest."""

_ASKED_FOR = (
    "SELECT 1 FROM places JOIN generations ON generations.id = places.generation "
    "WHERE places.item = items.id AND generations.given_up = 0"
)
"""Whether a call that was not given up asks for an item."""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def new_generation_id() -> str:
    """Return an id for `Ledger.begin`. It is made before the transaction, so that the transaction can be repeated."""
    return f"gen_{token_urlsafe(16)}"


def _operation(
    *, durable: bool
) -> Callable[
    [Callable[Concatenate["Ledger", Transaction, _Arguments], _Result]],
    Callable[Concatenate["Ledger", _Arguments], Coroutine[Any, Any, _Result]],
]:
    """Turn a method that works on an open transaction into one that is awaited and commits. See `Database.run`."""

    def decorate(
        method: Callable[Concatenate["Ledger", Transaction, _Arguments], _Result],
    ) -> Callable[Concatenate["Ledger", _Arguments], Coroutine[Any, Any, _Result]]:
        @wraps(method)
        async def run(self: "Ledger", *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
            def in_transaction(transaction: Transaction) -> _Result:
                return method(self, transaction, *args, **kwargs)

            return await self.database.run(in_transaction, durable=durable)

        return run  # type: ignore[return-value]  # its first parameter has a name, which makes no difference

    return decorate


class Ledger:
    """The operations on the ledger. Each raises LedgerError if the database cannot be used.

    `owner` is this process. An operation that changes an item does so only for its owner, unless it says otherwise.
    """

    def __init__(self, database: Database) -> None:
        """Use a database, which the first operation opens."""
        self.owner = uuid4().hex
        self.database = database

    # --- Starting -----------------------------------------------------------------------------------------------------

    @_operation(durable=False)  # made durable by `mark_sent`: lost with the machine before that, nothing was sent
    def begin(
        self,
        transaction: Transaction,
        generation: str,
        tenant: str,
        requested: Sequence[RequestedPersona],
        *,
        replay_seconds: float,
        limits: SpendingLimits,
        previewed: Sequence[Item | None] = (),
    ) -> Started:
        """Record a generation that joins earlier items of the same fingerprint, and has new queued items for the rest.

        Joined are live items, those created or unknown whose outcome is at most `replay_seconds` old, and those that
        `earlier` returned for a preview (`previewed`), whatever became of them since. Raises LimitReached if the new
        items do not fit the limits.
        """
        transaction.lock(tenant)
        self._end_leases(transaction)
        insert = "INSERT INTO generations VALUES (?, ?, ?, 0) ON CONFLICT (id) DO NOTHING"
        if transaction.execute(insert, (generation, tenant, transaction.now)).rowcount:  # else this is the second run
            forget(transaction)
            earlier = find_earlier(transaction, tenant, requested, replay_seconds)
            earlier = [found or one for found, one in zip(earlier, previewed or earlier, strict=True)]
            check_limits(transaction, tenant, earlier.count(None), limits)
            for place, (persona, found) in enumerate(zip(requested, earlier, strict=True)):
                item = found.id if found else self._insert(transaction, tenant, persona)
                row = (generation, place, item, int(found is not None))
                transaction.execute("INSERT INTO places VALUES (?, ?, ?, ?)", row)
        record = read_generation(transaction, tenant, generation)
        assert record is not None  # noqa: S101 - it was recorded just now
        new = tuple(n for n, item in enumerate(record.items) if item.id not in record.joined)
        namesakes = find_namesakes(transaction, tenant, [requested[n] for n in new], generation)
        return Started(record, new, namesakes)

    def _insert(self, transaction: Transaction, tenant: str, persona: RequestedPersona) -> str:
        item, now = uuid4().hex, transaction.now
        lease_until = now + records.LEASE_SECONDS
        transaction.execute(
            "INSERT INTO items (id, tenant, fingerprint, name, name_key, state, owner, lease_until, created_at) "
            "VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
            (item, tenant, persona.fingerprint, persona.name, persona.name_key, self.owner, lease_until, now),
        )
        return item

    @_operation(durable=False)
    def earlier(
        self,
        transaction: Transaction,
        tenant: str,
        requested: Sequence[RequestedPersona],
        *,
        replay_seconds: float,
        limits: SpendingLimits,
    ) -> list[Item | None]:
        """Return the earlier item that each requested persona would join, in order. Nothing is recorded.

        Raises LimitReached, as `begin` would.
        """
        self._end_leases(transaction)
        earlier = find_earlier(transaction, tenant, requested, replay_seconds)
        check_limits(transaction, tenant, earlier.count(None), limits)
        return earlier

    @_operation(durable=False)
    def namesakes(
        self, transaction: Transaction, tenant: str, requested: Sequence[RequestedPersona]
    ) -> dict[str, Namesake]:
        """Return by name what `begin` would find of earlier calls for personas of these names. Nothing is recorded."""
        return find_namesakes(transaction, tenant, requested)

    # --- Sending ------------------------------------------------------------------------------------------------------

    @_operation(durable=True)
    def mark_sent(self, transaction: Transaction, item: str, *, name_free: bool = False) -> bool:
        """Record that a queued item is about to be sent. False if it must not be: it was given up, or has expired.

        `name_free` is kept: see `Item`.
        """
        now = transaction.now
        changed = transaction.execute(
            "UPDATE items SET state = 'sent', sent_at = ?, lease_until = ?, name_free = ? "
            "WHERE id = ? AND owner = ? AND state IN ('queued', 'sent')",  # sent, if this is the second run
            (now, now + records.LEASE_SECONDS, int(name_free), item, self.owner),
        )
        return changed.rowcount > 0

    @_operation(durable=True)
    def requeue(self, transaction: Transaction, item: str) -> None:
        """Record that an item was refused and waits for another try. It has failed if every call for it gave up."""
        transaction.execute(
            f"UPDATE items SET sent_at = NULL, state = CASE WHEN EXISTS ({_ASKED_FOR}) THEN 'queued' ELSE 'failed' END,"
            f" settled_at = CASE WHEN EXISTS ({_ASKED_FOR}) THEN NULL ELSE ? END "
            "WHERE id = ? AND owner = ? AND state = 'sent'",
            (transaction.now, item, self.owner),
        )

    @_operation(durable=False)  # lost with the machine, the item is on record as sent, and is searched for in Octave
    def settle(
        self,
        transaction: Transaction,
        item: str,
        state: State,
        outcome: str,
        *,
        usage: float | None = None,
        oids: Collection[str] = (),
        unreadable: bytes | None = None,
    ) -> None:
        """Record what became of an item, also when its lease ran out meanwhile, and claim its personas' oIds.

        `usage` is in credits. `unreadable` is an answer kept for diagnosis; the newest few are kept.
        """
        open_states = ["queued", "sent", "unknown"]
        if state is State.CREATED:  # an answer that comes after recovery gave up is still the truth
            open_states.append("failed")
        changed = transaction.execute(
            "UPDATE items SET state = ?, outcome = ?, usage = ?, settled_at = ?, unreadable = ? "
            f"WHERE id = ? AND owner = ? AND state IN ({', '.join('?' * len(open_states))})",
            (state.value, outcome, usage, transaction.now, unreadable, item, self.owner, *open_states),
        ).rowcount
        for oid in oids if changed else ():
            transaction.execute("INSERT INTO claims VALUES (?, ?) ON CONFLICT (oid) DO NOTHING", (oid, item))
        if unreadable is not None:
            newest = "SELECT id FROM items WHERE unreadable IS NOT NULL ORDER BY settled_at DESC LIMIT ?"
            transaction.execute(
                f"UPDATE items SET unreadable = NULL WHERE unreadable IS NOT NULL AND id NOT IN ({newest})",
                (MAX_UNREADABLE,),
            )

    @_operation(durable=False)
    def give_up(self, transaction: Transaction, generation: str) -> None:
        """Make the queued items fail that no other generation asks for, whoever owns them."""
        transaction.execute("UPDATE generations SET given_up = 1 WHERE id = ?", (generation,))
        transaction.execute(
            "UPDATE items SET state = 'failed', settled_at = ? WHERE state = 'queued' "
            f"AND id IN (SELECT item FROM places WHERE generation = ?) AND NOT EXISTS ({_ASKED_FOR})",
            (transaction.now, generation),
        )

    @_operation(durable=True)
    def give_up_queued(self, transaction: Transaction) -> None:
        """Make all queued items fail, because this process is about to end."""
        change = "UPDATE items SET state = 'failed', settled_at = ? WHERE state = 'queued' AND owner = ?"
        transaction.execute(change, (transaction.now, self.owner))

    @_operation(durable=False)
    def renew(self, transaction: Transaction, items: Collection[str]) -> None:
        """Renew the leases of live items. A sent one is live again if another process took its owner for gone."""
        for item in items:
            transaction.execute(
                "UPDATE items SET lease_until = ?, settled_at = NULL, "
                "state = CASE state WHEN 'unknown' THEN 'sent' ELSE state END WHERE id = ? AND owner = ? "
                "AND (state IN ('queued', 'sent') OR (state = 'unknown' AND outcome IS NULL))",
                (transaction.now + records.LEASE_SECONDS, item, self.owner),
            )

    # --- Recovery -----------------------------------------------------------------------------------------------------

    @_operation(durable=True)
    def adopt(
        self,
        transaction: Transaction,
        item_id: str,
        found: Mapping[str, str],
        doubtful: Collection[str] = (),
        workspace: str | None = None,
    ) -> Match:
        """Record that the only unclaimed persona in `found` (outcomes by oId) is an unknown item's, whoever owns it.

        It is unless more than one is unclaimed, or one in `doubtful` (oIds), or another item of the same name could be
        its owner: one of the same `workspace` (an oId), or of a workspace that is not known.
        """
        transaction.lock("adopt")
        transaction.execute("UPDATE items SET workspace = COALESCE(?, workspace) WHERE id = ?", (workspace, item_id))
        row = transaction.execute(
            f"SELECT {ITEM_COLUMNS} FROM items WHERE id = ? AND state IN ('unknown', 'created')", (item_id,)
        ).fetchone()
        if row is None:
            return "absent"
        item = item_from(row)
        if item.state is State.CREATED:  # adopted by the first run, or found by another process
            return "matched"
        claim = "SELECT 1 FROM claims WHERE oid = ?"
        unclaimed = [oid for oid in (*found, *doubtful) if transaction.execute(claim, (oid,)).fetchone() is None]
        if not unclaimed:
            return "absent"
        if len(unclaimed) > 1 or unclaimed[0] in doubtful or has_rival(transaction, item, workspace):
            return "ambiguous"
        (oid,) = unclaimed
        transaction.execute("INSERT INTO claims VALUES (?, ?)", (oid, item_id))
        change = "UPDATE items SET state = 'created', outcome = ?, settled_at = ? WHERE id = ?"
        transaction.execute(change, (found[oid], transaction.now, item_id))
        return "matched"

    @_operation(durable=True)
    def mark_not_created(self, transaction: Transaction, item: str, outcome: str) -> None:
        """Record that an unknown item's persona was not created, whoever owns it."""
        change = "UPDATE items SET state = 'failed', outcome = ?, settled_at = ? WHERE id = ? AND state = 'unknown'"
        transaction.execute(change, (outcome, transaction.now, item))

    # --- Reading ------------------------------------------------------------------------------------------------------

    @_operation(durable=False)
    def generation(self, transaction: Transaction, tenant: str, generation: str) -> GenerationRecord | None:
        """Return a generation, or None if this tenant has none of that id."""
        self._end_leases(transaction)
        return read_generation(transaction, tenant, generation)

    @_operation(durable=False)
    def latest(self, transaction: Transaction, tenant: str, limit: int) -> list[GenerationRecord]:
        """Return the tenant's latest generations, the newest first."""
        self._end_leases(transaction)
        newest = "SELECT id FROM generations WHERE tenant = ? ORDER BY created_at DESC, id LIMIT ?"
        return read_generations(transaction, f"generations.id IN ({newest})", (tenant, limit))

    @_operation(durable=False)
    def spending(self, transaction: Transaction, tenant: str) -> Spending:
        """Return what a tenant's personas have cost."""
        return spending(transaction, tenant)

    def _end_leases(self, transaction: Transaction) -> None:
        """Settle what other processes left. This one knows what it works on, even if the clock was moved forward."""
        end_leases(transaction, "lease_until < ? AND owner != ?", transaction.now, self.owner)

    # --- The database -------------------------------------------------------------------------------------------------

    @_operation(durable=True)
    def check(self, _: Transaction) -> None:
        """Raise LedgerError if the database cannot be used now."""

    async def sync(self) -> None:
        """Make everything recorded so far survive a crash of the machine."""
        await self.database.sync()

    async def close(self) -> None:
        """Settle this process's live items: sent ones are unknown, queued ones have failed. Then close the database.

        If the database cannot be used, that happens when the leases run out.
        """
        try:
            await self.database.run(lambda transaction: end_leases(transaction, "owner = ?", self.owner))
        except LedgerError as error:
            logger.warning("The end of this process is not recorded: %s", error)
        finally:
            await self.database.close()
