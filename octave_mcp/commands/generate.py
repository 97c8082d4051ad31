"""The command `generate`: personas from a file, with the server's ledger, limits and guarantees.

It waits for all personas. Whatever ends it, the same command again prints what this one did not, and nothing is charged
twice.
"""

import argparse
import sys
from pathlib import Path

import anyio

from octave_mcp.commands.generation_job import Job
from octave_mcp.commands.output import NOTHING_SENT, report, unwritable
from octave_mcp.commands.process import BAD_SETTINGS, FAILED, ExitCode, shut_down_on_signals
from octave_mcp.commands.request_files import Unusable, read_request
from octave_mcp.commands.spending_preview import preview_of
from octave_mcp.commands.startup import usable_settings
from octave_mcp.generation.preview import Preview
from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.formats import FORMATS, format_of
from octave_mcp.settings import Settings, load_settings

__all__ = ["add_arguments", "run"]

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
        return _run(settings, options)
    except Unusable as problem:
        report(str(problem))
        return FAILED


def _run(settings: Settings, options: argparse.Namespace) -> int:
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
    job = Job(settings, wanted, form=form, output=options.output, new=options.new, preview=preview)
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
