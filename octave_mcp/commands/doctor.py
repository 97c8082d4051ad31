"""The command `doctor`: check the key, the network, the settings or a client's configuration, and say what to do.

It costs nothing: of Octave it asks only whose the key is. It never shows the key, nor a part of it.
"""

import argparse
import shutil
from functools import partial
from typing import Any

import anyio
from mcp import Client as McpClient
from mcp import MCPError, StdioServerParameters
from mcp.types import TextContent

from octave_mcp.clients.files import CannotWrite, client_file, read_servers
from octave_mcp.clients.model import KEY, NAME, Client, Entry
from octave_mcp.commands.config import client_named
from octave_mcp.commands.doctor_checks import (
    Report,
    check_clock,
    check_key,
    check_ledger,
    check_names,
    check_program,
    check_unusable_settings,
)
from octave_mcp.commands.octave_checks import check_octave
from octave_mcp.commands.process import BAD_SETTINGS, FAILED, from_command_line
from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.personas.cleaning import shorten
from octave_mcp.settings import SettingsError, environment_value, load_settings
from octave_mcp.values import is_placeholder

START_SECONDS = 30.0
"""Bound on the start of the server and its first answers; clients wait as long."""

RESULT_CHARACTERS = 300
"""How much of a result is shown."""

ASK = 'All good. Ask your assistant, for example: "Build two personas from these notes: …"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = (
        "Check the key, network and settings of this environment, and say how to fix problems. With --client, check "
        "the server in that client's file, and start it as the client does. Free; never prints the key."
    )
    parser.epilog = "Exit code: 0 all is well; 1 something failed; 2 settings that cannot be used."
    parser.add_argument("--client", metavar="CLIENT", help="check this client's configuration, such as claude-desktop")
    parser.add_argument("--name", default=NAME, help="with --client: name of the server (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Check everything, and print it. Return the exit code."""
    if options.client is not None:
        try:
            client = client_named(options.client)
        except ValueError as problem:
            print(f"octave-personas-mcp doctor: {problem}")
            return BAD_SETTINGS
        return _ended(anyio.run(_examine_client, client, options.name))
    return _ended(anyio.run(partial(_examine, sandbox=options.sandbox)))


def _ended(report: Report) -> int:
    """Print the verdict. Return the exit code."""
    report.verdict(ASK)
    return BAD_SETTINGS if report.settings_unusable else FAILED if report.failed else 0


async def _examine(*, sandbox: bool) -> Report:
    """Check this environment."""
    report = Report()
    check_program(report)
    check_names(report)
    try:
        settings = load_settings(**from_command_line(sandbox=sandbox, folders=None))
    except SettingsError as error:
        check_unusable_settings(report, str(error).splitlines())
        return report
    # What is logged as a warning is in the report, with what to do.
    level = "ERROR" if settings.log_level == "WARNING" else settings.log_level
    configure_logging(level, Secrets(settings.api_key))
    report.ok("settings", "usable" + ("; the sandbox: sample data, in this process" if settings.sandbox else ""))
    for folder in settings.folders:
        if not folder.is_dir():
            report.warn("folders", f"there is no folder {folder}")
    check_key(report, settings)
    workspace, answered_at = await check_octave(report, settings)
    await check_ledger(report, settings)
    check_clock(report, workspace, answered_at)
    return report


# --- A client's configuration -----------------------------------------------------------------------------------------


async def _examine_client(client: Client, name: str) -> Report:
    """Check the server of that name in a client's files, and start it as the client does."""
    report = Report()
    entry = _entry(report, client, name)
    if entry is None:
        return report
    if "command" not in entry:
        report.skip("it is reached over HTTP, so the server's own log says more", "command", "start")
        return report
    command, arguments = _command(entry)
    environment = _environment(report, client, entry)
    found = shutil.which(command)
    if found is None:
        report.fail("command", f"there is no program {command}: {_again(client, name)}")
        report.skip("the command comes first", "start")
        return report
    report.ok("command", found)
    await _start(report, StdioServerParameters(command=found, args=arguments, env=environment))
    return report


def _entry(report: Report, client: Client, name: str) -> Entry | None:
    """Return the server in the client's files, the project's first, as that one is preferred."""
    try:
        paths = [path for path in (client_file(client, project=True), client_file(client), client.own_path()) if path]
    except ValueError as problem:
        report.fail("file", str(problem))
        return None
    problems = []
    for path in paths:
        try:
            servers = read_servers(client, path)
        except CannotWrite as problem:
            problems.append(str(problem))
            continue
        if entry := servers.get(name):
            report.ok("file", f"{name} is in {path}")
            return entry
    if problems:
        instead = "octave-personas-mcp doctor, without --client, checks the key and the settings of this terminal"
        report.fail("file", f"{'; '.join(problems)}. Nothing else can be checked; {instead}")
    else:
        looked = ", ".join(map(str, paths)) or "any file that this command knows"
        report.fail("file", f"{name} is not in {looked}: {_again(client, name)}")
    return None


def _again(client: Client, name: str) -> str:
    option = "" if name == NAME else f" --name {name}"
    return f"octave-personas-mcp config {client.name}{option} says what goes there"


def _command(entry: Entry) -> tuple[str, list[str]]:
    command = entry["command"]
    words = [str(word) for word in (command if isinstance(command, list) else [command, *entry.get("args", ())])]
    return words[0] if words else "", words[1:]


def _environment(report: Report, client: Client, entry: Entry) -> dict[str, str]:
    """Return the environment that the client gives the server: its file's, filled in from here as the client would."""
    declared: dict[str, Any] = entry.get("env") or entry.get("environment") or {}
    check_names(report, declared)
    found = {str(name): str(value) for name, value in declared.items()}
    passed = {str(name): client.fill.format(variable=name, input="") for name in entry.get("env_vars", ())}
    for name, value in {**found, **passed}.items():
        if not client.fill or value != client.value(KEY) or name != KEY.variable:
            continue
        if (own := environment_value(name)) is None:
            where = "and is asked for by the client" if client.asks else f"where {client.title} is started"
            report.warn("environment", f"{name} is not set here; it has to be set {where}")
        found[name] = own or ""
    secret = KEY.variable
    if names := [name for name, value in found.items() if is_placeholder(value, secret=name == secret)]:
        report.fail("environment", f"{', '.join(names)} still contains a placeholder: put the value in its place")
    return found


async def _start(report: Report, server: StdioServerParameters) -> None:
    """Start the server, list its tools, and ask whose the key is, as an assistant does."""
    try:
        with anyio.fail_after(START_SECONDS):
            async with McpClient(server) as mcp:
                tools = (await mcp.list_tools()).tools
                report.ok("start", f"{len(tools)} tools")
                result = await mcp.call_tool("check_workspace", {})
    except (MCPError, OSError, TimeoutError, ExceptionGroup) as error:
        report.fail("start", f"the server did not answer ({type(error).__name__}): run the command by hand to see why")
        return
    text = " ".join(block.text for block in result.content if isinstance(block, TextContent))
    (report.fail if result.is_error else report.ok)("workspace", shorten(text, RESULT_CHARACTERS))
