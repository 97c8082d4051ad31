"""Octave's look-ups, which cost nothing and change nothing: so they are repeated where that may help.

Repeated is what got no answer, an answer that cannot be read, a 5xx, or a request to wait that is short enough; never
what Octave refused. All tries together end at a deadline.
"""

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import anyio

from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import Busy, OctaveError, OutcomeUnknown, Refused
from octave_mcp.octave.lookups import Kind, LibraryPage, LibraryRow, PersonaPage, Workspace
from octave_mcp.octave.models import Persona

__all__ = ["SEARCHABLE", "Reader"]

TRIES = 3

PAUSE_SECONDS = 0.4
"""Before the second try, doubled for the third, and up to as much again at random."""

MAX_WAIT_SECONDS = 10.0
"""If Octave asks to wait longer, the person is told instead of kept waiting."""

SEARCHABLE = frozenset({Kind.OFFERINGS, Kind.PLAYBOOKS})
"""The lists that Octave searches by text; the others are read to their end here."""

WHOLE_PAGE = 50
MAX_PAGES = 20
"""A list that is read to its end is read no further than this."""

_Result = TypeVar("_Result")


class Reader:
    """Look-ups with one client, which stays the caller's. Each raises OctaveError, at the latest after `seconds`."""

    def __init__(self, client: OctaveClient, *, seconds: float) -> None:
        """Take the client, and how long a look-up may take, all of its tries together."""
        self._client = client
        self._seconds = seconds

    async def persona(self, oid: str) -> Persona:
        """One persona in full. Raises InputProblem where there is none of that oId."""
        return await self._repeated(partial(self._client.get_persona, oid))

    async def personas(
        self, *, text: str | None, offering_oid: str | None, playbook_oid: str | None, limit: int, offset: int
    ) -> PersonaPage:
        """A page of the personas that there are."""
        list_personas = partial(self._client.list_personas, text=text, limit=limit, offset=offset)
        return await self._repeated(partial(list_personas, offering_oid=offering_oid, playbook_oid=playbook_oid))

    async def library(self, kind: Kind, *, text: str | None, limit: int, offset: int) -> LibraryPage:
        """A page of a library's list. `text` is for those that are `SEARCHABLE`."""
        return await self._repeated(partial(self._client.list_library, kind, text=text, limit=limit, offset=offset))

    async def all_rows(self, kind: Kind) -> tuple[list[LibraryRow], bool]:
        """All rows of a library's list, and whether that is really all of them: one without an end is cut."""
        rows: dict[object, LibraryRow] = {}
        offset = 0
        with self.bounded():
            for _ in range(MAX_PAGES):
                page = await self.library(kind, text=None, limit=WHOLE_PAGE, offset=offset)
                known = len(rows)
                for row in page.data:
                    rows.setdefault(row.oId or id(row), row)
                # A list that knows no offset comes again, whole.
                if not page.goes_on(offset) or len(rows) == known:
                    return list(rows.values()), True
                offset += page.received
        return list(rows.values()), False

    async def workspace(self) -> Workspace:
        """Whose the key is, and the credits. Raises KeyProblem where it is nobody's."""
        return await self._repeated(self._client.validate_key)

    async def _repeated(self, read: Callable[[], Awaitable[_Result]]) -> _Result:
        tries = 0
        with self.bounded():
            while True:
                tries += 1
                try:
                    return await read()
                except OctaveError as error:
                    pause = _pause(error, tries)
                    if pause is None:
                        raise
                await anyio.sleep(pause)

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Several look-ups that may take no longer than one. Raises OctaveError where they do."""
        try:
            with anyio.fail_after(self._seconds):
                yield
        except TimeoutError:
            raise OutcomeUnknown(f"Octave did not answer within {self._seconds:g} seconds.") from None


def _pause(error: OctaveError, tries: int) -> float | None:
    """Seconds until the next try; None where there is none."""
    if tries >= TRIES or not isinstance(error, OutcomeUnknown | Refused):
        return None
    if isinstance(error, Busy) and error.retry_after is not None:
        return error.retry_after if error.retry_after <= MAX_WAIT_SECONDS else None
    doubled: float = PAUSE_SECONDS * 2 ** (tries - 1)
    return doubled * (1 + random.random())  # noqa: S311 - a pause, not a secret
