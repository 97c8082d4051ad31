"""Time as the service needs it, in one place so that tests can move it."""

import time

import anyio

__all__ = ["Clock"]


class Clock:
    """The machine's clock."""

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
