"""What can be set for `octave-personas-mcp http`, beside what can be set for every server."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from octave_mcp.http.credentials import read_subject_keys, read_tokens, text_of
from octave_mcp.settings import Settings
from octave_mcp.values import address_in, this_machine

__all__ = ["HttpSettings", "Who"]

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")
"""Names of this machine: whoever sends one was not led here by another site's name."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(:\d{1,5})?")


class Who(StrEnum):
    """How it is known who calls, and with which key their calls are made."""

    ANYBODY = "anybody"
    TOKENS = "tokens"
    CALLER_KEYS = "caller keys"
    OAUTH = "oauth"


class HttpSettings(Settings):
    """`Settings`, and those of the server over HTTP. The README's table is tested against this."""

    tokens: SecretStr | None = Field(
        default=None,
        description="Bearer tokens, any of which lets its holder call with this server's key; separated by commas, "
        "each of 16 characters or more.",
    )
    tokens_file: Path | None = Field(
        default=None,
        description="A file with such tokens, one in each line; read again when it changes, so that they can be "
        "rotated without a restart.",
    )
    caller_keys: bool = Field(
        default=False,
        description="Callers bring their own Octave key in the header `X-Octave-Api-Key`; the server holds none.",
    )
    oauth_issuer: str | None = Field(
        default=None, description="The OAuth 2.1 authorization server whose access tokens (JWT) are taken: its `iss`."
    )
    oauth_jwks_url: str | None = Field(default=None, description="Where that server publishes its keys (JWKS).")
    oauth_scopes: str = Field(default="", description="Scopes that a token must have, separated by spaces.")
    subject_keys_file: Path | None = Field(
        default=None,
        description="A JSON object from a token's `sub` to the Octave key that its calls are made with; read again "
        "when it changes. Unset, all use OCTAVE_API_KEY.",
    )
    public_url: str | None = Field(
        default=None,
        description="The address of this server as clients know it, such as `https://personas.example.com/mcp`. "
        "OAuth tokens must be issued for it (`aud`).",
    )
    allowed_hosts: str = Field(
        default="",
        description="Names by which clients may address this server (`Host`), separated by commas, each with a port "
        "or for any. This machine's own names and the public URL's always may.",
    )
    allowed_origins: str = Field(
        default="",
        description="Origins of web pages that may call (`Origin`), such as `https://chat.example.com`, separated by "
        "commas. Pages of this machine may, where only it is listened to.",
    )
    max_request_bytes: int = Field(default=1_048_576, ge=1024, le=16_777_216, description="Largest request body.")
    calls_at_once: int = Field(default=32, ge=1, le=1000, description="Calls of one key under way at once.")
    calls_per_minute: int = Field(default=600, ge=1, le=100_000, description="Calls of one key begun in a minute.")
    log_format: Literal["json", "text"] = Field(
        default="json", description="How the log is written, on stderr: `json`, an object in each line, or `text`."
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
        """With its host in small letters and without a port that goes without saying, as it is compared."""
        if value is None:
            return None
        parts = urlsplit(value)
        usual = {"https": 443, "http": 80}[parts.scheme]
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = "" if parts.port in {None, usual} else f":{parts.port}"
        return urlunsplit((parts.scheme, f"{host}{port}", parts.path, parts.query, ""))

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: str) -> str:
        if not all(map(_HOST.fullmatch, _parts(value.lower()))):
            raise ValueError("must be names such as personas.example.com or 10.0.0.7:8000, separated by commas")
        return value.lower()

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        schemes = ("http://", "https://")
        for one in _parts(value.lower()):
            if not one.startswith(schemes) or not _HOST.fullmatch(one.partition("://")[2]):
                raise ValueError("must be origins such as https://chat.example.com, separated by commas")
        return value.lower()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = {
            "OCTAVE_MCP_TOKENS": self.tokens is not None,
            "OCTAVE_MCP_TOKENS_FILE": self.tokens_file is not None,
            "OCTAVE_MCP_CALLER_KEYS": self.caller_keys,
            "OCTAVE_MCP_OAUTH_ISSUER": self.oauth_issuer is not None,
        }
        chosen = [name for name, is_set in ways.items() if is_set]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} are set: choose one way to know who calls")
        if self.caller_keys and (self.api_key or self.api_key_file):
            raise ValueError("OCTAVE_MCP_CALLER_KEYS is set, so this server may hold no key: unset OCTAVE_API_KEY")
        if self.oauth_issuer and not (self.oauth_jwks_url and self.public_url):
            raise ValueError("OCTAVE_MCP_OAUTH_ISSUER needs OCTAVE_MCP_OAUTH_JWKS_URL and OCTAVE_MCP_PUBLIC_URL")
        if (self.subject_keys_file or self.oauth_jwks_url or self.oauth_scopes) and not self.oauth_issuer:
            raise ValueError("OCTAVE_MCP_OAUTH_ISSUER is not set, which what else is set for OAuth needs")
        return self

    @property
    def who(self) -> Who:
        """The one way to know who calls."""
        if self.tokens or self.tokens_file:
            return Who.TOKENS
        if self.caller_keys:
            return Who.CALLER_KEYS
        return Who.OAUTH if self.oauth_issuer else Who.ANYBODY

    @property
    def scopes(self) -> list[str]:
        """`oauth_scopes`, taken apart."""
        return self.oauth_scopes.split()

    def hosts(self) -> frozenset[str]:
        """Every `Host` that is taken; one without a port stands for any."""
        public = [urlsplit(self.public_url).netloc.lower()] if self.public_url else []
        return frozenset([*LOOPBACK_HOSTS, *_parts(self.allowed_hosts), *public])

    def origins(self) -> frozenset[str]:
        """Every `Origin` that is taken, beside those of this machine."""
        return frozenset(_parts(self.allowed_origins))


def _parts(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip())]
