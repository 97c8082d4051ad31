"""Runs the ASGI app on open sockets with uvicorn, and shuts it down within a bounded time when it is asked to."""

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

LAST_SECONDS = 0.25
"""Seconds at shutdown for requests on connections that were accepted already."""

GRACE_SECONDS = 5.0
"""Seconds after the wait for requests to Octave, in which the answers of calls are sent."""

EXIT_SECONDS = 10.0
"""Seconds after that, at which the process exits whatever still runs."""

MAX_CONNECTIONS = 2000
"""Open connections. Requests on further ones are answered with 503."""

KEEP_ALIVE_SECONDS = 620
"""Seconds for which an idle connection stays open. Proxies keep theirs for up to 600 seconds, and whoever closes a
connection first must be the proxy: a request that crosses with the server's close is lost."""


class _Server(uvicorn.Server):
    """Drains the app as soon as it accepts no new connections, while calls in progress are waited for.

    It also ends if the app's services end unexpectedly: without them each call would get an error, for ever.
    """

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._drain = drain

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self.has_failed

    @property
    def has_failed(self) -> bool:
        """Whether the app's services have ended unexpectedly. The log has the reason."""
        return bool(self.lifespan.error_occurred)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        ended = self._captured_signals[0] if self._captured_signals else signal.SIGTERM
        seconds = (self.config.timeout_graceful_shutdown or 0) + EXIT_SECONDS
        timer = threading.Timer(seconds, os._exit, [128 + ended])
        timer.daemon = True
        timer.start()
        await self._accept_waiting_connections(sockets or [])
        # A connection that was accepted a moment ago has a request on its way, which no proxy may send elsewhere.
        await asyncio.sleep(LAST_SECONDS)
        draining = asyncio.ensure_future(self._drain())
        await super().shutdown(sockets)
        await draining
        timer.cancel()

    async def _accept_waiting_connections(self, sockets: list[socket.socket]) -> None:
        """Stop listening, and accept the connections that wait for it, as closing the socket would break them."""
        waiting = [listening.dup() for listening in sockets]
        for server in self.servers:
            server.close()
        accepted = []
        for listening in waiting:
            with listening, suppress(BlockingIOError):
                listening.setblocking(False)
                while True:
                    accepted.append(listening.accept()[0])
        for connection in accepted:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        """Return the handler of a connection, as uvicorn itself makes it."""
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol


def serve(
    settings: HttpSettings,
    sockets: list[socket.socket],
    *,
    local: bool,
    register_secret: Callable[[SecretStr], None],
) -> bool:
    """Serve on listening sockets until SIGINT or SIGTERM. Return False if the server ended by a failure of its own.

    See `build_app` for the other arguments.
    """
    # Otherwise the SDK cuts its streams at once, and with them answers that are about to come. They end with calls.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    server = build_web_server(settings, local=local, register_secret=register_secret)
    server.run(sockets=sockets)
    return not server.has_failed


def build_web_server(
    settings: HttpSettings, *, local: bool, register_secret: Callable[[SecretStr], None] = lambda _: None
) -> _Server:
    """Return the web server, ready to run."""
    app = build_app(settings, local=local, register_secret=register_secret)
    config = uvicorn.Config(
        app.asgi,
        lifespan="on",
        log_config=None,  # `observability.logs` configures logging
        access_log=False,  # addresses of callers are personal data
        server_header=False,
        proxy_headers=False,  # nothing here depends on where a caller says to be
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_seconds + GRACE_SECONDS),
        ws="none",
    )
    return _Server(config, app.drain)
