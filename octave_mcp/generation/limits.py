"""How much of a job at once, for how long, and how much of it in all."""

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """How much, and for how long. See `Settings`, which has each with its unit."""

    concurrency: int = 4
    replay_seconds: float = 3600.0
    personas_per_day: int | None = None
    shutdown_seconds: float = 20.0
