"""Octave's look-ups with retries: they cost nothing and change nothing.

A look-up is retried after no answer, an unreadable answer, a 5xx or a short Retry-After; never after a rejection. All
tries together end at a deadline.
"""

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import anyio

from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import Busy, OctaveError, OutcomeUnknown, Refused
from octave_mcp.octave.library_kinds import Kind
from octave_mcp.octave.lookup_models import LibraryPage, LibraryRow, PersonaPage, Workspace
from octave_mcp.octave.models import Persona

TRIES = 3
"""Bounds how often a look-up is sent. A fault that lasts longer is reported to the person."""

PAUSE_SECONDS = 0.4
"""Pause before the second try, in seconds. It doubles for the third, and up to 100 % is added at random."""

MAX_WAIT_SECONDS = 10.0
"""Longest Retry-After that is waited for; a longer one is reported to the person at once."""

PAGE_ROWS = 50
"""Rows in each page of a list that is read to its end."""

MAX_PAGES = 20
"""Bounds a list that is read to its end: a thousand rows."""

FEW_ROWS = 4 * PAGE_ROWS
"""Rows that are always worth reading to find a name among them, whatever Octave's own search finds."""

_Result = TypeVar("_Result")


class LookupClient:
    """Look-ups with retries. Each raises OctaveError, at the latest after `seconds`."""

    def __init__(self, client: OctaveClient, *, seconds: float) -> None:
        """Use `client`, which stays the caller's to close. `seconds` bounds all tries of a look-up together."""
        self._client = client
        self._seconds = seconds

    async def persona(self, oid: str) -> Persona:
        """Return one persona in full. Raises InputProblem if there is none with that oId."""
        return await self._retried(partial(self._client.get_persona, oid))

    async def personas(
        self, *, text: str | None, offering_oid: str | None, playbook_oid: str | None, limit: int, offset: int
    ) -> PersonaPage:
        """Return a page of the workspace's personas: with `text` and oIds, only those that match all of them."""
        list_personas = partial(self._client.list_personas, text=text, limit=limit, offset=offset)
        return await self._retried(partial(list_personas, offering_oid=offering_oid, playbook_oid=playbook_oid))

    async def library(self, kind: Kind, *, text: str | None, limit: int, offset: int) -> LibraryPage:
        """Return a page of the library's list of a kind. `text` is for a kind that is `searchable`."""
        return await self._retried(partial(self._client.list_library, kind, text=text, limit=limit, offset=offset))

    async def all_rows(self, kind: Kind, *, if_few: bool = False) -> tuple[list[LibraryRow], bool]:
        """Return all rows of a kind, and whether they are really all: a list of more than `MAX_PAGES` pages is cut.

        With `if_few`, a list of more than `FEW_ROWS` is cut after the page that says so.
        """
        return await self._all(partial(self.library, kind, text=None), if_few=if_few)

    async def all_personas(
        self, *, offering_oid: str | None, playbook_oid: str | None, if_few: bool = False
    ) -> tuple[list[Persona], bool]:
        """Return the personas of an offering and a playbook, or all, as `all_rows` does."""
        read = partial(self.personas, text=None, offering_oid=offering_oid, playbook_oid=playbook_oid)
        return await self._all(read, if_few=if_few)

    async def _all(self, read: Callable[..., Awaitable[Any]], *, if_few: bool) -> tuple[list[Any], bool]:
        rows: dict[object, Any] = {}
        offset = 0
        with self.bounded():
            for _ in range(MAX_PAGES):
                page = await read(limit=PAGE_ROWS, offset=offset)
                count_before = len(rows)
                for row in page.data:
                    rows.setdefault(row.oId or id(row), row)
                # If Octave ignores the offset, every page has the same rows.
                if not page.goes_on(offset) or len(rows) == count_before:
                    return list(rows.values()), True
                if if_few and max(offset + page.received, page.count(offset) or 0) > FEW_ROWS:
                    break
                offset += page.received
        return list(rows.values()), False

    async def workspace(self) -> Workspace:
        """Return the key's workspace and its credits. Raises KeyProblem if Octave rejects the key."""
        return await self._retried(self._client.validate_key)

    async def _retried(self, read: Callable[[], Awaitable[_Result]]) -> _Result:
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
        """Let all look-ups in the block take no longer together than one alone. Raises OctaveError after that."""
        try:
            with anyio.fail_after(self._seconds):
                yield
        except TimeoutError:
            raise OutcomeUnknown(f"Octave did not answer within {self._seconds:g} seconds.") from None


def _pause(error: OctaveError, tries: int) -> float | None:
    """Return the seconds until the next try after this number of tries; None if there is none."""
    if tries >= TRIES or not isinstance(error, OutcomeUnknown | Refused):
        return None
    if isinstance(error, Busy) and error.retry_after is not None:
        return error.retry_after if error.retry_after <= MAX_WAIT_SECONDS else None
    doubled: float = PAUSE_SECONDS * 2 ** (tries - 1)
    return doubled * (1 + random.random())  # noqa: S311 - a pause, not a secret
