"""Completions of what a person types: names of what the workspace has, quickly or not at all.

Clients ask at every keystroke. So answers are kept for a while, a slow look-up is given up, and errors are not
reported: somebody who types a name can do nothing about them.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.library_kinds import BRAND_VOICES, OFFERINGS, PLAYBOOKS
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.lookup_models import LibraryRow
from octave_mcp.octave.models import Persona
from octave_mcp.results.lookups import row_of

SECONDS = 2.0
"""The longest wait for a look-up; by then the person has typed on."""

KEPT_SECONDS = 30.0
"""How long an answer is used again."""

MAX_KEPT = 200
"""Answers kept at most, for each key."""

MAX_VALUES = 50
"""Values in one completion. The protocol allows 100."""

MAX_CHARACTERS = 100
"""Characters of the typed text that are used; no name is longer."""

KIND_OF_ARGUMENT = {"offering": OFFERINGS, "playbook": PLAYBOOKS, "voice": BRAND_VOICES}
"""The library's list that has the values of each prompt argument."""

Row = dict[str, Any]


class Completer:
    """Completes names with the look-ups of one key."""

    def __init__(self, lookups: LookupClient, *, now: Callable[[], float] = time.monotonic) -> None:
        """Use `lookups`, which stays the caller's. `now` counts seconds."""
        self._lookups = lookups
        self._now = now
        self._kept: dict[tuple[str, str], tuple[float, list[Row]]] = {}

    async def values(self, argument: str, typed: str) -> list[str]:
        """Return values that contain what was typed, those that begin with it first; none if a look-up fails."""
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
        usable = [row for row in hits if row["oId"] or argument in KIND_OF_ARGUMENT]
        return list(dict.fromkeys(shown.format(**row) for row in usable))[:MAX_VALUES]

    async def _rows(self, argument: str, text: str) -> list[Row]:
        kept = self._kept.get((argument, text))
        if kept and self._now() - kept[0] < KEPT_SECONDS:
            return kept[1]
        rows = [row_of(one) for one in await self._look_up(argument, text)]
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        self._kept[argument, text] = (self._now(), rows)
        return rows

    async def _look_up(self, argument: str, text: str) -> Sequence[Persona | LibraryRow]:
        if kind := KIND_OF_ARGUMENT.get(argument):
            if not kind.searchable:
                return (await self._lookups.all_rows(kind))[0]
            return (await self._lookups.library(kind, text=text or None, limit=MAX_VALUES, offset=0)).data
        # Octave searches names only, so an oId is matched here, among the first personas.
        wanted = None if argument == "oId" else text or None
        page = self._lookups.personas(text=wanted, offering_oid=None, playbook_oid=None, limit=MAX_VALUES, offset=0)
        return (await page).data
