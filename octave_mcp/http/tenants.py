"""A pool of tenants: the services of each Octave key, opened at its first call and closed when it is idle.

Each key has its own client, generation service, throttle, look-ups and completions, so that no tenant waits for another
or sees what another has. They share the ledger, where each record has its tenant.
"""

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import anyio.abc
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from pydantic import SecretStr

from octave_mcp.http.octave_keys import KeySource
from octave_mcp.http.settings import HttpSettings
from octave_mcp.ledger.ledger import Ledger
from octave_mcp.ledger.records import LedgerError
from octave_mcp.tools.services import (
    CallRefused,
    CallState,
    TenantServices,
    configured_ledger,
    current_state,
    open_services,
    tenant_of,
)

logger = logging.getLogger(__name__)

IDLE_SECONDS = 900.0
"""Seconds after its last call in which a tenant's services stay open."""

EVICTION_SECONDS = 60.0
"""Seconds between two searches for idle tenants."""

MAX_TENANTS = 1000
"""Most tenants with open services. To open one more, the longest idle one is closed; if none is idle, it is refused."""

MINUTE = 60.0
"""Seconds over which calls are counted for OCTAVE_MCP_CALLS_PER_MINUTE."""

_NEEDS_SERVICES = frozenset(
    {
        "tools/call",
        "resources/read",
        "prompts/get",
        "completion/complete",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
    }
)
"""Methods whose answer depends on who calls. All others have one answer for everybody."""


@dataclass
class _Tenant:
    """A tenant with open services, and its calls. `started_at` has the times of the calls of the last minute."""

    services: TenantServices
    evicted: anyio.Event = field(default_factory=anyio.Event)
    calls: int = 0
    started_at: deque[float] = field(default_factory=deque)
    last_call_at: float = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether there are no calls and no requests to Octave in progress."""
        return not self.calls and not self.services.generation.busy


@asynccontextmanager
async def open_tenant_pool(
    settings: HttpSettings, keys: KeySource, register_secret: Callable[[SecretStr], None]
) -> AsyncIterator["TenantPool"]:
    """Open the pool and its ledger for as long as the server runs. It passes each key to `register_secret` first."""
    ledger = configured_ledger(settings)
    try:
        async with anyio.create_task_group() as tasks:
            pool = TenantPool(settings, keys, ledger, tasks, register_secret=register_secret)
            tasks.start_soon(pool.evict_idle_tenants)
            try:
                yield pool
            finally:
                with anyio.CancelScope(shield=True):
                    await pool.close()
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await ledger.close()
            except LedgerError as error:
                logger.warning("The ledger was not closed properly: %s", error)


class TenantPool:
    """The open services of all tenants. The SDK calls it for each message, as middleware."""

    def __init__(
        self,
        settings: HttpSettings,
        keys: KeySource,
        ledger: Ledger,
        tasks: anyio.abc.TaskGroup,
        *,
        register_secret: Callable[[SecretStr], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start empty. `open_tenant_pool` does this in a server. `now` returns seconds."""
        self.ending = False
        self._settings = settings
        self._keys = keys
        self._ledger = ledger
        self._tasks = tasks
        self._register_secret = register_secret
        self._now = now
        self._tenants: dict[str, _Tenant] = {}
        self._opening = anyio.Lock()

    async def __call__(self, context: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer one message with the services of its caller."""
        if context.method not in _NEEDS_SERVICES:
            return await call_next(context)
        async with self.call_state(context.request) as state:
            current_state.set(state)
            return await call_next(replace(context, lifespan_context=state))

    @asynccontextmanager
    async def call_state(self, request: Any) -> AsyncIterator[CallState]:
        """Yield the state of a request's call, which counts as in progress until the end of the block."""
        try:
            tenant = await self._enter(self._keys.key_of(request))
        except CallRefused as refused:
            yield CallState(self._settings, None, refused.failure)
            return
        try:
            yield CallState(self._settings, tenant.services)
        finally:
            tenant.calls -= 1
            tenant.last_call_at = self._now()

    async def _enter(self, key: SecretStr) -> _Tenant:
        """Return the tenant of a key, with one more call in progress. Raises CallRefused beyond a limit."""
        name = tenant_of(self._settings, key).id
        async with self._opening:
            if name not in self._tenants:
                self._make_room()
                self._register_secret(key)
                with anyio.CancelScope(shield=True):  # it is quick, and nobody could use it half open
                    await self._tasks.start(self._keep_open, name, key)
            tenant = self._tenants[name]
            self._admit(tenant)
            tenant.calls += 1
        return tenant

    def _admit(self, tenant: _Tenant) -> None:
        """Raise CallRefused if one more call is one too many."""
        settings, now = self._settings, self._now()
        while tenant.started_at and now - tenant.started_at[0] >= MINUTE:
            tenant.started_at.popleft()
        if tenant.calls >= settings.calls_at_once:
            raise CallRefused(
                f"{tenant.calls} calls with this Octave key are in progress, the most that this server allows "
                "(OCTAVE_MCP_CALLS_AT_ONCE). Wait for one of them to answer, then call again.",
                retry_after=1,
            )
        if len(tenant.started_at) >= settings.calls_per_minute:
            wait = MINUTE - (now - tenant.started_at[0])
            raise CallRefused(
                f"There were {len(tenant.started_at)} calls with this Octave key within a minute, the most that this "
                f"server allows (OCTAVE_MCP_CALLS_PER_MINUTE). Call again in {wait:.0f} seconds.",
                retry_after=wait,
            )
        tenant.started_at.append(now)

    def _make_room(self) -> None:
        """Evict the tenant that is idle longest if the pool is full. Raises CallRefused if none is idle."""
        if self.ending:
            raise CallRefused("This server is shutting down. Call again in a moment.", retry_after=1)
        if len(self._tenants) < MAX_TENANTS:
            return
        idle = [(tenant.last_call_at, name) for name, tenant in self._tenants.items() if tenant.is_idle]
        if not idle:
            raise CallRefused(
                "This server is in use with as many Octave keys as it allows. Call again in a minute.",
                retry_after=MINUTE,
            )
        self._evict(min(idle)[1])

    async def _keep_open(
        self, name: str, key: SecretStr, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Open a tenant's services, and close them when it is evicted."""
        async with open_services(self._settings, self._ledger, key) as services:
            tenant = self._tenants[name] = _Tenant(services, last_call_at=self._now())
            task_status.started()
            await tenant.evicted.wait()

    def _evict(self, name: str) -> None:
        self._tenants.pop(name).evicted.set()

    async def evict_idle_tenants(self) -> None:
        """Close the services of tenants that have been idle for long, until cancelled."""
        while True:
            await anyio.sleep(EVICTION_SECONDS)
            for name, tenant in list(self._tenants.items()):
                if tenant.is_idle and self._now() - tenant.last_call_at >= IDLE_SECONDS:
                    self._evict(name)

    async def check(self) -> None:
        """Raise LedgerError if nothing can be recorded, or the server is shutting down."""
        if self.ending:
            raise LedgerError("This server is shutting down.")
        await self._ledger.check()

    async def drain(self) -> None:
        """Send nothing more, and wait a bounded time for what was sent. Calls then answer with what is known."""
        self.ending = True
        async with anyio.create_task_group() as tasks:
            for tenant in self._tenants.values():
                tasks.start_soon(tenant.services.generation.drain)

    async def close(self) -> None:
        """Close the services of all tenants, all at once."""
        self.ending = True
        for tenant in self._tenants.values():
            tenant.evicted.set()
