"""What `doctor` checks on the way to Octave: the origin, its certificate, the key, the workspace and its credits."""

import math
import socket
import time
from urllib.parse import urlsplit

import anyio

from octave_mcp.commands.doctor_checks import SET_KEY, Report
from octave_mcp.commands.spending_preview import credit_counts
from octave_mcp.octave.errors import Busy, KeyProblem, OctaveError, SetupProblem
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.lookup_models import Credits, Workspace
from octave_mcp.octave.proxy import route_to
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.settings import DEFAULT_BASE_URL, Settings
from octave_mcp.tools.services import octave_client, server_key

REACH_SECONDS = 10.0
"""Bound on one connection; whatever answers at all does so sooner."""

LOOK_UP_SECONDS = 20.0
"""Bound on asking whose the key is, all tries together."""

MESSAGE_CHARACTERS = 200
"""How much of a text of Octave's is shown."""

FORBIDDEN = 403

_SET_ORIGIN = f"set OCTAVE_BASE_URL to Octave's own origin, by default {DEFAULT_BASE_URL}"


async def check_octave(report: Report, settings: Settings) -> tuple[Workspace | None, float]:
    """Check the key and the way to Octave. Return Octave's answer, if there is one, and when it came."""
    key = server_key(settings)
    reached = await _origin(report, settings)
    if key is None or not reached:
        why = "the origin is not reached" if key else "there is no key to ask with"
        report.skip(why, "certificate", "key valid", "workspace", "credits")
        return None, 0.0
    workspace, problem = None, None
    try:
        async with octave_client(settings, key) as client:
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
        report.ok("key valid", "Octave accepts it")
        _workspace(report, workspace)
        _credits(report, workspace.credits)
    return workspace, answered_at


async def _origin(report: Report, settings: Settings) -> bool:
    """Return whether something answers at the base URL, or at the proxy on the way there."""
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
        report.fail("origin", f"cannot resolve {way.removesuffix(',')}: {amend}")
    except OSError:
        report.fail("origin", f"{way} cannot be reached: {amend}")
    else:
        report.ok("origin", f"{origin} is reachable" + (f" through the proxy {host}:{port}" if proxy else ""))
        return True
    return False


def _certificate(report: Report, settings: Settings, problem: OctaveError | None) -> bool:
    """Return whether the certificate is none of the problems."""
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
        report.skip("there was no answer", "certificate")
    return True


def _advised(problem: OctaveError) -> str:
    """Return what happened, in Octave's words too, and what to do."""
    said = f" Octave says: {_shown(problem.octave_message)}." if problem.octave_message else ""
    if isinstance(problem, KeyProblem) and problem.status == FORBIDDEN:
        advice = f"The workspace's plan may not include the API: ask Octave. Otherwise look at the key, then {SET_KEY}"
    elif isinstance(problem, KeyProblem):
        advice = f"Look at the key in Octave (Settings > API Keys), then {SET_KEY}"
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
    left = [one for one in (credit.quotaAvailable, credit.totalRemaining) if one is not None]
    left = left or [one for one in (credit.creditsAvailable,) if one is not None]
    text = "; ".join(credit_counts(credit))
    if not left:
        report.ok("credits", "Octave does not say how many are left")
    elif max(left) <= 0:
        report.warn("credits", f"{text}: add credits in Octave, as nothing can be generated without")
    else:
        report.ok("credits", text)


def _shown(text: str | None) -> str:
    """Return a text of Octave's, made safe to show."""
    return shorten(clean((text or "")[: MESSAGE_CHARACTERS * 2]), MESSAGE_CHARACTERS)
