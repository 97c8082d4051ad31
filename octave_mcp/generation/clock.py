"""Time, as the job needs it: in one place, so that tests can move it."""

import time

import anyio

__all__ = ["Clock"]


class Clock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch, as other processes have them."""
        return time.time()

    def elapsed(self) -> float:
        """Seconds since some moment; only differences mean something, and no adjustment of the clock changes them."""
        return time.monotonic()

    async def wait(self, event: anyio.Event, seconds: float) -> None:
        """Return when the event is set, and at the latest after so many seconds."""
        with anyio.move_on_after(seconds):
            await event.wait()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await self.wait(anyio.Event(), seconds)
