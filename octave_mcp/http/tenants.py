"""The desks of a server that many call: one for each key, opened when it is first used, closed when it has rested.

A desk has its own client, runner, lane, reader and completions, so that nothing of one tenant's waits for another's, or
is found by it. What they share is the ledger, where each record has its tenant.
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

from octave_mcp.generation.ledger import Ledger
from octave_mcp.generation.records import LedgerError
from octave_mcp.http.authentication import Callers
from octave_mcp.http.settings import HttpSettings
from octave_mcp.server.services import (
    CallRefused,
    CallState,
    TenantServices,
    configured_ledger,
    current_state,
    open_services,
    tenant_of,
)

__all__ = ["Tenants", "running"]

logger = logging.getLogger(__name__)

REST_SECONDS = 900.0
"""A desk that nobody used for so long is closed."""

MAX_DESKS = 1000
"""Desks open at once; past it those that rest longest are closed, and while none rests no other is opened."""

MINUTE = 60.0

_AT_A_DESK = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})
"""What needs a desk. All else is answered alike to everybody."""


@dataclass
class _Place:
    """A desk, and who is at it. `began` has the moments at which calls of the last minute began."""

    services: TenantServices
    closed: anyio.Event = field(default_factory=anyio.Event)
    calls: int = 0
    began: deque[float] = field(default_factory=deque)
    left_at: float = 0.0

    @property
    def rests(self) -> bool:
        """Whether nobody is at it, and nothing is on its way."""
        return not self.calls and not self.services.generation.busy


@asynccontextmanager
async def running(
    settings: HttpSettings, callers: Callers, learn: Callable[[SecretStr], None]
) -> AsyncIterator["Tenants"]:
    """All desks, as long as the server runs. The ledger is theirs. `learn` is told each key before it is used."""
    ledger = configured_ledger(settings)
    try:
        async with anyio.create_task_group() as tasks:
            tenants = Tenants(settings, callers, ledger, tasks, learn=learn)
            tasks.start_soon(tenants.keep_house)
            try:
                yield tenants
            finally:
                with anyio.CancelScope(shield=True):
                    await tenants.close()
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await ledger.close()
            except LedgerError as error:
                logger.warning("The ledger was not left in order: %s", error)


class Tenants:
    """Made by `running`. Called by the SDK for each message, it hands the handler the state of whoever sent it."""

    def __init__(
        self,
        settings: HttpSettings,
        callers: Callers,
        ledger: Ledger,
        tasks: anyio.abc.TaskGroup,
        *,
        learn: Callable[[SecretStr], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use all of these. `learn` is told each key before it is used; `now` counts seconds."""
        self.ending = False
        self._settings = settings
        self._callers = callers
        self._ledger = ledger
        self._tasks = tasks
        self._learn = learn
        self._now = now
        self._places: dict[str, _Place] = {}
        self._opening = anyio.Lock()

    async def __call__(self, context: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Answer one message with the state of its sender."""
        if context.method not in _AT_A_DESK:
            return await call_next(context)
        async with self._state(context.request) as state:
            current_state.set(state)
            return await call_next(replace(context, lifespan_context=state))

    @asynccontextmanager
    async def _state(self, request: Any) -> AsyncIterator[CallState]:
        """The state of whoever sent a request, which has its place until the end of the block."""
        try:
            place = await self._enter(self._callers.key_of(request))
        except CallRefused as problem:
            yield CallState(self._settings, None, f"{problem}")
            return
        try:
            yield CallState(self._settings, place.services)
        finally:
            place.calls -= 1
            place.left_at = self._now()

    async def _enter(self, key: SecretStr) -> _Place:
        """The place of that key, where one more call is counted. Raises CallRefused where it is one too many."""
        tenant = tenant_of(self._settings, key).id
        async with self._opening:
            if tenant not in self._places:
                self._make_room()
                self._learn(key)
                with anyio.CancelScope(shield=True):  # it takes no time, and half a desk helps nobody
                    await self._tasks.start(self._keep, tenant, key)
            place = self._places[tenant]
            self._admit(place)
            place.calls += 1
        return place

    def _admit(self, place: _Place) -> None:
        """Raise CallRefused where one more call is one too many."""
        settings, now = self._settings, self._now()
        while place.began and now - place.began[0] >= MINUTE:
            place.began.popleft()
        if place.calls >= settings.calls_at_once:
            raise CallRefused(
                f"{place.calls} calls with this Octave key are under way, which is as many as this server takes at "
                "once (OCTAVE_MCP_CALLS_AT_ONCE). Wait for one of them to answer, then call again."
            )
        if len(place.began) >= settings.calls_per_minute:
            wait = MINUTE - (now - place.began[0])
            raise CallRefused(
                f"{len(place.began)} calls with this Octave key began within a minute, which is as many as this server "
                f"takes (OCTAVE_MCP_CALLS_PER_MINUTE). Call again in {wait:.0f} seconds."
            )
        place.began.append(now)

    def _make_room(self) -> None:
        """Close the desk that rests longest where there are as many as may be. Raises CallRefused where none rests."""
        if self.ending:
            raise CallRefused("This server is ending. Call again in a moment.")
        if len(self._places) < MAX_DESKS:
            return
        resting = [(place.left_at, tenant) for tenant, place in self._places.items() if place.rests]
        if not resting:
            raise CallRefused("This server works for as many Octave keys as it can at once. Call again in a minute.")
        self._places.pop(min(resting)[1]).closed.set()

    async def _keep(
        self, tenant: str, key: SecretStr, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep a desk open until its place is closed."""
        async with open_services(self._settings, self._ledger, key) as opened:
            place = self._places[tenant] = _Place(opened, left_at=self._now())
            task_status.started()
            await place.closed.wait()

    async def keep_house(self) -> None:
        """Close desks that have rested, until cancelled."""
        while True:
            await anyio.sleep(MINUTE)
            for tenant, place in list(self._places.items()):
                if place.rests and self._now() - place.left_at >= REST_SECONDS:
                    self._places.pop(tenant).closed.set()

    async def check(self) -> None:
        """Raise LedgerError where nothing can be recorded, or the server is ending."""
        if self.ending:
            raise LedgerError("This server is ending.")
        await self._ledger.check()

    async def drain(self) -> None:
        """Send nothing more, and wait a bounded time for what is in flight; calls then answer with what is known."""
        self.ending = True
        async with anyio.create_task_group() as tasks:
            for place in self._places.values():
                tasks.start_soon(place.services.generation.drain)

    async def close(self) -> None:
        """End all desks, together."""
        self.ending = True
        for place in self._places.values():
            place.closed.set()
