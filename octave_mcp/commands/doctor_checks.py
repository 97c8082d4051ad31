"""What `doctor` checks on this machine, and how it reports: a line for each check, and a verdict."""

import platform
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from octave_mcp.clients.model import TOKEN
from octave_mcp.http.settings import HttpSettings
from octave_mcp.ledger.databases import open_ledger
from octave_mcp.ledger.records import LedgerError
from octave_mcp.observability.environment import drop_unusable_variables
from octave_mcp.octave.lookup_models import Workspace
from octave_mcp.personas.cleaning import clean
from octave_mcp.settings import POSTGRES, Settings, misspelt_settings, setting_name

DISTRIBUTIONS = ("octave-personas-mcp", "mcp", "httpx", "pydantic")

MAX_CLOCK_SECONDS = 60.0
"""A persona whose answer was lost is found in Octave by the time of its creation: clocks have to agree that well."""

LATER_CHECKS = ("origin", "certificate", "key valid", "workspace", "credits", "store", "clock")
"""The checks that need usable settings."""

SET_KEY = (
    "set OCTAVE_API_KEY to the key of your Octave workspace, or OCTAVE_API_KEY_FILE to a file that holds it; with "
    "--sandbox no key is needed"
)

KNOWN_NAMES = frozenset(setting_name(field) for field in HttpSettings.model_fields) | {TOKEN.variable}
"""Every variable that a server or a client's configuration reads."""


class Report:
    """Prints one line for each check as it is made, and at the end a verdict."""

    def __init__(self) -> None:
        """Begin without problems."""
        self.settings_unusable = False
        self._problems: list[str] = []
        self._warnings: list[str] = []

    @property
    def failed(self) -> bool:
        """Return whether a check failed."""
        return bool(self._problems)

    def ok(self, check: str, text: str) -> None:
        """Report that this is well."""
        self._line("ok", check, text)

    def warn(self, check: str, text: str) -> None:
        """Report that this works, and is not as it should be."""
        self._warnings.append(check)
        self._line("warn", check, text)

    def fail(self, check: str, text: str) -> None:
        """Report that this does not work; the text says what to do."""
        self._problems.append(check)
        self._line("FAIL", check, text)

    def skip(self, why: str, *checks: str) -> None:
        """Report that these checks are pointless, as something before them failed."""
        print(f"skip  {', '.join(checks)}: {why}", flush=True)

    def verdict(self, good: str) -> None:
        """Print the number of problems and warnings; `good` if there are none."""
        said = [_counted(len(self._problems), "problem", self._problems)] if self._problems else []
        said += [_counted(len(self._warnings), "warning", self._warnings)] if self._warnings else []
        print(f"\n{'; '.join(said)}" if said else f"\n{good}", flush=True)

    def _line(self, mark: str, check: str, text: str) -> None:
        print(f"{mark:<5} {check:<11}  {clean(text)}", flush=True)


def _counted(count: int, what: str, checks: list[str]) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}: {', '.join(checks)}"


def check_program(report: Report) -> None:
    """Report the versions, and whether all that the server imports can be imported."""
    found = {name: _version(name) for name in DISTRIBUTIONS}
    texts = [f"{name} {number}" for name, number in found.items()]
    report.ok("versions", ", ".join([texts[0], f"Python {platform.python_version()}", *texts[1:]]))
    try:
        import_module("octave_mcp.server.app")
    except Exception as error:  # noqa: BLE001 - whatever it is would end the server's start
        report.fail("program", f"the server cannot be loaded ({type(error).__name__}): install it again")
    if dropped := drop_unusable_variables():
        report.warn("telemetry", f"what {', '.join(dropped)} names is not installed or not used here, and is ignored")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from its sources, or packed into one file
        return "(not installed as a package)"


def check_names(report: Report, names: Mapping[str, object] | None = None) -> None:
    """Warn of variables that are named like settings and are none: of the environment, or of a client's `names`."""
    for name, near in misspelt_settings(KNOWN_NAMES, names).items():
        report.warn("names", f"{name} is not a setting" + (f": did you mean {near}?" if near else " of this server"))


def check_unusable_settings(report: Report, problems: list[str]) -> None:
    """Report which settings cannot be used, and that without them nothing else can be checked."""
    report.settings_unusable = True
    keys = [problem for problem in problems if problem.startswith("OCTAVE_API_KEY")]
    if others := [problem for problem in problems if problem not in keys]:
        report.fail("settings", "; ".join(others))
    else:
        report.ok("settings", "usable, except for the key")
    if keys:
        both = any("both set" in problem for problem in keys)
        report.fail("key", "; ".join(keys if both else [*keys, SET_KEY]))
    why = "correct the settings first" if others else "correct the key first"
    report.skip(why, *([] if keys else ["key"]), *LATER_CHECKS)


def check_key(report: Report, settings: Settings) -> None:
    """Report whether there is a key, and whether others can read its file."""
    path = settings.api_key_file
    if settings.sandbox:
        report.ok("key", "none needed")
    elif settings.api_key is None:
        report.fail("key", f"there is none: {SET_KEY}")
    else:
        report.ok("key", f"set in {'OCTAVE_API_KEY_FILE' if path else 'OCTAVE_API_KEY'}, well formed")
    if path and sys.platform != "win32":
        mode = stat.S_IMODE(path.expanduser().stat().st_mode)
        if mode & 0o077:
            report.warn("key file", f"other users of this machine can read {path}: chmod 600 {path}")


async def check_ledger(report: Report, settings: Settings) -> None:
    """Write to the ledger, which changes nothing that it holds."""
    path, in_postgres = settings.ledger_path, (settings.state_url or "").startswith(POSTGRES)
    ledger = None
    try:
        ledger = open_ledger(settings.state_url, path)
        await ledger.check()
        await ledger.generation("doctor", "none")
    except LedgerError as error:
        report.fail("store", f"{error} The file is {path}" if path else str(error))
    else:
        memory = "PostgreSQL can be written" if in_postgres else "in memory: it ends with the process"
        report.ok("store", f"{path} can be written" if path else memory)
    finally:
        with suppress(LedgerError):
            if ledger:
                await ledger.close()


def check_clock(report: Report, workspace: Workspace | None, answered_at: float) -> None:
    """Compare this machine's clock with Octave's."""
    if workspace is None:
        report.skip("Octave's time is not known", "clock")
        return
    theirs = _seconds(workspace.metadata.timestamp)
    if theirs is None:
        report.skip("Octave's answer does not have the time", "clock")
        return
    ahead = answered_at - theirs
    if abs(ahead) > MAX_CLOCK_SECONDS:
        apart = f"{abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} Octave's"
        report.warn(
            "clock",
            f"{apart}: set this machine's clock, as personas whose answers were lost are found by time",
        )
    else:
        report.ok("clock", "agrees with Octave's")


def _seconds(timestamp: str | None) -> float | None:
    """Return a time as Octave writes it, in seconds since the epoch; None for a day alone, or for nonsense."""
    if timestamp is None or "T" not in timestamp:
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
