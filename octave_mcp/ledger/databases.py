"""Choose the database of the ledger."""

from pathlib import Path

from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import LedgerError


def open_ledger(url: str | None, path: Path | None) -> Ledger:
    """Return the ledger at a `postgresql://` address; else in the file at `path`, or in memory if that is None.

    Nothing is connected before the first operation, and only what is used is imported. Raises LedgerError if the
    address cannot be used, or if its client is not installed.
    """
    if url is not None and url.startswith(("postgresql://", "postgres://")):
        try:
            from octave_mcp.ledger.postgres import PostgresDatabase  # noqa: PLC0415 - only a team server needs it
        except ImportError:
            raise LedgerError(
                "OCTAVE_MCP_STATE_URL names a PostgreSQL database, but its client is not installed: install "
                "octave-personas-mcp[postgres]."
            ) from None
        return Ledger(PostgresDatabase(url))
    try:
        from octave_mcp.ledger.sqlite import SqliteDatabase  # noqa: PLC0415 - a Python may have no sqlite3
    except ImportError:
        raise LedgerError(
            "This Python has no sqlite3 module, which the ledger needs: use another Python, or set "
            "OCTAVE_MCP_STATE_URL to a postgresql:// address."
        ) from None
    return Ledger(SqliteDatabase(path))
