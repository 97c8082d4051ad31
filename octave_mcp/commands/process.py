"""The process of a command: how it starts, what its exit codes mean, and how it ends."""

import argparse
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from octave_mcp.settings import Settings

FAILED = 1
BAD_SETTINGS = 2
INTERRUPTED = 130

MAX_PORT = 65_535

_Kind = TypeVar("_Kind", bound="Settings")

# --- How it starts ----------------------------------------------------------------------------------------------------


@contextmanager
def loading() -> Iterator[None]:
    """Keep the garbage collector from walking modules while they load, and afterwards: they are never freed."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settings_or_problem(*, sandbox: bool, folders: Sequence[str] | None) -> tuple["Settings", str]:
    """Read the environment for a server that starts whatever is wrong with it.

    Returns the settings and ""; or default settings, and what each call reports: a client shows its user the results of
    calls, but nothing of a server that ends before it has answered. `sandbox` and `folders` come from the command line.
    """
    from octave_mcp.ledger.records import LedgerError
    from octave_mcp.settings import Settings, SettingsError, load_settings
    from octave_mcp.tools.services import configured_ledger

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
    from octave_mcp.settings import SettingsError
    from octave_mcp.tools.services import configured_ledger

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
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port number: give one from 0 to {MAX_PORT}")
    return int(text)


def from_command_line(*, sandbox: bool, folders: Sequence[str] | None) -> dict[str, Any]:
    """Return the settings that options of the command line give, which take the place of the environment's."""
    given: dict[str, Any] = {"sandbox": True} if sandbox else {}
    return given | ({"folders": tuple(folders)} if folders else {})


# --- How it ends ------------------------------------------------------------------------------------------------------


@dataclass
class ExitCode:
    """The exit code of a command: 0, or 128 and the number of the signal that ended it."""

    value: int = 0


def shut_down_on_signals(shut_down: Callable[[], None], exit_code: ExitCode) -> None:
    """Call `shut_down` at SIGINT and SIGTERM, and set the exit code. The same signal again ends the process at once.

    SIGHUP, which a closed terminal sends, counts as SIGTERM, unless this process was started with SIGHUP ignored, as
    `nohup` does. The other two are received even if they were ignored or blocked.
    """

    def asked(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        exit_code.value = 128 + number
        shut_down()

    def hung_up(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # a terminal and its shell send one each
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGINT, asked)
    signal.signal(signal.SIGTERM, asked)
    if hasattr(signal, "SIGHUP"):  # not on Windows
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, hung_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


def exit_within(seconds: float, exit_code: ExitCode) -> None:
    """End the process after so many seconds, whatever holds it by then."""
    timer = threading.Timer(seconds, lambda: os._exit(exit_code.value))
    timer.daemon = True
    timer.start()
