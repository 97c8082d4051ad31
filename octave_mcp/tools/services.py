"""The services that a call works with: those of its caller's key, or the reason why there are none.

Over stdio there is one key, as long as the server runs. Over HTTP each key has services of its own, and `http.tenants`
keeps them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import anyio
from pydantic import SecretStr

from octave_mcp.generation.outcome import Generation
from octave_mcp.generation.service import GenerationService, open_service
from octave_mcp.generation.tenant import Limits, Tenant
from octave_mcp.ledger.databases import open_ledger
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import SpendingLimits
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.results.failures import Code, Failure, Retry
from octave_mcp.results.shown_oids import ShownOids
from octave_mcp.settings import Settings
from octave_mcp.tools.completer import Completer

NO_KEY = (
    "No Octave API key is set for this server. Ask the user to set OCTAVE_API_KEY in this server's configuration to "
    "the key of their Octave workspace (in Octave: Settings > API Keys), and to restart the server. With --sandbox it "
    "needs no key and returns sample data."
)


class CallRefused(Exception):
    """This call cannot be made. `failure` says why and what to do, and is the call's result."""

    def __init__(self, failure: Failure | str, *, retry_after: float | None = None) -> None:
        """Take the failure, or its text: that of a server that is busy for `retry_after` seconds, or set up wrongly."""
        if isinstance(failure, str):
            busy = retry_after is not None
            failure = Failure(Code.BUSY, failure, Retry.AFTER_SECONDS, retry_after) if busy else _unusable(failure)
        self.failure = failure
        super().__init__(self.failure.problem)


def _unusable(problem: str) -> Failure:
    return Failure(Code.SETUP_PROBLEM, problem, Retry.AFTER_CHANGE)


NO_KEY_FAILURE = _unusable(NO_KEY)


@dataclass(frozen=True)
class TenantServices:
    """The services of one API key, shared with no other key."""

    generation: GenerationService
    lookups: LookupClient
    completer: Completer
    shown_oids: ShownOids = field(default_factory=ShownOids)


@dataclass
class Deferral:
    """Allows a tool to return early. If it does, it sets `generation`, for which the client receives a task."""

    generation: Generation | None = None


@dataclass(frozen=True)
class CallState:
    """The settings, with the caller's services or, if there are none, the `refusal` that each call reports.

    `deferral` is there if the client takes a task in place of a result: see `server.tasks`.
    """

    settings: Settings
    services: TenantServices | None
    refusal: Failure = NO_KEY_FAILURE
    deferral: Deferral | None = None

    def require_services(self) -> TenantServices:
        """Return the services. Raises CallRefused if there are none."""
        if self.services is None:
            raise CallRefused(self.refusal)
        return self.services

    @property
    def generation(self) -> GenerationService:
        """Return the service that creates personas. Raises CallRefused if there are no services."""
        return self.require_services().generation

    @property
    def lookups(self) -> LookupClient:
        """Return the look-up client. Raises CallRefused if there are no services."""
        return self.require_services().lookups


current_state: ContextVar[CallState] = ContextVar("current_state")
"""The state of the request in progress. Completions need it, as the SDK gives them no context."""


@asynccontextmanager
async def open_call_state(settings: Settings, problem: str = "") -> AsyncIterator[CallState]:
    """Open the services of a server with one key, and yield the state that all its calls share.

    `problem` says why the settings cannot be used; then no service is opened, and each call reports it.
    """
    key = server_key(settings)
    if problem or key is None:
        yield CallState(settings, None, _unusable(problem or NO_KEY))
        return
    ledger = configured_ledger(settings)
    try:
        async with open_services(settings, ledger, key) as services:
            yield CallState(settings, services)
    finally:
        with anyio.CancelScope(shield=True):
            await ledger.close()


@asynccontextmanager
async def open_services(settings: Settings, ledger: Ledger, key: SecretStr) -> AsyncIterator[TenantServices]:
    """Open the services of one key, connected to Octave or to the sandbox in this process.

    The caller closes the ledger.
    """
    limits = Limits(
        concurrency=settings.concurrency,
        replay_seconds=settings.replay_seconds,
        shutdown_seconds=settings.shutdown_seconds,
        spending=SpendingLimits(settings.max_personas_per_day, settings.max_credits_per_day),
        allow_same_name=settings.allow_same_name,
    )
    async with (
        octave_client(settings, key) as client,
        open_service(client, ledger, tenant_of(settings, key), limits) as generation,
    ):
        reader = LookupClient(client, seconds=settings.window_seconds)
        yield TenantServices(generation, reader, Completer(reader))


def server_key(settings: Settings) -> SecretStr | None:
    """Return the key that the server itself holds; the sandbox accepts any key."""
    return SecretStr("sandbox") if settings.sandbox else settings.api_key


def tenant_of(settings: Settings, key: SecretStr) -> Tenant:
    """Return the owner of that key's records at the configured origin."""
    return Tenant(key, "sandbox" if settings.sandbox else settings.base_url)


def configured_ledger(settings: Settings) -> Ledger:
    """Return the configured ledger. Nothing is opened before its first use. Raises LedgerError if it is unusable."""
    return open_ledger(settings.state_url, settings.ledger_path)


def octave_client(settings: Settings, key: SecretStr) -> OctaveClient:
    """Return a client of Octave, or of a sandbox in this process. The caller enters and leaves it."""
    if not settings.sandbox:
        return OctaveClient(settings.base_url, key)
    from octave_mcp.sandbox import build_sandbox  # noqa: PLC0415 - only a sandboxed server pays for its import

    return OctaveClient("http://localhost", SecretStr("sandbox"), app=build_sandbox())
