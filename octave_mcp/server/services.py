"""What a call works with: the settings, and the desk of whoever calls, or why that one has none.

Over stdio there is one desk, as long as the server lives. Over HTTP each key has its own, and `tenants` keeps them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import anyio
from pydantic import SecretStr

from octave_mcp.generation.databases import store
from octave_mcp.generation.ledger import Ledger
from octave_mcp.generation.limits import Limits
from octave_mcp.generation.service import Runner
from octave_mcp.generation.service import running as running_runner
from octave_mcp.generation.tenant import Tenant
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.lookup_client import Reader
from octave_mcp.server.completer import Completer
from octave_mcp.settings import Settings

__all__ = ["NO_KEY", "Desk", "State", "Unusable", "current", "desk", "held_key", "ledger_of", "running", "tenant_of"]

NO_KEY = (
    "No Octave API key is set for this server. Ask the user to set OCTAVE_API_KEY in this server's configuration to "
    "the key of their Octave workspace, and to restart the server. Started with --sandbox, it needs no key and makes "
    "example data."
)


class Unusable(Exception):
    """A call that cannot be made; its text is the result."""


@dataclass(frozen=True)
class Desk:
    """What works for one key, and for no other."""

    runner: Runner
    reader: Reader
    completer: Completer


@dataclass(frozen=True)
class State:
    """The settings, and a desk; or, in place of it, what a model is told of why there is none."""

    settings: Settings
    desk: Desk | None
    why_not: str = ""

    @property
    def runner(self) -> Runner:
        """Makes personas. Raises Unusable."""
        return self._desk.runner

    @property
    def reader(self) -> Reader:
        """Looks things up. Raises Unusable."""
        return self._desk.reader

    @property
    def _desk(self) -> Desk:
        if self.desk is None:
            raise Unusable(self.why_not)
        return self.desk


current: ContextVar[State] = ContextVar("current")
"""The state of the request that is being served, for what the SDK hands no context: completions."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[State]:
    """The one state of a server for one person, as long as it runs."""
    key = held_key(settings)
    if key is None:
        yield State(settings, None, NO_KEY)
        return
    ledger = ledger_of(settings)
    try:
        async with desk(settings, ledger, key) as opened:
            yield State(settings, opened)
    finally:
        with anyio.CancelScope(shield=True):
            await ledger.close()


@asynccontextmanager
async def desk(settings: Settings, ledger: Ledger, key: SecretStr) -> AsyncIterator[Desk]:
    """A desk for one key, to Octave or to the sandbox in this process. The ledger stays the caller's."""
    limits = Limits(
        concurrency=settings.concurrency,
        replay_seconds=settings.replay_seconds,
        personas_per_day=settings.max_personas_per_day,
        shutdown_seconds=settings.shutdown_seconds,
    )
    async with (
        _client(settings, key) as client,
        running_runner(client, ledger, tenant_of(settings, key), limits) as runner,
    ):
        reader = Reader(client, seconds=settings.window_seconds)
        yield Desk(runner, reader, Completer(reader))


def held_key(settings: Settings) -> SecretStr | None:
    """The key that the server itself holds; the sandbox takes any."""
    return SecretStr("sandbox") if settings.sandbox else settings.api_key


def tenant_of(settings: Settings, key: SecretStr) -> Tenant:
    """Whose the records of that key are, at the origin that is set."""
    return Tenant(key, "sandbox" if settings.sandbox else settings.base_url)


def ledger_of(settings: Settings) -> Ledger:
    """The store that is set; nothing is opened before it is used. Raises LedgerError where there can be none."""
    return store(settings.state_url, settings.ledger_path)


def _client(settings: Settings, key: SecretStr) -> OctaveClient:
    if not settings.sandbox:
        return OctaveClient(settings.base_url, key)
    from octave_mcp.sandbox import build_sandbox  # noqa: PLC0415 - only a sandboxed server pays for its import

    return OctaveClient("http://localhost", SecretStr("sandbox"), app=build_sandbox())
