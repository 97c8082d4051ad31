"""Which store a ledger is kept in."""

from pathlib import Path

from octave_mcp.generation.ledger import Ledger, LedgerError

__all__ = ["store"]


def store(url: str | None, path: Path | None, *, redis_replicas: int = 0) -> Ledger:
    """The store at a `redis://` or `rediss://` URL; else the file at `path`, or memory where that is None.

    Nothing is opened before it is used, and only what is used is imported. Raises LedgerError where the URL is of no
    use, or Redis's client is not installed.
    """
    if url is not None and url.startswith(("redis://", "rediss://")):
        try:
            from octave_mcp.generation.redis import RedisLedger  # noqa: PLC0415 - only a team needs it
        except ImportError:
            raise LedgerError(
                "OCTAVE_MCP_STATE_URL names a Redis, for which this server lacks the client: install "
                "octave-personas-mcp[redis]."
            ) from None
        return RedisLedger(url, replicas=redis_replicas)
    from octave_mcp.generation.sqlite import SqliteLedger  # noqa: PLC0415 - one of them is used

    return SqliteLedger(path)
