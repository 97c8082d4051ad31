"""`octave-personas-mcp doctor`: check the key, the network and the settings, and say what to do about each problem.

It costs nothing: of Octave it asks only whose the key is. It never shows the key, nor a part of it.
"""

import argparse
import math
import platform
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import anyio
from pydantic import SecretStr

from octave_mcp.commands.process import BAD_SETTINGS, FAILED
from octave_mcp.commands.starting import print_any_text
from octave_mcp.generation.databases import open_ledger
from octave_mcp.generation.records import LedgerError
from octave_mcp.observability.environment import drop_unusable_variables
from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import Busy, KeyProblem, OctaveError, SetupProblem
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.lookups import Credits, Workspace
from octave_mcp.octave.proxy import route_to
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.settings import DEFAULT_BASE_URL, POSTGRES, Settings, SettingsError, load_settings

__all__ = ["Report", "add_arguments", "examine", "run"]

DISTRIBUTIONS = ("octave-personas-mcp", "mcp", "httpx", "pydantic")

REACH_SECONDS = 10.0
"""For one connection; whatever answers at all does so sooner."""

LOOK_UP_SECONDS = 20.0
"""For asking whose the key is, all tries together."""

MAX_CLOCK_SECONDS = 60.0
"""A persona whose answer was lost is found in Octave by the time it was made: the clocks have to agree that well."""

SAID_CHARACTERS = 200
"""How much of a text of Octave's is shown."""

_SET_KEY = (
    "set OCTAVE_API_KEY to the key of your Octave workspace, or OCTAVE_API_KEY_FILE to a file that holds it; with "
    "--sandbox none is needed"
)
_SET_ORIGIN = f"set OCTAVE_BASE_URL to Octave's own origin, by default {DEFAULT_BASE_URL}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = "Check the key, network and settings, and say how to fix problems. Free; never prints the key."
    parser.epilog = "Exit code: 0 all is well; 1 something failed; 2 settings."


def run(options: argparse.Namespace) -> int:
    """Check everything, and print it. Return the exit code."""
    print_any_text()
    report = anyio.run(partial(examine, sandbox=options.sandbox))
    return BAD_SETTINGS if report.settings_unusable else FAILED if report.failed else 0


class Report:
    """Prints one line for each check as it is made, and remembers whether one failed."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self.failed = False
        self.settings_unusable = False

    def ok(self, check: str, text: str) -> None:
        """This is well."""
        self._line("ok", check, text)

    def warn(self, check: str, text: str) -> None:
        """This works, and is not as it should be."""
        self._line("warn", check, text)

    def fail(self, check: str, text: str) -> None:
        """This does not work; the text says what to do."""
        self.failed = True
        self._line("FAIL", check, text)

    def skip(self, why: str, *checks: str) -> None:
        """These are pointless, as something before them failed."""
        for check in checks:
            self._line("skip", check, why)

    def _line(self, mark: str, check: str, text: str) -> None:
        print(f"{mark:<5} {check:<11}  {clean(text)}", flush=True)


async def examine(*, sandbox: bool = False) -> Report:
    """Check everything, and print it."""
    report = Report()
    _versions(report)
    _telemetry(report)
    try:
        settings = load_settings(sandbox=True) if sandbox else load_settings()
    except SettingsError as error:
        _unusable(report, str(error).splitlines())
        return report
    # What is logged as a warning is in the report, with what to do.
    level = "ERROR" if settings.log_level == "WARNING" else settings.log_level
    configure_logging(level, Secrets(settings.api_key))
    told = "usable" + ("; the sandbox: made-up data, in this process" if settings.sandbox else "")
    report.ok("settings", told)
    workspace, answered_at = await _octave(report, settings)
    await _store(report, settings)
    _clock(report, workspace, answered_at)
    return report


# --- On this machine --------------------------------------------------------------------------------------------------


def _versions(report: Report) -> None:
    found = {name: _version(name) for name in DISTRIBUTIONS}
    told = [f"{name} {number}" for name, number in found.items()]
    report.ok("versions", ", ".join([told[0], f"Python {platform.python_version()}", *told[1:]]))


def _telemetry(report: Report) -> None:
    """Name the variables of OpenTelemetry that this server ignores. Without any there is nothing to report."""
    if dropped := drop_unusable_variables():
        report.warn("telemetry", f"what {', '.join(dropped)} names is not installed or not used here, and is ignored")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # run from its sources, or packed into one file
        return "(not installed as a package)"


def _unusable(report: Report, problems: list[str]) -> None:
    """Tell which settings cannot be used, and that without them nothing else can be checked."""
    report.failed = report.settings_unusable = True
    keys = [problem for problem in problems if problem.startswith("OCTAVE_API_KEY")]
    others = [problem for problem in problems if problem not in keys]
    if others:
        report.fail("settings", "; ".join(others))
    else:
        report.ok("settings", "usable, but for the key")
    if keys:
        report.fail("key", "; ".join([*keys, _SET_KEY]))
    else:
        report.skip("settings come first", "key")
    first = "settings come first" if others else "the key comes first"
    checks = ("origin", "certificate", "key valid", "workspace", "credits", "store", "clock")
    report.skip(first, *checks)


async def _store(report: Report, settings: Settings) -> None:
    """Write to the ledger, which changes nothing of what it holds."""
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


def _clock(report: Report, workspace: Workspace | None, answered_at: float) -> None:
    if workspace is None:
        report.skip("Octave's time is not known", "clock")
        return
    theirs = _seconds(workspace.metadata.timestamp)
    if theirs is None:
        report.skip("Octave's answer does not tell the time", "clock")
        return
    ahead = answered_at - theirs
    if abs(ahead) > MAX_CLOCK_SECONDS:
        apart = f"{abs(ahead):.0f} seconds {'ahead of' if ahead > 0 else 'behind'} Octave's"
        report.warn(
            "clock", f"{apart}: set this machine's clock, as a persona whose answer was lost is looked for by its time"
        )
    else:
        report.ok("clock", "agrees with Octave's")


def _seconds(timestamp: str | None) -> float | None:
    """A time as Octave writes it, in seconds since the epoch; None for a day alone, or for nonsense."""
    if timestamp is None or "T" not in timestamp:
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


# --- Octave -----------------------------------------------------------------------------------------------------------


async def _octave(report: Report, settings: Settings) -> tuple[Workspace | None, float]:
    """Check the key and the way to Octave. Returns Octave's answer, if there is one, and when it came."""
    has_key = _key(report, settings)
    reached = await _origin(report, settings)
    if not (has_key and reached):
        why = "the origin is not reached" if has_key else "there is no key to ask with"
        report.skip(why, "certificate", "key valid", "workspace", "credits")
        return None, 0.0
    workspace, problem = None, None
    try:
        async with _client(settings) as client:
            workspace = await LookupClient(client, seconds=LOOK_UP_SECONDS).workspace()
    except OctaveError as error:
        problem = error
    answered_at = time.time()
    trusted = _certificate(report, settings, problem)
    if workspace and workspace.valid is False:
        problem = KeyProblem("Octave says that this API key is not valid.")
    if problem:
        if trusted:
            report.fail("key valid", _advised(problem))
        else:
            report.skip("the certificate comes first", "key valid")
        report.skip("Octave did not say", "workspace", "credits")
    elif workspace:
        report.ok("key valid", "Octave knows it")
        _workspace(report, workspace)
        _credits(report, workspace.credits)
    return workspace, answered_at


def _key(report: Report, settings: Settings) -> bool:
    if settings.sandbox:
        report.ok("key", "none needed")
    elif settings.api_key is None:
        report.fail("key", f"there is none: {_SET_KEY}")
    else:
        report.ok("key", f"set in {'OCTAVE_API_KEY_FILE' if settings.api_key_file else 'OCTAVE_API_KEY'}, well formed")
    return settings.sandbox or settings.api_key is not None


async def _origin(report: Report, settings: Settings) -> bool:
    """Whether there is something at the base URL, or at the proxy on the way there."""
    if settings.sandbox:
        report.ok("origin", "the sandbox, in this process")
        return True
    origin = settings.base_url
    route = route_to(origin)
    for problem in route.ignored:
        report.warn("proxy", f"{problem}: it is ignored")
    parts, proxy = urlsplit(origin), route.proxy
    host = proxy.host if proxy else parts.hostname or ""
    port = proxy.port if proxy else parts.port or (443 if parts.scheme == "https" else 80)
    way = f"the proxy {host}:{port}, on the way to {origin}," if proxy else f"{host}:{port}"
    amend = "check the network, the firewall and " + (
        f"{proxy.setting}" if proxy else "OCTAVE_BASE_URL; where a proxy is needed, set HTTPS_PROXY"
    )
    try:
        with anyio.fail_after(REACH_SECONDS):
            async with await anyio.connect_tcp(host, port):
                pass
    except TimeoutError:
        report.fail("origin", f"{way} does not answer within {REACH_SECONDS:g} seconds: {amend}")
    except (socket.gaierror, UnicodeError):
        report.fail("origin", f"{way} is no name that this machine can resolve: {amend}")
    except OSError:
        report.fail("origin", f"{way} cannot be reached: {amend}")
    else:
        report.ok("origin", f"{origin} is reachable" + (f" through the proxy {host}:{port}" if proxy else ""))
        return True
    return False


def _client(settings: Settings) -> OctaveClient:
    if not settings.sandbox:
        return OctaveClient(settings.base_url, settings.api_key)
    from octave_mcp.sandbox import build_sandbox

    return OctaveClient("http://localhost", SecretStr("sandbox"), app=build_sandbox())


def _certificate(report: Report, settings: Settings, problem: OctaveError | None) -> bool:
    """Whether the certificate is none of the problems."""
    if settings.sandbox or urlsplit(settings.base_url).scheme == "http":
        report.ok("certificate", "not needed")
    elif problem is None or problem.status is not None:
        report.ok("certificate", "trusted by this machine")
    elif isinstance(problem, SetupProblem) and "certificate" in str(problem):
        report.fail(
            "certificate",
            f"{problem} Add the authority that signed it (a company's proxy often has its own) to the operating "
            f"system's trusted ones, or {_SET_ORIGIN}",
        )
        return False
    else:
        report.skip("no answer that would tell", "certificate")
    return True


def _advised(problem: OctaveError) -> str:
    """What happened, in Octave's words too, and what to do."""
    said = f" Octave says: {_shown(problem.octave_message)}." if problem.octave_message else ""
    if isinstance(problem, KeyProblem):
        advice = f"Look at the key in Octave, then {_SET_KEY}"
    elif isinstance(problem, SetupProblem):
        advice = f"Check this machine's proxy settings, and {_SET_ORIGIN}"
    elif isinstance(problem, Busy):
        waits = problem.retry_after is not None and math.isfinite(problem.retry_after)
        advice = f"Run this again in {math.ceil(problem.retry_after or 0)} seconds" if waits else "Run this again later"
    else:
        advice = f"Run this again; if that does not help, check the network, and {_SET_ORIGIN}"
    return f"{problem}{said} {advice}"


def _workspace(report: Report, workspace: Workspace) -> None:
    oid = f" ({_shown(workspace.workspaceOId)})" if workspace.workspaceOId else ""
    organization = f", of {_shown(workspace.organizationName)}" if workspace.organizationName else ""
    report.ok("workspace", f"{_shown(workspace.workspaceName) or 'without a name'}{oid}{organization}")


def _credits(report: Report, credit: Credits) -> None:
    told = list(_counts(credit))
    text = "; ".join(text for _, text in told)
    if not told:
        report.ok("credits", "Octave does not tell how many are left")
    elif max(left for left, _ in told) <= 0:
        report.warn("credits", f"{text}: have credits added to the workspace, else nothing can be generated")
    else:
        report.ok("credits", text)


def _counts(credit: Credits) -> Iterator[tuple[float, str]]:
    """How many are left, and that in words: in the period, and in all."""
    period = f" in the period {_shown(credit.period)}" if credit.period else " in the period"
    for left, most, when in (
        (credit.quotaAvailable, credit.quotaMax, period),
        (credit.totalRemaining, credit.totalMax, " in all"),
    ):
        if left is not None:
            yield left, f"{left:,.10g}{'' if most is None else f' of {most:,.10g}'} left{when}"
    if credit.quotaAvailable is None and credit.totalRemaining is None and credit.creditsAvailable is not None:
        yield credit.creditsAvailable, f"{credit.creditsAvailable:,.10g} left"


def _shown(text: str | None) -> str:
    """A text of Octave's, made safe to show."""
    return shorten(clean((text or "")[: SAID_CHARACTERS * 2]), SAID_CHARACTERS)
