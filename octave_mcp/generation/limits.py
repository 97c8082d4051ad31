"""Bounds of a tenant's work."""

from dataclasses import dataclass, field

from octave_mcp.generation.records import DAY_SECONDS, SpendingLimits

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """How much at once, for how long, and how much in all. See `Settings`, which documents each with its unit."""

    concurrency: int = 4
    replay_seconds: float = DAY_SECONDS
    shutdown_seconds: float = 20.0
    spending: SpendingLimits = field(default_factory=SpendingLimits)
    allow_same_name: bool = False
