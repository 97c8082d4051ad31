"""Time as the service needs it, in one place so that tests can move it."""

import time

import anyio

MOVED_SECONDS = 5.0
"""A clock that gains more than this on the time that has passed was moved forward: corrections are smaller."""


class Clock:
    """The machine's clock."""

    def __init__(self) -> None:
        """Take the clock as it is now."""
        self._ahead = self.now() - self.elapsed()
        self._moved_at = 0.0

    def moved_at(self) -> float:
        """Return when it was noticed last that the clock was moved forward, or that the machine slept; 0 if never.

        It is noticed here, so this has to be called now and then.
        """
        ahead = self.now() - self.elapsed()
        if ahead > self._ahead + MOVED_SECONDS:
            self._moved_at = self.now()
        self._ahead = ahead
        return self._moved_at

    def now(self) -> float:
        """Return the time in seconds since the epoch, as other processes have it."""
        return time.time()

    def elapsed(self) -> float:
        """Return seconds since some moment. Only differences have a meaning; adjusting the clock changes none."""
        return time.monotonic()

    async def wait(self, event: anyio.Event, seconds: float) -> None:
        """Return when the event is set, and after this number of seconds at the latest."""
        with anyio.move_on_after(seconds):
            await event.wait()

    async def sleep(self, seconds: float) -> None:
        """Return after this number of seconds."""
        await self.wait(anyio.Event(), seconds)
