"""One frozen `Settings`, read from the environment once. Nothing else in the package reads the environment.

Each field declares one setting: its default, bounds, description, and who needs it. The tables in the documentation,
the messages about values that cannot be used and the checks of `doctor` are made from these declarations.
"""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticUseDefault
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from octave_mcp.values import (
    KEY_RULE,
    address_in,
    allowed_values,
    expand_home,
    is_placeholder,
    is_sendable,
    secret_in,
    this_machine,
    user_data_path,
    without_quotes,
)

PERSON: JsonDict = {"audience": "person"}
"""Marks a setting that a person who uses the server may need. The others are for whoever operates it."""

MEMORY, SQLITE, POSTGRES = "memory://", "sqlite:///", ("postgresql://", "postgres://")
"""The forms of `OCTAVE_MCP_STATE_URL`."""

HEADROOM_SECONDS = 2.5
"""Part of the wait that is kept for condensing and writing a result, and for a ledger that is locked for a moment."""

MIN_STATE_KEY_CHARACTERS = 32
"""Shortest `OCTAVE_MCP_REQUEST_STATE_KEY`: 32 random characters cannot be guessed."""

DEFAULT_BASE_URL = "https://app.octavehq.com"


class SettingsError(Exception):
    """The environment cannot be used. The text has a line for each problem, and never a value: it may be a key."""


class Settings(BaseSettings):
    """The settings of every server and command. Units and bounds stand with each field."""

    model_config = SettingsConfigDict(
        env_prefix="OCTAVE_MCP_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        validate_default=True,
    )

    sandbox: bool = Field(
        default=False,
        description="Use the built-in sandbox: sample data, no key, no network, no costs.",
        json_schema_extra=PERSON,
    )
    api_key_file: Path | None = Field(
        default=None,
        validation_alias="OCTAVE_API_KEY_FILE",
        description="A file that holds only the API key, instead of `OCTAVE_API_KEY`.",
        json_schema_extra=PERSON,
    )
    api_key: SecretStr | None = Field(
        default_factory=lambda data: secret_in(data["api_key_file"]),
        validation_alias="OCTAVE_API_KEY",
        description="The API key of your Octave workspace (in Octave: Settings > API Keys).",
        json_schema_extra=PERSON,
    )
    base_url: str = Field(
        default=DEFAULT_BASE_URL,
        validation_alias="OCTAVE_BASE_URL",
        description="Octave's origin. It must be https; plain http is allowed for this machine only.",
    )
    max_personas_per_call: int = Field(
        default=25, ge=1, le=1000, description="Most personas that one call may create.", json_schema_extra=PERSON
    )
    max_personas_per_day: int | None = Field(
        default=None,
        ge=1,
        le=5000,
        description="Most personas created with this key in any 24 hours. Not set: no limit.",
        json_schema_extra=PERSON,
    )
    max_credits_per_day: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Most credits spent with this key in any 24 hours, as Octave reported them. Not set: no limit.",
        json_schema_extra=PERSON,
    )
    allow_same_name: bool = Field(
        default=False,
        description="Create a persona even if Octave has one with exactly the same name.",
        json_schema_extra=PERSON,
    )
    confirm: Literal["never", "ask", "require"] = Field(
        default="never",
        description="Ask the person before credits are spent. `ask`: if the client can show the question. `require`: "
        "refuse if it cannot. `never`: leave the question to the client.",
        json_schema_extra=PERSON,
    )
    confirm_from: int = Field(
        default=1, ge=1, description="Ask only if a call would create at least this many personas."
    )
    folders: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders whose files may be used as sources, separated by `:` (on Windows by `;`). Not set: none.",
        json_schema_extra=PERSON,
    )
    result_tokens: int = Field(
        default=6000,
        ge=1000,
        le=100_000,
        description="Most tokens in a result, text and structured content together.",
        json_schema_extra=PERSON,
    )
    wait_seconds: float = Field(
        default=45, gt=0, le=600, description="Seconds after which a call answers with what is ready."
    )
    concurrency: int = Field(default=4, ge=1, le=32, description="Most requests in progress at once for each key.")
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
        "`memory://`, which ends with the process. Not set: a file in your data folder, and memory for the sandbox.",
    )
    shutdown_seconds: float = Field(
        default=20, ge=0, le=600, description="Seconds to wait for requests in progress when the server stops."
    )
    request_state_key: SecretStr | None = Field(
        default=None,
        description="A secret of at least 32 characters that all replicas share, so that any of them can read the "
        "answer to a question that another asked. Not set: each process has its own.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="WARNING", description="What is logged on stderr: DEBUG, INFO, WARNING or ERROR."
    )

    @field_validator("api_key_file")
    @classmethod
    def _holds_a_key(cls, value: Path | None) -> Path | None:
        secret = secret_in(value)
        if secret is not None and not secret.get_secret_value():
            raise ValueError("names a file that is empty: write the API key into it")
        if secret and not is_sendable(secret):
            raise ValueError(f"names a file that does not hold an API key and nothing else: {KEY_RULE}")
        return value

    @field_validator("api_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        """Refuse a key that no header can carry: the HTTP library would print it in its error."""
        if value and not is_sendable(value):
            raise ValueError(f"is not a valid API key: {KEY_RULE}")
        return value

    @field_validator("base_url")
    @classmethod
    def _safe_origin(cls, value: str) -> str:
        parts = address_in(value)
        if parts is None:
            raise ValueError(f"must be an address such as {DEFAULT_BASE_URL}")
        if "@" in parts.netloc or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError(f"must be an origin such as {DEFAULT_BASE_URL}, without a user, path or query")
        if parts.scheme == "http" and not this_machine(parts.hostname or ""):
            raise ValueError("must use https: over http the key would be sent unencrypted (http: this machine only)")
        return f"{parts.scheme}://{parts.netloc}"

    @field_validator("folders", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        """Split a list such as PATH is; a folder from the command line comes as it is."""
        return tuple(filter(None, map(str.strip, value.split(os.pathsep)))) if isinstance(value, str) else value

    @field_validator("folders")
    @classmethod
    def _absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        """Make each absolute. Whether it exists is found out when it is used, as a drive may be mounted later."""
        try:
            folders = tuple(Path(os.path.abspath(folder.expanduser())) for folder in value)  # noqa: PTH100 - keeps links
        except (OSError, RuntimeError, ValueError):  # a current folder that was removed, no such home folder, a NUL
            raise ValueError(f"must be paths of folders, separated by {os.pathsep}") from None
        if any(folder == folder.parent for folder in folders):
            raise ValueError("must not have the root of a drive: name the folders that hold your material")
        return folders

    @field_validator("log_level", mode="before")
    @classmethod
    def _usual_level(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return "WARNING" if value.upper() == "WARN" else value.upper()

    @field_validator("confirm", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("state_url")
    @classmethod
    def _known_store(cls, value: str | None) -> str | None:
        if value is None or value == MEMORY or (value.startswith(SQLITE) and value.removeprefix(SQLITE)):
            return value
        if value.startswith(POSTGRES):  # libpq has forms of its own, such as several hosts, and reads them itself
            return value
        raise ValueError("must be sqlite:///PATH, postgresql://USER@HOST:PORT/DATABASE or memory://")

    @field_validator("request_state_key")
    @classmethod
    def _unguessable(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < MIN_STATE_KEY_CHARACTERS:
            raise ValueError(f"must have at least {MIN_STATE_KEY_CHARACTERS} characters")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _cleaned(cls, value: object, info: ValidationInfo) -> object:
        """Take off what surrounds a value in env files: blanks, line ends and quotes. An empty one is not set.

        The last validator of this mode in the class is the first to run.
        """
        if info.field_name in {"api_key", "api_key_file"} and info.data.get("sandbox"):
            return None  # the sandbox needs no key, so whatever is there is not looked at
        if not isinstance(value, str):
            return value
        value = without_quotes(value)
        if not value:
            raise PydanticUseDefault
        field = cls.model_fields[info.field_name or ""]
        if is_placeholder(value, secret=SecretStr in get_args(field.annotation)):
            source = " (your Octave key is in Octave: Settings > API Keys)" if info.field_name == "api_key" else ""
            raise ValueError(
                f"still contains a placeholder such as ${{NAME}}, <name> or YOUR_KEY: put the value{source} in its "
                "place, or have the program that starts this server do so"
            )
        return value

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key_file and self.api_key and "api_key" in self.model_fields_set:
            raise ValueError("OCTAVE_API_KEY and OCTAVE_API_KEY_FILE are both set: remove one of them")
        self.ledger_path  # noqa: B018 - raises ValueError if it needs a home folder and there is none
        return self

    @property
    def window_seconds(self) -> float:
        """Return how long to wait for Octave, so that the answer itself is out within `wait_seconds`."""
        return self.wait_seconds - min(HEADROOM_SECONDS, self.wait_seconds / 10)

    @property
    def ledger_path(self) -> Path | None:
        """Return the file of the ledger; None for memory and PostgreSQL. Raises ValueError without a home folder."""
        if self.state_url is None:
            return None if self.sandbox else user_data_path("octave-personas-mcp") / "ledger.sqlite3"
        if self.state_url == MEMORY or self.state_url.startswith(POSTGRES):
            return None
        return expand_home(self.state_url.removeprefix(SQLITE))


_Kind = TypeVar("_Kind", bound=Settings)


def load_settings(**overrides: Any) -> Settings:
    """Read the environment, with `overrides` (by field name) on top. Raises SettingsError."""
    return load(Settings, **overrides)


def load(kind: type[_Kind], **overrides: Any) -> _Kind:
    """Read settings of a kind that has more than `Settings` has. Raises SettingsError."""
    try:
        return kind(**overrides)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [_problem(detail, kind) for detail in details if detail["type"] != "default_factory_not_called"]
        raise SettingsError("\n".join(dict.fromkeys(problems))) from None


def setting_name(field: str) -> str:
    """Return the environment variable of a field: `OCTAVE_MCP_RESULT_TOKENS` for `result_tokens`."""
    if field.startswith("OCTAVE_"):  # pydantic's errors already call a field with an alias by it
        return field
    known = Settings.model_fields.get(field)
    return str(known.validation_alias) if known and known.validation_alias else f"OCTAVE_MCP_{field.upper()}"


def misspelt_settings(known: Iterable[str], names: Iterable[str] | None = None) -> dict[str, str]:
    """Return each variable that is named like a setting and is none, with the nearest or "".

    `names` are those of the environment, unless others are given.
    """
    settings, given = sorted(known), os.environ if names is None else names
    strangers = sorted(name for name in given if name.upper().startswith("OCTAVE") and name.upper() not in settings)
    return {name: next(iter(get_close_matches(name.upper(), settings, n=1)), "") for name in strangers}


def environment_value(name: str) -> str | None:
    """Return a variable of the environment, as a client that fills it in would; None if it is not set."""
    return os.environ.get(name)


def _problem(detail: Any, kind: type[Settings]) -> str:
    """Return a problem in our words: pydantic's own are about types, not about what to write."""
    text = str(detail["msg"]).removeprefix("Value error, ")
    if not detail["loc"]:
        return text
    name = setting_name(str(detail["loc"][0]))
    if detail["type"] == "value_error":
        return f"{name} {text}"
    fields = {setting_name(field): declared for field, declared in kind.model_fields.items()}
    return f"{name} must be {allowed_values(fields[name]) or 'text that can be read'}"
