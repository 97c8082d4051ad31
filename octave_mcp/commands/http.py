"""The command `http`: one server for a team, over streamable HTTP."""

import argparse
import sys
from functools import partial

from octave_mcp.commands.process import (
    BAD_SETTINGS,
    FAILED,
    ExitCode,
    loading,
    port_number,
    shut_down_on_signals,
    usable_settings,
)
from octave_mcp.values import this_machine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = (
        "Serve MCP over streamable HTTP at /mcp, with /healthz and /readyz; any number of replicas. Callers are known "
        "by tokens (OCTAVE_MCP_TOKENS_FILE), OAuth (OCTAVE_MCP_OAUTH_ISSUER) or their own Octave keys "
        "(OCTAVE_MCP_CALLER_KEYS). Without any of these it listens on this machine only."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=8000, help="0 takes a free one (default: %(default)s)")


def run(options: argparse.Namespace) -> int:
    """Serve until a signal asks for the end. Return the exit code."""
    with loading():
        from octave_mcp.http.listening import bracketed, open_sockets, unbracketed
        from octave_mcp.http.settings import Authentication, HttpSettings
        from octave_mcp.observability.logs import Secrets, configure_logging
        from octave_mcp.settings import load

        read = partial(load, HttpSettings)
        settings = usable_settings(read, "http", sandbox=options.sandbox, folders=options.folder)
        if settings is None:
            return BAD_SETTINGS
        local = this_machine(unbracketed(options.host))
        if settings.authentication is Authentication.NONE and not local:
            return _refused(
                f"octave-personas-mcp http does not listen on {options.host} without authentication: anybody who "
                "reaches it could use it. Set OCTAVE_MCP_TOKENS_FILE, OCTAVE_MCP_OAUTH_ISSUER or "
                "OCTAVE_MCP_CALLER_KEYS, or listen on 127.0.0.1."
            )
        from octave_mcp.http.web_server import serve
        from octave_mcp.observability.environment import set_up_telemetry

        secrets = Secrets(settings.api_key)
        configure_logging(settings.log_level, secrets, form=settings.log_format)
        end_telemetry = set_up_telemetry()
    try:
        sockets = open_sockets(options.host, options.port)
    except OSError:
        return _refused(
            f"octave-personas-mcp http cannot listen on {options.host} port {options.port}: choose another with --port"
        )
    address = f"http://{bracketed(options.host)}:{sockets[0].getsockname()[1]}/mcp"
    print(f"MCP over HTTP at {address}. Press Ctrl-C to stop.", file=sys.stderr, flush=True)
    if not (settings.sandbox or settings.api_key or settings.caller_keys or settings.subject_keys_file):
        print("No Octave API key is set (OCTAVE_API_KEY), so each call will be refused.", file=sys.stderr, flush=True)
    exit_code = ExitCode()
    shut_down_on_signals(lambda: None, exit_code)  # until the web server takes them over
    try:
        has_served = serve(settings, sockets, local=local, register_secret=secrets.add)
    finally:
        end_telemetry()
    return exit_code.value if has_served else FAILED


def _refused(problem: str) -> int:
    print(problem, file=sys.stderr)
    return BAD_SETTINGS
