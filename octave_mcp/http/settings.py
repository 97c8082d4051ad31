"""Settings of `octave-personas-mcp http`, beside those of every server."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from octave_mcp.http.credentials import read_subject_keys, read_tokens, text_of
from octave_mcp.settings import Settings, setting_name
from octave_mcp.values import address_in, this_machine

DEFAULT_PATH = "/mcp"
"""Path of the MCP endpoint. It is served at the public URL's path too, if that is another."""

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Names of this machine. A page of another site cannot make a browser send one of them as `Host`."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(:\d{1,5})?", re.IGNORECASE)

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:\d{1,5})?", re.IGNORECASE)
"""An origin of any scheme: desktop apps and browser extensions have their own, such as `tauri://localhost`."""

_PATH = re.compile(r"[\w.~%/-]*", re.ASCII)
"""A path that means the same to every proxy, router and client on the way."""


class Authentication(StrEnum):
    """How the server authenticates callers. This also decides which Octave key their calls use."""

    NONE = "none"
    TOKENS = "tokens"
    CALLER_KEYS = "caller keys"
    OAUTH = "oauth"


class HttpSettings(Settings):
    """`Settings`, and those of the server over HTTP. The tables in the documents are tested against this."""

    tokens: SecretStr | None = Field(
        default=None,
        description="Bearer tokens whose holders may call with this server's key, separated by commas, each of 16 "
        "characters or more.",
    )
    tokens_file: Path | None = Field(
        default=None,
        description="A file with such tokens, one in each line. It is read again when it changes, so tokens can be "
        "replaced without a restart.",
    )
    caller_keys: bool = Field(
        default=False,
        description="Callers send their own Octave key in the header `X-Octave-Api-Key`; the server has none.",
    )
    oauth_issuer: str | None = Field(
        default=None,
        description="The OAuth 2.1 authorization server whose access tokens (JWT) are accepted: its `iss`.",
    )
    oauth_jwks_url: str | None = Field(default=None, description="The address of that server's public keys (JWKS).")
    oauth_scopes: str | None = Field(default=None, description="Scopes that a token must have, separated by spaces.")
    oauth_audience: str | None = Field(
        default=None,
        description="Other audiences (`aud`) of accepted tokens, separated by commas, such as the client id or "
        "`api://…` that your identity provider writes there. Each must match exactly. Tokens for the public URL are "
        "always accepted.",
    )
    subject_keys_file: Path | None = Field(
        default=None,
        description="A file with a JSON object that maps a token's `sub` to the Octave key for its calls. It is read "
        "again when it changes. Unset, all calls use OCTAVE_API_KEY.",
    )
    public_url: str | None = Field(
        default=None,
        description="The address of this server for clients, such as `https://personas.example.com/mcp`. Its path is "
        "served beside `/mcp`, and OAuth tokens are issued for it (`aud`).",
    )
    allowed_hosts: str | None = Field(
        default=None,
        description="Host names in the `Host` header that are accepted, separated by commas; one without a port "
        "stands for any port. `localhost`, loopback addresses and the public URL's host are always accepted.",
    )
    allowed_origins: str | None = Field(
        default=None,
        description="Origins of web pages and apps that may call (`Origin`), such as `https://chat.example.com` or "
        "`tauri://localhost`, separated by commas. If the server listens on loopback only, pages of this machine may "
        "call too.",
    )
    max_request_bytes: int = Field(
        default=1_048_576, ge=1024, le=16_777_216, description="Largest request body, in bytes."
    )
    calls_at_once: int = Field(default=32, ge=1, le=1000, description="Most calls of one key in progress at once.")
    calls_per_minute: int = Field(default=600, ge=1, le=100_000, description="Most calls of one key in a minute.")
    log_format: Literal["json", "text"] = Field(
        default="json", description="Format of the log on stderr: `json`, one object in each line, or `text`."
    )

    @field_validator("tokens")
    @classmethod
    def _strong(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_tokens(value.get_secret_value())
        return value

    @field_validator("tokens_file")
    @classmethod
    def _holds_tokens(cls, value: Path | None) -> Path | None:
        if value is not None:
            read_tokens(text_of(value))
        return value

    @field_validator("subject_keys_file")
    @classmethod
    def _holds_keys(cls, value: Path | None) -> Path | None:
        if value is not None:
            read_subject_keys(text_of(value))
        return value

    @field_validator("oauth_issuer", "oauth_jwks_url", "public_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = address_in(value)
        if parts is None or "@" in parts.netloc or parts.fragment:
            raise ValueError("must be an address such as https://login.example.com")
        if parts.scheme == "http" and not this_machine(parts.hostname or ""):
            raise ValueError("must be https; plain http is for this machine only")
        return value.strip()

    @field_validator("public_url")
    @classmethod
    def _as_published(cls, value: str | None) -> str | None:
        """Write it in one spelling, as clients compare addresses."""
        parts = address_in(value or "")
        if parts is None:
            return None
        if not _PATH.fullmatch(parts.path) or parts.query:
            raise ValueError("must be an address such as https://personas.example.com/mcp, without a query")
        return parts.geturl()

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: str | None) -> str | None:
        if not all(map(_HOST.fullmatch, _parts(value))):
            raise ValueError("must be names such as personas.example.com or 10.0.0.7:8000, separated by commas")
        return value and value.lower()

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: str | None) -> str | None:
        if not all(map(_ORIGIN.fullmatch, _parts(value))):
            raise ValueError("must be origins such as https://chat.example.com or app://name, separated by commas")
        return value and value.lower()

    @model_validator(mode="after")
    def _one_authentication(self) -> Self:
        ways = {
            "OCTAVE_MCP_TOKENS": self.tokens is not None,
            "OCTAVE_MCP_TOKENS_FILE": self.tokens_file is not None,
            "OCTAVE_MCP_CALLER_KEYS": self.caller_keys,
            "OCTAVE_MCP_OAUTH_ISSUER": self.oauth_issuer is not None,
        }
        chosen = [name for name, is_set in ways.items() if is_set]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} are set: choose one way to authenticate callers")
        if self.caller_keys and (self.api_key or self.api_key_file):
            raise ValueError("OCTAVE_MCP_CALLER_KEYS is set, so this server must not have a key: unset OCTAVE_API_KEY")
        if self.oauth_issuer and not (self.oauth_jwks_url and self.public_url):
            raise ValueError("OCTAVE_MCP_OAUTH_ISSUER needs OCTAVE_MCP_OAUTH_JWKS_URL and OCTAVE_MCP_PUBLIC_URL")
        if not self.oauth_issuer:
            needing = ("oauth_jwks_url", "oauth_scopes", "oauth_audience", "subject_keys_file")
            names = [setting_name(name) for name in needing if getattr(self, name)]
            if names:
                raise ValueError(f"{' and '.join(names)} need OCTAVE_MCP_OAUTH_ISSUER, which is not set")
        return self

    @property
    def authentication(self) -> Authentication:
        """The one way to authenticate callers that is configured."""
        if self.tokens or self.tokens_file:
            return Authentication.TOKENS
        if self.caller_keys:
            return Authentication.CALLER_KEYS
        return Authentication.OAUTH if self.oauth_issuer else Authentication.NONE

    @property
    def scopes(self) -> list[str]:
        """The scopes of `oauth_scopes`, as a list."""
        return (self.oauth_scopes or "").split()

    @property
    def audiences(self) -> frozenset[str]:
        """The audiences of `oauth_audience`, each as it is written."""
        return frozenset(_parts(self.oauth_audience))

    @property
    def paths(self) -> list[str]:
        """The paths of the MCP endpoint, the default one first, without a slash at their end."""
        public = unquote(urlsplit(self.public_url).path).rstrip("/") if self.public_url else DEFAULT_PATH
        return list(dict.fromkeys([DEFAULT_PATH, public]))

    def hosts(self) -> frozenset[str]:
        """Return every accepted `Host`, in small letters. One without a port stands for any port."""
        public = [urlsplit(self.public_url).netloc.lower()] if self.public_url else []
        return frozenset([*LOOPBACK_HOSTS, *_parts(self.allowed_hosts), *public])

    def origins(self) -> frozenset[str]:
        """Return every accepted `Origin`, in small letters, beside those of this machine."""
        return frozenset(_parts(self.allowed_origins))


def _parts(text: str | None) -> list[str]:
    """Return the parts of a text that are separated by commas."""
    return [part for one in (text or "").split(",") if (part := one.strip())]
