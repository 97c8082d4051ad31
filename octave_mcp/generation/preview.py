"""What a call would do: which personas it would join, which names are taken, and what would be sent."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import anyio

from octave_mcp.generation.outcome import NameExists
from octave_mcp.generation.recovery import find_same_name
from octave_mcp.ledger.records import Item, Namesake
from octave_mcp.octave.client import OctaveClient
from octave_mcp.octave.errors import OctaveError

logger = logging.getLogger(__name__)

NAME_CHECK_SECONDS = 5.0
"""How long the search for personas of the same name may hold up a request."""

NAMES_AT_ONCE = 8
"""The number of names of one call that are searched for at once."""


@dataclass(frozen=True)
class NameCheck:
    """Which names are taken, with what takes each in `existing`, and which are `free`.

    A name in neither was not searched for, or could not be, in time.
    """

    existing: dict[str, NameExists] = field(default_factory=dict)
    free: frozenset[str] = frozenset()

    def with_namesakes(self, namesakes: Mapping[str, Namesake]) -> Self:
        """Return this with the names that earlier calls asked for."""
        taken = {name: NameExists.of_namesake(namesake) for name, namesake in namesakes.items()}
        return replace(self, existing={**taken, **self.existing}, free=self.free - taken.keys())


@dataclass(frozen=True)
class PreviewPart:
    """Says of one requested persona whether it joins `earlier`, is refused for its `same_name`, or is sent."""

    name: str | None
    fingerprint: str
    earlier: Item | None
    same_name: NameExists | None

    @property
    def is_new(self) -> bool:
        """Whether one POST would be sent."""
        return self.earlier is None and self.same_name is None


@dataclass(frozen=True)
class Preview:
    """What a call would do, for each persona in the request's order, and what Octave's list says of their names."""

    parts: tuple[PreviewPart, ...]
    names: NameCheck = field(default_factory=NameCheck)


async def check_names(client: OctaveClient, names: set[str], known: NameCheck | None = None) -> NameCheck:
    """Search Octave's list for these names, except those of which it is `known` already, for a bounded time."""
    known = known or NameCheck()
    existing, free = dict(known.existing), set(known.free)
    limiter = anyio.CapacityLimiter(NAMES_AT_ONCE)

    async def check(name: str) -> None:
        try:
            async with limiter:
                found = await find_same_name(client, name)
        except OctaveError as error:
            logger.info("Octave's list cannot be searched for a name: %s", error)
            return
        except Exception:  # it must not end the server
            logger.exception("The search for a name failed unexpectedly")
            return
        if found:
            existing[name] = NameExists.of_persona(found)
        else:
            free.add(name)

    with anyio.move_on_after(NAME_CHECK_SECONDS):
        async with anyio.create_task_group() as tasks:
            for name in names - existing.keys() - free:
                tasks.start_soon(check, name)
    return NameCheck(existing, frozenset(free))
