"""The settings that a command starts with, or what is wrong with them."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from octave_mcp.generation.records import LedgerError
from octave_mcp.server.services import configured_ledger
from octave_mcp.settings import Settings, SettingsError, load_settings

__all__ = ["settings_or_problem", "usable_settings"]

_Kind = TypeVar("_Kind", bound=Settings)


def settings_or_problem(*, sandbox: bool = False, folders: Sequence[str] | None = None) -> tuple[Settings, str]:
    """Read the environment for a server that starts whatever is wrong with it.

    Returns the settings and ""; or default settings, and what each call reports: a client shows its user the results of
    calls, but nothing of a server that ends before it has answered. `sandbox` and `folders` come from the command line.
    """
    given: dict[str, Any] = {"sandbox": True} if sandbox else {}
    if folders:
        given["folders"] = tuple(folders)
    try:
        settings = load_settings(**given)
        configured_ledger(settings)
    except (SettingsError, LedgerError) as error:
        problems = "\n".join(f"- {line}" for line in str(error).splitlines())
        return Settings.model_construct(sandbox=sandbox), (
            f"The settings of this server cannot be used:\n{problems}\nAsk the user to correct this where the server "
            "is configured, and to restart it. `octave-personas-mcp doctor` checks settings."
        )
    return settings, ""


def usable_settings(load: Callable[..., _Kind], command: str, *, sandbox: bool) -> _Kind | None:
    """Return the settings if they can be read and name a ledger that there can be; else print why, and return None."""
    try:
        settings = load(sandbox=True) if sandbox else load()
        configured_ledger(settings)
    except (SettingsError, LedgerError) as error:
        print(f"{command} cannot start:\n{error}", file=sys.stderr)
        return None
    return settings
