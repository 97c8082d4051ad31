"""`octave-personas-mcp http`: the MCP server as an ASGI app. It is stateless, so that any replica serves any request.

A request passes these, from outside in: the checks of its target, host, origin and method (`request_guard`); the check
of who is calling (`authentication`, `oauth`); the reading of its body; the choice of what the client accepts
(`negotiation`); the SDK, for every version of the protocol; and for each message the services of its caller
(`tenants`). If it is answered before its end, the rest of it is read all the same.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from octave_mcp.http.authentication import BearerAuthentication, StaticTokens
from octave_mcp.http.negotiation import Negotiation
from octave_mcp.http.oauth import JwtVerifier
from octave_mcp.http.octave_keys import key_source
from octave_mcp.http.request_guard import LOCAL_ORIGINS, AbsoluteTargets, BodyReader, LingeringClose, RequestGuard
from octave_mcp.http.server_card import ServerCard
from octave_mcp.http.settings import Authentication, HttpSettings
from octave_mcp.http.tenants import TenantPool, open_tenant_pool
from octave_mcp.ledger.records import LedgerError
from octave_mcp.server.app import make_server

logger = logging.getLogger(__name__)

READY_SECONDS = 1.0
"""Seconds for which a readiness check of the ledger counts, so that frequent probes do not load the database."""

ROOT_METADATA = "/.well-known/oauth-protected-resource"
"""Where clients look that do not add the endpoint's path. RFC 9728 has it for a resource without a path."""


@dataclass(frozen=True)
class App:
    """The ASGI app, and `drain`, which stops sending: calls in progress then answer with what is known."""

    asgi: ASGIApp
    drain: Callable[[], Awaitable[None]]


def build_app(settings: HttpSettings, *, local: bool, register_secret: Callable[[SecretStr], None]) -> App:
    """Build the app. Nothing is opened before its lifespan starts.

    `local`: the server listens on loopback only. Each Octave key is passed to `register_secret` before it is used.
    """
    service = _Service(settings, register_secret)
    server = make_server(settings, middleware=[service.answer], subscriptions=False)
    transports = _Transports(server, settings.max_request_bytes)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with service.open(), transports.run():
            yield

    authenticated, metadata = _authenticated(BodyReader(transports.asgi, settings.max_request_bytes), settings)
    endpoint = _with_cors(RequestGuard(authenticated, settings, local=local), settings, local=local)
    app = Starlette(
        routes=[
            Route("/healthz", _healthy, methods=["GET"]),
            Route("/readyz", service.ready, methods=["GET"]),
            *metadata,
            *_card_routes(settings),
            *(Route(path, endpoint) for base in settings.paths for path in dict.fromkeys([base or "/", f"{base}/"])),
        ],
        lifespan=lifespan,
        exception_handlers={404: _not_found(settings)},
    )
    app.router.redirect_slashes = False  # a redirect could lead a key elsewhere
    return App(LingeringClose(AbsoluteTargets(app)), service.drain)


class _Service:
    """The pool of tenants, which is open as long as the app runs, and its readiness."""

    def __init__(self, settings: HttpSettings, register_secret: Callable[[SecretStr], None]) -> None:
        self._settings = settings
        self._register_secret = register_secret
        self._pool: TenantPool | None = None
        self._checked_at = float("-inf")
        self._is_ready = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Keep the pool open for the block."""
        async with open_tenant_pool(self._settings, key_source(self._settings), self._register_secret) as pool:
            self._pool = pool
            yield

    async def answer(self, context: Any, call_next: Any) -> Any:
        """Pass a message to the pool, as the SDK's middleware."""
        assert self._pool is not None  # noqa: S101 - the lifespan has started before any message comes
        return await self._pool(context, call_next)

    async def drain(self) -> None:
        """Drain the pool, if it was opened."""
        if self._pool is not None:
            await self._pool.drain()

    async def ready(self, _: Request) -> Response:
        """Answer 200 if calls can be recorded, and so be made; otherwise 503. The log says why not."""
        if time.monotonic() - self._checked_at >= READY_SECONDS or (self._pool and self._pool.ending):
            self._is_ready = await self._check()
            self._checked_at = time.monotonic()
        return JSONResponse({"ready": self._is_ready}, 200 if self._is_ready else 503)

    async def _check(self) -> bool:
        try:
            if self._pool is not None:
                await self._pool.check()
        except LedgerError as error:
            logger.warning("Not ready: %s", error)
            return False
        return self._pool is not None


class _Transports:
    """The SDK's transport twice: one answers with JSON alone, the other with server-sent events or JSON."""

    def __init__(self, server: MCPServer[Any], max_request_bytes: int) -> None:
        # The guard has checked the host, and its log names the setting. The body was read already, within bounds.
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        server.streamable_http_app(
            stateless_http=True, transport_security=security, max_request_body_size=max_request_bytes
        )
        self._sse = server.session_manager
        self._json = StreamableHTTPSessionManager(
            self._sse.app,
            json_response=True,
            stateless=True,
            security_settings=security,
            max_request_body_size=max_request_bytes,
        )
        self.asgi = Negotiation(sse=self._sse.asgi_app, json=self._json.asgi_app)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Accept requests for the block."""
        async with self._sse.run(), self._json.run():
            yield


async def _healthy(_: Request) -> Response:
    """Answer, as the process does."""
    return JSONResponse({"healthy": True})


def _not_found(settings: HttpSettings) -> Callable[[Request, Exception], Response]:
    """Return a handler that names the endpoint. For `GET /`, which people try first, that is no error."""
    text = f"The MCP endpoint is {settings.paths[-1] or '/'}\n"

    def answer(request: Request, _: Exception) -> Response:
        is_index = request.url.path == "/" and request.method in {"GET", "HEAD"}
        return PlainTextResponse(text if is_index else f"Not found. {text}", 200 if is_index else 404)

    return answer


def _with_cors(app: ASGIApp, settings: HttpSettings, *, local: bool) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=sorted(settings.origins()),
        allow_origin_regex=LOCAL_ORIGINS.pattern if local else None,
        allow_methods=["POST"],
        allow_headers=["*"],
        expose_headers=["www-authenticate"],
    )


def _card_routes(settings: HttpSettings) -> list[BaseRoute]:
    if settings.public_url is None:
        return []
    answer = ServerCard(settings).answer
    return [Route(f"{path}/server-card", answer, methods=["GET", "OPTIONS"]) for path in settings.paths]


def _authenticated(app: ASGIApp, settings: HttpSettings) -> tuple[ASGIApp, list[BaseRoute]]:
    """Return the app behind the configured authentication, and the routes of what is published about it."""
    if settings.authentication is Authentication.TOKENS:
        return BearerAuthentication(app, StaticTokens(settings), scopes=[]), []
    if settings.authentication is not Authentication.OAUTH:
        return app, []
    published = AuthSettings.model_validate(  # which keeps addresses as they are written, since clients compare them
        {
            "issuer_url": settings.oauth_issuer,
            "resource_server_url": settings.public_url,
            "validate_token_resource": False,  # the verifier does
        }
    )
    resource = published.resource_server_url
    assert resource is not None  # noqa: S101 - the settings have both
    routes = create_protected_resource_routes(resource, [published.issuer_url], settings.scopes or None)
    paths = {path for route in routes for path in (route.path.rstrip("/"), f"{route.path.rstrip('/')}/", ROOT_METADATA)}
    protected = BearerAuthentication(
        app,
        JwtVerifier(settings),
        scopes=settings.scopes,
        metadata_url=str(build_resource_metadata_url(resource)),
    )
    return protected, [Route(path, routes[0].endpoint) for path in sorted(paths)]
