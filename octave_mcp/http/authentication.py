"""Bearer tokens of callers: static ones that an operator hands out, and the challenge for whoever has none."""

import json
import logging
from typing import Protocol

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from octave_mcp.http.credentials import WatchedFile, is_among, read_tokens
from octave_mcp.http.settings import HttpSettings

logger = logging.getLogger(__name__)

RETRY_SECONDS = 10
"""Seconds after which a client asks again if tokens cannot be checked, as the `Retry-After` header has it."""


class TokenRefused(Exception):
    """This access token is not accepted. The text says why, for the caller, and contains nothing of the token.

    `hint` is for the log only: the setting that decides, or a claim of a token whose signature is good.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        """Keep the reason, and a hint for the operator."""
        super().__init__(reason)
        self.hint = hint


class KeysUnavailable(Exception):
    """The authorization server's keys cannot be fetched, so that no token can be checked."""


class TokenVerifier(Protocol):
    """Checks access tokens."""

    async def verify(self, token: str) -> AccessToken:
        """Return what is known of the holder. Raises TokenRefused and KeysUnavailable."""


class StaticTokens:
    """Checks tokens that an operator handed out. All their holders are alike."""

    def __init__(self, settings: HttpSettings) -> None:
        """Take the tokens of the settings. Those in a file are read again when it changes."""
        nobody: frozenset[bytes] = frozenset()
        given, path = settings.tokens, settings.tokens_file
        self._given = read_tokens(given.get_secret_value()) if given else nobody
        self._file = WatchedFile("OCTAVE_MCP_TOKENS_FILE", path, read_tokens, nobody) if path else None

    async def verify(self, token: str) -> AccessToken:
        """Return an anonymous holder. Raises TokenRefused."""
        known = self._file.content() if self._file else self._given
        if not is_among(token, known):
            raise TokenRefused("The access token is unknown")
        return AccessToken(token="", client_id="token", scopes=[])


class BearerAuthentication:
    """ASGI middleware: lets in whoever has a good access token with the required scopes, and tells others why not."""

    def __init__(
        self, app: ASGIApp, verifier: TokenVerifier, *, scopes: list[str], metadata_url: str | None = None
    ) -> None:
        """Protect `app`. `metadata_url` tells OAuth clients where to find the authorization server."""
        self._app = AuthContextMiddleware(app)
        self._verifier = verifier
        self._scopes = scopes
        self._metadata_url = metadata_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its `user`."""
        token = _bearer_token(Headers(scope=scope))
        try:
            if token is None:
                refused = self._challenge(401, "", "Authentication required")
            elif missing := self._missing_scope(user := AuthenticatedUser(await self._verifier.verify(token))):
                refused = self._challenge(403, "insufficient_scope", f"Required scope: {missing}")
            else:
                await self._app({**scope, "user": user}, receive, send)
                return
        except TokenRefused as error:
            logger.warning("Refused an access token: %s%s", error, f" ({error.hint})" if error.hint else "")
            refused = self._challenge(401, "invalid_token", str(error))
        except KeysUnavailable:
            text = "Access tokens cannot be checked at the moment. Try again soon."
            refused = Response(text, 503, headers={"retry-after": f"{RETRY_SECONDS}"}, media_type="text/plain")
        await refused(scope, receive, send)

    def _missing_scope(self, user: AuthenticatedUser) -> str:
        missing = next((one for one in self._scopes if one not in user.scopes), "")
        if missing:
            logger.warning("Refused an access token: it lacks the scope %s (OCTAVE_MCP_OAUTH_SCOPES)", missing)
        return missing

    def _challenge(self, status: int, error: str, description: str) -> Response:
        """Return a refusal as RFC 6750 has it: without an error code if no token came."""
        given = {
            "error": error,
            "error_description": description if error else "",
            "scope": " ".join(self._scopes),
            "resource_metadata": self._metadata_url or "",
        }
        parameters = ", ".join(f'{name}="{value}"' for name, value in given.items() if value)
        body = json.dumps({"error": error or "invalid_token", "error_description": description})
        headers = {"www-authenticate": f"Bearer {parameters}".strip()}
        return Response(body, status, headers=headers, media_type="application/json")


def _bearer_token(headers: Headers) -> str | None:
    """Return the token of the `Authorization` header, after one or more spaces; None if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip(" ") or None if scheme.lower() == "bearer" else None
