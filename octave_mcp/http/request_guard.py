"""What stands before the MCP endpoint: hosts, origins and methods; and a body's size, time and escapes."""

import json
import logging
import re
from collections.abc import Collection
from typing import Final

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from octave_mcp.http.authentication import KEY_HEADER
from octave_mcp.http.settings import HttpSettings, Who
from octave_mcp.server.jsonrpc import repair

__all__ = ["LOCAL_ORIGINS", "Guard", "WholeBody"]

logger = logging.getLogger(__name__)

BODY_SECONDS: Final = 30.0
"""In which a body has to arrive, once its headers have."""

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of bodies that are still arriving, all together: whoever sends many of them slowly takes no more memory."""

LOCAL_ORIGINS = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
"""Of pages that this machine serves itself."""

_LOGGED_CHARACTERS = 100


class Guard:
    """ASGI middleware. What it refuses costs nothing, and the log names the setting that would let it in."""

    def __init__(self, app: ASGIApp, settings: HttpSettings, *, local: bool) -> None:
        """Take the app behind it. `local`: only this machine is listened to, so that its own pages may call."""
        self._app = app
        self._hosts = settings.hosts()
        self._origins = settings.origins()
        self._local = local
        self._callers_own = settings.who is Who.CALLER_KEYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on."""
        refused = self._refused(Headers(scope=scope), scope["method"]) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refused(self, headers: Headers, method: str) -> Response | None:
        """Why a request is not let in by its headers; None where it is."""
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not _is_among(hosts[0].lower(), self._hosts):
            told = _shown(hosts)
            logger.warning(
                "Refused a request to the host %s; OCTAVE_MCP_ALLOWED_HOSTS names those that are taken", told
            )
            return _problem(421, "This server does not go by that name (Host).")
        if origins and not self._is_known(origins):
            told = _shown(origins)
            logger.warning("Refused a page of %s; OCTAVE_MCP_ALLOWED_ORIGINS names those that may call", told)
            return _problem(403, "Pages of that origin may not call this server (Origin).")
        if method != "POST":
            # Nothing is sent but in answer to a call, and there are no sessions to end.
            return _problem(405, "Only POST is taken here.", allow="POST")
        return self._confused(headers)

    def _confused(self, headers: Headers) -> Response | None:
        """Why it cannot be said who calls, or with which key; None where it can."""
        if len(headers.getlist("authorization")) > 1:
            return _problem(400, "The header Authorization came more than once.")
        keys = headers.getlist(KEY_HEADER)
        if self._callers_own and len(keys) > 1:
            return _problem(400, "The header X-Octave-Api-Key came more than once. Nothing was done.")
        if keys and not self._callers_own:
            return _problem(
                400,
                "This server calls Octave with a key of its own (OCTAVE_MCP_CALLER_KEYS is not set), so the header "
                "X-Octave-Api-Key would not be used: take it out of the client's configuration.",
            )
        return None

    def _is_known(self, origins: list[str]) -> bool:
        (origin,) = origins if len(origins) == 1 else ("",)
        return origin.lower() in self._origins or bool(self._local and LOCAL_ORIGINS.fullmatch(origin.lower()))


class WholeBody:
    """ASGI middleware: reads the body whole, bounded in size and time, and hands it on as a strict parser takes it."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        """Take the app behind it, and how large a body may be."""
        self._app = app
        self._max_bytes = max_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or hand it on with its whole body."""
        body = await self._read(receive, Headers(scope=scope))
        if isinstance(body, Response):
            await body(scope, receive, send)
        else:
            await self._app(scope, _replay(repair(body), receive), send)

    async def _read(self, receive: Receive, headers: Headers) -> bytes | Response:
        too_large = _problem(413, f"The request is larger than {self._max_bytes} bytes (OCTAVE_MCP_MAX_REQUEST_BYTES).")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_bytes:
            return too_large
        body = bytearray()
        try:
            with anyio.move_on_after(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return _problem(400, "The request ended early.")
                    body += message.get("body", b"")
                    self._held_bytes += len(message.get("body", b""))
                    if len(body) > self._max_bytes:
                        return too_large
                    if not message.get("more_body", False):
                        return bytes(body)
                    if self._held_bytes > MAX_HELD_BYTES:
                        return _problem(503, "Too many requests are on their way.")
        finally:
            self._held_bytes -= len(body)
        return _problem(408, f"The request did not arrive within {BODY_SECONDS:g} seconds.")


def _is_among(host: str, allowed: Collection[str]) -> bool:
    """Whether a `Host` is allowed: as it is, or without its port where the name stands for any."""
    name, _, port = host.rpartition(":")
    return host in allowed or (port.isdecimal() and name in allowed)


def _shown(values: list[str]) -> str:
    """What a stranger sent, fit for a line of the log."""
    return ascii(", ".join(values)[:_LOGGED_CHARACTERS])


def _problem(status: int, text: str, **headers: str) -> Response:
    """A refusal, as JSON-RPC has errors of no request."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": text}}
    return Response(
        json.dumps(error), status, media_type="application/json", headers={**headers, "connection": "close"}
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body once, then whatever comes: that the client is gone."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
