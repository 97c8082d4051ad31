"""One frozen `Settings`, read from the environment once. Nothing else in the package reads the environment."""

import ipaddress
import re
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

import platformdirs
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = [
    "Settings",
    "SettingsError",
    "TelemetrySettings",
    "address_in",
    "is_sendable",
    "load",
    "load_settings",
    "load_telemetry_settings",
    "setting_name",
    "this_machine",
]

UNEXPANDED = re.compile(r"\$\{[^}]*\}|\{\{.*\}\}|^\$\w+$|^%\w+%$|^<.*>$")
"""A placeholder where a value should be: the host that starts this server, or its user, did not fill it in."""

SENDABLE = re.compile(r"[\x21-\x7e]+")
"""What a header can carry without ambiguity: printable ASCII, no spaces."""

QUOTES = frozenset("\"'`")
"""A key that begins with one was copied with its quotation marks."""

KEY_RULE = "it may only have letters, digits and other printable ASCII, no spaces or quotes"

MEMORY, SQLITE, POSTGRES = "memory://", "sqlite:///", ("postgresql://", "postgres://")
"""The beginning of each address that a ledger can have."""

HEADROOM_SECONDS = 2.5
"""For condensing and writing, which take milliseconds, and for a ledger that another process has locked meanwhile."""

DEFAULT_BASE_URL = "https://app.octavehq.com"


class SettingsError(Exception):
    """The environment cannot be used. The text names each setting and what it must be, never what it was."""


class Settings(BaseSettings):
    """Everything that can be set. Units and bounds stand with each field; the README's table is tested against this."""

    model_config = SettingsConfigDict(
        env_prefix="OCTAVE_MCP_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        validate_default=True,
    )

    sandbox: bool = Field(default=False, description="Use the built-in sandbox: made-up data, no key, no network.")
    api_key_file: Path | None = Field(
        default=None, validation_alias="OCTAVE_API_KEY_FILE", description="A file that holds the API key, instead."
    )
    api_key: SecretStr | None = Field(
        default_factory=lambda data: _secret_in(data["api_key_file"]),
        validation_alias="OCTAVE_API_KEY",
        description="The Octave workspace's API key.",
    )
    base_url: str = Field(
        default=DEFAULT_BASE_URL,
        validation_alias="OCTAVE_BASE_URL",
        description="Octave's origin: https, or plain http to this machine only.",
    )
    result_tokens: int = Field(
        default=6000, ge=1000, le=100_000, description="Most tokens in a result, text and structured content together."
    )
    wait_seconds: float = Field(
        default=45, gt=0, le=600, description="Seconds after which a call answers with what is ready."
    )
    concurrency: int = Field(default=4, ge=1, le=32, description="POSTs under way at once, for each key.")
    max_personas_per_call: int = Field(
        default=25, ge=1, le=1000, description="Most personas that one call may ask for."
    )
    max_personas_per_day: int | None = Field(
        default=None, ge=1, le=5000, description="Most personas bought with this key in any 24 hours; unset, no limit."
    )
    max_credits_per_day: float | None = Field(
        default=None,
        gt=0,
        description="Most credits spent with this key in any 24 hours, as Octave reported them; unset, no limit.",
    )
    allow_same_name: bool = Field(
        default=False, description="Create a persona even if Octave has one with exactly the same name."
    )
    replay_seconds: float = Field(
        default=86_400,
        ge=0,
        le=604_800,
        description="Seconds in which the same request never creates a second persona.",
    )
    state_url: str | None = Field(
        default=None,
        repr=False,  # it may hold the database's password
        description="The ledger: `sqlite:///PATH`; `postgresql://USER@HOST:PORT/DATABASE` for several replicas; or "
        "`memory://`, which ends with the process. Unset, a file in your data folder; with the sandbox, memory.",
    )
    shutdown_seconds: float = Field(
        default=20, ge=0, le=600, description="Seconds that the server waits at its end for what is in flight."
    )
    ignored_arguments: str = Field(
        default="",
        description="More argument names that your host adds to every call, separated by commas: dropped, and told.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="How much is logged, on stderr: DEBUG, INFO, WARNING or ERROR."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _expanded(cls, value: object, info: ValidationInfo) -> object:
        if info.field_name in {"api_key", "api_key_file"} and info.data.get("sandbox"):
            return None  # the sandbox needs no key, so whatever is there is not looked at
        if isinstance(value, str) and UNEXPANDED.search(value.strip()):
            raise ValueError(
                "holds a placeholder instead of its value; the program that starts this server did not fill it in"
            )
        return value

    @field_validator("api_key_file")
    @classmethod
    def _holds_a_key(cls, value: Path | None) -> Path | None:
        if (secret := _secret_in(value)) and not is_sendable(secret):
            raise ValueError(f"names a file that holds no API key: {KEY_RULE}")
        return value

    @field_validator("api_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        """Strip the key, and refuse one that no header can carry: the HTTP library would print it in its error."""
        if value is None or not (key := value.get_secret_value().strip()):
            return None
        if not is_sendable(value):
            raise ValueError(f"is no API key: {KEY_RULE}")
        return SecretStr(key)

    @field_validator("base_url")
    @classmethod
    def _safe_origin(cls, value: str) -> str:
        parts = address_in(value)
        if parts is None:
            raise ValueError("must be an address such as https://app.octavehq.com")
        if "@" in parts.netloc or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("must be an origin only, such as https://app.octavehq.com: no user, path or query")
        if parts.scheme == "http" and not this_machine(parts.hostname or ""):
            raise ValueError("must be https, since the key would travel readably; plain http is for this machine only")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("state_url")
    @classmethod
    def _known_store(cls, value: str | None) -> str | None:
        if value is None or value == MEMORY or (value.startswith(SQLITE) and value.removeprefix(SQLITE)):
            return value
        if value.startswith(POSTGRES):  # libpq has forms of its own, such as several hosts, and reads them itself
            return value
        raise ValueError("must be sqlite:///PATH, postgresql://USER@HOST:PORT/DATABASE or memory://")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key_file and self.api_key and "api_key" in self.model_fields_set:
            raise ValueError("OCTAVE_API_KEY and OCTAVE_API_KEY_FILE are both set: set one")
        return self

    @property
    def window_seconds(self) -> float:
        """How long to wait for Octave, so that the answer itself is out within `wait_seconds`."""
        return self.wait_seconds - min(HEADROOM_SECONDS, self.wait_seconds / 10)

    @property
    def ledger_path(self) -> Path | None:
        """The file of the ledger; None for memory and PostgreSQL."""
        if self.state_url is None:
            return None if self.sandbox else platformdirs.user_data_path("octave-personas-mcp") / "ledger.sqlite3"
        if self.state_url == MEMORY or self.state_url.startswith(POSTGRES):
            return None
        return Path(self.state_url.removeprefix(SQLITE)).expanduser()

    @property
    def ignored_argument_names(self) -> frozenset[str]:
        """`ignored_arguments`, taken apart."""
        return frozenset(name for part in self.ignored_arguments.split(",") if (name := part.strip()))


def load_settings(**overrides: Any) -> Settings:
    """Read the environment, with `overrides` (by field name) on top.

    Raises SettingsError, whose text holds no value of any setting.
    """
    return load(Settings, **overrides)


class TelemetrySettings(BaseSettings):
    """Those of OpenTelemetry's own variables that say whether anything is sent; its SDK reads the others."""

    model_config = SettingsConfigDict(env_prefix="OTEL_", extra="ignore", frozen=True)

    sdk_disabled: str = ""
    exporter_otlp_endpoint: str = ""
    exporter_otlp_traces_endpoint: str = ""
    exporter_otlp_metrics_endpoint: str = ""
    exporter_otlp_protocol: str = ""
    traces_exporter: str = ""
    metrics_exporter: str = ""

    @property
    def traces(self) -> bool:
        """Whether spans are sent."""
        return self._sent(self.exporter_otlp_traces_endpoint, self.traces_exporter)

    @property
    def metrics(self) -> bool:
        """Whether metrics are sent."""
        return self._sent(self.exporter_otlp_metrics_endpoint, self.metrics_exporter)

    def _sent(self, own_endpoint: str, exporter: str) -> bool:
        named = own_endpoint.strip() or self.exporter_otlp_endpoint.strip()
        return bool(named) and exporter.strip() != "none" and self.sdk_disabled.strip().lower() != "true"


def load_telemetry_settings() -> TelemetrySettings:
    """Read the environment."""
    return TelemetrySettings()


_Kind = TypeVar("_Kind", bound=Settings)


def load(kind: type[_Kind], **overrides: Any) -> _Kind:
    """`load_settings`, for settings that have more than those."""
    try:
        return kind(**overrides)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        told = [detail for detail in details if detail["type"] != "default_factory_not_called"]  # a consequence
        raise SettingsError("\n".join(_problem(detail, kind) for detail in told)) from None


def setting_name(field: str) -> str:
    """The environment variable of a field, such as `OCTAVE_MCP_RESULT_TOKENS` for `result_tokens`."""
    known = Settings.model_fields.get(field)
    return str(known.validation_alias) if known and known.validation_alias else f"OCTAVE_MCP_{field.upper()}"


def _problem(detail: Any, kind: type[Settings]) -> str:
    text = str(detail["msg"]).removeprefix("Value error, ")
    if not detail["loc"]:
        return text
    place = str(detail["loc"][0])
    name = setting_name(place) if place in kind.model_fields else place
    return f"{name} {text[0].lower()}{text[1:]}"


def _secret_in(path: Path | None) -> SecretStr | None:
    """The content of a key file. Raises ValueError, which does not show it."""
    if path is None:
        return None
    try:
        return SecretStr(path.expanduser().read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        raise ValueError("names a file that cannot be read") from None


def is_sendable(secret: SecretStr) -> bool:
    """Whether this, stripped, is nothing or a key that a header can carry."""
    key = secret.get_secret_value().strip()
    if not key:
        return True
    return not UNEXPANDED.search(key) and SENDABLE.fullmatch(key) is not None and key[0] not in QUOTES


def address_in(value: str) -> SplitResult | None:
    """An address of https or http, taken apart; None where it is none."""
    try:
        parts = urlsplit(value.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts if host and parts.scheme in {"https", "http"} else None


def this_machine(host: str) -> bool:
    """Whether only this machine is reached by that host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
