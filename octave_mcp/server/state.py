"""What lives as long as the server: its settings, the ledger, the client, and the runner and reader that use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from pydantic import SecretStr

from octave_mcp.generation.limits import Limits
from octave_mcp.generation.runner import Runner
from octave_mcp.generation.runner import running as running_runner
from octave_mcp.generation.sqlite import SqliteLedger
from octave_mcp.generation.tenant import Tenant
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.reader import Reader
from octave_mcp.settings import Settings

__all__ = ["State", "running"]


@dataclass(frozen=True)
class State:
    """The settings, and the runner and reader with their open client. Without a key they are there and cannot send."""

    settings: Settings
    runner: Runner
    reader: Reader

    @property
    def has_key(self) -> bool:
        """Whether calls can be made; the sandbox needs no key."""
        return self.settings.sandbox or self.settings.api_key is not None


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[State]:
    """Open the client, to Octave or to the sandbox in this process, for as long as the server runs."""
    limits = Limits(
        concurrency=settings.concurrency,
        personas_per_request=settings.personas_per_request,
        replay_seconds=settings.replay_seconds,
        personas_per_day=settings.max_personas_per_day,
        shutdown_seconds=settings.shutdown_seconds,
    )
    ledger = SqliteLedger(settings.ledger_path)
    tenant = Tenant(settings.api_key or SecretStr(""), "sandbox" if settings.sandbox else settings.base_url)
    try:
        async with _client(settings) as client, running_runner(client, ledger, tenant, limits) as runner:
            yield State(settings, runner, Reader(client, seconds=settings.window_seconds))
    finally:
        with anyio.CancelScope(shield=True):
            await ledger.close()


def _client(settings: Settings) -> OctaveClient:
    if not settings.sandbox:
        return OctaveClient(settings.base_url, settings.api_key)
    from octave_mcp.sandbox import build_sandbox  # noqa: PLC0415 - only a sandboxed server pays for its import

    return OctaveClient("http://localhost", SecretStr("sandbox"), app=build_sandbox())
