"""The command `export`: the workspace's personas as Markdown, CSV or JSON. It costs nothing."""

import argparse
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

import anyio

from octave_mcp.commands.generate import NO_KEY
from octave_mcp.commands.output import report, unwritable, write
from octave_mcp.commands.process import BAD_SETTINGS, FAILED, usable_settings
from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.models import Persona
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.formats import as_csv, as_json, as_markdown, format_of, job_titles_csv
from octave_mcp.settings import Settings, load_settings
from octave_mcp.tools.services import open_call_state

PAGE = 50
"""Personas in each page of Octave's list."""

MAX_PERSONAS = 10_000
"""Bound on one export, in case a list never ends."""

READS_AT_ONCE = 4
"""Personas that are read at the same time."""

_UNKNOWN_OID = "Octave has no persona of this oId. --text finds personas by a word, and writes each with its oId."

_FORMATS = {"markdown": as_markdown, "csv": as_csv, "json": as_json}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = (
        "Write the workspace's personas in full: all of them, those with the oIds given, or those that match a text. "
        "It costs nothing."
    )
    parser.epilog = (
        "Examples: octave-personas-mcp export --output personas.md; octave-personas-mcp export --text security "
        "--job-titles --output titles.csv"
    )
    parser.add_argument("oids", nargs="*", metavar="OID", help="oIds of personas; without any, all personas")
    parser.add_argument("--text", help="only personas that Octave finds for this text")
    parser.add_argument("--output", metavar="PATH", type=Path, help="write to this file instead of stdout")
    parser.add_argument(
        "--format",
        choices=tuple(_FORMATS),
        help="form of the personas (default: by the ending of --output, else markdown)",
    )
    parser.add_argument("--job-titles", action="store_true", help="only the job titles, each once, as CSV")


def run(options: argparse.Namespace) -> int:
    """Write the personas. Return the exit code."""
    settings = usable_settings(load_settings, "export", sandbox=options.sandbox)
    if settings is None:
        return BAD_SETTINGS
    configure_logging(settings.log_level, Secrets(settings.api_key))
    if problem := _problem(settings, options):
        report(problem)
        return BAD_SETTINGS
    if problem := unwritable(options.output, "csv" if options.job_titles else options.format):
        report(problem)
        return FAILED
    return _written(anyio.run(_read, settings, options.oids, options.text), options)


def _problem(settings: Settings, options: argparse.Namespace) -> str:
    """Return what is wrong with the settings or options; empty if nothing is."""
    if options.oids and options.text:
        return "octave-personas-mcp export: give oIds or --text, not both"
    if options.job_titles and options.format not in {None, "csv"}:
        return "octave-personas-mcp export: --job-titles writes CSV: leave --format out"
    if options.job_titles and options.output and format_of(options.output) not in {"csv", "text"}:
        return f"{options.output}: --job-titles writes CSV. Use a name that ends in .csv"
    return NO_KEY if settings.api_key is None and not settings.sandbox else ""


def _written(found: tuple[list[Persona], int] | str, options: argparse.Namespace) -> int:
    """Write what was read, or say why there is nothing. Return the exit code."""
    if isinstance(found, str):
        report(f"{found} Nothing was written.")
        return FAILED
    personas, total = found
    if not write(_text(personas, options), options.output):
        report(f"{options.output or 'stdout'} could not be written to")
        return FAILED
    report(f"{len(personas)} of {total} persona{'' if total == 1 else 's'} written.")
    return 0 if len(personas) >= total else FAILED


def _text(personas: Sequence[Persona], options: argparse.Namespace) -> str:
    if options.job_titles:
        return job_titles_csv(personas)
    form = options.format or (options.output and format_of(options.output)) or "markdown"
    return _FORMATS.get(form, as_markdown)(personas)


async def _read(settings: Settings, oids: Sequence[str], text: str | None) -> tuple[list[Persona], int] | str:
    """Return the personas in full and how many there are of what was asked for; or what went wrong."""
    async with open_call_state(settings) as state:
        try:
            wanted, total = (list(dict.fromkeys(oids)), len(set(oids))) if oids else await _all(state.lookups, text)
        except OctaveError as error:
            return str(error)
        found = await _in_full(state.lookups, wanted)
        return found if isinstance(found, str) else (found, total)


async def _all(lookups: LookupClient, text: str | None) -> tuple[list[str], int]:
    """Return the oIds on all pages of the list, each once, and how many there are. Raises OctaveError."""
    found: dict[str, None] = {}
    offset = 0
    while True:
        page = await lookups.personas(text=text, offering_oid=None, playbook_oid=None, limit=PAGE, offset=offset)
        new = dict.fromkeys(row.oId for row in page.data if row.oId and row.oId not in found)
        found |= new
        # If Octave ignores the offset, every page has the same rows.
        if not (new and page.goes_on(offset)) or len(found) >= MAX_PERSONAS:
            return list(found), max(page.count(offset) or 0, len(found))
        offset += page.received


async def _in_full(lookups: LookupClient, oids: Sequence[str]) -> list[Persona] | str:
    """Return the record of each, in their order; or the first problem, after which nothing more is read."""
    found: dict[str, Persona] = {}
    slots = anyio.Semaphore(READS_AT_ONCE)
    problems: list[str] = []

    async def read(oid: str) -> None:
        async with slots:
            if problems:
                return
            try:
                found[oid] = await lookups.persona(oid)
            except OctaveError as error:
                reason = _UNKNOWN_OID if error.status == HTTPStatus.NOT_FOUND else error
                problems.append(f"{shorten(clean(oid[:200]), 100)}: {reason}")

    async with anyio.create_task_group() as tasks:
        for oid in oids:
            tasks.start_soon(read, oid)
    return problems[0] if problems else [found[oid] for oid in oids]
