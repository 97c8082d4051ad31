"""The command `octave-mcp`: an MCP server over stdio, and what a person needs around it.

Each command imports what it needs when it runs: a client waits for the server's first answer at every chat.
"""

import argparse
import gc
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from octave_mcp import __version__

__all__ = ["main"]

BAD_SETTINGS = 2
INTERRUPTED = 130

GRACE_SECONDS = 5.0
"""After the wait at a server's end: for recording what was not waited for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code: 0, 2 for settings that cannot be used, 130 and 143 as signals have it."""
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
    ended = _Ended()
    with (
        repaired_stdin(lambda: _end_at_the_latest(ended, settings.shutdown_seconds)) as stdin,
        _ended_politely(ended, stdin.end),
    ):
        anyio.run(server.run_stdio_async)
    return ended.code


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


@dataclass
class _Ended:
    """The exit code: 0, or as is the custom for the signal that ended the process."""

    code: int = 0


def _end_at_the_latest(ended: _Ended, seconds: float) -> None:
    """End the process a little after the wait at its end, whatever holds it: such as a client that reads no more."""
    timer = threading.Timer(seconds + GRACE_SECONDS, lambda: os._exit(ended.code))
    timer.daemon = True
    timer.start()


@contextmanager
def _ended_politely(ended: _Ended, end: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C and a request to terminate call `end`; whoever asks twice ends the process at once."""

    def asked(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        ended.code = 128 + number
        end()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    yield


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Keep the collector from walking modules while they load, and afterwards: they are here to stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
