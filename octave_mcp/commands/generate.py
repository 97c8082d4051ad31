"""`octave-personas-mcp generate`: the API's own body, from a file or stdin, with the server's guarantees.

It waits for the whole generation. Only what was written to stdout to its end counts as handed over: whatever ends this
command, the same one again prints what this one did not, and buys nothing twice.
"""

import argparse
import asyncio
import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio

from octave_mcp.commands.output import as_json, as_text, status
from octave_mcp.commands.process import BAD_SETTINGS, FAILED, ExitCode, shut_down_on_signals
from octave_mcp.commands.starting import print_any_text, usable_settings
from octave_mcp.generation.outcome import Generation
from octave_mcp.generation.records import LedgerError, LimitReached, RecordLost, State
from octave_mcp.generation.service import GenerationService
from octave_mcp.observability.logs import Secrets, configure_logging
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.server.arguments import ArgumentsError, read_arguments
from octave_mcp.server.schemas import GENERATE_PERSONAS
from octave_mcp.server.services import configured_ledger, open_call_state
from octave_mcp.settings import Settings, load_settings

__all__ = ["Job", "Unusable", "add_arguments", "check", "read_request", "run"]

INCOMPLETE = 1
"""The exit code where not everything that was asked for was printed."""

HANDLE_SECONDS = 5.0
"""The first wait, after which the generation's id is known: long enough to look for what an earlier call lost."""

BAR_WIDTH = 24

SANDBOX_NOTE = "Sandbox: made-up data, usage included. Octave was not called, and nothing was paid for."

_NOTHING_SENT = "Nothing was sent to Octave and nothing was paid for."


class Unusable(Exception):
    """Nothing can be sent, and nothing was; the text says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("file", nargs="?", metavar="FILE", help="the body, as JSON; - reads it from stdin")
    wanted.add_argument("--collect", metavar="GENERATION_ID", help="wait for an earlier generation, and print it")
    parser.add_argument("--json", action="store_true", help="whole records, as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Generate or collect. Return the exit code."""
    settings = usable_settings(load_settings, "generate", sandbox=options.sandbox)
    if settings is None:
        return BAD_SETTINGS
    configure_logging(settings.log_level, Secrets(settings.api_key))
    print_any_text()
    try:
        check(settings)
    except Unusable as problem:
        print(problem, file=sys.stderr)
        return BAD_SETTINGS
    try:
        wanted = options.collect or read_request(options.file, settings.max_personas_per_call)
    except Unusable as problem:
        print(problem, file=sys.stderr)
        return FAILED
    exit_code, job = ExitCode(), Job(settings, wanted, as_json=options.json)
    shut_down_on_signals(job.end, exit_code)
    code = anyio.run(job.run)
    return exit_code.value or code


def check(settings: Settings) -> None:
    """Raise Unusable where there is no key, or no store."""
    if settings.api_key is None and not settings.sandbox:
        raise Unusable(
            "No Octave API key is set. Set OCTAVE_API_KEY to the key of your Octave workspace, or OCTAVE_API_KEY_FILE "
            f"to a file that holds it; with --sandbox none is needed. {_NOTHING_SENT}"
        )
    try:
        configured_ledger(settings)
    except LedgerError as error:
        raise Unusable(f"{error} {_NOTHING_SENT}") from None


# --- What is asked for ------------------------------------------------------------------------------------------------


def read_request(source: str, most: int) -> GenerateRequest:
    """The body in the file `source`, or on stdin for `-`, for at most so many personas. Raises Unusable."""
    body = _json_in(source)
    if not isinstance(body, dict):
        raise _misfit(["the body must be a JSON object, as POST /api/v2/persona/generate takes it"])
    try:
        request, dropped = read_arguments(body, GENERATE_PERSONAS, GenerateRequest)
    except ArgumentsError as error:
        raise _misfit(error.problems) from None
    if dropped:  # there is no host here that could have added it
        raise _misfit([f"{name}: unknown argument" for name in dropped])
    if (asked := len(request.personas)) > most:
        raise _misfit(
            [f"personas: {asked} are asked for, and one command may ask for {most} (OCTAVE_MCP_MAX_PERSONAS_PER_CALL)"]
        )
    return request


def _json_in(source: str) -> Any:
    name = "stdin" if source == "-" else shorten(clean(source), 200)
    try:
        if source == "-" and sys.stdin is None:
            raise Unusable(f"stdin is closed. {_NOTHING_SENT}")
        content = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return json.loads(content, object_pairs_hook=_each_once)
    except OSError as error:
        raise Unusable(f"{name} cannot be read: {error.strerror}. {_NOTHING_SENT}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Unusable(f"{name} is not JSON: {error.msg}, at {place}. {_NOTHING_SENT}") from None
    except (ValueError, RecursionError):  # such as bytes that are no text
        raise Unusable(f"{name} is not JSON that can be read. {_NOTHING_SENT}") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these. JSON lets a name come twice, and keeps the last: a persona would be lost without a word."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _misfit([f"{shorten(clean(name[:200]), 60)}: comes twice in one object"])
        found[name] = value
    return found


def _misfit(problems: Sequence[str]) -> Unusable:
    lines = "\n".join(f"- {problem}" for problem in problems)
    return Unusable(f"The input does not fit:\n{lines}\n{_NOTHING_SENT}")


# --- The run ----------------------------------------------------------------------------------------------------------


class Job:
    """One run of the command, for a request or for the id of an earlier generation."""

    def __init__(self, settings: Settings, wanted: GenerateRequest | str, *, as_json: bool) -> None:
        """Nothing happens before `run`."""
        self._settings = settings
        self._wanted = wanted
        self._as_json = as_json
        self._id = wanted if isinstance(wanted, str) else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scope: anyio.CancelScope | None = None
        self._ended = False

    def end(self) -> None:
        """Have the run end politely. May be called by a signal's handler, at any time."""
        self._ended = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    async def run(self) -> int:
        """Generate or collect, wait for all of it, print it. Returns the exit code: 0 where all came back."""
        self._loop = asyncio.get_running_loop()
        if sys.stdout is None:
            return _tell(f"stdout is closed. {_NOTHING_SENT}")
        began, code, interrupted = time.time(), INCOMPLETE, False
        async with open_call_state(self._settings) as state:
            bar = Bar()
            try:
                generation = await self._generation(state.generation, bar)
            except (LedgerError, LimitReached, RecordLost) as error:
                bar.close()
                return _tell(self._explained(error))
            bar.close()
            if generation:
                code = self._print(generation)
            elif interrupted := self._ended:
                self._id = self._id or await self._find(state.generation, began)
                seconds = f"{self._settings.shutdown_seconds:g}"
                _tell(f"Ending: what was sent is waited for, {seconds} seconds at most. Ctrl-C again ends at once.")
            else:
                _tell(
                    "There is no generation of that id, of this key. What was asked for more than a week ago is "
                    "forgotten here; its personas are in Octave's persona library."
                )
        if interrupted:
            _tell(self._advice())
        return code

    def _cancel(self) -> None:
        if self._scope:
            self._scope.cancel()

    async def _generation(self, runner: GenerationService, bar: "Bar") -> Generation | None:
        """What was asked for, settled; None where there is none of that id, or where the run is to end."""
        found: Generation | None = None
        with anyio.CancelScope() as self._scope:
            if self._ended:
                self._cancel()
            if not isinstance(self._wanted, str):
                await bar(0, len(self._wanted.personas), f"0 of {len(self._wanted.personas)} ready")
                found = await runner.generate(self._wanted, seconds=HANDLE_SECONDS, progress=bar)
                self._id = found.id
            if found is None or found.live or _unknown(found):
                found = await runner.collect(self._id or "", seconds=math.inf, progress=bar)
            return found
        return None

    async def _find(self, runner: GenerationService, began: float) -> str | None:
        """The id of this run's generation, where it was to end before it was told."""
        names = [] if isinstance(self._wanted, str) else [persona.name for persona in self._wanted.personas]
        with suppress(LedgerError):
            for one in await runner.latest():
                if one.created_at >= began and [part.item.name for part in one.parts] == names:
                    return one.id
        return None

    def _print(self, generation: Generation) -> int:
        """Print a generation. Returns the exit code."""
        if self._settings.sandbox:
            _tell(SANDBOX_NOTE)
        if not _written(as_json(generation) if self._as_json else as_text(generation)):
            return _tell(f"stdout could not be written to. {self._advice()}")
        return 0 if status(generation) == "complete" else INCOMPLETE

    @property
    def _is_kept(self) -> bool:
        """Whether the ledger outlives this process."""
        return self._settings.ledger_path is not None

    def _advice(self) -> str:
        """How to get what was not printed."""
        if self._settings.sandbox:
            return SANDBOX_NOTE
        if not self._is_kept:
            return (
                "Some may have been made and paid for, and what was sent is not on record (OCTAVE_MCP_STATE_URL is "
                "memory://): look in Octave's persona library before asking for them again."
            )
        collect = f"octave-personas-mcp generate --collect {self._id}" if self._id else ""
        if isinstance(self._wanted, str):
            return f"Nothing is lost: {collect}"
        seconds = f"{self._settings.replay_seconds:g}"
        again = (
            "What was sent is on record. The same command again joins what is under way or was not delivered, and buys "
            f"nothing twice, within {seconds} seconds (OCTAVE_MCP_REPLAY_SECONDS)."
        )
        return f"{again} To collect what was sent, and send nothing: {collect}" if collect else again

    def _explained(self, error: Exception) -> str:
        """What went wrong with the ledger, or at its limit, and whether anything was sent."""
        if isinstance(error, LimitReached):
            return (
                f"The limit of {error.limit:g} {error.unit} in 24 hours "
                f"(OCTAVE_MCP_MAX_{error.unit.upper()}_PER_DAY) leaves room for {error.left:g}. {_NOTHING_SENT}"
            )
        if isinstance(error, RecordLost):
            return (
                f"{error} The personas may have been made and paid for all the same: look in Octave's persona library "
                "before asking for them again."
            )
        return f"{error} {self._advice() if self._id else _NOTHING_SENT}"


def _unknown(generation: Generation) -> bool:
    return any(part.state is State.UNKNOWN for part in generation.parts)


# --- What is seen -----------------------------------------------------------------------------------------------------


class Bar:
    """How far it is, on one line of stderr that is rewritten in place; nothing where that is no terminal."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._shown = ""
        self._is_seen = sys.stderr is not None and sys.stderr.isatty()

    async def __call__(self, progress: float, total: int, message: str) -> None:
        """Draw how far it is. See `Progress`."""
        done = int(BAR_WIDTH * min(1.0, progress / total)) if total else BAR_WIDTH
        line = f"[{'#' * done}{'-' * (BAR_WIDTH - done)}] {message}"
        if self._is_seen and line != self._shown:
            sys.stderr.write(f"\r{line:<{len(self._shown)}}")
            sys.stderr.flush()
            self._shown = line

    def close(self) -> None:
        """Leave the line as it is."""
        if self._shown:
            sys.stderr.write("\n")
            sys.stderr.flush()
            self._shown = ""


def _tell(text: str) -> int:
    """Tell a person something that is no result. Returns the exit code that goes with it in most cases."""
    with suppress(OSError):  # stderr may be gone too
        print(text, file=sys.stderr, flush=True)
    return INCOMPLETE


def _written(text: str) -> bool:
    """Whether all of it went to stdout: its reader may be gone, or the disk be full."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError):
        return False
    return True
