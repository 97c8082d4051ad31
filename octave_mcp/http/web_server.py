"""Runs the HTTP server: on a socket that is open already, until it is asked to end, and then to a bounded end."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import uvicorn
from pydantic import SecretStr
from sse_starlette.sse import AppStatus

from octave_mcp.http.app import build_app
from octave_mcp.http.settings import HttpSettings

__all__ = ["make_server", "serve"]

LAST_SECONDS = 0.25
"""For requests on connections that were taken already."""

GRACE_SECONDS = 5.0
"""After the wait for what is in flight: for answers to leave."""

HELD_SECONDS = 10.0
"""After that, in which the process ends, whatever holds it."""

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
        ended = self._captured_signals[0] if self._captured_signals else signal.SIGTERM
        seconds = (self.config.timeout_graceful_shutdown or 0) + HELD_SECONDS
        timer = threading.Timer(seconds, os._exit, [128 + ended])
        timer.daemon = True
        timer.start()
        await self._take_the_last(sockets or [])
        # A connection that was taken a moment ago has a request on its way, which no proxy may send elsewhere.
        await asyncio.sleep(LAST_SECONDS)
        draining = asyncio.ensure_future(self._drain())
        await super().shutdown(sockets)
        await draining
        timer.cancel()

    async def _take_the_last(self, sockets: list[socket.socket]) -> None:
        """Listen no more, and take those connections that wait to be taken: they would be broken by it."""
        waiting = [listening.dup() for listening in sockets]
        for server in self.servers:
            server.close()
        taken = []
        for listening in waiting:
            with listening, suppress(BlockingIOError):
                listening.setblocking(False)
                while True:
                    taken.append(listening.accept()[0])
        for connection in taken:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        """What serves a connection, as uvicorn itself makes it."""
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


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
