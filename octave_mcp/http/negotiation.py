"""Content negotiation: answers with JSON or with server-sent events (SSE), as the `Accept` header asks for.

The protocol demands that clients accept both, and the SDK answers all others with 406. Here a client without the header
accepts anything (RFC 9110, 12.5.1), and one that accepts only JSON or only SSE gets that. The request's own media type
may have capitals (RFC 9110, 8.3.1), which the SDK does not take.
"""

import re
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

JSON = "application/json"
SSE = "text/event-stream"

_REFUSED = re.compile(r"q\s*=\s*0(\.0*)?")
"""The weight of a media type that the client does not accept."""


class Negotiation:
    """ASGI app: passes each request to one of two apps, of which one answers with JSON, the other with SSE or JSON."""

    def __init__(self, *, sse: ASGIApp, json: ASGIApp) -> None:
        """Take both apps."""
        self._sse = sse
        self._json = json

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with headers that the SDK takes."""
        headers = [(name, value.lower() if name == b"content-type" else value) for name, value in scope["headers"]]
        scope = {**scope, "headers": headers}
        given = ",".join(Headers(scope=scope).getlist("accept"))
        takes_json, takes_sse = _accepts(given, JSON), _accepts(given, SSE)
        if takes_json and not takes_sse:
            await self._json(_accepting(scope, JSON), receive, send)
        elif takes_sse and not takes_json:
            await self._sse(_accepting(scope, f"{JSON}, {SSE}"), receive, _as_events(send))
        else:
            await self._sse(_accepting(scope, f"{JSON}, {SSE}") if takes_json else scope, receive, send)


def _accepts(header: str, media_type: str) -> bool:
    """Return whether an `Accept` header admits a media type. An absent or empty one admits all."""
    if not header.strip(" \t,"):
        return True
    admitted = {media_type, f"{media_type.partition('/')[0]}/*", "*/*"}
    for part in header.lower().split(","):
        name, *parameters = (one.strip() for one in part.split(";"))
        if name in admitted and not any(map(_REFUSED.fullmatch, parameters)):
            return True
    return False


def _accepting(scope: Scope, header: str) -> Scope:
    """Return the scope with another `Accept` header."""
    changed = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"accept"]}
    MutableHeaders(scope=changed)["accept"] = header
    return changed


def _as_events(send: Send) -> Send:
    """Return a `send` that makes one event of a whole JSON result. Errors of HTTP stay as they are."""
    begun: Message | None = None

    async def sending(message: Message) -> None:
        nonlocal begun
        if message["type"] == "http.response.start" and _is_json_result(message):
            begun = message  # until its body is known, whose length is in the headers
        elif begun is not None:
            body = b"event: message\r\ndata: " + message.get("body", b"") + b"\r\n\r\n"
            headers = MutableHeaders(raw=list(begun["headers"]))
            headers.update({"content-type": SSE, "content-length": str(len(body)), "cache-control": "no-cache"})
            await send({**begun, "headers": headers.raw})
            begun = None
            await send({**message, "body": body})
        else:
            await send(message)

    return sending


def _is_json_result(message: Message) -> bool:
    content_type = Headers(raw=message["headers"]).get("content-type", "")
    return message["status"] == HTTPStatus.OK and content_type.startswith(JSON)
