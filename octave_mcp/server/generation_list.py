"""The result of `get_generation` without an id: what is unfinished, was never collected, or is in doubt."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from mcp.types import CallToolResult, TextContent

from octave_mcp.generation.outcome import Generation
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.tokens import cost
from octave_mcp.server.results import MAX_NAMES, host_notes

__all__ = ["latest_result"]

LATEST_NOTE = "The latest generations, the newest first. Call get_generation with one of these ids to see its personas."
NO_GENERATION_NOTE = "There are no generations yet."


def latest_result(
    generations: Sequence[Generation], *, budget: int, sandbox: bool, dropped: Sequence[str] = ()
) -> CallToolResult:
    """Return the result of `get_generation` without an id: the latest generations with their state."""
    listed = [_overview(one) for one in generations]
    while True:
        notes = [*host_notes(dropped, sandbox=sandbox), LATEST_NOTE if listed else NO_GENERATION_NOTE]
        structured: dict[str, Any] = {"notes": notes, "generations": listed}
        text = "\n".join([*notes, *map(_line, listed)])
        if not listed or cost(structured, text) <= budget:
            return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)
        listed = listed[:-1]


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
        "ready": generation.created,
        "pending": generation.live,
        "unknown": generation.unknown,
        "names": names[:MAX_NAMES],
    }
