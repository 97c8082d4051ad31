"""Hostile environments: the server just works, or says in a line what to set."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from support.command import environment, run
from support.upstream import by_the_page, upstream

pytestmark = pytest.mark.anyio

KEY = {"OCTAVE_API_KEY": "sk-0123456789", "OCTAVE_BASE_URL": "http://127.0.0.1:9"}
BODY = '{"personas": [{"name": "Ü", "sources": [{"type": "TEXT", "value": "Grüße, 日本"}]}]}'

NO_HOME = "import pwd\n\ndef absent(*_):\n    raise KeyError('no entry')\n\npwd.getpwuid = pwd.getpwnam = absent\n"
"""A user without an entry in the list of users, as containers are started with."""

ASCII = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


def without(*names: str, **settings: str) -> dict[str, str]:
    """This process's environment without some variables, and settings on top."""
    return {name: value for name, value in environment(None, **settings).items() if name not in names}


async def result_of(env: dict[str, str], *arguments: str, **options: Any) -> Any:
    """Return the result of a call for a persona, by a server of its own."""
    server = StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp", *arguments], env=env, **options)
    async with Client(server) as client:
        sources = [{"type": "TEXT", "value": "Grüße, 日本"}]
        return await client.call_tool("generate_personas", {"personas": [{"name": "Ü", "sources": sources}]})


async def test_a_user_without_a_home_is_told_what_to_set(tmp_path: Path) -> None:
    """By each call, and by each command that needs a ledger; the sandbox needs none."""
    (tmp_path / "sitecustomize.py").write_text(NO_HOME, encoding="utf-8")
    env = without("HOME", "XDG_DATA_HOME", PYTHONPATH=str(tmp_path), **KEY)
    no_home = env | {"HOME": ""}  # which the client would fill in
    result = await result_of(no_home)
    assert result.is_error
    assert "OCTAVE_MCP_STATE_URL must be sqlite:///PATH" in str(result.content)
    ran = await run("generate", "-", env=env, stdin=BODY)
    assert ran.code == 2
    assert "or set HOME" in ran.err
    assert "Traceback" not in ran.err
    ran = await run("config", "vscode", "--key-file", "~/key", env=env)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "set HOME" in ran.err
    ran = await run("doctor", "--client", "vscode", env=env)
    assert ran.code == 1
    assert "set HOME" in ran.out
    assert not (await result_of(no_home, "--sandbox")).is_error
    assert not Path("~").exists()


async def test_a_data_folder_that_cannot_be_made_is_told_by_each_call(tmp_path: Path) -> None:
    """Nothing is sent without a record."""
    (tmp_path / "home").touch()
    result = await result_of(without("XDG_DATA_HOME", HOME=str(tmp_path / "home"), **KEY))
    assert result.is_error
    assert "OCTAVE_MCP_STATE_URL" in str(result.content)
    assert "Nothing was sent" in str(result.content)


@pytest.mark.parametrize("module", [name for name in ("_ssl", "fcntl") if name not in sys.builtin_module_names])
async def test_a_python_that_lacks_a_module_of_its_own_is_told_in_a_line(module: str, tmp_path: Path) -> None:
    """It was built on a machine that lacked a library."""
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})", encoding="utf-8")
    ran = await run("--sandbox", env=without(PYTHONPATH=str(tmp_path)))
    assert ran.code == 1
    assert ran.err == f"octave-personas-mcp: this Python has no module {module}: use another Python.\n"


async def test_a_python_without_sqlite_says_so_in_each_call(tmp_path: Path) -> None:
    """The ledger needs it, and says what else it could be in."""
    (tmp_path / "sqlite3.py").write_text("raise ModuleNotFoundError(name='_sqlite3')", encoding="utf-8")
    result = await result_of(without(PYTHONPATH=str(tmp_path), **KEY))
    assert result.is_error
    assert "sqlite3" in str(result.content)
    assert "OCTAVE_MCP_STATE_URL" in str(result.content)


async def test_a_locale_without_letters_changes_nothing_over_stdio_and_prints_others() -> None:
    """Messages are UTF-8 whatever the locale; what is printed for a person shows ? for what it lacks."""
    result = await result_of(without(**ASCII), "--sandbox")
    assert "Ü" in str(result.structured_content)
    ran = await run("demo", env=without(**ASCII))
    assert (ran.code, "?" in ran.out) == (0, True), ran.err


async def test_what_is_made_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    """The default ledger, and each folder that it needed."""
    home = tmp_path / "home"
    home.mkdir()
    async with upstream(by_the_page) as octave:
        env = {"OCTAVE_API_KEY": KEY["OCTAVE_API_KEY"], "OCTAVE_BASE_URL": octave.url}
        with umask(0):
            assert not (await result_of(without("XDG_DATA_HOME", HOME=str(home), **env))).is_error
    made = {path.name: path.stat().st_mode & 0o777 for path in home.rglob("*")}
    assert made.pop("ledger.sqlite3") == 0o600
    assert made.pop(".local") == made.pop("share") == made.pop("octave-personas-mcp") == 0o700
    assert set(made.values()) <= {0o600}


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Let what starts meanwhile inherit a umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


async def test_a_current_folder_that_was_removed_is_no_trouble(tmp_path: Path) -> None:
    """A host may have been started in it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    start = f"import os, sys; os.rmdir({str(gone)!r}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    server = StdioServerParameters(
        command=sys.executable, args=["-c", start, "-P", "-m", "octave_mcp", "--sandbox"], env=without(), cwd=gone
    )
    async with Client(server) as client:
        assert not (await client.call_tool("check_workspace")).is_error


@pytest.mark.parametrize(
    ("redirected", "code"), [("<&-", 1), (">&-", 1), ("2>&-", 0), ("</dev/null", 0), ("<&- >&- 2>&-", 1)]
)
def test_streams_that_are_closed_end_the_server_in_a_line(redirected: str, code: int) -> None:
    """It says what this is, where there is a stderr to say it on."""
    ran = subprocess.run(
        ["/bin/sh", "-c", f'"{sys.executable}" -P -m octave_mcp --sandbox {redirected}'],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=without(),
    )
    assert (ran.returncode, ran.stdout) == (code, "")
    assert len(ran.stderr.splitlines()) == ("2>" not in redirected)
    assert "2>" in redirected or "docker run -i" in ran.stderr
