"""The way to Octave of one API key: so many POSTs at once, and all of them waiting when Octave asks for it.

Only what was refused is sent again, since nothing was made of it: a request that never left, up to three times; one
that Octave put off, up to five, after the time that it asked for.
"""

import random
from collections.abc import Callable

import anyio

from octave_mcp.generation.clock import Clock
from octave_mcp.octave.errors import Busy, Refused, Unreachable

__all__ = ["Lane"]

UNREACHABLE_TRIES = 3
UNREACHABLE_PAUSE_SECONDS = 0.5
"""Before the second try, doubled for the third, and up to as much again at random."""

BUSY_TRIES = 5
BUSY_PAUSE_SECONDS = 2.0
"""Where Octave does not say how long: before the second try, doubled for each after it, and some at random."""

MAX_PAUSE_SECONDS = 120.0
"""Octave may ask for more, but then the person is told instead of kept waiting."""


class Lane:
    """One key's. `limiter` bounds the POSTs under way."""

    def __init__(self, concurrency: int, clock: Clock, *, chance: Callable[[], float] = random.random) -> None:
        """Take how many at once. `chance` gives numbers from 0 to 1."""
        self.limiter = anyio.CapacityLimiter(concurrency)
        self._clock = clock
        self._chance = chance
        self._closed_until = 0.0

    async def open(self) -> None:
        """Return when nothing asks this key to wait."""
        while (left := self._closed_until - self._clock.elapsed()) > 0:
            await self._clock.sleep(left)

    async def pause(self, error: Refused, tries: int) -> bool:
        """Wait as `error` wants it, after so many tries. False, at once, where it is not to be tried again.

        Where Octave asked for it, the whole lane waits.
        """
        if isinstance(error, Unreachable) and tries < UNREACHABLE_TRIES:
            await self._clock.sleep(UNREACHABLE_PAUSE_SECONDS * 2 ** (tries - 1) * (1 + self._chance()))
            return True
        if not isinstance(error, Busy) or tries >= BUSY_TRIES:
            return False
        asked = error.retry_after
        wait = BUSY_PAUSE_SECONDS * 2 ** (tries - 1) * (1 + self._chance()) if asked is None else asked
        if wait > MAX_PAUSE_SECONDS:
            return False
        self._closed_until = max(self._closed_until, self._clock.elapsed() + wait)
        await self.open()
        return True
