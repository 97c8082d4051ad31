"""The command `config`, as a person in a hurry runs it; its output is read as the client would read it."""

import json
import os
import shlex
import stat
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from octave_mcp import cli
from octave_mcp.clients.entries import configuration, install_link
from octave_mcp.clients.files import client_file, read_servers
from octave_mcp.clients.json_text import parsed, with_item, with_member
from octave_mcp.clients.model import NAME, Client, Connection
from octave_mcp.clients.table import BY_NAME, CLIENTS
from octave_mcp.commands import config
from octave_mcp.values import is_placeholder

SECRET = "sk-canary-0123456789"
COMMAND = str(Path(sys.executable).with_name("octave-personas-mcp"))
URL = "https://personas.example.com/mcp"

FILLED = {
    "claude-code": "${{{name}}}",
    "copilot-cli": "${{{name}}}",
    "cursor": "${{env:{name}}}",
    "vscode": "${{input:{input}}}",
    "windsurf": "${{env:{name}}}",
    "gemini-cli": "${name}",
    "qwen-code": "${name}",
    "opencode": "{{env:{name}}}",
    "continue": "${{{{ secrets.{name} }}}}",
    "goose": "${name}",
}
"""How a client's file has a secret filled in. The others ask their reader for it; Codex names the variable instead."""

EVERY_CLIENT = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
WRITABLE = [client for client in CLIENTS if client.format != "yaml"]
EVERY_WRITABLE = pytest.mark.parametrize("client", WRITABLE, ids=lambda client: client.name)


def _writes_everything() -> bool:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).chmod(0o400)
        return os.access(file.name, os.W_OK)


BOUND_BY_PERMISSIONS = pytest.mark.skipif(_writes_everything(), reason="root may write everywhere")


@dataclass(frozen=True)
class Ran:
    """How the command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command must not print what it finds there."""
    monkeypatch.setenv("OCTAVE_API_KEY", SECRET)
    monkeypatch.setenv("OCTAVE_MCP_TOKEN", SECRET)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path / "AppData"))
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """Run the command in this process."""
    try:
        code = cli.main(["config", *arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    return Ran(code, out, err)


def server(client: Client, text: str, name: str = NAME) -> dict[str, Any]:
    """Return the server in a configuration, which must hold nothing else but what asks for its secret."""
    readers: dict[str, Callable[[str], Any]] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
    document: dict[str, Any] = readers[client.format](text)
    document.pop("inputs", None)
    assert list(document) == [client.servers]
    servers = document[client.servers]
    if isinstance(servers, list):
        servers = {one["name"]: one for one in servers}
    assert list(servers) == [name]
    entry: dict[str, Any] = servers[name]
    return entry


def printed(capsys: pytest.CaptureFixture[str], client: Client, *options: str) -> dict[str, Any]:
    """Return the server in what the command prints, which says where it goes."""
    ran = run(capsys, client.name, *options)
    assert ran.code == 0
    assert ran.out.isascii()
    assert f"{client.title}: " in ran.err
    assert client.then in ran.err
    return server(client, ran.out)


def started(entry: Mapping[str, Any]) -> list[str]:
    """Return the command of an entry and its arguments, whatever the client calls them."""
    command = entry.get("command", entry.get("cmd"))
    return [*command] if isinstance(command, list) else [str(command), *entry["args"]]


def leaves(value: object) -> list[str]:
    """Return every text in a configuration."""
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in leaves(inner)]
    return [text for inner in value for text in leaves(inner)] if isinstance(value, list) else [str(value)]


# --- What is printed --------------------------------------------------------------------------------------------------


@EVERY_CLIENT
def test_a_sandbox_is_started_by_its_absolute_path_and_needs_no_secret(
    capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    """A program that is started by a click has another PATH."""
    entry = printed(capsys, client, "--sandbox")
    assert started(entry) == [COMMAND, "--sandbox"]
    assert "OCTAVE" not in str(entry)


@EVERY_CLIENT
def test_the_key_is_filled_in_by_the_client_or_is_a_placeholder(
    capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    """The server names a placeholder that stays."""
    entry = printed(capsys, client)
    if client.name in {"codex-cli", "goose"}:
        assert "OCTAVE_API_KEY" in [*entry.get("env_vars", []), *entry.get("env_keys", [])]
        return
    words = FILLED.get(client.name, "<your Octave API key>")
    value = words.format(name="OCTAVE_API_KEY", input="octave-api-key")
    assert entry.get("env", entry.get("environment")) == {"OCTAVE_API_KEY": value}
    assert is_placeholder(value) or client.name == "opencode"  # which puts nothing in place of what is not set


@EVERY_CLIENT
def test_the_key_may_be_in_a_file(capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path) -> None:
    """Its path becomes absolute; how to make it is said until it is there."""
    entry = printed(capsys, client, "--key-file", "octave.key")
    path = str(tmp_path / "octave.key")
    assert path in leaves(entry)
    assert "OCTAVE_API_KEY" not in [*entry.get("env_vars", []), *entry.get("env_keys", [])]
    assert f"umask 077; cat > {path}" in run(capsys, client.name, "--key-file", "octave.key").err
    Path(path).write_text(SECRET, encoding="utf-8")
    assert "umask" not in run(capsys, client.name, "--key-file", "octave.key").err


@EVERY_CLIENT
@pytest.mark.parametrize(
    ("auth", "words", "variable"),
    [("token", "bearer token", "OCTAVE_MCP_TOKEN"), ("key", "Octave API key", "OCTAVE_API_KEY"), ("none", "", "")],
)
def test_a_team_server_is_reached_by_its_address(
    capsys: pytest.CaptureFixture[str], client: Client, auth: str, words: str, variable: str
) -> None:
    """What the server wants of its callers comes from a variable, or is a placeholder."""
    entry = printed(capsys, client, "--http", "https://personas.example.com", "--auth", auth)
    assert URL in leaves(entry)
    if not words:
        assert "OCTAVE" not in str(entry)
        assert "<your" not in str(entry)
        return
    filled = {variable, variable.lower().replace("_", "-")}  # VS Code calls its question so
    assert any(name in str(entry) for name in filled) or f"<your {words}>" in str(entry)
    if client.name not in {"codex-cli", "claude-desktop"}:
        header = {"token": "Authorization", "key": "X-Octave-Api-Key"}[auth]
        assert header in str(entry)
        assert ("Bearer " in str(entry)) is (auth == "token")


@EVERY_CLIENT
def test_a_server_on_this_machine_is_called_without_a_token_unless_one_is_wanted(
    capsys: pytest.CaptureFixture[str], client: Client
) -> None:
    """`octave-personas-mcp http --sandbox` wants none; and its path need not be known."""
    entry = printed(capsys, client, "--http", "http://127.0.0.1:8000")
    assert "http://127.0.0.1:8000/mcp" in leaves(entry)
    assert not {"headers", "env", "bearer_token_env_var", "env_http_headers"} & {
        key for key, value in entry.items() if value
    }


@EVERY_CLIENT
def test_a_second_workspace_has_a_name_of_its_own(capsys: pytest.CaptureFixture[str], client: Client) -> None:
    """Two entries of one name would be one."""
    ran = run(capsys, client.name, "--name", "octave-emea")
    assert server(client, ran.out, "octave-emea")


@EVERY_CLIENT
def test_folders_are_options_of_the_command(capsys: pytest.CaptureFixture[str], client: Client, tmp_path: Path) -> None:
    """Each becomes absolute; the project's folder is the client's variable, if it has one."""
    (tmp_path / "notes").mkdir()
    entry = printed(capsys, client, "--sandbox", "--folder", "notes", "--folder", str(tmp_path))
    notes = str(tmp_path / "notes")
    assert started(entry) == [COMMAND, "--sandbox", "--folder", notes, "--folder", str(tmp_path)]
    ran = run(capsys, client.name, "--sandbox", "--project-folder")
    if client.project_folder:
        assert started(server(client, ran.out))[-2:] == ["--folder", client.project_folder]
    else:
        assert (ran.code, ran.out) == (2, "")
        assert "name the folder with --folder" in ran.err


@pytest.mark.parametrize("options", [["--sandbox"], ["--http", URL]])
def test_codex_cli_waits_for_the_server(capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    """Its first turn would begin without the tools. Its own limit for a call is long, and is not shortened."""
    entry = printed(capsys, BY_NAME["codex-cli"], *options)
    assert entry["required"] is True
    assert entry["startup_timeout_sec"] >= 10
    assert "tool_timeout_sec" not in entry
    assert 'default_tools_approval_mode = "approve"' in run(capsys, "codex-cli", *options).err


def test_vs_code_asks_for_the_secret_that_it_fills_in(capsys: pytest.CaptureFixture[str]) -> None:
    """An input that nobody declared would be an error there."""
    text = run(capsys, "vscode").out
    (asked,) = json.loads(text)["inputs"]
    assert asked["password"] is True
    assert server(BY_NAME["vscode"], text)["env"] == {"OCTAVE_API_KEY": f"${{input:{asked['id']}}}"}
    assert "inputs" not in json.loads(run(capsys, "vscode", "--sandbox").out)


@EVERY_CLIENT
@pytest.mark.parametrize(
    "path",
    [
        "C:\\Users\\new\\octave-personas-mcp.exe",
        'C:\\a "b"\\octave-personas-mcp.exe',
        "/home/ü 😀\t/octave-personas-mcp",
    ],
    ids=ascii,
)
def test_any_path_comes_back_as_it_went_in(client: Client, path: str) -> None:
    """Backslashes, quotes and letters beyond ASCII survive JSON, TOML and YAML."""
    text = configuration(client, Connection(command=(path,), key_file=path, folders=(path,)))
    assert leaves(server(client, text)).count(path) == 3
    assert text.isascii()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cursr"], "did you mean cursor?"),
        (["claude"], "did you mean claude-desktop or claude-code?"),
        ([""], 'unknown client "": the clients are '),
        (["Codex"], 'unknown client "Codex": did you mean codex-cli?'),
        (["Claude Code", "--write", "--sandbox"], "Run instead: claude mcp add-json"),
        (["other", "--write"], "Leave --write out, and add what is printed to the file that your client opens"),
        (["emacs"], 'unknown client "emacs": the clients are '),
        (["zed", "--sandbox", "--key-file", "key"], "needs no key"),
        (["zed", "--key-file", "/"], "is a folder"),
        (["zed", "--folder", "/nowhere"], "there is none at /nowhere"),
        (["zed", "--name", "two words"], "--name takes"),
        (["zed", "--project"], "need --write"),
        (["zed", "--sandbox", "--http", URL], "has its own settings"),
        (["zed", "--folder", "/tmp", "--http", URL], "has its own settings"),
        (["zed", "--auth", "key"], "--auth requires --http"),
        (["zed", "--http", "personas.example.com"], "an address such as"),
        (["zed", "--http", f"https://me:{SECRET}@personas.example.com"], "an address such as"),
        (["zed", "--http", f"{URL}?token={SECRET}"], "an address such as"),
        (["zed", "--http", "http://personas.example.com/mcp"], "would be sent unencrypted"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """Nothing goes to stdout, which may be on its way into a file."""
    ran = run(capsys, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_without_a_client_all_are_listed_with_their_places(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to guess a name."""
    listed = run(capsys).out.splitlines()
    assert [line.split()[0] for line in listed] == list(BY_NAME)
    assert "~/.cursor/mcp.json" in "\n".join(listed)


@pytest.mark.parametrize(
    ("client", "start"),
    [
        ("claude-code", ["claude", "mcp", "add-json", "--scope", "user", NAME]),
        ("gemini-cli", ["gemini", "mcp", "add", "--scope", "user", NAME, COMMAND, "--", "--sandbox"]),
        ("vscode", ["code", "--add-mcp"]),
        ("copilot-cli", ["copilot", "mcp", "add", NAME, "--", COMMAND, "--sandbox"]),
    ],
)
def test_a_clients_own_command_comes_first_and_can_be_pasted(
    capsys: pytest.CaptureFixture[str], client: str, start: list[str]
) -> None:
    """It is the whole job, and is quoted for the shell."""
    first, command, *_ = run(capsys, client, "--sandbox").err.lstrip().splitlines()
    assert first.endswith(": run")
    assert shlex.split(command)[: len(start)] == start


def test_a_clients_own_command_holds_what_its_file_holds() -> None:
    """Its variable too; VS Code's is not printed if it would have to ask."""
    for connection in (Connection(), Connection(url=URL), Connection(key_file="/k"), Connection(url=URL, caller=None)):
        claude, gemini = BY_NAME["claude-code"], BY_NAME["gemini-cli"]
        typed = claude.own(claude, connection)
        assert typed
        assert json.loads(typed[-1]) == server(claude, configuration(claude, connection))
        arguments = gemini.own(gemini, connection) or []
        for words in leaves(server(gemini, configuration(gemini, connection))):
            assert any(words in argument for argument in arguments)
        code = BY_NAME["vscode"]
        assert (code.own(code, connection) is None) == (connection.secret is not None)


def test_one_click_links_hold_the_same_entry() -> None:
    """A link that Cursor or VS Code opens has no secret in it either."""
    import base64  # noqa: PLC0415 - this test alone decodes a link

    for connection in (Connection(), Connection(sandbox=True)):
        cursor, code = BY_NAME["cursor"], BY_NAME["vscode"]
        parts = parse_qs(urlsplit(install_link(cursor, connection)).query)
        assert parts["name"] == [NAME]
        assert json.loads(base64.b64decode(parts["config"][0])) == cursor.entry(cursor, connection)
        parts = parse_qs(urlsplit(install_link(code, connection)).query)
        assert json.loads(parts["config"][0]) == code.entry(code, connection)
        assert ("inputs" in parts) is (connection.secret is not None)
    assert install_link(BY_NAME["zed"], Connection()) == ""


# --- The command ------------------------------------------------------------------------------------------------------


def test_the_command_is_named_by_the_link_that_an_update_keeps(tmp_path: Path) -> None:
    """`uv tool install` and pipx make one; without any, the interpreter runs the package, and nothing of the folder."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "octave-personas-mcp").touch()
    link = tmp_path / "octave-personas-mcp"
    link.symlink_to(tmp_path / "venv" / "octave-personas-mcp")
    elsewhere = str(tmp_path / "other" / "python")
    assert config.started_by(str(link), elsewhere) == (str(link),)
    assert config.started_by("__main__.py", str(tmp_path / "venv" / "python")) == (
        str(tmp_path / "venv" / "octave-personas-mcp"),
    )
    assert config.started_by("__main__.py", elsewhere) == (elsewhere, "-P", "-m", "octave_mcp")


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (None, ()),
        ("not JSON", ()),
        ('{"url": "file:///home/me/clone", "dir_info": {}}', ("--from", "file:///home/me/clone")),
        (
            '{"url": "https://example.com/r", "vcs_info": {"vcs": "git", "requested_revision": "v1"}}',
            ("--from", "git+https://example.com/r@v1"),
        ),
    ],
)
def test_what_uvx_runs_from_its_cache_is_started_through_uvx(
    monkeypatch: pytest.MonkeyPatch, origin: str | None, source: tuple[str, ...]
) -> None:
    """A path in the cache disappears with `uv cache clean`."""

    class Installed:
        def read_text(self, _: str) -> str | None:
            return origin

    monkeypatch.setattr(config, "distribution", lambda _: Installed())
    monkeypatch.setattr("shutil.which", lambda _: None)
    cached = "/home/me/.cache/uv/archive-v0/abc/bin/"
    assert config.started_by(f"{cached}octave-personas-mcp", f"{cached}python") == (
        "uvx",
        *source,
        "octave-personas-mcp",
    )


def test_paths_are_written_as_the_platforms_users_know_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` means nothing on Windows."""
    assert BY_NAME["cursor"].places("win32")[0] == "%USERPROFILE%\\.cursor\\mcp.json"
    assert BY_NAME["zed"].places("win32")[0].startswith("%APPDATA%\\Zed\\settings.json")
    assert BY_NAME["claude-desktop"].places("darwin")[0].startswith("~/Library/Application Support/Claude/")
    monkeypatch.setattr("sys.platform", "win32")
    assert config._how_to_write("C:\\octave.key").endswith("notepad C:\\octave.key")
    assert config._as_typed(["code", "--add-mcp", '{"a": 1}'], "win32") == 'code --add-mcp "{\\"a\\": 1}"'


# --- What is written --------------------------------------------------------------------------------------------------


def written(capsys: pytest.CaptureFixture[str], client: Client, path: Path, *options: str) -> dict[str, Any]:
    """Write the entry into the client's file, and return the servers that it has then."""
    ran = run(capsys, client.name, "--sandbox", "--write", *options)
    assert (ran.code, ran.out) == (0, "")
    assert str(path) in ran.err
    return read_servers(client, path)


@pytest.mark.parametrize("entry", ['{"command": "mine"}', '"mine"'])
def test_a_server_of_the_same_name_stays_and_the_message_names_the_option(
    capsys: pytest.CaptureFixture[str], entry: str
) -> None:
    """Nobody is told to add by hand what `--replace` does, and an entry of any kind is somebody's."""
    path = client_file(BY_NAME["cursor"])
    assert path
    path.parent.mkdir(parents=True)
    path.write_text(before := f'{{"mcpServers": {{"{NAME}": {entry}}}}}')
    ran = run(capsys, "cursor", "--sandbox", "--write")
    assert (ran.code, ran.out, path.read_text()) == (1, "", before)
    assert "Replace it with --replace" in ran.err
    assert "yourself" not in ran.err


@EVERY_WRITABLE
@pytest.mark.parametrize("place", ["home", "project"])
def test_a_file_is_created_with_its_folder(capsys: pytest.CaptureFixture[str], client: Client, place: str) -> None:
    """If the client has none that is known, the command says what to do instead."""
    options = ["--project"] if place == "project" else []
    path = client_file(client, project=bool(options))
    if path is None:
        ran = run(capsys, client.name, "--sandbox", "--write", *options)
        assert (ran.code, ran.out) == (2, "")
        assert "has no file" in ran.err
        return
    servers = written(capsys, client, path, *options)
    assert started(servers[NAME]) == [COMMAND, "--sandbox"]
    assert not list(path.parent.glob("*.bak"))


JSON_FILE = """{
\t"theme": "Ünïcode 😀",
\t"big": 123456789012345678901234567890, "float": 1.50e10, "empty": [],
\t"servers": {"other": {"command": "other", "args": ["-x"]}},
\t"mcpServers": {"other": {"command": "other", "args": ["-x"]}}
}
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["cursor", "vscode", "qwen-code"])
def test_all_else_in_a_file_stays_and_a_backup_is_kept(
    capsys: pytest.CaptureFixture[str], name: str, newline: str, mark: str
) -> None:
    """Numbers stay as they were written, and so do indentation, line ends and permissions."""
    client = BY_NAME[name]
    path = client_file(client)
    assert path
    path.parent.mkdir(parents=True, exist_ok=True)
    before = (mark + JSON_FILE.replace("\n", newline)).encode()
    path.write_bytes(before)
    path.chmod(0o600)
    servers = written(capsys, client, path)
    assert list(servers) == ["other", NAME]
    after = path.read_bytes().decode()
    assert after.startswith(f'{mark}{{{newline}\t"theme": "Ünïcode 😀"')
    assert after.count("\n") == after.count("\r\n") or newline == "\n"
    assert "123456789012345678901234567890," in after
    assert "1.50e10," in after
    rest = json.loads(after.removeprefix("\ufeff"))
    del rest[client.servers][NAME]
    assert rest == json.loads(JSON_FILE)
    (backup,) = path.parent.glob("*.bak")
    assert backup.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(backup.stat().st_mode) == 0o600


def test_what_is_there_already_is_left_and_what_differs_is_only_replaced_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The other may hold a key that its owner has filled in."""
    path = client_file(BY_NAME["zed"])
    assert path
    written(capsys, BY_NAME["zed"], path)
    before = path.read_bytes()
    written(capsys, BY_NAME["zed"], path)
    assert path.read_bytes() == before
    ran = run(capsys, "zed", "--write")
    assert ran.code == 1
    assert "--replace" in ran.err
    assert path.read_bytes() == before
    assert run(capsys, "zed", "--write", "--replace").code == 0
    assert read_servers(BY_NAME["zed"], path)[NAME]["env"] == {"OCTAVE_API_KEY": "<your Octave API key>"}
    assert run(capsys, "zed", "--write", "--name", "octave-emea").code == 0
    assert list(read_servers(BY_NAME["zed"], path)) == [NAME, "octave-emea"]


def test_a_question_for_the_key_is_declared_once_in_vs_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Two servers may share it."""
    path = client_file(BY_NAME["vscode"])
    assert path
    path.parent.mkdir(parents=True)
    path.write_text('{"inputs": [{"id": "another", "type": "promptString"}]}', encoding="utf-8")
    assert run(capsys, "vscode", "--write").code == 0
    assert run(capsys, "vscode", "--write", "--name", "second").code == 0
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [one["id"] for one in content["inputs"]] == ["another", "octave-api-key"]
    assert list(content["servers"]) == [NAME, "second"]


@pytest.mark.parametrize(
    "content",
    [
        '{"mcpServers": {}} // mine',
        '{"mcpServers": {},}',
        '{"mcpServers": {}, "mcpServers": {}}',
        '{"mcpServers": []}',
        '{"mcpServers": "none"}',
        '["mcpServers"]',
        '{"a": NaN}',
        "[" * 100_000,
        "mcpServers: {}",
        b"\xff\xfe{\x00}\x00",
    ],
    ids=["comment", "comma", "twice", "list", "text", "no object", "nan", "deep", "yaml", "utf-16"],
)
def test_a_file_that_would_lose_something_is_not_changed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str | bytes
) -> None:
    """The entry is printed instead, to be added by hand."""
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    before = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(before)
    ran = run(capsys, "cursor", "--sandbox", "--write")
    assert ran.code == 1
    assert "nothing was changed" in ran.err
    assert started(server(BY_NAME["cursor"], ran.out)) == [COMMAND, "--sandbox"]
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_toml_is_added_to_at_its_end(capsys: pytest.CaptureFixture[str], tmp_path: Path, newline: str) -> None:
    """Comments stay, since nothing before the end is touched; the line ends are the file's own."""
    path = tmp_path / ".codex" / "config.toml"
    path.parent.mkdir()
    before = '# mine\nmodel = "x"\n[mcp_servers.other]\ncommand = "other"'
    path.write_text(before, encoding="utf-8", newline=newline)
    servers = written(capsys, BY_NAME["codex-cli"], path)
    assert list(servers) == ["other", NAME]
    assert path.read_text(encoding="utf-8").startswith(before)
    after = path.read_bytes()
    assert after.count(b"\r\n") == (after.count(b"\n") if newline == "\r\n" else 0)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_table_in_toml_is_replaced_on_request(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, newline: str
) -> None:
    """The README's quick start replaces the sandbox by a key. The comment before the next table is about that one."""
    path = tmp_path / ".codex" / "config.toml"
    path.parent.mkdir()
    before = f'model = "x" # mine\n[mcp_servers.{NAME}]\ncommand = "a"\n[mcp_servers.{NAME}.env]\nA = "b"\n'
    rest = '\n# about another\n[mcp_servers.other]\ncommand = """\n[mcp_servers]\n""" # mine\n'
    path.write_text(before + rest, encoding="utf-8", newline=newline)
    assert run(capsys, "codex-cli", "--sandbox", "--write").code == 1
    servers = written(capsys, BY_NAME["codex-cli"], path, "--replace")
    assert started(servers[NAME]) == [COMMAND, "--sandbox"]
    kept = f'model = "x" # mine\n{rest}'.replace("\n", newline)
    assert path.read_bytes().decode().startswith(kept)
    assert servers["other"] == {"command": "[mcp_servers]\n"}
    inside = f'model = """\n[mcp_servers.{NAME}]\n"""\n[mcp_servers.{NAME}]\ncommand = "a"\n'
    path.write_text(inside, encoding="utf-8")
    ran = run(capsys, "codex-cli", "--sandbox", "--write", "--replace")
    assert (ran.code, path.read_text(encoding="utf-8")) == (1, inside)


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        ("// mine\n{ // all\n}", ['// mine\n{ // all\n  "servers": {', "\n}"]),
        ('{"servers": {},}', ['{"servers": {', "},}"]),
        (
            '{\n\t"servers": {\n\t\t"a": {"b": [1, 2,],} // mine\n\t\t/* , */\n\t},\n\t"c": {"servers": 1}\n}',
            [
                '{\n\t"servers": {\n\t\t"a": {"b": [1, 2,],}, // mine\n\t\t/* , */\n\t\t"',
                '\n\t},\n\t"c": {"servers": 1}\n}',
            ],
        ),
        ('{"a": "\\ud800 // no comment"}', ['{"a": "\\ud800 // no comment",\n  "', "\n}"]),
        (
            '{"servers": {"NAME": /* old */ {"a": "b"}, "z": {}}} //',
            ['{"servers": {"NAME": /* old */ {', ', "z": {}}} //'],
        ),
    ],
    ids=["comments", "comma", "tabs", "surrogate", "replaced"],
)
def test_comments_and_commas_stay_where_the_client_allows_them(
    capsys: pytest.CaptureFixture[str], before: str, kept: list[str]
) -> None:
    """Nothing but the entry is new in the text, and the same command again changes nothing."""
    path = client_file(BY_NAME["vscode"])
    assert path
    path.parent.mkdir(parents=True)
    path.write_text(before.replace("NAME", NAME), encoding="utf-8")
    servers = written(capsys, BY_NAME["vscode"], path, "--replace")
    assert started(servers[NAME]) == [COMMAND, "--sandbox"]
    text = path.read_text(encoding="utf-8")
    assert text.startswith(kept[0].replace("NAME", NAME))
    assert text.endswith(kept[1])
    mark = path.stat().st_mtime_ns
    written(capsys, BY_NAME["vscode"], path)
    assert path.stat().st_mtime_ns == mark


_BLANK = st.sampled_from(["", " ", "\n", "\r\n\t", "// mine, }\n", "/* mine: {\n */"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(others=st.dictionaries(st.text(max_size=3) | st.just(NAME), _JSON, max_size=3), data=st.data())
def test_an_entry_is_added_to_any_json_and_nothing_else_changes(others: dict[str, Any], data: st.DataObject) -> None:
    """Whatever blanks, comments and trailing commas it has."""

    def shown(value: Any) -> str:
        def blank() -> str:
            return data.draw(_BLANK)

        comma = data.draw(st.sampled_from(["", ","])) if value else ""
        if isinstance(value, dict):
            members = (f"{blank()}{json.dumps(name)}{blank()}:{blank()}{shown(one)}" for name, one in value.items())
            return "{" + f"{blank()},".join(members) + blank() + comma + blank() + "}"
        if isinstance(value, list):
            return "[" + ",".join(blank() + shown(one) + blank() for one in value) + comma + blank() + "]"
        return json.dumps(value)

    content = {"servers": others, "inputs": [1]} if data.draw(st.booleans()) else {**others, "inputs": []}
    text = data.draw(_BLANK) + shown(content) + data.draw(_BLANK)
    servers = content.get("servers", {})
    if not isinstance(servers, dict):
        return
    changed = with_item(with_member(text, ("servers", NAME), {"new": [1]}), ("inputs",), {"id": 2})
    wanted = {**content, "servers": {**servers, NAME: {"new": [1]}}, "inputs": [*content["inputs"], {"id": 2}]}
    assert parsed(text, lenient=True) == content
    assert parsed(changed, lenient=True) == wanted


def test_each_change_has_a_backup_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Two workspaces are added within a second, and the file as it was before both is not lost."""
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text(before := '{"mcpServers": {"mine": {"command": "x"}}}', encoding="utf-8")
    for name in ("one", "two", "three"):
        assert run(capsys, "cursor", "--sandbox", "--write", "--name", name).code == 0
    backups = [backup.read_text(encoding="utf-8") for backup in path.parent.glob("mcp.json.*.bak")]
    assert len(set(backups)) == 3
    assert before in backups


@pytest.mark.parametrize("content", ["mcp_servers = {}\n", "model = \n", "mcp_servers = 3\n"])
def test_toml_that_cannot_be_added_to_is_not_changed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str
) -> None:
    """Servers in one line can have no table after them."""
    path = tmp_path / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    assert run(capsys, "codex-cli", "--write").code == 1
    assert path.read_text(encoding="utf-8") == content


def test_a_link_stays_a_link(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """People keep such files in a repository of their own."""
    (tmp_path / "dotfiles").mkdir()
    target = tmp_path / "dotfiles" / "mcp.json"
    target.write_text("{}", encoding="utf-8")
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "mcp.json").symlink_to(target)
    assert run(capsys, "cursor", "--sandbox", "--write").code == 0
    assert (tmp_path / ".cursor" / "mcp.json").is_symlink()
    assert NAME in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("client", [client for client in CLIENTS if client.format == "yaml"], ids=lambda one: one.name)
def test_yaml_is_left_to_its_owner(capsys: pytest.CaptureFixture[str], client: Client) -> None:
    """The entry is printed."""
    ran = run(capsys, client.name, "--sandbox", "--write")
    assert ran.code == 1
    assert "YAML" in ran.err
    assert started(server(client, ran.out)) == [COMMAND, "--sandbox"]


@BOUND_BY_PERMISSIONS
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_that_cannot_be_written_or_searched_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mode: int
) -> None:
    """No traceback."""
    (tmp_path / ".cursor").mkdir(mode=mode)
    ran = run(capsys, "cursor", "--sandbox", "--write")
    (tmp_path / ".cursor").chmod(0o700)
    assert (ran.code, "Permission denied" in ran.err) == (1, True)


def test_what_cannot_be_read_or_added_to_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A folder in the file's place, a file of another size than settings have, questions that are no list."""
    path = tmp_path / ".cursor" / "mcp.json"
    path.mkdir(parents=True)
    ran = run(capsys, "cursor", "--sandbox", "--write")
    assert (ran.code, "cannot be read" in ran.err) == (1, True)
    path.rmdir()
    path.write_bytes(b" " * 16_000_001)
    ran = run(capsys, "cursor", "--sandbox", "--write")
    assert (ran.code, "too large" in ran.err) == (1, True)
    path = client_file(BY_NAME["vscode"]) or path
    path.parent.mkdir(parents=True)
    path.write_text('{"inputs": {}}', encoding="utf-8")
    ran = run(capsys, "vscode", "--write")
    assert (ran.code, "inputs in this file is not a list" in ran.err) == (1, True)
    path.unlink()
    path.symlink_to(path)
    ran = run(capsys, "vscode", "--write")
    assert (ran.code, "its links lead nowhere" in ran.err) == (1, True)
    path = client_file(BY_NAME["codex-cli"]) or path
    path.parent.mkdir(parents=True)
    path.write_text("a = " + "[" * 50_000, encoding="utf-8")
    assert run(capsys, "codex-cli", "--write").code == 1


@BOUND_BY_PERMISSIONS
def test_a_file_for_reading_only_stays(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whoever made it so had a reason, such as a program that generates it."""
    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    path.chmod(0o400)
    ran = run(capsys, "cursor", "--sandbox", "--write")
    assert (ran.code, "cannot be written" in ran.err) == (1, True)
    assert path.read_text(encoding="utf-8") == "{}"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_cannot_be_replaced_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full disk leaves the file as it was, and nothing beside it but the backup."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / ".cursor" / "mcp.json"
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8")
    monkeypatch.setattr("shutil.copymode", full)
    ran = run(capsys, "cursor", "--sandbox", "--write")
    assert (ran.code, "No space left on device" in ran.err) == (1, True)
    assert path.read_text(encoding="utf-8") == "{}"
    assert sorted(one.suffix for one in path.parent.iterdir()) == [".bak", ".json"]
