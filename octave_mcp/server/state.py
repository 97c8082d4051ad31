"""What the server holds while it runs, opened and closed by its lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from octave_mcp.generation.runner import Runner
from octave_mcp.octave.client import OctaveClient
from octave_mcp.settings import Settings

__all__ = ["State", "running"]


@dataclass(frozen=True)
class State:
    """The settings, and the runner with its open client. Without a key the runner is there and cannot send."""

    settings: Settings
    runner: Runner

    @property
    def has_key(self) -> bool:
        """Whether calls can be made; the sandbox needs no key."""
        return self.settings.sandbox or self.settings.api_key is not None


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[State]:
    """Open the client, to Octave or to the sandbox in this process, for as long as the server runs."""
    async with _client(settings) as client:
        runner = Runner(client, concurrency=settings.concurrency, personas_per_request=settings.personas_per_request)
        yield State(settings, runner)


def _client(settings: Settings) -> OctaveClient:
    if not settings.sandbox:
        return OctaveClient(settings.base_url, settings.api_key)
    from octave_mcp.sandbox import build_sandbox  # noqa: PLC0415 - only a sandboxed server pays for its import

    return OctaveClient("http://localhost", SecretStr("sandbox"), app=build_sandbox())
