"""The result of `get_generation` without an id: the latest calls and the state of their personas, each persona once."""

from collections.abc import Sequence
from typing import Any

from mcp.types import CallToolResult, TextContent

from octave_mcp.generation.outcome import Generation, Part
from octave_mcp.ledger.records import State
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.section_items import plain_oid
from octave_mcp.personas.tokens import cost
from octave_mcp.results.wording import MAX_NAME_CHARACTERS, first_few, utc

LIST_NOTE = "Newest first; a persona that several calls asked for is listed with the newest."
COLLECT_NOTE = (
    "get_generation with a generationId shows its personas, waits for pending ones, and settles unknown ones."
)
NOTHING_LISTED_NOTE = "No personas were asked for with this key lately."

_STATES = {
    State.CREATED: "created",
    State.QUEUED: "pending",
    State.SENT: "pending",
    State.UNKNOWN: "unknown",
    State.FAILED: "failed",
}
"""What results call the state of a persona."""

MAX_NAMES = 8
"""Personas of one call that are listed by name in each state; more are counted."""

_Listed = dict[str, Any]


def generation_list_result(
    generations: Sequence[Generation], *, budget: int, notes: Sequence[str] = ()
) -> CallToolResult:
    """Return the latest generations, the newest first, in at most `budget` estimated tokens."""
    listed = _each_persona_once(generations)
    count = len(listed)
    while True:
        own = [LIST_NOTE, COLLECT_NOTE] if listed else [NOTHING_LISTED_NOTE]
        if left := count - len(listed):
            own.append(f"{left} older {'one does' if left == 1 else 'ones do'} not fit here.")
        structured: _Listed = {"notes": [*notes, *own], "generations": listed}
        summary = [_summary(listed)] if listed else []
        text = "\n".join([*summary, *own, *notes, *map(_line, listed), *summary])
        if not listed or cost(structured, text) <= budget:
            return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structured)
        listed = listed[:-1]


def _summary(listed: Sequence[_Listed]) -> str:
    """Return the sentence that begins and ends the text, since some hosts show a person only one of them."""
    open_states = []
    for state in ("pending", "unknown"):
        names = [name for one in listed for name in one.get(state, ())]
        open_states += [f"{state}: {first_few(names, MAX_NAMES)}"] if names else []
    return f"Latest calls: {len(listed)}; {'; '.join(open_states) or 'nothing is pending or unknown'}."


def _each_persona_once(generations: Sequence[Generation]) -> list[_Listed]:
    """Return the generations with the personas that no newer one has; one that has no others is left out."""
    seen: set[str] = set()
    listed = []
    for generation in generations:
        parts = [(place, part) for place, part in enumerate(generation.parts) if part.item.id not in seen]
        seen |= {part.item.id for _, part in parts}
        if parts:
            names: dict[str, list[str]] = {}
            for place, part in parts:
                names.setdefault(_STATES[part.state], []).append(_name(place, part))
            shown = {state: _bounded(each) for state, each in names.items()}
            head = {"generationId": generation.id, "at": utc(generation.created_at), "status": generation.status}
            listed.append({**head, **shown})
    return listed


def _name(place: int, part: Part) -> str:
    """Return the persona's name, or its place in the request, and its oId if it has one."""
    name = shorten(clean((part.item.name or "")[:200]), MAX_NAME_CHARACTERS) or f"personas[{place}]"
    oids = [plain_oid(one.oId) for one in part.outcome.personas] if part.outcome else []
    return f"{name} ({', '.join(oids)})" if any(oids) else name


def _bounded(names: list[str]) -> list[str]:
    left = len(names) - MAX_NAMES
    return [*names[:MAX_NAMES], *([f"and {left} more"] if left > 0 else [])]


def _line(one: _Listed) -> str:
    states = [f"{state}: {', '.join(one[state])}" for state in dict.fromkeys(_STATES.values()) if state in one]
    return f"{one['generationId']}, {one['at']}, {one['status']}. {'; '.join(states)}."
