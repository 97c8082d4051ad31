"""The server card (SEP-2127): what a client or a directory may know of this server before it connects.

It is public, so it contains no tools, no settings and nothing secret. It is served only if a public URL is configured.
"""

import hashlib
import json
from typing import Any

from mcp.types.version import KNOWN_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import Response

from octave_mcp import __version__
from octave_mcp.http.octave_keys import KEY_HEADER
from octave_mcp.http.settings import Authentication, HttpSettings

MEDIA_TYPE = "application/mcp-server-card+json"

SCHEMA = "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json"

NAME = "io.github.octave-personas/octave-personas-mcp"
"""The server's name in the MCP registry, as `deploy/server.json` has it."""

MAX_AGE_SECONDS = 300
"""Seconds for which a card may be cached. Afterwards its ETag tells cheaply whether it has changed."""


PUBLIC = {"access-control-allow-origin": "*", "access-control-expose-headers": "etag"}
"""Lets the scripts of any page read the card and its ETag."""

PREFLIGHT = {**PUBLIC, "access-control-allow-methods": "GET, HEAD", "access-control-allow-headers": "*, authorization"}
"""Lets them send any header, such as If-None-Match, and Authorization, which the asterisk does not stand for."""


class ServerCard:
    """The endpoint that answers with the card."""

    def __init__(self, settings: HttpSettings) -> None:
        """Write the card, which is the same for everybody as long as the server runs."""
        self._body = json.dumps(_card(settings), ensure_ascii=False).encode()
        self._headers = {
            **PUBLIC,
            "etag": f'"{hashlib.sha256(self._body).hexdigest()[:32]}"',
            "cache-control": f"public, max-age={MAX_AGE_SECONDS}",
        }

    async def answer(self, request: Request) -> Response:
        """Return the card, or 304 if the client has it already; to OPTIONS, what the scripts of a page may do."""
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={**PREFLIGHT, "access-control-max-age": str(MAX_AGE_SECONDS)})
        sent = ",".join(request.headers.getlist("if-none-match"))
        known = {tag.strip().removeprefix("W/") for tag in sent.split(",")}
        if known & {self._headers["etag"], "*"}:
            return Response(status_code=304, headers=self._headers)
        return Response(self._body, media_type=MEDIA_TYPE, headers=self._headers)


def _card(settings: HttpSettings) -> dict[str, Any]:
    remote: dict[str, Any] = {
        "type": "streamable-http",
        "url": settings.public_url,
        "supportedProtocolVersions": list(KNOWN_PROTOCOL_VERSIONS),
    }
    if headers := _required_headers(settings.authentication):
        remote["headers"] = headers
    return {
        "$schema": SCHEMA,
        "name": NAME,
        "version": __version__,
        "title": "Octave personas" + (" (sandbox)" if settings.sandbox else ""),
        "description": "Build buyer personas in Octave from a chat: the exact API, results sized for a chat.",
        "remotes": [remote],
    }


def _required_headers(authentication: Authentication) -> list[dict[str, Any]]:
    """Return the headers that a client must send. OAuth clients find out by themselves what they need."""
    described = {
        Authentication.TOKENS: ("Authorization", "Bearer, a space, and the token that the operator gave you"),
        Authentication.CALLER_KEYS: (KEY_HEADER.title(), "The API key of your Octave workspace"),
    }
    if authentication not in described:
        return []
    name, description = described[authentication]
    return [{"name": name, "description": description, "isRequired": True, "isSecret": True}]
