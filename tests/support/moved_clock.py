"""A clock that a test moves."""

import asyncio

import anyio

from octave_mcp.generation.clock import Clock


class MovedClock(Clock):
    """Nobody's wait ends before its event, or before a test has moved the time so far."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.time = 1_800_000_000.0
        self.set_forward = 0.0
        self.waiting: dict[anyio.Event, float] = {}
        super().__init__()

    def now(self) -> float:
        """The time."""
        return self.time

    def elapsed(self) -> float:
        """The time that has passed."""
        return self.time - self.set_forward

    def jump(self, seconds: float) -> None:
        """Set the time forward: nobody has waited for so long."""
        self.time += seconds
        self.set_forward += seconds
        for over in self.waiting:
            self.waiting[over] += seconds

    async def wait(self, event: anyio.Event, seconds: float) -> None:
        """Return when the event is set, or the time has been moved past."""
        if seconds <= 0 or event.is_set():
            await asyncio.sleep(0)
            return
        over = anyio.Event()
        self.waiting[over] = self.time + seconds
        try:
            async with anyio.create_task_group() as tasks:

                async def relay(one: anyio.Event) -> None:
                    await one.wait()
                    tasks.cancel_scope.cancel()

                tasks.start_soon(relay, event)
                tasks.start_soon(relay, over)
        finally:
            del self.waiting[over]

    async def move(self, seconds: float) -> None:
        """Let time pass, and let what it wakes run."""
        self.time += seconds
        for over, until in list(self.waiting.items()):
            if until <= self.time:
                over.set()
        await settle()


async def settle() -> None:
    """Let everything run that can: loop turns, and the threads and sockets that they wait for."""
    for _ in range(20):
        await asyncio.sleep(0.002)
