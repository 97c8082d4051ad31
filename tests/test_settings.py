"""Settings: what is read, what is refused, and that a refusal shows no value."""

from pathlib import Path
from typing import Any

import pytest

from octave_mcp.settings import Settings, SettingsError, load_settings

SECRET = "sk-canary-0123456789"


def refused(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """What is said of settings that cannot be used."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    text = str(caught.value)
    assert not any(value in text for value in environment.values() if len(value) > 3), "a refusal shows no value"
    return text


@pytest.mark.parametrize("given", [SECRET, f"  {SECRET}\n", f"\t{SECRET}\r\n"])
def test_the_key_is_stripped(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """A trailing line break comes from every `echo`."""
    monkeypatch.setenv("OCTAVE_API_KEY", given)
    key = load_settings().api_key
    assert key is not None
    assert key.get_secret_value() == SECRET
    assert SECRET not in repr(load_settings())


def test_the_key_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As container platforms hand secrets over."""
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    monkeypatch.setenv("OCTAVE_API_KEY_FILE", str(tmp_path / "key"))
    key = load_settings().api_key
    assert key is not None
    assert key.get_secret_value() == SECRET


@pytest.mark.parametrize("given", ["", " ", "\n"])
def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """Hosts set the variable also where the user left it blank."""
    monkeypatch.setenv("OCTAVE_API_KEY", given)
    assert load_settings().api_key is None


@pytest.mark.parametrize(
    "key",
    [
        *("sk canary", "sk\ncanary", "sk-canäry", "sk-canary\x7f", "sk\u200bcanary", "schlüssel", "sk\tcanary"),
        *('"sk-canary-0123"', "'sk-canary-0123'"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """The HTTP library would print it in its error."""
    assert "OCTAVE_API_KEY is no API key" in refused(monkeypatch, OCTAVE_API_KEY=key)


def test_a_key_file_is_held_to_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And its content is not shown."""
    (tmp_path / "key").write_text("two words", encoding="utf-8")
    text = refused(monkeypatch, OCTAVE_API_KEY_FILE=str(tmp_path / "key"))
    assert "OCTAVE_API_KEY_FILE names a file that holds no API key" in text
    assert "two words" not in text


def test_a_key_file_may_begin_with_a_byte_order_mark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Editors on Windows write one."""
    (tmp_path / "key").write_text(SECRET, encoding="utf-8-sig")
    monkeypatch.setenv("OCTAVE_API_KEY_FILE", str(tmp_path / "key"))
    key = load_settings().api_key
    assert key is not None
    assert key.get_secret_value() == SECRET


@pytest.mark.parametrize(
    "name", ["OCTAVE_API_KEY", "OCTAVE_API_KEY_FILE", "OCTAVE_BASE_URL", "OCTAVE_MCP_RESULT_TOKENS"]
)
@pytest.mark.parametrize(
    "value", ["${OCTAVE_API_KEY}", " ${user_config.api_key} ", "${input:key}", "%OCTAVE_KEY%", "{{KEY}}", "<api-key>"]
)
def test_a_variable_that_the_host_did_not_fill_in_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """With the name of the setting, in words."""
    assert refused(monkeypatch, **{name: value}).startswith(f"{name} holds a placeholder instead of its value")


def test_a_key_file_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else is said, since nothing else is wrong."""
    assert refused(monkeypatch, OCTAVE_API_KEY_FILE="/nowhere/key") == (
        "OCTAVE_API_KEY_FILE names a file that cannot be read"
    )


def test_two_keys_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which one is meant cannot be known."""
    (tmp_path / "key").write_text(SECRET, encoding="utf-8")
    text = refused(monkeypatch, OCTAVE_API_KEY="sk-other-key", OCTAVE_API_KEY_FILE=str(tmp_path / "key"))
    assert "both set" in text


@pytest.mark.parametrize(
    "url",
    [
        *("http://app.octavehq.com", "http://10.0.0.1", "http://localhost.example.com", "ftp://localhost", "example"),
        *(
            "https:///path",
            "https://user:secret@example.com",
            "https://example.com/api/v2",
            "https://example.com?x=secret",
        ),
        *("http://[bad", "https://example.com:port", "http://127.0.0.1.example.com", "http://0.0.0.0"),
    ],
)
def test_a_base_url_that_could_leak_the_key_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Or that is more than an origin."""
    assert refused(monkeypatch, OCTAVE_BASE_URL=url).startswith("OCTAVE_BASE_URL must be")


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.octavehq.com/", "https://app.octavehq.com"),
        (" https://octave.example:8443 ", "https://octave.example:8443"),
        ("http://localhost:8765", "http://localhost:8765"),
        ("http://127.0.0.2:1", "http://127.0.0.2:1"),
        ("http://[::1]:8765/", "http://[::1]:8765"),
    ],
)
def test_https_and_plain_http_to_this_machine_are_taken(monkeypatch: pytest.MonkeyPatch, url: str, origin: str) -> None:
    """As an origin."""
    monkeypatch.setenv("OCTAVE_BASE_URL", url)
    assert load_settings().base_url == origin


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OCTAVE_MCP_RESULT_TOKENS", "many"),
        ("OCTAVE_MCP_RESULT_TOKENS", "999"),
        ("OCTAVE_MCP_CONCURRENCY", "0"),
        ("OCTAVE_MCP_PERSONAS_PER_REQUEST", "-1"),
        ("OCTAVE_MCP_LOG_LEVEL", "LOUD"),
        ("OCTAVE_MCP_SANDBOX", "perhaps"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Each with what it must be."""
    assert refused(monkeypatch, **{name: value}).startswith(f"{name} input should be")


@pytest.mark.parametrize("key", ["no key at all", "${OCTAVE_API_KEY}", SECRET])
@pytest.mark.parametrize("file", ["", "/nowhere/key", "${KEY_FILE}"])
def test_the_sandbox_ignores_whatever_the_key_is(monkeypatch: pytest.MonkeyPatch, key: str, file: str) -> None:
    """It runs with nothing."""
    monkeypatch.setenv("OCTAVE_API_KEY", key)
    monkeypatch.setenv("OCTAVE_API_KEY_FILE", file)
    settings = load_settings(sandbox=True)
    assert (settings.api_key, settings.api_key_file) == (None, None)


def test_only_names_of_ours_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program's `API_KEY` is none of Octave's."""
    for name in ("API_KEY", "BASE_URL", "SANDBOX", "LOG_LEVEL"):
        monkeypatch.setenv(name, "https://elsewhere.example")
    assert load_settings() == Settings()
    assert load_settings().base_url == "https://app.octavehq.com"


@pytest.mark.parametrize("change", [{"result_tokens": 5000}, {"sandbox": True}])
def test_settings_are_frozen(change: dict[str, Any]) -> None:
    """One object, handed in."""
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, *next(iter(change.items())))


def test_ignored_arguments_are_a_list_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks do not matter."""
    monkeypatch.setenv("OCTAVE_MCP_IGNORED_ARGUMENTS", "traceId, runId ,,")
    assert load_settings().ignored_argument_names == {"traceId", "runId"}


@pytest.mark.parametrize(
    "url", ["redis://localhost", "redis://u:pw@h:6380/2", "rediss://h", "sqlite:////x", "memory://"]
)
def test_a_store_is_named_by_its_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """And it is not shown, as it may hold a password."""
    monkeypatch.setenv("OCTAVE_MCP_STATE_URL", url)
    assert load_settings().state_url == url
    assert url not in repr(load_settings())


@pytest.mark.parametrize(
    "url",
    [
        "postgres://x",
        "sqlite://",
        "sqlite:///",
        "ledger.db",
        "redis://",
        "redis://h:99999",
        "redis://[h",
        "http://h",
        "",
    ],
)
def test_a_store_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """An empty value is none."""
    monkeypatch.setenv("OCTAVE_MCP_STATE_URL", url)
    if not url:
        assert load_settings().state_url is None
        return
    with pytest.raises(SettingsError, match="OCTAVE_MCP_STATE_URL must be sqlite:///PATH, redis:"):
        load_settings()


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"state_url": "memory://"}, None),
        ({"state_url": "sqlite:////var/l.db"}, Path("/var/l.db")),
        ({"state_url": "sqlite:///l.db"}, Path("l.db")),
        ({"sandbox": True}, None),
        ({"sandbox": True, "state_url": "sqlite:////var/l.db"}, Path("/var/l.db")),
    ],
)
def test_the_ledger_is_where_its_setting_says(settings: dict[str, Any], path: Path | None) -> None:
    """The sandbox's is in memory unless told otherwise, since its personas are."""
    assert Settings(**settings).ledger_path == path


def test_the_ledger_is_in_the_users_data_folder_unless_set() -> None:
    """Where the operating system keeps such things."""
    path = Settings().ledger_path
    assert path is not None
    assert path.parts[-2:] == ("octave-personas-mcp", "ledger.sqlite3")


@pytest.mark.parametrize("tilde", ["sqlite:///~/l.db"])
def test_a_home_folder_is_filled_in(tilde: str, tmp_path: Path) -> None:
    """As a shell would."""
    assert Settings(state_url=tilde).ledger_path == tmp_path / "l.db"
