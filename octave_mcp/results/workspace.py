"""The result of `check_workspace`: the balance first, then Octave's other figures, and what personas have cost here."""

from collections.abc import Sequence
from typing import Any

from mcp.types import CallToolResult, TextContent

from octave_mcp.generation.service import GenerationService
from octave_mcp.ledger.records import LedgerError, Spending
from octave_mcp.octave.lookup_models import Credits, Workspace
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.tokens import cost
from octave_mcp.results.wording import plain_number

NO_BALANCE_NOTE = "The balance is not known: Octave did not report it."

NAME_CHARACTERS = (120, 20)
"""Characters of a name: as many as usual, and as many if the result would not fit."""

_NAMES = {"workspaceName": "Workspace", "workspaceOId": "Workspace oId", "organizationName": "Organization"}

_BALANCES = ("totalRemaining", "creditsAvailable", "quotaAvailable")
"""Octave's figures that say what is left, the most telling first."""

_CREDITS = {
    "totalRemaining": "left in all",
    "totalUsed": "used in all",
    "totalMax": "granted in all",
    "quotaAvailable": "left in this period",
    "quotaUsed": "used in this period",
    "quotaMax": "granted for this period",
    "creditsAvailable": "available",
    "creditsUsed": "used",
}
"""Octave's figures, and what they are in words."""


async def workspace_result(
    workspace: Workspace, service: GenerationService, notes: Sequence[str], *, budget: int
) -> CallToolResult:
    """Return the balance, the workspace and what was spent, in at most `budget` estimated tokens."""
    try:
        spent = _spending(await service.spending())
    except LedgerError as error:
        spent = f"What personas have cost here cannot be told: {error}"
    for characters in NAME_CHARACTERS:
        structured, text = _shown(workspace, [spent, *notes], characters)
        if cost(structured, text) <= budget:
            break
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)


def balance_of(credit: Credits) -> float | None:
    """Return how many credits are left, or None if Octave did not report it."""
    return next((left for name in _BALANCES if (left := getattr(credit, name)) is not None), None)


def _shown(workspace: Workspace, notes: Sequence[str], characters: int) -> tuple[dict[str, Any], str]:
    counts = {name: getattr(workspace.credits, name) for name in _CREDITS}
    figures = {name: plain_number(value) for name, value in counts.items() if value is not None}
    left = balance_of(workspace.credits)
    balance = None if left is None else plain_number(left)
    names = {name: shorten(clean((getattr(workspace, name) or "")[:400]), characters) for name in _NAMES}
    names = {name: value for name, value in names.items() if value}
    structured: dict[str, Any] = {} if balance is None else {"balance": balance}
    lines = [f"{NO_BALANCE_NOTE if balance is None else f'Balance: {balance} credits.'} The key works."]
    lines += [f"{_NAMES[name]}: {value}" for name, value in names.items()]
    structured |= names
    if figures:
        period = shorten(clean((workspace.credits.period or "")[:100]), characters)
        listed = "; ".join(f"{value} {_CREDITS[name]} ({name})" for name, value in figures.items())
        lines.append(f"Octave's figures{f', period {period}' if period else ''}: {listed}.")
        structured["credits"] = {**figures, **({"period": period} if period else {})}
    shown = [*notes, *([NO_BALANCE_NOTE] if balance is None else [])]
    structured["notes"] = shown
    return structured, "\n".join([*lines, *notes])


def _spending(spent: Spending) -> str:
    """Return what personas have cost with this key, as far as this server recorded it."""
    if not spent.personas:
        return "No persona was created here with this key in the last 7 days, so what one costs is not known."
    day = f"{spent.day_personas} in the last 24 hours{_credits(spent.day_credits)}"
    week = f"{spent.personas} in the last 7 days{_credits(spent.credits)}"
    each = ""
    if spent.average is not None:
        each = f"; on average {plain_number(round(spent.average, 1))} credits each"
    if unpriced := spent.personas - spent.priced:
        each += f"; the cost of {unpriced} is not known"
    return f"Personas created here with this key: {day}, {week}{each}."


def _credits(value: float | None) -> str:
    return "" if value is None else f" ({plain_number(value)} credits)"
