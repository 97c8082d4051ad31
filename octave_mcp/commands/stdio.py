"""The command without a name: the MCP server over stdin and stdout, which an MCP client starts."""

import sys
from collections.abc import Sequence
from functools import partial

from octave_mcp.commands.process import (
    FAILED,
    ExitCode,
    exit_within,
    loading,
    settings_or_problem,
    shut_down_on_signals,
)

GRACE_SECONDS = 5.0
"""After the wait for what was sent, for recording it and for closing: then the process ends, whatever holds it."""

STARTED_BY_HAND = (
    "This is an MCP server: your assistant starts it (see `octave-personas-mcp config`). Waiting for a client on "
    "stdin; Ctrl-C stops it."
)

NO_CLIENT = (
    "octave-personas-mcp: stdin ended before any message. This is an MCP server that a client starts and speaks to "
    "over stdin and stdout; in a container run it with `docker run -i`. To serve over HTTP: octave-personas-mcp http."
)


def serve_over_stdio(*, sandbox: bool, folders: Sequence[str] | None) -> int:
    """Serve until the client is gone or a signal asks for the end. Return the exit code."""
    if sys.stdin is None or sys.stdout is None:
        print(NO_CLIENT.replace("stdin ended before any message", "stdin or stdout is closed"), file=sys.stderr)
        return FAILED
    with loading():
        settings, problem = settings_or_problem(sandbox=sandbox, folders=folders)
        import anyio

        from octave_mcp.observability.environment import set_up_telemetry
        from octave_mcp.observability.logs import Secrets, configure_logging
        from octave_mcp.server.app import build_server
        from octave_mcp.server.stdio_transport import StdioTransport, standard_descriptors

        configure_logging(settings.log_level, Secrets(settings.api_key))
        end_telemetry = set_up_telemetry()
        server = build_server(settings, problem=problem)
    if sys.stdin.isatty():
        print(STARTED_BY_HAND, file=sys.stderr)
    exit_code = ExitCode()
    end = partial(exit_within, settings.shutdown_seconds + GRACE_SECONDS, exit_code)
    with standard_descriptors() as (stdin, stdout):
        transport = StdioTransport(stdin, stdout, on_close=end)
        shut_down_on_signals(transport.close, exit_code)
        try:
            anyio.run(transport.serve, server)
        finally:
            end_telemetry()
    if not (transport.has_received or exit_code.value):
        print(NO_CLIENT, file=sys.stderr)
    return exit_code.value
