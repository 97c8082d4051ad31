"""Services of generations on an upstream of the test's own, with a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
from pydantic import SecretStr

from octave_mcp.generation.outcome import Generation
from octave_mcp.generation.service import GenerationService, open_service
from octave_mcp.generation.tenant import Limits, Tenant
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.sqlite import SqliteDatabase
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.models import GenerateRequest
from support.moved_clock import MovedClock, settle
from support.upstream import Request, Respond, Upstream, answer, page_answer, upstream

T = TypeVar("T")


def asking(*names: str | None) -> GenerateRequest:
    """A request for a persona of each name, with a field that all share."""
    personas = [{**({"name": name} if name else {}), "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]
    return GenerateRequest.model_validate({"personas": personas, "playbookOId": "pb_1"})


class Held:
    """An upstream that holds each answer until it is let go, by name."""

    def __init__(self) -> None:
        """Hold everything."""
        self.go: dict[str, asyncio.Event] = {}

    def let_go(self, *names: str) -> None:
        """Answer these by the page."""
        for name in names:
            self.go.setdefault(name, asyncio.Event()).set()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Hold, then answer."""
        name = request.json["personas"][0]["name"]
        await asyncio.wait_for(self.go.setdefault(name, asyncio.Event()).wait(), 20)
        writer.write(answer(page_answer(request)))


class Services:
    """A clock, and services on one ledger."""

    def __init__(self, octave: Upstream, path: Path | None, stack: AsyncExitStack) -> None:
        """Remember all of these."""
        self.clock = MovedClock()
        self.octave = octave
        self.path = path
        self.stack = stack
        self.reports: list[tuple[float, int, str]] = []

    async def service(
        self, key: str = "sk-0123456789", *, ledger: Ledger | None = None, **limits: Any
    ) -> GenerationService:
        """Open a service as another process has it, on this ledger or on one of the test's own."""
        ledger = ledger or Ledger(SqliteDatabase(self.path, now=self.clock.now))
        self.stack.push_async_callback(ledger.close)
        client = await self.stack.enter_async_context(OctaveClient(self.octave.url, SecretStr(key)))
        tenant = Tenant(SecretStr(key), self.octave.url)
        given = Limits(**{"shutdown_seconds": 0, **limits})
        return await self.stack.enter_async_context(open_service(client, ledger, tenant, given, self.clock))

    async def progress(self, value: float, asked: int, message: str) -> None:
        """Remember a report."""
        self.reports.append((value, asked, message))

    def generate(self, service: GenerationService, *names: str | None, new: bool = False) -> "asyncio.Task[Generation]":
        """Begin a call with a window of 45 seconds."""
        return asyncio.create_task(service.generate(asking(*names), seconds=45, progress=self.progress, new=new))

    async def collect(self, service: GenerationService, generation: str) -> Generation:
        """Collect a generation that there is, while time passes."""
        call = asyncio.create_task(service.collect(generation, seconds=45, progress=self.progress))
        found = await self.passing(call)
        assert found is not None
        return found

    async def passing(self, call: "asyncio.Task[T]") -> "T":
        """Let time pass until a call ends."""
        while not call.done():
            await self.clock.move(2.5)
        return await call


@asynccontextmanager
async def services(respond: Respond, path: Path | None = None) -> AsyncIterator[Services]:
    """Bounded in time."""
    with anyio.fail_after(20):
        async with upstream(respond) as octave, AsyncExitStack() as stack:
            here = Services(octave, path, stack)
            octave.clock = here.clock.now
            yield here


async def until(condition: Callable[[], bool]) -> None:
    """Let things run until this is so."""
    while not condition():
        await settle()
