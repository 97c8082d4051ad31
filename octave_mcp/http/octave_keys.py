"""The Octave API key with which the calls of a request are made."""

from typing import Protocol

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from pydantic import SecretStr
from starlette.requests import Request

from octave_mcp.http.credentials import WatchedFile, read_subject_keys
from octave_mcp.http.settings import Authentication, HttpSettings
from octave_mcp.tools.services import NO_KEY, CallRefused, server_key
from octave_mcp.values import is_sendable

KEY_HEADER = "x-octave-api-key"
"""The header with a caller's own key. It has hyphens, as proxies drop names with underscores."""

_NO_CALLER_KEY = (
    "No Octave API key came with this call. Ask the user to have their MCP client send the key of their Octave "
    "workspace in the header X-Octave-Api-Key, which is set where the client configures this server. Never ask for the "
    "key in the chat."
)
_BAD_CALLER_KEY = (
    "The header X-Octave-Api-Key does not contain a valid API key: it has only printable ASCII, no spaces and no "
    "quotes, and is no placeholder such as ${OCTAVE_API_KEY} that the client has not filled in. Ask the user to "
    "correct it where their MCP client configures this server."
)
_NO_SUBJECT_KEY = (
    "This server has no Octave key for the account that is signed in. Ask the user to have the operator of the server "
    "add the account to the file of OCTAVE_MCP_SUBJECT_KEYS_FILE."
)


class KeySource(Protocol):
    """One way to choose the Octave key of a request."""

    def key_of(self, request: Request) -> SecretStr:
        """Return the key. Raises CallRefused, with a text for the model, if there is none."""


class _ServerKey:
    """The server's own key, for every request."""

    def __init__(self, settings: HttpSettings) -> None:
        self._key = server_key(settings)

    def key_of(self, _: Request) -> SecretStr:
        if self._key is None:
            raise CallRefused(NO_KEY)
        return self._key


class _CallerKey:
    """The key in the request's own header, and no other."""

    def key_of(self, request: Request) -> SecretStr:
        given = request.headers.getlist(KEY_HEADER)
        key = SecretStr(given[0].strip() if len(given) == 1 else "")
        if not key.get_secret_value():
            raise CallRefused(_NO_CALLER_KEY)
        if not is_sendable(key):
            raise CallRefused(_BAD_CALLER_KEY)
        return key


class _SubjectKey:
    """The key that an operator's file has for the account that signed in, and no other."""

    def __init__(self, file: WatchedFile[dict[str, SecretStr]]) -> None:
        self._file = file

    def key_of(self, request: Request) -> SecretStr:
        user = request.scope.get("user")
        subject = user.access_token.subject if isinstance(user, AuthenticatedUser) else None
        key = self._file.content().get(subject) if subject else None
        if key is None:
            raise CallRefused(_NO_SUBJECT_KEY)
        return key


def key_source(settings: HttpSettings) -> KeySource:
    """Return the configured way to choose the key."""
    if settings.authentication is Authentication.CALLER_KEYS:
        return _CallerKey()
    if path := settings.subject_keys_file:
        return _SubjectKey(WatchedFile("OCTAVE_MCP_SUBJECT_KEYS_FILE", path, read_subject_keys, {}))
    return _ServerKey(settings)
