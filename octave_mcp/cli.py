"""The command `octave-mcp`: an MCP server over stdio, and what a person needs around it.

Each command imports what it needs when it runs: a client waits for the server's first answer at every chat.
"""

import argparse
import gc
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from octave_mcp import __version__

__all__ = ["main"]

BAD_SETTINGS = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code: 0, 2 for settings that cannot be used, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="octave-mcp",
        description="An MCP server that builds buyer personas in Octave. Without a command it serves over stdin and "
        "stdout, for an MCP client to start. Settings come from the environment; the README lists them.",
    )
    parser.add_argument("--version", action="version", version=f"octave-personas-mcp {__version__}")
    parser.add_argument("--sandbox", action="store_true", help="made-up data: no key, no network, nothing is paid for")
    parser.set_defaults(command=_serve)
    commands = parser.add_subparsers(title="commands", metavar="")
    demo = commands.add_parser("demo", help="see the server at work: a real client, three personas, made-up data")
    demo.set_defaults(command=_demo)
    sandbox = commands.add_parser("sandbox", help="serve an Octave-compatible API on made-up data, over HTTP")
    sandbox.add_argument("--port", type=int, default=8765, help="0 takes a free one (default: %(default)s)")
    sandbox.add_argument(
        "--latency", type=_seconds, default=0.0, metavar="SECONDS", help="for each persona (default: 0)"
    )
    sandbox.set_defaults(command=_sandbox)
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError("must be 0 or more seconds")
    return seconds


def _serve(options: argparse.Namespace) -> int:
    with _garbage_kept():
        from octave_mcp.settings import SettingsError, load_settings

        try:
            settings = load_settings(sandbox=True) if options.sandbox else load_settings()
        except SettingsError as error:
            print(f"octave-mcp cannot start:\n{error}", file=sys.stderr)
            return BAD_SETTINGS
        import anyio

        from octave_mcp.log import configure_logging
        from octave_mcp.server.app import build_server
        from octave_mcp.server.stdin import repaired_stdin

        configure_logging(settings.log_level, settings.api_key)
        server = build_server(settings)
    if sys.stdin.isatty():
        print("An MCP client starts this command and speaks to it; octave-mcp demo shows it at work.", file=sys.stderr)
    # Ctrl-C ends the process at once: a thread that waits for stdin would hold up any other end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with repaired_stdin():
        anyio.run(server.run_stdio_async)
    return 0


def _demo(_: argparse.Namespace) -> int:
    import anyio

    from octave_mcp.demo import run_demo

    anyio.run(run_demo)
    return 0


def _sandbox(options: argparse.Namespace) -> int:
    import socket

    import uvicorn

    from octave_mcp.sandbox import build_sandbox

    app = build_sandbox(latency_seconds=options.latency)
    try:
        listening = socket.create_server(("127.0.0.1", options.port))
    except (OSError, OverflowError):
        print(f"octave-mcp sandbox cannot listen on port {options.port}: choose another with --port", file=sys.stderr)
        return BAD_SETTINGS
    with listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        print(f"Made-up data at {address} (any api_key will do). Ctrl-C ends it.", file=sys.stderr, flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
    return 0


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Keep the collector from walking modules while they load, and afterwards: they are here to stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
