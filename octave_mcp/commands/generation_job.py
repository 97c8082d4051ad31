"""One run of `generate`: start or collect a generation, show how far it is, print it, and end politely."""

import asyncio
import math
from pathlib import Path

import anyio

from octave_mcp.commands.output import (
    NOTHING_SENT,
    SANDBOX_NOTE,
    in_format,
    report,
    shown_progress,
    status,
    summary,
    write,
)
from octave_mcp.commands.process import FAILED
from octave_mcp.generation.outcome import Generation
from octave_mcp.generation.preview import Preview
from octave_mcp.generation.service import GenerationService, Progress
from octave_mcp.ledger.records import LedgerError, LimitReached, RecordLost
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.formats import Format
from octave_mcp.server.services import open_call_state
from octave_mcp.settings import Settings

__all__ = ["Job"]


class Job:
    """One run, for a request or for the id of an earlier generation."""

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
                with shown_progress(total) as bar:
                    generation = await self._settled(state.generation, bar)
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

    async def _settled(self, service: GenerationService, bar: Progress) -> Generation | None:
        """Return what is wanted when it is settled; None if there is no such generation, or if the run has to end."""
        with anyio.CancelScope() as self._scope:
            if self._is_ending:
                self._cancel()
            if isinstance(self._wanted, GenerateRequest):
                started = await service.generate(
                    self._wanted, seconds=0, progress=bar, new=self._new, preview=self._preview
                )
                self._id = started.id
            return await service.collect(self._id or "", seconds=math.inf, progress=bar)
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
        return 0 if status(generation) == "complete" else FAILED

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
