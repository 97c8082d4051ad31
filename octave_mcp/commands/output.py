"""What `generate` shows: a generation for a person or for a program, and its progress.

A tool's result says the same to a model, which has other tools to turn to.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from octave_mcp.generation.outcome import Generation, NameExists
from octave_mcp.generation.service import Progress, no_progress
from octave_mcp.octave.errors import NoCredits, OctaveError, OutcomeUnknown, Refused
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.formats import Format, as_csv, as_markdown, format_of
from octave_mcp.personas.section_items import plain_oid
from octave_mcp.personas.summary import condense

SUMMARY_TOKENS = 1_000_000
"""For the condensed personas: no model reads them here, so each has all the room that it takes."""

MESSAGE_CHARACTERS = 300
"""How much of a message of Octave's is shown."""


def in_format(generation: Generation, form: Format) -> str:
    """Return a settled generation in a format. Markdown and CSV hold the personas only; `summary` has the rest."""
    match form:
        case "json":
            return _as_json(generation)
        case "markdown":
            return as_markdown(generation.personas)
        case "csv":
            return as_csv(generation.personas)
        case _:
            shown, _ = condense(generation.personas, SUMMARY_TOKENS)
            note = ["Condensed; --format markdown has everything. Written by a language model from the sources."]
            parts = [summary(generation), *(note if shown else []), *(one.text() for one in shown)]
            return "\n\n".join(parts) + "\n"


def summary(generation: Generation) -> str:
    """Return what became of a generation: how many personas, what they cost, and what failed; a line each."""
    made, asked, usage = len(generation.personas), generation.asked, generation.usage
    charged = "" if usage is None else f", {credits_text(usage)}"
    errors = _errors(generation)
    is_open = not made and any(isinstance(error, OutcomeUnknown) for _, error in errors)
    done = "Not settled" if is_open else _DONE[generation.status]
    lines = [f"{done}: {made} of {asked} personas{charged}. Generation {generation.id}"]
    if joined := sum(part.joined and part.outcome is not None for part in generation.parts):
        then = generation.earlier_usage
        cost = "" if then is None else f" ({credits_text(then)} then)"
        lines.append(f"Requested earlier{cost}, and not charged again: {joined}. --new creates other personas.")
    if found := sum(part.outcome.identified for part in generation.parts if part.outcome):
        lines.append(f"Recovered from Octave's list after the answer was lost, usage unknown: {found}.")
    for where, error in errors:
        fate = "Unknown" if isinstance(error, OutcomeUnknown) else "Failed"
        lines.append(f"{fate}: {where}. {_problem(error, generation.id)}")
    return "\n".join(lines)


_DONE = {"complete": "Done", "partial": "Partly done", "pending": "Not done yet", "failed": "Failed"}


def credits_text(count: float) -> str:
    """Return a number of credits in words."""
    return f"{count:,.10g} credit{'' if count == 1 else 's'}"


def report(text: str) -> None:
    """Print something that is not a result, on stderr, which may be gone."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def unwritable(path: Path | None, form: Format | None) -> str:
    """Return why a result could not be written to a file, or to stdout; empty if it can be.

    Without `form` the ending of the file's name says in which form it is written.
    """
    if path is None:
        return "stdout is closed" if sys.stdout is None else ""
    if form is None and format_of(path) is None:
        return f"{path}: {path.suffix} files cannot be written. Use .md, .csv, .json or .txt, or choose with --format"
    is_new = not os.path.lexists(path)
    try:
        path.open("ab").close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "there can be no such name"
        return f"{path} cannot be written: {reason}"
    if is_new:
        with suppress(OSError):
            path.unlink()
    return ""


def write(text: str, path: Path | None) -> bool:
    """Write a result to a file, or to stdout. Return whether all of it was written: a disk may be full."""
    try:
        if path:
            path.write_text(text, encoding="utf-8-sig" if path.suffix.lower() == ".csv" else "utf-8", newline="")
        else:
            sys.stdout.write(text)
            sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True


def _as_json(generation: Generation) -> str:
    """Return one JSON object: whole records as Octave gave them, in ASCII, as stdout may have any encoding."""
    parts = {
        "generationId": generation.id,
        "status": generation.status,
        "usage": _number(generation.usage),
        "earlierUsage": _number(generation.earlier_usage),
        "personas": [one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in generation.personas],
        "failed": [
            {"personas": where, "problem": _problem(error, generation.id)} for where, error in _errors(generation)
        ],
    }
    return json.dumps(parts, indent=2) + "\n"


def _number(usage: float | None) -> float | None:
    """Return a number of credits, a whole one without its `.0`."""
    return int(usage) if usage is not None and usage.is_integer() else usage


def _errors(generation: Generation) -> list[tuple[str, OctaveError]]:
    """Return each persona that did not come back, by its place in the body, and why."""
    outcomes = [(place, part.outcome) for place, part in enumerate(generation.parts) if part.outcome]
    return [(f"personas[{place}]", outcome.error) for place, outcome in outcomes if outcome.error is not None]


def _problem(error: OctaveError, generation: str) -> str:
    """Return what happened, in Octave's words too, whether a persona may exist, and what to do."""
    parts = [str(error)]
    if message := clean((error.octave_message or "")[: 2 * MESSAGE_CHARACTERS]):
        parts.append(f"Octave says: {json.dumps(shorten(message, MESSAGE_CHARACTERS), ensure_ascii=False)}.")
    match error:
        case OutcomeUnknown():
            request = (
                f" (Octave's request id: {shorten(clean(error.request_id[:200]), 60)})" if error.request_id else ""
            )
            parts.append(
                f"The persona may exist and have been charged{request}. Look in Octave's persona library before asking "
                f"for it again. To search for it by its name: octave-personas-mcp generate --collect {generation}"
            )
        case NameExists() if error.generation:
            parts.append(
                "Nothing was sent for this one. To wait for that outcome: octave-personas-mcp generate --collect "
                f"{error.generation}"
            )
        case NameExists():
            oid = plain_oid(error.oid)
            known = f"It has the oId {oid}. " if oid else ""
            parts.append(f"{known}Nothing was charged. --new creates another one.")
        case NoCredits():
            parts.append("Nothing was created. Add credits in Octave, then run the same command again.")
        case Refused():
            parts.append("Nothing was created. Run the same command again.")
        case _ if error.affects_every_call:
            parts.append("Nothing was created. octave-personas-mcp doctor says what to do.")
        case _:
            parts.append("Nothing was created. Change what this is about, then run the command again.")
    return " ".join(parts)


# --- Progress ---------------------------------------------------------------------------------------------------------


def progress_lines(total: int | None) -> Progress:
    """Return what prints progress on stderr, a line for each change; nothing is printed if that is no terminal.

    `total` is None if it is not known yet.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        return no_progress
    shown = "collecting" if total is None else f"0 of {total} ready"
    report(shown)

    async def print_change(_: float, __: int, message: str) -> None:
        nonlocal shown
        if message != shown:
            shown = message
            report(message)

    return print_change
