"""A generation as `octave-personas-mcp generate` prints it: for a person, or for a program.

A tool's result tells the same to a model, which has other tools to turn to.
"""

import json

from octave_mcp.generation.outcome import Generation
from octave_mcp.octave.errors import OctaveError, OutcomeUnknown, Refused
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.summary import condense

__all__ = ["as_json", "as_text", "status"]

BUDGET_TOKENS = 1_000_000
"""For the summaries: no model reads them here, so each persona has all the room that a summary takes."""

SAID_CHARACTERS = 300
"""How much of a message of Octave's is shown."""


def as_text(generation: Generation) -> str:
    """What came back, condensed, and what did not, for a person."""
    usage, made = _usage(generation), len(generation.personas)
    used = "" if usage is None else f" Usage, in credits: {usage}."
    lines = [f"Status {status(generation)}: {made} of {generation.asked} came back.{used} Id: {generation.id}"]
    if joined := sum(part.joined for part in generation.parts):
        lines.append(f"Asked for before already, and not bought again: {joined} (usage counted in here).")
    if found := sum(part.outcome.identified for part in generation.parts if part.outcome):
        lines.append(f"Identified in Octave's list by name and time, as the answer was lost; usage unknown: {found}.")
    lines += [f"Did not come back: {one['personas']}. {one['problem']}" for one in _failed(generation)]
    shown, _ = condense(generation.personas, BUDGET_TOKENS)
    if shown:
        lines.append("Condensed; --json prints whole records. Written by a language model from the sources.")
    return "\n\n".join(["\n".join(lines), *(one.text() for one in shown)]) + "\n"


def as_json(generation: Generation) -> str:
    """One JSON object for a program: whole records as Octave gave them, in ASCII, as stdout may have any encoding."""
    parts = {
        "generationId": generation.id,
        "status": status(generation),
        "usage": _usage(generation),
        "personas": [one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in generation.personas],
        "failed": _failed(generation),
    }
    return json.dumps(parts, indent=2) + "\n"


def status(generation: Generation) -> str:
    """Whether all, some or none of a settled generation came back: complete, partial or failed."""
    made, asked = len(generation.personas), generation.asked
    return "failed" if not made else "complete" if generation.created == asked <= made else "partial"


def _usage(generation: Generation) -> float | None:
    """In credits, a whole number without its `.0`."""
    usage = generation.usage
    return int(usage) if usage is not None and usage.is_integer() else usage


def _failed(generation: Generation) -> list[dict[str, str]]:
    """What did not come back, by its place in the body, and why."""
    told = [(place, part.outcome.error) for place, part in enumerate(generation.parts) if part.outcome]
    return [
        {"personas": f"personas[{place}]", "problem": _problem(error, generation.id)}
        for place, error in told
        if error is not None
    ]


def _problem(error: OctaveError, generation: str) -> str:
    """What happened, in Octave's words too, whether a persona may exist, and what to do."""
    parts = [str(error)]
    if said := clean((error.octave_message or "")[: 2 * SAID_CHARACTERS]):
        parts.append(f"Octave says: {json.dumps(shorten(said, SAID_CHARACTERS), ensure_ascii=False)}.")
    if isinstance(error, OutcomeUnknown):
        request = f" (its id of the request: {shorten(clean(error.request_id[:200]), 60)})" if error.request_id else ""
        parts.append(
            f"It may have been made and paid for all the same{request}. Look in Octave's persona library before asking "
            f"for it again; what has a name is looked for once more by: "
            f"octave-personas-mcp generate --collect {generation}"
        )
    elif isinstance(error, Refused):
        parts.append("Nothing was made. It can be asked for once more, by the same command.")
    elif error.affects_every_call:
        parts.append("Nothing was made. What to do: octave-personas-mcp doctor")
    else:
        parts.append("Nothing was made. Change what this is about before asking for it again.")
    return " ".join(parts)
