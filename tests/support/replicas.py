"""Real processes of the server on ports of their own, with short leases: tests kill, end and start them."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import httpx

from support.command import unmeasured
from support.ports import free_ports

LEASE_SECONDS = 1.5
"""In place of thirty."""

BOUND_SECONDS = 60.0
"""A bound for a replica's start or end on a busy machine."""

TIMES: dict[str, float | tuple[float, ...]] = {
    "LEASE_SECONDS": LEASE_SECONDS,
    "UNREACHABLE_PAUSE_SECONDS": 0.001,
    "BUSY_PAUSE_SECONDS": 0.001,
}
"""Short times in place of the package's own."""


def program(times: dict[str, float | tuple[float, ...]]) -> str:
    """Return a replica's program with these times. It takes its port as an argument."""
    return f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import octave_mcp.generation.service
from octave_mcp.cli import main
from support.short_times import shorten
shorten(**{times!r})
sys.exit(main(["http", "--port", sys.argv[1]]))
"""


@dataclass
class Replica:
    """A port on which one process at a time serves; it may be killed and started again."""

    port: int
    program: str
    env: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def logged(self) -> str:
        """Return all that its processes wrote."""
        return self.log.read_text(encoding="utf-8")

    async def start(self) -> None:
        """Start it, and wait until it is ready."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", self.program, str(self.port), stdout=log, stderr=log, env=self.env
            )
        async with httpx.AsyncClient() as http:
            with anyio.fail_after(BOUND_SECONDS):
                while True:
                    assert self.process.returncode is None, self.logged
                    with suppress(httpx.TransportError):
                        if (await http.get(self.url.replace("/mcp", "/readyz"))).status_code == 200:
                            return
                    await asyncio.sleep(0.05)

    async def end(self, number: int) -> None:
        """End it by a signal, and wait until it has ended."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        with anyio.fail_after(BOUND_SECONDS):
            await self.process.wait()


@asynccontextmanager
async def replicas(
    count: int, folder: Path, times: dict[str, float | tuple[float, ...]] = TIMES, /, **settings: str
) -> AsyncIterator[list[Replica]]:
    """Run so many with these settings, and kill them at the end."""
    ports = free_ports(count)
    all_ = [Replica(port, program(times), {**unmeasured(), **settings}, folder / f"replica {port}") for port in ports]
    try:
        await asyncio.gather(*(replica.start() for replica in all_))
        yield all_
    finally:
        await asyncio.gather(*(one.end(signal.SIGKILL) for one in all_ if one.process is not None))
