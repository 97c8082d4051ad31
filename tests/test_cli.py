"""The command, as a person and as a client starts it: in a process of its own."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from support.upstream import by_the_page, upstream

from octave_mcp import __version__, cli
from octave_mcp.commands import COMMANDS, WITH_SANDBOX
from octave_mcp.commands.demo import run_demo
from octave_mcp.commands.process import BAD_SETTINGS, INTERRUPTED

SECRET = "sk-canary-0123456789"
ARGUMENTS = {"personas": [{"name": "CFO", "sources": [{"type": "TEXT", "value": "notes on the close of the quarter"}]}]}


def environment(**more: str) -> dict[str, str]:
    """This process's environment, which holds no setting of ours, and more."""
    return {**os.environ, **more}


def run(*arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "octave_mcp", *arguments],
        input=stdin,
        env=environment(**settings),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_installed_command_tells_its_version() -> None:
    """It is on the path of the environment."""
    command = Path(sys.executable).with_name("octave-personas-mcp")
    ran = subprocess.run([command, "--version"], capture_output=True, text=True, check=True, encoding="utf-8")
    assert ran.stdout == f"octave-personas-mcp {__version__}\n"


def test_help_names_every_command() -> None:
    """A person starts there."""
    told = run("--help").stdout
    for word in ("--sandbox", "-V, --version", *(f"  {name} " for name in COMMANDS)):
        assert f"  {word}" in told


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"OCTAVE_API_KEY": "${OCTAVE_API_KEY}"}, "OCTAVE_API_KEY still contains a placeholder"),
        (
            {"OCTAVE_API_KEY": f"{SECRET} {SECRET}", "OCTAVE_BASE_URL": "http://octave.example"},
            "OCTAVE_BASE_URL must use https",
        ),
        ({"OCTAVE_API_KEY": SECRET, "OCTAVE_MCP_WAIT_SECONDS": "soon"}, "OCTAVE_MCP_WAIT_SECONDS must be a number"),
        (
            {"OCTAVE_API_KEY": SECRET, "OCTAVE_API_KEY_FILE": "/nowhere"},
            "OCTAVE_API_KEY_FILE names a file that does not exist",
        ),
    ],
    ids=["placeholder", "two problems", "number", "file"],
)
async def test_a_server_whose_settings_cannot_be_used_starts_and_says_so_in_each_call(
    settings: dict[str, str], problem: str
) -> None:
    """Clients show a result, but nothing of a server that ends before it has answered."""
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "octave_mcp"], env={**environment(), **settings}
    )
    async with Client(command) as client:
        assert len((await client.list_tools()).tools) == 6
        for tool, arguments in (("check_workspace", {}), ("generate_personas", ARGUMENTS)):
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert problem in str(result.content)
            assert "restart it" in str(result.content)
            assert SECRET not in str(result)


@pytest.mark.parametrize("settings", [{}, {"OCTAVE_API_KEY": SECRET}, {"OCTAVE_MCP_SANDBOX": "1"}])
def test_the_server_ends_in_a_line_if_no_client_speaks_to_it(settings: dict[str, str]) -> None:
    """As a container without its stdin does, or a start by hand: the line says what this is."""
    ran = run(**settings)
    assert (ran.returncode, ran.stdout) == (0, "")
    (line,) = ran.stderr.splitlines()
    assert "docker run -i" in line
    assert "octave-personas-mcp http" in line


def converse(*lines: str, until: str) -> str:
    """Send the lines to a sandboxed server, and read until its answer has `until` in it; then end it by its stdin."""
    command = [sys.executable, "-m", "octave_mcp", "--sandbox"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(30, process.kill)
        watchdog.start()
        process.stdin.write("".join(f"{line}\n" for line in lines))
        process.stdin.flush()
        said = next((answer for answer in process.stdout if until in answer), "")
        process.stdin.close()
        assert process.wait(timeout=20) == 0
        watchdog.cancel()
    return said


@pytest.mark.parametrize("line", ["not JSON", '{"jsonrpc": "2.0"}', "\ufeff{}", "[" * 5000, '"\\ud800"'])
def test_a_line_that_is_no_message_ends_nothing(line: str) -> None:
    """Whatever else comes on stdin, the next message is answered."""
    assert '"result":{' in converse(line, '{"jsonrpc":"2.0","id":7,"method":"ping"}', until='"id":7')


@pytest.mark.anyio
async def test_an_assistants_call_over_stdio_reaches_octave() -> None:
    """The main job: the real server process, the SDK's client, an upstream by the page."""
    async with upstream(by_the_page) as octave:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "octave_mcp"],
            env=environment(OCTAVE_API_KEY=f"{SECRET}\n", OCTAVE_BASE_URL=octave.url),
        )
        async with Client(server) as client:
            result = await client.call_tool("generate_personas", ARGUMENTS)
        assert not result.is_error
        assert [request.json for request in octave.requests] == [ARGUMENTS]
        assert octave.requests[0].header("api_key") == SECRET


@pytest.mark.anyio
async def test_the_sandbox_flag_needs_neither_key_nor_network_and_says_that_it_makes_things_up() -> None:
    """In the instructions, and in each channel of a result."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "octave_mcp", "--sandbox"],
        env=environment(OCTAVE_BASE_URL="https://octave.invalid"),
    )
    async with Client(server, mode="legacy") as client:
        assert "SANDBOX" in (client.instructions or "")
        result = await client.call_tool("generate_personas", ARGUMENTS)
    assert not result.is_error
    assert "sample data" in str(result.content)
    assert "sample data" in str(result.structured_content)
    assert "close of the quarter" in str(result.structured_content).lower()


def test_the_demo_shows_three_personas(capsys: pytest.CaptureFixture[str]) -> None:
    """From a text, from an address, and linked and voiced; with the tokens it saves."""
    anyio.run(run_demo)
    told = capsys.readouterr().out
    assert len(re.findall(r"^A persona ", told, re.MULTILINE)) == 3
    for words in ("generate_personas", "CISO", "hospital", "Procurement Lead", "regional bank", "nothing was charged"):
        assert words in told


@contextmanager
def sandbox() -> Iterator[str]:
    """`octave-personas-mcp sandbox`, serving on a free port; its origin."""
    command = [sys.executable, "-m", "octave_mcp", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment()) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        try:
            yield re.findall(r"http://127\.0\.0\.1:\d+", said)[0]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) in {0, INTERRUPTED}


def test_a_port_that_is_taken_is_told_in_words() -> None:
    """And how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = run("sandbox", "--port", str(taken.getsockname()[1]))
    assert ran.returncode == BAD_SETTINGS
    assert "choose another with --port" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.anyio
async def test_the_sandbox_is_served_over_http_for_any_client() -> None:
    """Here for our own server, which takes it for Octave."""
    with sandbox() as url:
        server = StdioServerParameters(
            command=sys.executable,
            args=["-m", "octave_mcp"],
            env=environment(OCTAVE_API_KEY="any-key-will-do", OCTAVE_BASE_URL=url),
        )
        async with Client(server) as client:
            result = await client.call_tool("generate_personas", ARGUMENTS)
    assert not result.is_error


def test_a_call_with_half_a_surrogate_pair_is_answered() -> None:
    """JavaScript writes such escapes; the SDK alone would never answer."""
    opening = (
        '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},'
        '"clientInfo":{"name":"t","version":"1"}}}'
    )
    call = (
        '{"jsonrpc":"2.0","id":2,"method":"tools/call",'
        '"params":{"name":"generate_personas","arguments":{"x":"\\ud800"}}}'
    )
    said = converse(opening, '{"jsonrpc":"2.0","method":"notifications/initialized"}', call, until='"id":2')
    assert "unknown argument" in said


def test_ctrl_c_ends_a_waiting_server_at_once() -> None:
    """Although a thread waits for stdin."""
    command = [sys.executable, "-m", "octave_mcp", "--sandbox"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"jsonrpc":"2.0","id":7,"method":"ping"}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who stops a command knows that they did."""

    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    def interrupted_import(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("octave_mcp.commands.stdio.settings_or_problem", interrupted)
    assert cli.main([]) == INTERRUPTED
    monkeypatch.setattr("octave_mcp.cli.import_module", interrupted_import)
    assert cli.main(["doctor"]) == INTERRUPTED


def test_bad_settings_end_a_command_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A person who starts one sees stderr."""
    monkeypatch.setenv("OCTAVE_API_KEY", f"{SECRET} {SECRET}")
    assert cli.main(["generate", "-"]) == BAD_SETTINGS
    said = capsys.readouterr().err
    assert "OCTAVE_API_KEY is not a valid API key" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["generat"], 'unknown command "generat": did you mean generate?'),
        (["version"], 'unknown command "version": did you mean --version?'),
        (["frobnicate"], 'unknown command "frobnicate": known are demo, config'),
        (["--sandbx"], "octave-personas-mcp: unknown option --sandbx: did you mean --sandbox?"),
        (["generate", "--dryrun"], "octave-personas-mcp generate: unknown option --dryrun: did you mean --dry-run?"),
        (["generate", "x", "--formt=json"], "unknown option --formt: did you mean --format?"),
        (["generate", "x", "--ne"], "unknown option --ne: did you mean --new?"),
        (["generate", "a", "b.json"], 'unexpected argument "b.json": text with spaces has to be in quotes'),
        (["generate"], "octave-personas-mcp generate: one of the arguments FILE --collect is required"),
        (["sandbox", "--latency", "lots"], "must be a number of seconds, 0 or more"),
        (["sandbox", "--latency", "-1"], "must be a number of seconds, 0 or more"),
        (["http", "--port", "abc"], "'abc' is not a port number: give one"),
    ],
)
def test_a_misspelt_command_or_option_is_told(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """The nearest command is named, and no private name leaks."""
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    printed = capsys.readouterr().err
    assert (ended.value.code, said in printed, printed.count("\n")) == (2, True, 1)


def test_a_current_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    """It happens with a project's folder that another terminal has deleted."""
    (tmp_path / "gone").mkdir()
    started = shlex.join([sys.executable, "-m", "octave_mcp", "config", "cursor", "--write", "--project"])
    ran = subprocess.run(
        ["sh", "-c", f"rmdir ../gone; {started}"],
        cwd=tmp_path / "gone",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "octave-personas-mcp: the current folder was removed: change to another one.\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is a device of Linux")
@pytest.mark.parametrize("command", ["config", "demo"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stdout_that_takes_nothing_is_no_traceback(
    command: str, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is reported in a line; a reader that is gone, as `head` is, needs none."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    started = [sys.executable, "-m", "octave_mcp", command]
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(started, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert ran.stderr == "octave-personas-mcp: stdout cannot be written to: the disk is full.\n"
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(started, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does_and_imports_nothing_until_then(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Its help is complete; `octave-personas-mcp --help` imports no command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: octave-personas-mcp {command} ")
    assert ("--sandbox" in said) is (command in WITH_SANDBOX)


def test_the_start_of_the_server_loads_no_other_command() -> None:
    """A client waits for it at every chat."""
    program = "import sys; from octave_mcp import cli; cli._parser().parse_args([]); print(*sys.modules, sep='\\n')"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"mcp", "httpx", "pydantic", "rich", "uvicorn"} & set(loaded)
    assert {name for name in loaded if name.startswith("octave_mcp.commands.")} <= {
        "octave_mcp.commands.process",
    }
