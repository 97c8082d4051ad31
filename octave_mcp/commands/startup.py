"""What commands need to start: settings that can be used, and options that are read."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from octave_mcp.settings import Settings

__all__ = ["port_number", "settings_or_problem", "usable_settings"]

MAX_PORT = 65_535

_Kind = TypeVar("_Kind", bound="Settings")


def settings_or_problem(*, sandbox: bool, folders: Sequence[str] | None) -> tuple["Settings", str]:
    """Read the environment for a server that starts whatever is wrong with it.

    Returns the settings and ""; or default settings, and what each call reports: a client shows its user the results of
    calls, but nothing of a server that ends before it has answered. `sandbox` and `folders` come from the command line.
    """
    from octave_mcp.ledger.records import LedgerError
    from octave_mcp.server.services import configured_ledger
    from octave_mcp.settings import Settings, SettingsError, load_settings

    try:
        settings = load_settings(**from_command_line(sandbox=sandbox, folders=folders))
        configured_ledger(settings)
    except (SettingsError, LedgerError) as error:
        problems = "\n".join(f"- {line}" for line in str(error).splitlines())
        return Settings.model_construct(sandbox=sandbox), (
            f"The settings of this server cannot be used:\n{problems}\nAsk the user to correct this where the server "
            "is configured, and to restart it. `octave-personas-mcp doctor` checks settings."
        )
    return settings, ""


def usable_settings(
    load: Callable[..., _Kind], command: str, *, sandbox: bool, folders: Sequence[str] | None = None
) -> _Kind | None:
    """Return the settings if they can be read and name a usable ledger; otherwise print why on stderr."""
    from octave_mcp.ledger.records import LedgerError
    from octave_mcp.server.services import configured_ledger
    from octave_mcp.settings import SettingsError

    try:
        settings = load(**from_command_line(sandbox=sandbox, folders=folders))
        configured_ledger(settings)
    except (SettingsError, LedgerError) as error:
        print(f"octave-personas-mcp {command} cannot start:\n{error}", file=sys.stderr)
        return None
    return settings


def port_number(text: str) -> int:
    """Return the port of an option; 0 stands for a free one. Raises ArgumentTypeError, which argparse prints."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_PORT)) and int(text) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no port: give a number from 0 to {MAX_PORT}")
    return int(text)


def from_command_line(*, sandbox: bool, folders: Sequence[str] | None) -> dict[str, Any]:
    """Return the settings that options of the command line give, which take the place of the environment's."""
    given: dict[str, Any] = {"sandbox": True} if sandbox else {}
    return given | ({"folders": tuple(folders)} if folders else {})
