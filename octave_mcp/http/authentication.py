"""Who is calling over HTTP, and with which Octave key their calls are made."""

import logging
from typing import Protocol

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken, TokenVerifier
from pydantic import SecretStr
from starlette.requests import Request

from octave_mcp.http.credentials import Watched, is_among, read_subject_keys, read_tokens
from octave_mcp.http.settings import HttpSettings, Who
from octave_mcp.server.services import NO_KEY, CallRefused, server_key
from octave_mcp.values import is_sendable

__all__ = ["KEY_HEADER", "Callers", "StaticTokens", "callers"]

logger = logging.getLogger(__name__)

KEY_HEADER = "x-octave-api-key"
"""With hyphens: proxies drop names with underscores."""

_NO_CALLER_KEY = (
    "No Octave API key came with this call. Ask the user to have their MCP client send the key of their Octave "
    "workspace in the header X-Octave-Api-Key, which stands in the client's configuration of this server. Never ask "
    "for the key in the chat."
)
_BAD_CALLER_KEY = (
    "What came in the header X-Octave-Api-Key is no API key: it may only have letters, digits and other printable "
    "ASCII, no spaces or quotes. Ask the user to correct it in their MCP client's configuration of this server."
)
_NO_SUBJECT_KEY = (
    "This server holds no Octave key for the account that is signed in. Ask the user to have whoever runs the server "
    "add the account to the file of OCTAVE_MCP_SUBJECT_KEYS_FILE."
)


class Callers(Protocol):
    """One way to know who calls."""

    def key_of(self, request: Request) -> SecretStr:
        """The Octave key of a request that was let in. Raises CallRefused, whose text a model reads."""


class _HeldKey:
    """Everybody who was let in uses the server's key."""

    def __init__(self, settings: HttpSettings) -> None:
        self._key = server_key(settings)

    def key_of(self, _: Request) -> SecretStr:
        if self._key is None:
            raise CallRefused(NO_KEY)
        return self._key


class _CallersOwn:
    """Each brings their own. There is no other to fall back to."""

    def key_of(self, request: Request) -> SecretStr:
        given = request.headers.getlist(KEY_HEADER)
        key = SecretStr(given[0].strip() if len(given) == 1 else "")
        if not key.get_secret_value():
            raise CallRefused(_NO_CALLER_KEY)
        if not is_sendable(key):
            raise CallRefused(_BAD_CALLER_KEY)
        return key


class _BySubject:
    """Each account that signed in has a key that is held for it, and no other."""

    def __init__(self, keys: Watched[dict[str, SecretStr]]) -> None:
        self._keys = keys

    def key_of(self, request: Request) -> SecretStr:
        user = request.scope.get("user")
        subject = user.access_token.subject if isinstance(user, AuthenticatedUser) else None
        key = self._keys.content().get(subject) if subject else None
        if key is None:
            raise CallRefused(_NO_SUBJECT_KEY)
        return key


def callers(settings: HttpSettings) -> Callers:
    """The way that is set."""
    if settings.who is Who.CALLER_KEYS:
        return _CallersOwn()
    if settings.subject_keys_file:
        return _BySubject(Watched("OCTAVE_MCP_SUBJECT_KEYS_FILE", settings.subject_keys_file, read_subject_keys, {}))
    return _HeldKey(settings)


class StaticTokens(TokenVerifier):
    """Bearer tokens that an operator handed out."""

    def __init__(self, settings: HttpSettings) -> None:
        """Take those of the settings; a file's are read as it changes."""
        nobody: frozenset[bytes] = frozenset()
        given, path = settings.tokens, settings.tokens_file
        self._given = read_tokens(given.get_secret_value()) if given else nobody
        self._watched = Watched("OCTAVE_MCP_TOKENS_FILE", path, read_tokens, nobody) if path else None

    async def verify_token(self, token: str) -> AccessToken | None:
        """See the SDK. All holders are alike."""
        known = self._watched.content() if self._watched else self._given
        return AccessToken(token="", client_id="token", scopes=[]) if is_among(token, known) else None
