"""The command `sandbox`: an Octave-compatible API on sample data, over HTTP."""

import argparse
import math
import sys

import uvicorn

from octave_mcp.commands.process import BAD_SETTINGS, port_number
from octave_mcp.http.listening import open_sockets
from octave_mcp.sandbox import build_sandbox


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--port", type=port_number, default=8765, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--latency", type=_latency, default=0.0, metavar="SECONDS", help="time to write each persona (default: 0)"
    )


def _latency(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError("must be a number of seconds, 0 or more")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C. Return the exit code."""
    app = build_sandbox(latency_seconds=options.latency)
    try:
        sockets = open_sockets("127.0.0.1", options.port)
    except OSError:
        print(
            f"octave-personas-mcp sandbox cannot listen on port {options.port}: choose another with --port",
            file=sys.stderr,
        )
        return BAD_SETTINGS
    address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    print(
        f"Sandbox running at {address} (sample data; any API key works). Press Ctrl-C to stop.",
        file=sys.stderr,
        flush=True,
    )
    uvicorn.Server(uvicorn.Config(app, log_level="warning", log_config=None)).run(sockets=sockets)
    return 0
