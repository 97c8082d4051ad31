"""The command `generate`: personas from a file, with the server's ledger, limits and guarantees.

It waits for all personas. Whatever ends it, the same command again prints what this one did not, and nothing is charged
twice.
"""

import argparse
import asyncio
import math
import sys
from pathlib import Path

import anyio

from octave_mcp.commands.output import (
    in_format,
    progress_lines,
    report,
    summary,
    unwritable,
    write,
)
from octave_mcp.commands.process import BAD_SETTINGS, FAILED, ExitCode, shut_down_on_signals, usable_settings
from octave_mcp.commands.request_files import Unusable, read_request
from octave_mcp.commands.spending_preview import preview_of
from octave_mcp.generation.outcome import Generation
from octave_mcp.generation.preview import Preview
from octave_mcp.generation.service import GenerationService, Progress
from octave_mcp.ledger.records import LedgerError, LimitReached, RecordLost
from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.formats import FORMATS, Format, format_of
from octave_mcp.results.failures import NOTHING_SENT
from octave_mcp.results.wording import SANDBOX_NOTE
from octave_mcp.settings import Settings, load_settings
from octave_mcp.tools.services import open_call_state

NO_KEY = (
    "No Octave API key is set. Set OCTAVE_API_KEY to the key of your Octave workspace (in Octave: Settings > API "
    "Keys), or OCTAVE_API_KEY_FILE to a file that holds it. With --sandbox no key is needed."
)

DESCRIPTION = """\
Generate personas and wait for all of them. FILE is one of:

  body.json   the body of Octave's POST /api/v2/persona/generate:
              {"personas": [{"name": "CISO", "sources": [{"type": "TEXT", "value": "notes"}]}]}
  table.csv   a table with the columns name and source; rows of one name are sources of one persona
  -           either of them on stdin

On a terminal it says what will happen, and asks before it spends credits. The same command again prints what was
created, and charges nothing twice.
"""

EPILOG = """\
Examples: octave-personas-mcp --sandbox generate examples/personas.json
          octave-personas-mcp generate segments.csv --output personas.md

Exit code: 0 everything was created; 1 not everything, or nothing was sent; 2 settings; 130 Ctrl-C.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("file", nargs="?", metavar="FILE", help="what to generate, as JSON or CSV; - reads stdin")
    wanted.add_argument("--collect", metavar="GENERATION_ID", help="wait for an earlier generation, and print it")
    parser.add_argument("--dry-run", action="store_true", help="only say what would happen and what it costs")
    parser.add_argument("--yes", action="store_true", help="do not ask before spending credits")
    parser.add_argument(
        "--new", action="store_true", help="create other personas, even if the same were requested or exist already"
    )
    parser.add_argument(
        "--output", metavar="PATH", type=Path, help="write the personas to this file, in place of its content"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="form of the personas (default: by the ending of --output, else text)"
    )
    parser.add_argument(
        "--folder",
        action="append",
        default=argparse.SUPPRESS,
        metavar="PATH",
        help="a folder whose files may be sources; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    """Generate or collect. Return the exit code."""
    settings = usable_settings(load_settings, "generate", sandbox=options.sandbox, folders=options.folder)
    if settings is None:
        return BAD_SETTINGS
    configure_logging(settings.log_level, Secrets(settings.api_key))
    if settings.api_key is None and not settings.sandbox:
        report(f"{NO_KEY} {NOTHING_SENT}")
        return BAD_SETTINGS
    try:
        return _generate(settings, options)
    except Unusable as problem:
        report(str(problem))
        return FAILED


def _generate(settings: Settings, options: argparse.Namespace) -> int:
    """Generate or collect, after a preview if one is wanted. Return the exit code. Raises Unusable."""
    wanted = options.collect
    if wanted is None:
        wanted = read_request(options.file, settings.max_personas_per_call, settings.folders)
    _check_output(options)
    preview = None
    asks = not options.yes and not settings.sandbox and _is_terminal()
    if isinstance(wanted, GenerateRequest) and (options.dry_run or asks):
        preview, text = anyio.run(preview_of, settings, wanted, options.new)
        if options.dry_run:
            print(text)
            return 0
        if not _agrees(preview, text):
            report(NOTHING_SENT)
            return FAILED
    form = options.format or (options.output and format_of(options.output)) or "text"
    job = _Job(settings, wanted, form=form, output=options.output, new=options.new, preview=preview)
    exit_code = ExitCode()
    shut_down_on_signals(job.end, exit_code)
    code = anyio.run(job.run)
    return exit_code.value or code


def _check_output(options: argparse.Namespace) -> None:
    """Find out whether the output can be written, before anything is paid for. Raises Unusable."""
    path, source = options.output, options.file
    problem = unwritable(path, options.format)
    if path and source and not problem and path.exists() and Path(source).exists() and path.samefile(source):
        problem = f"{path} is the input, and its content would be lost: choose another --output"
    if problem:
        raise Unusable(f"{problem}. {NOTHING_SENT}")


def _agrees(preview: Preview, text: str) -> bool:
    """Show what would happen, and return whether the person agrees; nobody is asked where nothing would be created."""
    report(text)
    count = sum(part.is_new for part in preview.parts)
    if not count:
        return True
    sys.stderr.write(f"Create {count} persona{'' if count == 1 else 's'}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _is_terminal() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


class _Job:
    """One run of the command, for a request or for the id of an earlier generation."""

    def __init__(
        self,
        settings: Settings,
        wanted: GenerateRequest | str,
        *,
        form: Format,
        output: Path | None,
        new: bool,
        preview: Preview | None,
    ) -> None:
        """Keep what is wanted; `run` does the work. Nothing is sent that `preview`, if there is one, does not have."""
        self._settings = settings
        self._wanted = wanted
        self._form = form
        self._output = output
        self._new = new
        self._preview = preview
        self._id = wanted if isinstance(wanted, str) else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scope: anyio.CancelScope | None = None
        self._is_ending = False

    def end(self) -> None:
        """Have the run end politely. A signal's handler may call it at any time."""
        self._is_ending = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    async def run(self) -> int:
        """Generate or collect, wait for all personas, and print them. Return the exit code."""
        self._loop = asyncio.get_running_loop()
        async with open_call_state(self._settings) as state:
            total = len(self._wanted.personas) if isinstance(self._wanted, GenerateRequest) else None
            try:
                generation = await self._settled(state.generation, progress_lines(total))
            except (LedgerError, LimitReached, RecordLost) as error:
                report(self._explained(error))
                return FAILED
            if generation:
                return self._print(generation)
            if self._is_ending:
                report(
                    f"Stopping: waiting up to {self._settings.shutdown_seconds:g} s for running requests. Press Ctrl-C "
                    f"again to quit now.\n{self._advice()}"
                )
                return FAILED
            report(
                "No such generation for this key. Records are kept for 7 days; the personas themselves are in Octave's "
                "persona library."
            )
            return FAILED

    def _cancel(self) -> None:
        if self._scope:
            self._scope.cancel()

    async def _settled(self, service: GenerationService, progress: Progress) -> Generation | None:
        """Return what is wanted when it is settled; None if there is no such generation, or if the run has to end."""
        with anyio.CancelScope() as self._scope:
            if self._is_ending:
                self._cancel()
            if isinstance(self._wanted, GenerateRequest):
                started = await service.generate(
                    self._wanted, seconds=0, progress=progress, new=self._new, preview=self._preview
                )
                self._id = started.id
            return await service.collect(self._id or "", seconds=math.inf, progress=progress)
        return None

    def _print(self, generation: Generation) -> int:
        """Print a generation. Return the exit code."""
        if self._settings.sandbox:
            report(SANDBOX_NOTE)
        if not write(in_format(generation, self._form), self._output):
            report(f"{self._output or 'stdout'} could not be written to. {self._advice()}")
            return FAILED
        if self._output or self._form in {"markdown", "csv"}:
            report(summary(generation))
        return 0 if generation.status == "complete" else FAILED

    def _advice(self) -> str:
        """Return how to get what was not printed."""
        if self._settings.sandbox:
            return SANDBOX_NOTE
        if self._settings.state_url == "memory://":
            return (
                "Some personas may have been created and charged, and there is no record of it (OCTAVE_MCP_STATE_URL "
                "is memory://): look in Octave's persona library before asking for them again."
            )
        if not self._id:
            return "What was sent is on record: the same command again charges nothing twice."
        return (
            "What was sent is on record, and nothing is charged twice. To collect it: "
            f"octave-personas-mcp generate --collect {self._id}"
        )

    def _explained(self, error: Exception) -> str:
        """Return what went wrong with the ledger, or at a limit, and whether anything was sent."""
        if isinstance(error, RecordLost):
            return (
                f"{error} The personas may have been created and charged: look in Octave's persona library before "
                "asking for them again."
            )
        return f"{error} {self._advice() if self._id else NOTHING_SENT}"
