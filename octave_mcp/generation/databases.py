"""Choose the database of the ledger."""

from pathlib import Path

from octave_mcp.generation.ledger import Ledger
from octave_mcp.generation.sqlite import SqliteLedger

__all__ = ["store"]


def store(url: str | None, path: Path | None) -> Ledger:  # noqa: ARG001 - PostgreSQL comes with the new ledger
    """Return the ledger in the file at `path`, or in memory when it is None. Nothing is opened before it is used."""
    return SqliteLedger(path)
