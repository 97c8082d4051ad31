"""The command `config`, as a person in a hurry runs it: in a process, its output read as the client would read it."""

import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from octave_mcp.commands.clients import BY_NAME, CLIENTS, NAME, Wanted, configuration, own_command
from octave_mcp.commands.config import program
from octave_mcp.values import UNEXPANDED

SECRET = "sk-canary-0123456789"
COMMAND = str(Path(sys.executable).with_name("octave-personas-mcp"))
URL = "https://personas.example.com/mcp"

FILLED = {
    "claude-desktop": "<your {words}>",
    "claude-code": "${{{name}}}",
    "cursor": "${{env:{name}}}",
    "vscode": "${{input:{input}}}",
    "windsurf": "${{env:{name}}}",
    "zed": "<your {words}>",
    "gemini-cli": "${name}",
}
"""How each client's file has a secret filled in, or asks its reader for it; Codex CLI's names the variable instead."""

ADDRESS = {"windsurf": "serverUrl", "gemini-cli": "httpUrl"}
"""What they call an address that call it something else."""

EVERY_CLIENT = pytest.mark.parametrize("client", [client.name for client in CLIENTS])


def run(*arguments: str, cwd: Path | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, with a key in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "octave_mcp", "config", *arguments],
        env={**os.environ, "OCTAVE_API_KEY": SECRET, "OCTAVE_MCP_TOKEN": SECRET, **settings},
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def server(client: str, text: str) -> dict[str, Any]:
    """The server in a configuration, which must hold nothing else but what asks for its secret."""
    document: dict[str, Any] = tomllib.loads(text) if BY_NAME[client].toml else json.loads(text)
    document.pop("inputs", None)
    assert list(document) == [BY_NAME[client].servers]
    servers = document[BY_NAME[client].servers]
    assert list(servers) == [NAME]
    entry: dict[str, Any] = servers[NAME]
    return entry


def printed(client: str, *options: str) -> dict[str, Any]:
    """The server in what the command prints, which shows no secret anywhere and says where it goes."""
    ran = run(client, *options)
    assert (ran.returncode, SECRET in ran.stdout + ran.stderr) == (0, False)
    assert ran.stdout.isascii()
    assert f"{BY_NAME[client].title}: this goes into " in ran.stderr
    return server(client, ran.stdout)


def filled(client: str, name: str, words: str) -> str:
    """What stands for a secret."""
    return FILLED[client].format(name=name, words=words, input=name.lower().replace("_", "-"))


@EVERY_CLIENT
def test_a_sandbox_is_started_by_its_absolute_path_and_needs_no_secret(client: str) -> None:
    """Programs started by a click do not see a shell's `PATH`."""
    entry = printed(client, "--sandbox")
    assert (entry["command"], entry["args"]) == (COMMAND, ["--sandbox"])
    assert not {"env", "env_vars"} & entry.keys()


@EVERY_CLIENT
def test_the_key_is_filled_in_as_the_client_does_it(client: str) -> None:
    """Each has its own word for a variable; one that has none gets a placeholder, which the server refuses by name."""
    entry = printed(client)
    assert (entry["command"], entry["args"]) == (COMMAND, [])
    if client == "codex-cli":
        assert entry["env_vars"] == ["OCTAVE_API_KEY"]
    else:
        assert entry["env"] == {"OCTAVE_API_KEY": filled(client, "OCTAVE_API_KEY", "Octave API key")}
        assert UNEXPANDED.search(entry["env"]["OCTAVE_API_KEY"])


@EVERY_CLIENT
def test_a_key_file_is_named_by_its_absolute_path_and_never_read(client: str, tmp_path: Path) -> None:
    """The client starts the server in a folder of its own choice."""
    (tmp_path / "key").write_text(SECRET, encoding="utf-8")
    ran = run(client, "--key-file", "key", cwd=tmp_path)
    assert SECRET not in ran.stdout + ran.stderr
    assert server(client, ran.stdout)["env"] == {"OCTAVE_API_KEY_FILE": str(tmp_path / "key")}


@pytest.mark.parametrize(
    ("auth", "header", "scheme", "name", "words"),
    [
        ("token", "Authorization", "Bearer ", "OCTAVE_MCP_TOKEN", "bearer token"),
        ("key", "X-Octave-Api-Key", "", "OCTAVE_API_KEY", "Octave API key"),
    ],
)
@EVERY_CLIENT
def test_a_server_over_http_is_told_who_calls(
    client: str, auth: str, header: str, scheme: str, name: str, words: str
) -> None:
    """In the header that it knows, by the client's own words for an address and for headers."""
    entry = printed(client, "--http", URL, "--auth", auth)
    if client == "codex-cli":
        told = {"bearer_token_env_var": name} if auth == "token" else {"env_http_headers": {header: name}}
        assert told.items() <= entry.items()
        assert entry["url"] == URL
    elif client == "claude-desktop":
        assert entry["args"] == ["-y", "mcp-remote", URL, "--header", f"{header}:${{{name}}}"]
        assert entry["env"] == {name: f"{scheme}<your {words}>"}
    else:
        assert entry[ADDRESS.get(client, "url")] == URL
        assert entry["headers"] == {header: f"{scheme}{filled(client, name, words)}"}
        assert "command" not in entry


@EVERY_CLIENT
def test_a_server_on_this_machine_is_called_without_a_token_unless_one_is_wanted(client: str) -> None:
    """`octave-personas-mcp http --sandbox` asks for none; and its path need not be known."""
    entry = printed(client, "--http", "http://127.0.0.1:8000")
    assert "http://127.0.0.1:8000/mcp" in [*entry.values(), *entry.get("args", [])]
    assert not {"headers", "env", "bearer_token_env_var", "env_http_headers"} & entry.keys()


@pytest.mark.parametrize("options", [["--sandbox"], ["--http", URL]])
def test_codex_cli_waits_for_the_server(options: list[str]) -> None:
    """Its first turn would begin without the server's tools; and a call answers within 45 seconds."""
    entry = printed("codex-cli", *options)
    assert entry["required"] is True
    assert entry["startup_timeout_sec"] >= 10
    assert entry["tool_timeout_sec"] > 45


def test_vs_code_asks_for_the_secret_that_it_fills_in() -> None:
    """An input that nobody declared would be an error there."""
    (asked,) = json.loads(run("vscode").stdout)["inputs"]
    assert asked["password"] is True
    assert server("vscode", run("vscode").stdout)["env"] == {"OCTAVE_API_KEY": f"${{input:{asked['id']}}}"}
    assert "inputs" not in json.loads(run("vscode", "--sandbox").stdout)


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
def test_any_path_comes_back_as_it_went_in(client: str, path: str) -> None:
    """Backslashes, quotes, letters beyond ASCII: in JSON and in TOML."""
    text = configuration(BY_NAME[client], Wanted((path,), key_file=path))
    entry = server(client, text)
    assert (entry["command"], entry["env"]["OCTAVE_API_KEY_FILE"]) == (path, path)
    assert text.isascii()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cursr"], "did you mean cursor?"),
        (["emacs"], "there are claude-desktop, claude-code"),
        (["zed", "--sandbox", "--key-file", "key"], "needs no key"),
        (["zed", "--sandbox", "--http", URL], "has its own settings"),
        (["zed", "--auth", "key"], "it needs --http"),
        (["zed", "--http", "personas.example.com"], "an address such as"),
        (["zed", "--http", f"https://me:{SECRET}@personas.example.com"], "an address such as"),
        (["zed", "--http", f"{URL}?token={SECRET}"], "an address such as"),
        (["zed", "--http", "http://personas.example.com/mcp"], "would travel readably"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(arguments: list[str], said: str) -> None:
    """With nothing on stdout, which may be on its way into a file."""
    ran = run(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert SECRET not in ran.stderr


def test_without_a_client_all_are_listed_with_their_places() -> None:
    """So that nobody has to guess a name."""
    listed = run().stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(BY_NAME)
    assert "~/.cursor/mcp.json" in "\n".join(listed)


@pytest.mark.parametrize(
    ("client", "options", "start"),
    [
        ("claude-code", ["--sandbox"], ["claude", "mcp", "add-json", "--scope", "user", NAME]),
        ("gemini-cli", ["--sandbox"], ["gemini", "mcp", "add", "--scope", "user", NAME, COMMAND, "--", "--sandbox"]),
        ("vscode", ["--sandbox"], ["code", "--add-mcp"]),
    ],
)
def test_a_clients_own_command_can_be_pasted(client: str, options: list[str], start: list[str]) -> None:
    """Quoted for the shell."""
    (line,) = [line for line in run(client, *options).stderr.splitlines() if line.startswith("Or, without a file: ")]
    assert shlex.split(line.partition(": ")[2])[: len(start)] == start


def test_a_clients_own_command_holds_what_its_file_holds() -> None:
    """Its variable too; and VS Code's is not told where it would have to ask."""
    for wanted in (Wanted(), Wanted(url=URL), Wanted(key_file="/k"), Wanted(url=URL, caller=None)):
        claude = own_command(BY_NAME["claude-code"], wanted)
        gemini = own_command(BY_NAME["gemini-cli"], wanted)
        assert claude
        assert gemini
        assert json.loads(claude[-1]) == server("claude-code", configuration(BY_NAME["claude-code"], wanted))
        entry = server("gemini-cli", configuration(BY_NAME["gemini-cli"], wanted))
        for words in _leaves(entry):
            assert any(words in argument for argument in gemini)
        code = own_command(BY_NAME["vscode"], wanted)
        assert (code is None) == (wanted.secret is not None)


def _leaves(value: object) -> list[str]:
    """Every text in a configuration."""
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _leaves(inner)]
    return [text for inner in value for text in _leaves(inner)] if isinstance(value, list) else [str(value)]


def test_the_command_is_named_by_the_link_that_an_update_keeps(tmp_path: Path) -> None:
    """As `uv tool install` and pipx make one; without any, the interpreter runs the package."""
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "octave-personas-mcp").touch()
    link = tmp_path / "octave-personas-mcp"
    link.symlink_to(tmp_path / "venv" / "octave-personas-mcp")
    elsewhere = str(tmp_path / "other" / "python")
    assert program(str(link), elsewhere) == (str(link),)
    assert program("__main__.py", str(tmp_path / "venv" / "python")) == (
        str(tmp_path / "venv" / "octave-personas-mcp"),
    )
    assert program("__main__.py", elsewhere) == (elsewhere, "-m", "octave_mcp")


def test_paths_are_written_as_the_platforms_users_know_them() -> None:
    """`~` means nothing on Windows."""
    assert BY_NAME["cursor"].where("win32")[0] == "%USERPROFILE%\\.cursor\\mcp.json"
    assert BY_NAME["zed"].where("win32")[0].startswith("%APPDATA%\\Zed\\settings.json")
    assert BY_NAME["claude-desktop"].where("darwin")[0].startswith("~/Library/Application Support/Claude/")
