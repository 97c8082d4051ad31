"""Runs the HTTP server: on a socket that is open already, until it is asked to end, and then to a bounded end."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import uvicorn
from pydantic import SecretStr
from sse_starlette.sse import AppStatus

from octave_mcp.server.http import build_app
from octave_mcp.server.http_settings import HttpSettings

__all__ = ["make_server", "serve"]

LAST_SECONDS = 0.25
"""For requests on connections that were taken already."""

GRACE_SECONDS = 5.0
"""After the wait for what is in flight: for answers to leave."""

MAX_CONNECTIONS = 2000
"""Open at once; past it a connection is told that the server is busy."""

KEEP_ALIVE_SECONDS = 75
"""A little longer than the proxies' custom, so that it is they who close a connection."""


class _Server(uvicorn.Server):
    """Has the app come to rest as soon as nothing new is taken, while calls in flight are waited for."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # A connection that was taken a moment ago has a request on its way, which no proxy may send elsewhere.
        await asyncio.sleep(LAST_SECONDS)
        draining = asyncio.ensure_future(self._drain())
        await super().shutdown(sockets)
        await draining


def serve(settings: HttpSettings, listening: socket.socket, *, local: bool, learn: Callable[[SecretStr], None]) -> None:
    """Serve until SIGINT or SIGTERM. See `build_app`."""
    # Else the SDK's streams are cut at once, and with them answers that are about to come. They end with their calls.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    make_server(settings, local=local, learn=learn).run(sockets=[listening])


def make_server(
    settings: HttpSettings, *, local: bool, learn: Callable[[SecretStr], None] = lambda _: None
) -> uvicorn.Server:
    """The web server, ready to be run."""
    app = build_app(settings, local=local, learn=learn)
    config = uvicorn.Config(
        app.asgi,
        log_config=None,  # as all others log
        access_log=False,  # addresses of callers are personal data
        server_header=False,
        proxy_headers=False,  # nothing here depends on where a caller says to be
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_seconds + GRACE_SECONDS),
        ws="none",
    )
    return _Server(config, app.drain)
