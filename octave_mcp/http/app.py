"""`octave-personas-mcp http`: the MCP server as an ASGI app, stateless, so that any replica serves any request.

From outside in: pages of other origins, hosts and methods (`guard`); who is calling (`callers`, `oauth`); the body; the
SDK, for the protocol of 2026-07-28 and all before it; and for each message the desk of its caller (`tenants`).
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from octave_mcp.generation.records import LedgerError
from octave_mcp.http.authentication import StaticTokens, callers
from octave_mcp.http.oauth import Jwts, NoKeysError
from octave_mcp.http.request_guard import LOCAL_ORIGINS, Guard, WholeBody
from octave_mcp.http.settings import HttpSettings, Who
from octave_mcp.http.tenants import Tenants, running
from octave_mcp.server.app import make_server

__all__ = ["PATH", "App", "build_app"]

logger = logging.getLogger(__name__)

PATH = "/mcp"

READY_SECONDS = 1.0
"""For which a look at the store counts: whoever asks more often asks nothing of it."""


@dataclass(frozen=True)
class App:
    """The ASGI app, and what has it come to rest: it sends nothing more, and calls answer with what is known."""

    asgi: ASGIApp
    drain: Callable[[], Awaitable[None]]


def build_app(settings: HttpSettings, *, local: bool, learn: Callable[[SecretStr], None]) -> App:
    """The app. Nothing is opened before its lifespan begins.

    `local`: only this machine is listened to. `learn` is told each Octave key before it is used.
    """
    house = _House()

    @asynccontextmanager
    async def lifespan(_: MCPServer[Any]) -> AsyncIterator[Tenants]:
        async with running(settings, callers(settings), learn) as tenants:
            house.tenants = tenants
            yield tenants

    server = make_server(settings, lifespan=lifespan, middleware=[house], subscriptions=False)
    server.streamable_http_app(
        stateless_http=True,
        # The guard has looked, and its log names the setting; the body was read, and bounded.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=settings.max_request_bytes,
    )
    endpoint, metadata = _authenticated(
        WholeBody(server.session_manager.asgi_app, settings.max_request_bytes), settings
    )
    app = Starlette(
        routes=[
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/readyz", house.ready, methods=["GET"]),
            *metadata,
            Route(PATH, endpoint=_Endpoint(Guard(endpoint, settings, local=local))),
        ],
        lifespan=lambda _: server.session_manager.run(),
    )
    app.router.redirect_slashes = False  # a redirect may lead a key elsewhere
    return App(
        CORSMiddleware(
            app,
            allow_origins=sorted(settings.origins()),
            allow_origin_regex=LOCAL_ORIGINS.pattern if local else None,
            allow_methods=["POST"],
            allow_headers=["*"],
            expose_headers=["www-authenticate"],
        ),
        house.drain,
    )


class _Endpoint:
    """An ASGI app as an object, which a route hands every method to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except NoKeysError:
            text = "Access tokens cannot be checked at the moment. Try again soon."
            await Response(text, 503, headers={"retry-after": "10"}, media_type="text/plain")(scope, receive, send)


class _House:
    """The tenants, which are there as long as the app runs; and how ready they are."""

    def __init__(self) -> None:
        self.tenants: Tenants | None = None
        self._looked_at = float("-inf")
        self._is_ready = False

    async def __call__(self, context: Any, call_next: Any) -> Any:
        """As the SDK's middleware, hand each message to the tenants."""
        assert self.tenants is not None  # noqa: S101 - the lifespan has begun before any message comes
        return await self.tenants(context, call_next)

    async def drain(self) -> None:
        if self.tenants is not None:
            await self.tenants.drain()

    async def ready(self, _: Request) -> Response:
        """Whether calls can be made: what they would send can be recorded. Why not is in the log."""
        if time.monotonic() - self._looked_at >= READY_SECONDS or (self.tenants and self.tenants.ending):
            self._is_ready = await self._look()
            self._looked_at = time.monotonic()
        return JSONResponse({"ready": self._is_ready}, 200 if self._is_ready else 503)

    async def _look(self) -> bool:
        try:
            if self.tenants is not None:
                await self.tenants.check()
        except LedgerError as error:
            logger.warning("Not ready: %s", error)
            return False
        return self.tenants is not None


async def _healthy(_: Request) -> Response:
    """The process answers."""
    return JSONResponse({"healthy": True})


def _authenticated(app: ASGIApp, settings: HttpSettings) -> tuple[ASGIApp, list[BaseRoute]]:
    """The app behind the way to know who calls, if any is set; and what is published of that way."""
    verifier: StaticTokens | Jwts
    if settings.who is Who.TOKENS:
        verifier, metadata_url, routes = StaticTokens(settings), None, []
    elif settings.who is Who.OAUTH:
        published = AuthSettings.model_validate(  # keeps addresses as they are set, which clients compare
            {
                "issuer_url": settings.oauth_issuer,
                "resource_server_url": settings.public_url,
                "validate_token_resource": False,  # the verifier does
            }
        )
        assert published.resource_server_url is not None  # noqa: S101 - the settings have both
        verifier, metadata_url = Jwts(settings), build_resource_metadata_url(published.resource_server_url)
        routes = create_protected_resource_routes(
            published.resource_server_url, [published.issuer_url], settings.scopes or None
        )
    else:
        return app, []
    required = RequireAuthMiddleware(app, settings.scopes, metadata_url)
    known = AuthenticationMiddleware(AuthContextMiddleware(required), backend=BearerAuthBackend(verifier))
    return known, list(routes)
