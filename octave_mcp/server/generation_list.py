"""The result of `get_generation` without an id: what is unfinished, was never collected, or is in doubt."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mcp.types import CallToolResult, TextContent

from octave_mcp.generation.ledger import State
from octave_mcp.generation.outcome import Generation
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.tokens import cost
from octave_mcp.server.results import MAX_NAMES, host_notes

__all__ = ["uncollected_result"]

UNCOLLECTED_NOTE = "Unfinished, or never collected. Call get_generation with one of these ids to collect it."
NOTHING_UNCOLLECTED_NOTE = "Nothing is unfinished or waits to be collected."
IN_DOUBT_NOTE = "In doubt: personas that never came back, and may exist. get_generation with the id looks once more."

_MAX_LISTED = 50
"""Uncollected generations that are listed at most; more are counted."""


def uncollected_result(
    generations: Sequence[Generation], *, budget: int, sandbox: bool, dropped: Sequence[str] = ()
) -> CallToolResult:
    """The result of `get_generation` without an id: what is unfinished, uncollected or in doubt, the newest first."""
    waiting = [_overview(one) for one in generations if one.waits]
    doubtful = [_overview(one) for one in generations if not one.waits]
    while True:
        notes = list(host_notes(dropped, sandbox=sandbox))
        notes.append(UNCOLLECTED_NOTE if any(one.waits for one in generations) else NOTHING_UNCOLLECTED_NOTE)
        if left := len(generations) - len(waiting) - len(doubtful):
            notes.append(f"{left} older ones are not listed.")
        structured: dict[str, Any] = {"notes": notes, "uncollected": waiting}
        lines = [*notes, *map(_line, waiting)]
        if doubtful:
            structured["inDoubt"] = doubtful
            notes.append(IN_DOUBT_NOTE)
            lines += [IN_DOUBT_NOTE, *map(_line, doubtful)]
        text = "\n".join(lines)
        if not (waiting or doubtful) or cost(structured, text) <= budget:
            return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)
        if doubtful:
            doubtful = doubtful[: min(_MAX_LISTED, len(doubtful) - 1)]
        else:
            waiting = waiting[: min(_MAX_LISTED, len(waiting) - 1)]


def _line(one: dict[str, Any]) -> str:
    counts = f"{one['asked']} asked for, {one['ready']} ready, {one['pending']} pending, {one['unknown']} may exist"
    names = f" ({', '.join(one['names'])})" if one["names"] else ""
    return f"{one['generationId']}, begun {one['begun']}: {counts}{names}"


def _overview(generation: Generation) -> dict[str, Any]:
    begun = datetime.fromtimestamp(generation.created_at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    names = [shorten(clean(part.item.name[:200]), 40) for part in generation.parts if part.item.name]
    return {
        "generationId": generation.id,
        "begun": begun,
        "asked": generation.asked,
        "ready": generation.done,
        "pending": generation.live,
        "unknown": sum(part.state is State.UNKNOWN for part in generation.parts),
        "names": names[:MAX_NAMES],
    }
