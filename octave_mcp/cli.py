"""The command `octave-personas-mcp`: an MCP server over stdio, and what a person needs around it.

Each command imports what it needs when it runs: a client waits for the server's first answer at every chat.
"""

import argparse
import io
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from octave_mcp import __version__
from octave_mcp.commands.config import add_config
from octave_mcp.commands.process import BAD_SETTINGS, FAILED, INTERRUPTED, ExitCode, loading, shut_down_on_signals
from octave_mcp.observability.environment import drop_unusable_variables
from octave_mcp.streams import open_standard_descriptors

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code.

    0; 1 where not all is well; 2 for settings that cannot be used; 130 and 143 as signals have it.
    """
    open_standard_descriptors()
    options = _parser().parse_args(arguments)
    drop_unusable_variables()  # before anything imports OpenTelemetry
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read stdout is gone
        return FAILED
    finally:
        _leave_stdout()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="octave-personas-mcp",
        description="An MCP server that builds buyer personas in Octave. Without a command it serves over stdin and "
        "stdout, for an MCP client to start. Settings come from the environment; the README lists them.",
    )
    parser.add_argument("--version", action="version", version=f"octave-personas-mcp {__version__}")
    parser.add_argument("--sandbox", action="store_true", help="made-up data: no key, no network, nothing is paid for")
    parser.add_argument(
        "--folder",
        action="append",
        metavar="PATH",
        help="a folder whose files may be used as sources; may be repeated",
    )
    parser.set_defaults(command=_serve)
    commands = parser.add_subparsers(title="commands", metavar="")
    http = commands.add_parser(
        "http",
        help="serve a team over HTTP: tokens, OAuth or each caller's own key; any number of replicas",
        description="Serves MCP over streamable HTTP at /mcp, with /healthz and /readyz. Without a way to know who "
        "calls it listens on this machine only; the README lists the settings.",
    )
    http.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    http.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: %(default)s)")
    http.set_defaults(command=_http)
    demo = commands.add_parser("demo", help="see the server at work: a real client, three personas, made-up data")
    demo.set_defaults(command=_demo)
    sandbox = commands.add_parser("sandbox", help="serve an Octave-compatible API on made-up data, over HTTP")
    sandbox.add_argument("--port", type=int, default=8765, help="0 takes a free one (default: %(default)s)")
    sandbox.add_argument(
        "--latency", type=_seconds, default=0.0, metavar="SECONDS", help="for each persona (default: 0)"
    )
    sandbox.set_defaults(command=_sandbox)
    generate = commands.add_parser(
        "generate",
        help="generate personas without an MCP client, from the API's own JSON body",
        description="Sends the body of POST /api/v2/persona/generate, with the server's record of what was sent, waits "
        "for all personas, and prints them. Asked again, it joins what is under way or was never printed.",
        epilog="Exit code: 0 all came back; 1 not all did, or nothing was sent; 2 settings; 130 Ctrl-C.",
    )
    wanted = generate.add_mutually_exclusive_group(required=True)
    wanted.add_argument("file", nargs="?", metavar="FILE", help="the body, as JSON; - reads it from stdin")
    wanted.add_argument(
        "--collect", metavar="GENERATION_ID", help="wait for an earlier generation instead, and print it"
    )
    generate.add_argument("--json", action="store_true", help="whole records, as one JSON object")
    generate.set_defaults(command=_generate)
    doctor = commands.add_parser(
        "doctor",
        help="check the key, the way to Octave and the settings; costs nothing",
        description="Checks one thing after the other, says what to do, and never shows the key. It costs nothing.",
        epilog="Exit code: 0 all is well; 1 something failed; 2 settings.",
    )
    doctor.set_defaults(command=_doctor)
    config = add_config(commands.add_parser)
    # Before the command or after it; what is absent here changes nothing there.
    for command in (http, generate, doctor, config):
        command.add_argument("--sandbox", action="store_true", default=argparse.SUPPRESS, help="use made-up data")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError("must be 0 or more seconds")
    return seconds


def _serve(options: argparse.Namespace) -> int:
    from octave_mcp.commands.stdio import serve_over_stdio

    return serve_over_stdio(sandbox=options.sandbox, folders=options.folder)


def _http(options: argparse.Namespace) -> int:
    with loading():
        from octave_mcp.commands.starting import usable_settings
        from octave_mcp.http.listening import bracketed, open_sockets, unbracketed
        from octave_mcp.http.settings import Authentication, HttpSettings
        from octave_mcp.observability.logs import Secrets, configure_logging
        from octave_mcp.settings import load
        from octave_mcp.values import this_machine

        settings = usable_settings(partial(load, HttpSettings), "octave-personas-mcp http", sandbox=options.sandbox)
        if settings is None:
            return BAD_SETTINGS
        local = this_machine(unbracketed(options.host))
        if settings.authentication is Authentication.NONE and not local:
            print(
                f"octave-personas-mcp http does not listen on {options.host} without knowing who calls: "
                "anybody who reached it could spend this key's credits. Set OCTAVE_MCP_TOKENS_FILE, "
                "OCTAVE_MCP_OAUTH_ISSUER or OCTAVE_MCP_CALLER_KEYS, or listen on 127.0.0.1.",
                file=sys.stderr,
            )
            return BAD_SETTINGS
        from octave_mcp.http.web_server import serve
        from octave_mcp.observability.environment import set_up_telemetry

        secrets = Secrets(settings.api_key)
        configure_logging(settings.log_level, secrets, form=settings.log_format)
        end_telemetry = set_up_telemetry()
    try:
        sockets = open_sockets(options.host, options.port)
    except (OSError, OverflowError):
        print(f"octave-personas-mcp http cannot listen on {options.host} port {options.port}", file=sys.stderr)
        return BAD_SETTINGS
    address = f"http://{bracketed(options.host)}:{sockets[0].getsockname()[1]}/mcp"
    print(f"MCP over HTTP at {address}. Ctrl-C ends it.", file=sys.stderr, flush=True)
    exit_code = ExitCode()
    shut_down_on_signals(lambda: None, exit_code)  # until the web server takes them over
    try:
        serve(settings, sockets, local=local, register_secret=secrets.add)
    finally:
        end_telemetry()
    return exit_code.value


def _demo(_: argparse.Namespace) -> int:
    import anyio

    from octave_mcp.commands.demo import run_demo

    anyio.run(run_demo)
    return 0


def _sandbox(options: argparse.Namespace) -> int:
    import uvicorn

    from octave_mcp.http.listening import open_sockets
    from octave_mcp.sandbox import build_sandbox

    app = build_sandbox(latency_seconds=options.latency)
    try:
        sockets = open_sockets("127.0.0.1", options.port)
    except (OSError, OverflowError):
        print(
            f"octave-personas-mcp sandbox cannot listen on port {options.port}: choose another with --port",
            file=sys.stderr,
        )
        return BAD_SETTINGS
    address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    print(f"Made-up data at {address} (any api_key will do). Ctrl-C ends it.", file=sys.stderr, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=sockets)
    return 0


def _generate(options: argparse.Namespace) -> int:
    from octave_mcp.settings import SettingsError, load_settings

    try:
        settings = load_settings(sandbox=True) if options.sandbox else load_settings()
    except SettingsError as error:
        print(f"octave-personas-mcp generate cannot start:\n{error}", file=sys.stderr)
        return BAD_SETTINGS
    import anyio

    from octave_mcp.commands.generate import Job, Unusable, check, read_request
    from octave_mcp.observability.logs import Secrets, configure_logging

    configure_logging(settings.log_level, Secrets(settings.api_key))
    _print_any_text()
    try:
        check(settings)
    except Unusable as problem:
        print(problem, file=sys.stderr)
        return BAD_SETTINGS
    try:
        wanted = options.collect
        if wanted is None:
            wanted = read_request(options.file, settings.max_personas_per_call)
    except Unusable as problem:
        print(problem, file=sys.stderr)
        return FAILED
    exit_code, job = ExitCode(), Job(settings, wanted, as_json=options.json)
    shut_down_on_signals(job.end, exit_code)
    code = anyio.run(job.run)
    return exit_code.value or code


def _doctor(options: argparse.Namespace) -> int:
    import anyio

    from octave_mcp.commands.doctor import examine

    _print_any_text()
    report = anyio.run(partial(examine, sandbox=options.sandbox))
    return BAD_SETTINGS if report.settings_unusable else FAILED if report.failed else 0


def _print_any_text() -> None:
    """Have a terminal that lacks a letter show another, in place of an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _leave_stdout() -> None:
    """Have the interpreter's own flush, at its end, find a stdout that takes it."""
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):  # closed from the start, or by its reader, or full
        with suppress(AttributeError, OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
