"""What Redis answers, read: records, how it is set up, and errors in words for a person."""

import hashlib
import ssl
from typing import Any

from redis import exceptions

from octave_mcp.generation.ledger import Item, LedgerError, Record, State

__all__ = [
    "LOST",
    "NO_ADDRESS",
    "REFUSED",
    "TOO_FEW_REPLICAS",
    "RefusedError",
    "accept",
    "cannot",
    "forgets_at_a_restart",
    "is_final",
    "is_readonly",
    "item",
    "new",
    "reason",
    "record",
    "sha",
]

LOST = b"lost"
"""In place of a record: an item of it is gone, which Redis evicted or somebody removed."""

NO_ADDRESS = "the address is not one of a Redis. Have the user look at it"

REFUSED = {
    b"version": "Redis has the record of another version of this server. Have the user update all of them",
    b"abandoned": "Redis does not answer in time",
}
"""What a script answers where it does nothing."""

TOO_FEW_REPLICAS = "too few replicas of Redis have it in time. Have the user look at them"
_EVICTS = "Redis may evict records: have the user set its maxmemory-policy to noeviction"
_REPLICA = "this Redis is a replica, which takes no writes. Have the user name the primary"

_REASONS: dict[type[BaseException], str] = {
    exceptions.AuthenticationError: "Redis refuses the user or the password. Have the user look at them",
    exceptions.NoPermissionError: "Redis does not permit this user what is needed. Have the user look at its ACL",
    exceptions.BusyLoadingError: "Redis is loading its data. It takes writes when it has",
    exceptions.OutOfMemoryError: "Redis is full. Have the user raise its maxmemory, or make room",
    exceptions.ReadOnlyError: _REPLICA,
    exceptions.TimeoutError: "Redis does not answer in time",
    TimeoutError: "Redis does not answer in time",
    exceptions.ConnectionError: "Redis cannot be reached",
    OSError: "Redis cannot be reached",
    UnicodeEncodeError: "a name in it is no valid text",
}
_BY_WORD = {
    "OOM ": _REASONS[exceptions.OutOfMemoryError],
    "READONLY": _REPLICA,
    "MISCONF": "Redis cannot write to its disk. Have the user look at its log",
    "NOREPLICAS": "Redis has too few replicas to take writes",
    "max number of clients": "Redis has too many clients",
}
"""What older versions say only in the text of the error that a script met."""


class RefusedError(exceptions.RedisError):
    """This Redis will not do, for the reason that is its text."""


def sha(script: bytes) -> str:
    """What Redis calls a script that it has."""
    return hashlib.sha1(script, usedforsecurity=False).hexdigest()


def cannot(why: str) -> str:
    """The text of a LedgerError."""
    return f"The record of what is sent to Octave (OCTAVE_MCP_STATE_URL) cannot be kept: {why}."


def reason(error: BaseException) -> str:
    """Why, for a person: nothing of the error's own text, which has addresses."""
    if isinstance(error, RefusedError):
        return str(error)
    if any(isinstance(cause, ssl.SSLError) for cause in (error, error.__cause__, error.__context__)):
        return "Redis cannot be reached over TLS, or its certificate is not trusted. Have the user look at it"
    by_word = (why for word, why in _BY_WORD.items() if word in str(error))
    by_type = (why for kind, why in _REASONS.items() if isinstance(error, kind))
    found = next(by_word, None) or next(by_type, None)
    if found:
        return found
    return "Redis answers with an error. Have the user look at its version and its log"


def is_readonly(error: BaseException) -> bool:
    """Whether it came from a replica, maybe one that was the primary a moment ago."""
    return isinstance(error, exceptions.ReadOnlyError) or "READONLY" in str(error)


def is_final(error: BaseException) -> bool:
    """Whether Redis has said no, so that nothing happened and asking again would change nothing."""
    return isinstance(error, exceptions.AuthenticationError | exceptions.BusyLoadingError)


def item(row: list[bytes | None]) -> Item:
    """An item from its columns."""
    handle, tenant, name, state, owner, created_at, sent_at, settled_at, handed_over_at, outcome = row
    if handle is None or tenant is None or state is None or owner is None or created_at is None:
        raise LedgerError(cannot("a part of it was lost in Redis"))
    return Item(
        id=handle.decode(),
        tenant=tenant.decode(),
        name=_text(name),
        state=State(state.decode()),
        owner=owner.decode(),
        created_at=float(created_at),
        sent_at=_time(sent_at),
        settled_at=_time(settled_at),
        handed_over_at=_time(handed_over_at),
        outcome=_text(outcome),
    )


def record(answer: Any) -> Record:
    """A generation from what a script has of it. Raises LedgerError where a part of it was lost."""
    if answer == LOST:
        raise LedgerError(cannot("a part of it was lost in Redis"))
    handle, created_at, *places = answer
    items = tuple(item(row) for _, row in places)
    joined = frozenset(one.id for one, (flag, _) in zip(items, places, strict=True) if flag == b"1")
    return Record(handle.decode(), float(created_at), items, joined)


def new(answer: Any) -> tuple[int, ...]:
    """The places of a generation whose items it did not join."""
    return tuple(place for place, (flag, _) in enumerate(answer[2:]) if flag == b"0")


def accept(info: bytes) -> None:
    """Raise where a Redis that is set up so is not to be trusted with records."""
    found = _told(info)
    if found.get("role") == "slave":
        raise exceptions.ReadOnlyError
    if found.get("maxmemory_policy", "").startswith("allkeys") and found.get("maxmemory", "0") != "0":
        raise RefusedError(_EVICTS)


def forgets_at_a_restart(info: bytes, saves: Any) -> bool:
    """Whether nothing is on a disk, as far as Redis tells: a hosted one may not say when it saves."""
    return _told(info).get("aof_enabled") == "0" and saves == [b"save", b""]


def _told(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, _, value in lines}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _time(value: bytes | None) -> float | None:
    return None if value is None else float(value)
