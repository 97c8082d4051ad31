"""Settings: what is read, what is refused, and that a refusal shows no value."""

import re
from pathlib import Path
from typing import Any

import pytest

from octave_mcp.http.settings import HttpSettings
from octave_mcp.settings import (
    Settings,
    SettingsError,
    load_settings,
    misspelt_settings,
    setting_name,
)
from octave_mcp.values import allowed_values

SECRET = "sk-canary-0123456789"


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """Return what is said of settings that cannot be used."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert not any(value in text for value in environment.values() if len(value) > 3), "a refusal shows no value"
    return text


def read(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    """Return the settings of an environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def key_of(settings: Settings) -> str:
    """Return the API key, which no printed form of the settings has."""
    assert settings.api_key is not None
    assert SECRET not in repr(settings)
    return settings.api_key.get_secret_value()


@pytest.mark.parametrize("given", ["{}", "  {}\n", "\t{}\r\n", '"{}"', "'{}'\r", ' "{}" ', '" {} "'])
def test_each_setting_is_stripped_of_what_env_files_leave(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A line end comes from every `echo`, a CR from Windows, quotes from `docker run --env-file`."""
    environment = {
        "OCTAVE_API_KEY": SECRET,
        "OCTAVE_BASE_URL": "https://octave.example",
        "OCTAVE_MCP_WAIT_SECONDS": "20",
        "OCTAVE_MCP_ALLOW_SAME_NAME": "true",
        "OCTAVE_MCP_LOG_LEVEL": "info",
        "OCTAVE_MCP_CONFIRM": "Ask",
        "OCTAVE_MCP_STATE_URL": "sqlite:////var/l.db",
    }
    settings = read(monkeypatch, **{name: given.format(value) for name, value in environment.items()})
    assert key_of(settings) == SECRET
    assert settings.base_url == "https://octave.example"
    assert (settings.wait_seconds, settings.allow_same_name, settings.log_level) == (20, True, "INFO")
    assert (settings.confirm, settings.ledger_path) == ("ask", Path("/var/l.db"))


@pytest.mark.parametrize("given", ["", " ", "\r\n", '""', "' '"])
def test_an_empty_value_is_not_set(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """Clients set the variable also if the user left it blank."""
    names = [setting_name(name) for name in Settings.model_fields]
    assert read(monkeypatch, **dict.fromkeys(names, given)) == Settings()


@pytest.mark.parametrize("level", ["warn", "WARN", "Warning"])
def test_both_names_of_the_level_warning_are_taken(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """Half of all programs call it `warn`."""
    assert read(monkeypatch, OCTAVE_MCP_LOG_LEVEL=level).log_level == "WARNING"


@pytest.mark.parametrize("content", [f"{SECRET}\n", f"\ufeff{SECRET}\r\n", f'"{SECRET}"'])
def test_the_key_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    """Container platforms mount secrets as files; editors on Windows begin them with a byte order mark."""
    (tmp_path / "key").write_text(content, encoding="utf-8")
    assert key_of(read(monkeypatch, OCTAVE_API_KEY_FILE=str(tmp_path / "key"))) == SECRET


@pytest.mark.parametrize(
    "key",
    [
        *("sk canary", "sk\ncanary", "sk-canäry", "sk-canary\x7f", "sk\u200bcanary", "schlüssel", "sk\tcanary"),
        *('"sk-canary-0123', "sk-canary-0123'", "`sk-canary-0123`", f"Bearer {SECRET}", f"OCTAVE_API_KEY={SECRET}"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """The HTTP library would print it in its error."""
    assert "OCTAVE_API_KEY is not a valid API key" in refused(monkeypatch, OCTAVE_API_KEY=key)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"two words", "names a file that does not hold an API key and nothing else"),
        (f"OCTAVE_API_KEY={SECRET}\n".encode(), "names a file that does not hold an API key and nothing else"),
        (b" \r\n", "names a file that is empty"),
        (b"\xff\xfesk", "names a file that cannot be read as text"),
        (b"x" * 1_000_000, "names a file that is too large"),
    ],
    ids=["words", "env file", "empty", "binary", "huge"],
)
def test_a_key_file_with_anything_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes, problem: str
) -> None:
    """Its content is not shown."""
    (tmp_path / "key").write_bytes(content)
    text = refused(monkeypatch, OCTAVE_API_KEY_FILE=str(tmp_path / "key"))
    assert text.startswith(f"OCTAVE_API_KEY_FILE {problem}")
    assert "words" not in text


@pytest.mark.parametrize(
    "name",
    ["OCTAVE_API_KEY", "OCTAVE_API_KEY_FILE", "OCTAVE_BASE_URL", "OCTAVE_MCP_RESULT_TOKENS", "OCTAVE_MCP_FOLDERS"],
)
@pytest.mark.parametrize(
    "value",
    [
        *("${OCTAVE_API_KEY}", "$OCTAVE_API_KEY", " ${user_config.api_key} ", "${input:key}", "%OCTAVE_KEY%"),
        *("{env:OCTAVE_API_KEY}", "$env:OCTAVE_API_KEY", "$Env:OCTAVE_API_KEY", "{ENV:OCTAVE_API_KEY}"),
        *("{{KEY}}", "<api-key>", "<your Octave API key>", '"${KEY}"', "$HOME/octave.key", "%APPDATA%\\octave.key"),
    ],
)
def test_a_variable_that_the_client_did_not_fill_in_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The message has the name of the setting, and says who should have filled it in."""
    assert refused(monkeypatch, **{name: value}).startswith(f"{name} still contains a placeholder")


@pytest.mark.parametrize(
    "value", ["YOUR_API_KEY", "your-octave-api-key", "my_api_key_here", "changeme", "****", "xxxxxxxx", "..."]
)
def test_words_that_stand_for_a_key_are_refused_as_a_key_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str
) -> None:
    """The message says so, in a variable and in a file; a folder may be named so."""
    assert refused(monkeypatch, OCTAVE_API_KEY=value).startswith("OCTAVE_API_KEY still contains a placeholder")
    (tmp_path / "key").write_text(value, encoding="utf-8")
    text = refused(monkeypatch, OCTAVE_API_KEY="", OCTAVE_API_KEY_FILE=str(tmp_path / "key"))
    assert text.startswith("OCTAVE_API_KEY_FILE names a file that still contains a placeholder")
    assert read(monkeypatch, OCTAVE_API_KEY_FILE="", OCTAVE_MCP_FOLDERS=value).folders[0].name == value


def test_a_key_file_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is said, since nothing else is wrong."""
    assert refused(monkeypatch, OCTAVE_API_KEY_FILE="/nowhere/key") == (
        "OCTAVE_API_KEY_FILE names a file that does not exist"
    )


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (".", "names a file that cannot be read (Is a directory)"),
        ("~nobody-of-this-name/key", "names a file in a home folder that is not known: give its whole path"),
    ],
)
def test_a_key_file_that_cannot_be_read_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, path: str, problem: str
) -> None:
    """A person who reads that a folder is no UTF-8 file would look in the wrong place."""
    assert refused(monkeypatch, OCTAVE_API_KEY_FILE=path) == f"OCTAVE_API_KEY_FILE {problem}"


@pytest.mark.parametrize("value", ["$5", "5$"])
def test_a_price_is_no_placeholder(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Its message is that of any other value that is no number."""
    text = refused(monkeypatch, OCTAVE_MCP_MAX_CREDITS_PER_DAY=value)
    assert "placeholder" not in text
    assert text.startswith("OCTAVE_MCP_MAX_CREDITS_PER_DAY")


def test_two_keys_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which one is meant cannot be known, so the message has the user remove one."""
    (tmp_path / "key").write_text(SECRET, encoding="utf-8")
    text = refused(monkeypatch, OCTAVE_API_KEY="sk-other-key", OCTAVE_API_KEY_FILE=str(tmp_path / "key"))
    assert text == "OCTAVE_API_KEY and OCTAVE_API_KEY_FILE are both set: remove one of them"


@pytest.mark.parametrize(
    "url",
    [
        *("http://app.octavehq.com", "http://10.0.0.1", "http://localhost.example.com", "ftp://localhost", "example"),
        *("https:///path", "https://user:secret@example.com", "https://example.com/api/v2"),
        *("https://example.com?x=secret", "http://[bad", "https://example.com:port", "http://0.0.0.0"),
        "http://127.0.0.1.example.com",
    ],
)
def test_a_base_url_that_could_leak_the_key_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """So is one that is more than an origin."""
    assert refused(monkeypatch, OCTAVE_BASE_URL=url).startswith("OCTAVE_BASE_URL must ")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.octavehq.com/", "https://app.octavehq.com"),
        (" https://octave.example:8443 ", "https://octave.example:8443"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://127.0.0.2:1", "http://127.0.0.2:1"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
        ("HTTPS://App.OctaveHQ.com:443", "https://app.octavehq.com"),
        ("http://LocalHost:80/", "http://localhost"),
        ("https://octave.example:80", "https://octave.example:80"),
    ],
)
def test_https_and_plain_http_to_this_machine_are_taken(monkeypatch: pytest.MonkeyPatch, url: str, origin: str) -> None:
    """They are kept as an origin in one spelling: with another, what was asked for before would not be known."""
    assert read(monkeypatch, OCTAVE_BASE_URL=url).base_url == origin


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("OCTAVE_MCP_RESULT_TOKENS", "many", "a whole number from 1000 to 100000"),
        ("OCTAVE_MCP_RESULT_TOKENS", "999", "a whole number from 1000 to 100000"),
        ("OCTAVE_MCP_CONCURRENCY", "0", "a whole number from 1 to 32"),
        ("OCTAVE_MCP_CONCURRENCY", "1.5", "a whole number from 1 to 32"),
        ("OCTAVE_MCP_CONFIRM_FROM", "-1", "a whole number from 1 up"),
        ("OCTAVE_MCP_WAIT_SECONDS", "nan", "a number above 0, 600 at most"),
        ("OCTAVE_MCP_WAIT_SECONDS", "20s", "a number above 0, 600 at most"),
        ("OCTAVE_MCP_MAX_CREDITS_PER_DAY", "inf", "a number above 0"),
        ("OCTAVE_MCP_MAX_PERSONAS_PER_DAY", "lots", "a whole number from 1 to 5000"),
        ("OCTAVE_MCP_LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
        ("OCTAVE_MCP_CONFIRM", "sometimes", "never, ask or require"),
        ("OCTAVE_MCP_SANDBOX", "perhaps", "true or false"),
        ("OCTAVE_MCP_ALLOW_SAME_NAME", "2", "true or false"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, rule: str
) -> None:
    """The message says what the setting must be."""
    assert refused(monkeypatch, **{name: value}) == f"{name} must be {rule}"


@pytest.mark.parametrize("key", ["no key at all", "${OCTAVE_API_KEY}", SECRET])
@pytest.mark.parametrize("file", ["", "/nowhere/key", "${KEY_FILE}"])
def test_the_sandbox_ignores_whatever_the_key_is(monkeypatch: pytest.MonkeyPatch, key: str, file: str) -> None:
    """It needs none."""
    monkeypatch.setenv("OCTAVE_API_KEY", key)
    monkeypatch.setenv("OCTAVE_API_KEY_FILE", file)
    settings = load_settings(sandbox=True)
    assert (settings.api_key, settings.api_key_file) == (None, None)


def test_only_names_of_ours_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's `API_KEY` is not Octave's."""
    for name in ("API_KEY", "BASE_URL", "SANDBOX", "LOG_LEVEL"):
        monkeypatch.setenv(name, "https://elsewhere.example")
    assert load_settings() == Settings()
    assert load_settings().base_url == "https://app.octavehq.com"


@pytest.mark.parametrize("change", [{"result_tokens": 5000}, {"sandbox": True}])
def test_settings_are_frozen(change: dict[str, Any]) -> None:
    """One object is passed in, and stays as it is."""
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, *next(iter(change.items())))


def test_folders_are_separated_as_in_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each becomes absolute; the home folder is filled in, and blanks and empty ones do not count."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.pathsep", ":")
    settings = read(monkeypatch, OCTAVE_MCP_FOLDERS="/notes/calls: interviews ::~/pages/../kept")
    assert settings.folders == (Path("/notes/calls"), tmp_path / "interviews", Path("~/kept").expanduser())
    assert load_settings(folders=("/a", ".")).folders == (Path("/a"), tmp_path)


@pytest.mark.parametrize("folders", ["/", "/notes:/..", "~nobody-has-this-name/x"])
def test_folders_that_would_show_everything_are_refused(monkeypatch: pytest.MonkeyPatch, folders: str) -> None:
    """So is a home folder of a user that does not exist."""
    monkeypatch.setattr("os.pathsep", ":")
    assert refused(monkeypatch, OCTAVE_MCP_FOLDERS=folders).startswith("OCTAVE_MCP_FOLDERS must ")


def test_a_state_key_is_long_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short one could be guessed."""
    assert refused(monkeypatch, OCTAVE_MCP_REQUEST_STATE_KEY="short-one") == (
        "OCTAVE_MCP_REQUEST_STATE_KEY must have at least 32 characters"
    )
    assert "k" * 32 not in repr(read(monkeypatch, OCTAVE_MCP_REQUEST_STATE_KEY="k" * 32))


@pytest.mark.parametrize(
    "url", ["postgresql://u:pw@h:5432/d", "postgres://h/d", "postgresql://a,b/d", "sqlite:////x", "memory://"]
)
def test_a_store_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """It is not shown, as it may hold a password."""
    settings = read(monkeypatch, OCTAVE_MCP_STATE_URL=url)
    assert settings.state_url == url
    assert url not in repr(settings)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "ledger.db", "mysql://h", "http://h"])
def test_a_store_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The message lists the kinds."""
    with pytest.raises(SettingsError, match="OCTAVE_MCP_STATE_URL must be sqlite:///PATH, postgresql:"):
        read(monkeypatch, OCTAVE_MCP_STATE_URL=url)


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"state_url": "memory://"}, None),
        ({"state_url": "postgresql://h/d"}, None),
        ({"state_url": "sqlite:////var/l.db"}, Path("/var/l.db")),
        ({"state_url": "sqlite:///l.db"}, Path("l.db")),
        ({"sandbox": True}, None),
        ({"sandbox": True, "state_url": "sqlite:////var/l.db"}, Path("/var/l.db")),
    ],
)
def test_the_ledger_is_where_its_setting_says(settings: dict[str, Any], path: Path | None) -> None:
    """The sandbox's is in memory unless it is set, since its personas are."""
    assert Settings(**settings).ledger_path == path


def test_the_ledger_is_in_the_users_data_folder_unless_set() -> None:
    """The operating system says where that is."""
    path = Settings().ledger_path
    assert path is not None
    assert path.parts[-2:] == ("octave-personas-mcp", "ledger.sqlite3")


def test_a_home_folder_is_filled_in(tmp_path: Path) -> None:
    """A shell would have done so."""
    assert Settings(state_url="sqlite:///~/l.db").ledger_path == tmp_path / "l.db"


def test_each_setting_says_what_it_may_be_where_that_is_not_plain_text() -> None:
    """A new kind of setting gets words here before a user gets pydantic's."""
    rules = {name: allowed_values(field) for name, field in HttpSettings.model_fields.items()}
    numbers = re.compile(r"(a|a whole) number (from|above) \d+( to \d+|, \d+ at most| up)?$")
    for name, field in HttpSettings.model_fields.items():
        if {int, float} & {field.annotation, *getattr(field.annotation, "__args__", ())}:
            assert numbers.match(rules[name]), name
    assert rules["log_format"] == "json or text"
    assert rules["state_url"] == ""


def test_names_that_are_no_setting_are_found_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt setting would have no effect, and nobody would know."""
    monkeypatch.setenv("OCTAVE_MCP_WAIT_SECOND", "20")
    monkeypatch.setenv("OCTAVE_APIKEY", "x")
    monkeypatch.setenv("OCTAVE_FLAVOUR_OF_THE_DAY_OF_REST", "x")
    monkeypatch.setenv("OCTAVE_MCP_SANDBOX", "1")
    known = {setting_name(name) for name in Settings.model_fields}
    assert misspelt_settings(known) == {
        "OCTAVE_APIKEY": "OCTAVE_API_KEY",
        "OCTAVE_FLAVOUR_OF_THE_DAY_OF_REST": "",
        "OCTAVE_MCP_WAIT_SECOND": "OCTAVE_MCP_WAIT_SECONDS",
    }
