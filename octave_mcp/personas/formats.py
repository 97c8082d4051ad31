"""Personas as files that other programs read: Markdown, CSV and JSON. Nothing is left out of them."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, get_args

from octave_mcp.octave.models import Persona
from octave_mcp.octave.sections import SECTIONS
from octave_mcp.personas.record import Record, record

Format = Literal["text", "markdown", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

UNBOUNDED_TOKENS = 1_000_000
"""No model reads these files, so a record has all the room that it takes."""

_SUFFIXES: dict[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".csv": "csv",
    ".json": "json",
    ".txt": "text",
    "": "text",
}

_LABELS = {section.key: section.label for section in SECTIONS} | {"details": "Details"}

_COLUMNS = tuple(key for key in _LABELS if key not in {"disqualifyingQuestions", "details"})
"""The columns of a CSV file after oId and name; a record has both kinds of questions under one key."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""The beginnings of a cell that spreadsheets run as a formula."""


def format_of(path: Path) -> Format | None:
    """Return the format that the ending of a file's name stands for: text if it has none, None if it is another's."""
    return _SUFFIXES.get(path.suffix.lower())


def as_markdown(personas: Sequence[Persona]) -> str:
    """Return the personas as Markdown: a heading each, and one for each of its sections."""
    return "\n".join(map(_markdown, _records(personas)))


def as_csv(personas: Sequence[Persona]) -> str:
    """Return a row for each persona and a column for each section, whose items are lines of one cell."""
    return _table(
        ("oId", "name", *_COLUMNS),
        (
            (
                one.oid,
                one.name,
                *("\n".join(item.text for item in one.items if item.section == key) for key in _COLUMNS),
            )
            for one in _records(personas)
        ),
    )


def job_titles_csv(personas: Sequence[Persona]) -> str:
    """Return each job title once, however it is written, with the personas that have it."""
    found: dict[str, tuple[str, list[str]]] = {}
    for one in _records(personas):
        for item in one.items:
            if item.section == "commonJobTitles":
                _, names = found.setdefault(item.text.casefold(), (item.text, []))
                if one.name not in names:
                    names.append(one.name)
    return _table(("jobTitle", "personas"), ((title, "\n".join(names)) for title, names in found.values()))


def as_json(personas: Sequence[Persona]) -> str:
    """Return a list of the records as Octave gave them, in ASCII, as stdout may have any encoding."""
    records = [one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in personas]
    return json.dumps(records, indent=2) + "\n"


def _records(personas: Iterable[Persona]) -> Iterable[Record]:
    return (record(persona, UNBOUNDED_TOKENS) for persona in personas)


def _markdown(one: Record) -> str:
    lines = [f"## {one.name}", "", f"oId: `{one.oid}`", ""]
    section = ""
    for item in one.items:
        text = item.text.replace("\n", "\n  ")
        if item.section == "description":
            lines += [item.text, ""]
            continue
        if item.section != section:
            lines += [*([""] if section else []), f"### {_LABELS[item.section]}", ""]
            section = item.section
        lines.append(f"- {text}")
    return "\n".join(lines).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(head)
    writer.writerows([_cell(text) for text in row] for row in rows)
    return written.getvalue()


def _cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: what is in it was written elsewhere."""
    return f"'{text}" if text.startswith(_FORMULA) else text
