"""The throttle of one API key: a limit on concurrent requests, and the wait that Octave asks for.

Only a refused request is sent again, since nothing was created: one that never left, up to three times; one that Octave
put off, up to five times, after the time that Octave asked for. While Octave asks to wait, every request waits.
"""

import random
from collections.abc import Callable

import anyio

from octave_mcp.generation.clock import Clock
from octave_mcp.octave.errors import Busy, Refused, Unreachable

UNREACHABLE_TRIES = 3
UNREACHABLE_PAUSE_SECONDS = 0.5
"""The pause before the second try. It doubles for the third, and is up to twice as long at random."""

BUSY_TRIES = 5
BUSY_PAUSE_SECONDS = 2.0
"""The pause before the second try if Octave does not say how long. It doubles each time, and varies at random."""

MAX_PAUSE_SECONDS = 120.0
"""The longest wait that is granted to Octave; beyond it the person is told instead of kept waiting."""


class Throttle:
    """The throttle of one key. `limiter` bounds the requests in progress."""

    def __init__(self, concurrency: int, clock: Clock, *, chance: Callable[[], float] = random.random) -> None:
        """Take the number of concurrent requests. `chance` returns numbers from 0 to 1."""
        self.limiter = anyio.CapacityLimiter(concurrency)
        self._clock = clock
        self._chance = chance
        self._paused_until = 0.0

    @property
    def pause_seconds(self) -> float:
        """How long Octave asks this key to wait yet; 0 if it does not."""
        return max(0.0, self._paused_until - self._clock.elapsed())

    async def wait(self) -> None:
        """Return when Octave no longer asks this key to wait."""
        while left := self.pause_seconds:
            await self._clock.sleep(left)

    async def pause(self, error: Refused, tries: int) -> bool:
        """Wait as `error` demands after this number of tries. Return False at once if there is no further try."""
        if isinstance(error, Unreachable) and tries < UNREACHABLE_TRIES:
            await self._clock.sleep(UNREACHABLE_PAUSE_SECONDS * 2 ** (tries - 1) * (1 + self._chance()))
            return True
        if not isinstance(error, Busy) or tries >= BUSY_TRIES:
            return False
        asked = error.retry_after
        seconds = BUSY_PAUSE_SECONDS * 2 ** (tries - 1) * (1 + self._chance()) if asked is None else asked
        if seconds > MAX_PAUSE_SECONDS:
            return False
        self._paused_until = max(self._paused_until, self._clock.elapsed() + seconds)
        await self.wait()
        return True
