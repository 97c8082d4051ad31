"""Checks before the MCP endpoint: the request's target, host, origin and method; and the body's size and time."""

import json
import logging
import re
from collections.abc import Collection
from typing import Final

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from octave_mcp.http.octave_keys import KEY_HEADER
from octave_mcp.http.settings import Authentication, HttpSettings
from octave_mcp.server.jsonrpc import Malformed, read_message, repair

logger = logging.getLogger(__name__)

BODY_SECONDS: Final = 30.0
"""Seconds within which a body must arrive after its headers, and for which the rest of an answered one is read."""

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Bytes of all bodies that are still arriving, together. It bounds the memory of many slow requests."""

LOCAL_ORIGINS = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?")
"""Origins of pages that this machine serves itself."""

_LOGGED_CHARACTERS = 100

_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class AbsoluteTargets:
    """ASGI middleware: takes request targets in absolute form, `POST http://host/mcp HTTP/1.1`, as RFC 9112 demands."""

    def __init__(self, app: ASGIApp) -> None:
        """Take the app behind it."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its path alone. The target's authority replaces the `Host` header."""
        if scope["type"] == "http" and (found := _ABSOLUTE.fullmatch(scope["path"])):
            path = found[2] or "/"
            scope = {**scope, "path": path, "raw_path": path.encode(), "headers": list(scope["headers"])}
            MutableHeaders(scope=scope)["host"] = found[1]
        await self._app(scope, receive, send)


class LingeringClose:
    """ASGI middleware: reads what still comes of a request that was answered before its end, and drops it.

    A connection that is closed while more comes is reset, and the caller, or a proxy, may lose the answer (RFC 9112,
    section 9.6).
    """

    def __init__(self, app: ASGIApp) -> None:
        """Take the app behind it."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on. The answer is sent at once; it ends when the request does, or after `BODY_SECONDS`."""
        request: Message = {"type": "http.request", "more_body": True}

        async def received() -> Message:
            nonlocal request
            request = await receive()
            return request

        async def sent(message: Message) -> None:
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and request.get("more_body"):
                await send({**message, "more_body": True})
                with anyio.move_on_after(BODY_SECONDS):
                    while request.get("more_body"):
                        await received()
                message = {"type": "http.response.body"}
            await send(message)

        await self._app(scope, received, sent)


class RequestGuard:
    """ASGI middleware: refuses requests by their headers. The log names the setting that would let them in."""

    def __init__(self, app: ASGIApp, settings: HttpSettings, *, local: bool) -> None:
        """Take the app behind it. `local`: the server listens on loopback only, so this machine's pages may call."""
        self._app = app
        self._hosts = settings.hosts()
        self._origins = settings.origins()
        self._local = local
        self._callers_send_keys = settings.authentication is Authentication.CALLER_KEYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        refused = self._refusal(Headers(scope=scope), scope["method"]) if scope["type"] == "http" else None
        await (refused or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers, method: str) -> Response | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not _is_among(hosts[0].lower(), self._hosts):
            shown = _shown(hosts)
            logger.warning("Refused the host %s: OCTAVE_MCP_ALLOWED_HOSTS names those that are accepted", shown)
            return refusal(421, "Unknown Host header; see OCTAVE_MCP_ALLOWED_HOSTS.")
        if origins and not self._is_known(origins):
            shown = _shown(origins)
            logger.warning("Refused a page of %s: OCTAVE_MCP_ALLOWED_ORIGINS names those that may call", shown)
            return refusal(403, "Pages of this Origin must not call this server; see OCTAVE_MCP_ALLOWED_ORIGINS.")
        if method != "POST":
            # Nothing is sent except in answer to a call, and there are no sessions to end.
            return refusal(405, "This is an MCP endpoint: it accepts POST only.", allow="POST")
        return self._ambiguity(headers)

    def _ambiguity(self, headers: Headers) -> Response | None:
        """Refuse a request that does not make clear who calls, or which key its calls use."""
        if len(headers.getlist("authorization")) > 1:
            return refusal(400, "The header Authorization came more than once.")
        keys = headers.getlist(KEY_HEADER)
        if self._callers_send_keys and len(keys) > 1:
            return refusal(400, "The header X-Octave-Api-Key came more than once. Nothing was done.")
        if keys and not self._callers_send_keys:
            return refusal(
                400,
                "This server calls Octave with its own key (OCTAVE_MCP_CALLER_KEYS is not set), so it would not use "
                "X-Octave-Api-Key: remove this header from the client's configuration.",
            )
        return None

    def _is_known(self, origins: list[str]) -> bool:
        (origin,) = origins if len(origins) == 1 else ("",)
        return origin.lower() in self._origins or bool(self._local and LOCAL_ORIGINS.fullmatch(origin.lower()))


class BodyReader:
    """ASGI middleware: reads the whole body within bounds of size and time, and answers what is no message."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        """Take the app behind it, and the largest body."""
        self._app = app
        self._max_bytes = max_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its whole body, repaired for a strict parser."""
        body = await self._read(receive, Headers(scope=scope))
        if isinstance(body, Response):
            await body(scope, receive, send)
        else:
            body = repair(body)
            message = read_message(body)
            answer = _malformed(message) if isinstance(message, Malformed) else self._app
            await answer(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive, headers: Headers) -> bytes | Response:
        too_large = refusal(413, f"The request is larger than {self._max_bytes} bytes (OCTAVE_MCP_MAX_REQUEST_BYTES).")
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._max_bytes:
            return too_large
        body = bytearray()
        try:
            with anyio.move_on_after(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        return refusal(400, "The request ended early.")
                    body += message.get("body", b"")
                    self._held_bytes += len(message.get("body", b""))
                    if len(body) > self._max_bytes:
                        return too_large
                    if not message.get("more_body", False):
                        return bytes(body)
                    if self._held_bytes > MAX_HELD_BYTES:
                        return refusal(503, "This server receives too many requests at once.")
        finally:
            self._held_bytes -= len(body)
        return refusal(408, f"The request did not arrive within {BODY_SECONDS:g} seconds.")


def _is_among(host: str, allowed: Collection[str]) -> bool:
    """Return whether a `Host` is allowed, as it is or without its port."""
    name, _, port = host.rpartition(":")
    return host in allowed or (port.isdecimal() and name in allowed)


def _shown(values: list[str]) -> str:
    """Return what a stranger sent as it is safe in a line of the log."""
    return ascii(", ".join(values)[:_LOGGED_CHARACTERS])


def refusal(status: int, text: str, **headers: str) -> Response:
    """Return a response with a JSON-RPC error that belongs to no request, after which the connection is closed."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": text}}
    return Response(
        json.dumps(error), status, media_type="application/json", headers={**headers, "connection": "close"}
    )


def _malformed(message: Malformed) -> Response:
    """Return an error for each request in the body; an array for a batch, as one would be answered."""
    logger.warning("A body is no message; answered %d ids in it", len(message.ids))
    errors = message.answers() or [message.answer("null")]
    content = errors[0] if len(errors) == 1 else b"[" + b",".join(errors) + b"]"
    return Response(content, 400, media_type="application/json")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, and then what comes: that the client is gone."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
