"""Completes a person's typing: names of what is in the workspace, fast or not at all.

They are asked for at every keystroke, so an answer is kept for a while, one that takes too long is given up, and
nothing that goes wrong is told: a person who types a name needs no error.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.lookup_client import SEARCHABLE, Reader
from octave_mcp.octave.lookups import Kind, LibraryRow
from octave_mcp.octave.models import Persona
from octave_mcp.server.lookup_results import row_of

__all__ = ["MAX_VALUES", "NAMED", "Completer"]

SECONDS = 2.0
"""A person types on; what comes later than this is of no use."""

KEPT_SECONDS = 30.0
MAX_KEPT = 200
MAX_VALUES = 50
MAX_CHARACTERS = 100
"""Of what was typed: more is no name."""

NAMED = {"offering": Kind.OFFERINGS, "playbook": Kind.PLAYBOOKS, "voice": Kind.BRAND_VOICES}
"""Arguments of prompts, and where their values are."""

Row = dict[str, Any]


class Completer:
    """Completes with one reader, which stays the caller's. `now` counts seconds."""

    def __init__(self, reader: Reader, *, now: Callable[[], float] = time.monotonic) -> None:
        """Remember; nothing is looked up before it is asked for."""
        self._reader = reader
        self._now = now
        self._kept: dict[tuple[str, str], tuple[float, list[Row]]] = {}

    async def values(self, argument: str, typed: str) -> list[str]:
        """Values that begin with, or have in them, what was typed; none where they cannot be had in time."""
        text = typed[:MAX_CHARACTERS].strip()
        rows: list[Row] = []
        try:
            with anyio.move_on_after(SECONDS):
                rows = await self._rows(argument, text)
        except OctaveError:
            return []
        shown = {"oId": "{oId}", "persona": "{name} ({oId})"}.get(argument, "{name}")
        hits = [row for row in rows if text.casefold() in f"{row['name']} ({row['oId']})".casefold()]
        hits.sort(key=lambda row: not row["name"].casefold().startswith(text.casefold()))
        usable = [row for row in hits if row["oId"] or argument in NAMED]
        return list(dict.fromkeys(shown.format(**row) for row in usable))[:MAX_VALUES]

    async def _rows(self, argument: str, text: str) -> list[Row]:
        kept = self._kept.get((argument, text))
        if kept and self._now() - kept[0] < KEPT_SECONDS:
            return kept[1]
        rows = [row_of(one) for one in await self._looked_up(argument, text)]
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[argument, text] = (self._now(), rows)
        return rows

    async def _looked_up(self, argument: str, text: str) -> Sequence[Persona | LibraryRow]:
        if kind := NAMED.get(argument):
            if kind not in SEARCHABLE:
                return (await self._reader.all_rows(kind))[0]
            return (await self._reader.library(kind, text=text or None, limit=MAX_VALUES, offset=0)).data
        # Octave searches names; what is typed for an oId is looked for among the first of all, here.
        wanted = None if argument == "oId" else text or None
        asked = self._reader.personas(text=wanted, offering_oid=None, playbook_oid=None, limit=MAX_VALUES, offset=0)
        return (await asked).data
