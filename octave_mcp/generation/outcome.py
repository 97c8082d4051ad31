"""What became of items, and of a generation of them, as the runner tells it and as the ledger keeps it."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from octave_mcp.generation.ledger import Item, State
from octave_mcp.octave import errors
from octave_mcp.octave.errors import NothingMade, OctaveError, OutcomeUnknown, Refused
from octave_mcp.octave.models import GenerateAnswer, Persona

__all__ = ["Generation", "NotSent", "Outcome", "Part"]


class NotSent(Refused):
    """Nothing of it left this machine."""


@dataclass(frozen=True)
class Outcome:
    """Personas (one, unless Octave answered with more), or an error. `usage` is in credits, as Octave told it.

    `identified` says that the answer was lost, and the persona found in Octave's list.
    """

    personas: tuple[Persona, ...] = ()
    usage: float | None = None
    error: OctaveError | None = None
    identified: bool = False

    @property
    def state(self) -> State:
        """The item's state that this outcome is."""
        if self.error is None:
            return State.DONE
        return State.UNKNOWN if isinstance(self.error, OutcomeUnknown) else State.FAILED

    @property
    def oids(self) -> list[str]:
        """The oIds of the personas."""
        return [persona.oId for persona in self.personas if persona.oId]

    @classmethod
    def all_of(cls, answer: GenerateAnswer, asked: int) -> Iterator[Self]:
        """An answer taken apart by its order, for each asked for; what it has beyond them belongs to the last."""
        for place in range(asked):
            personas = answer.data[place : place + 1] if place < asked - 1 else answer.data[place:]
            usage = answer.metadata.usage if place == 0 else None
            fewer = OutcomeUnknown("Octave answered with fewer personas than this POST asked for.")
            yield cls(tuple(personas), usage, None if personas else fewer)

    @classmethod
    def of(cls, error: OctaveError) -> Self:
        """The outcome that an error is."""
        return cls(error=error, usage=error.usage if isinstance(error, NothingMade) else None)

    @classmethod
    def read(cls, item: Item) -> Self | None:
        """What the ledger has of an item; None while it is live."""
        if item.outcome is not None and not item.state.is_live:
            return cls._loads(item.outcome)
        if item.state is State.UNKNOWN:
            return cls(error=OutcomeUnknown("The server ended before Octave had answered."))
        if item.state is State.FAILED:
            return cls(error=NotSent("The call was given up, or the server ended, before this was sent."))
        return None

    def dumps(self) -> str:
        """JSON for the ledger."""
        parts: dict[str, Any] = {"usage": self.usage, "identified": self.identified}
        parts["personas"] = [one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in self.personas]
        if self.error is not None:
            kept = {"kind": type(self.error).__name__, "text": str(self.error), **vars(self.error)}
            kept.pop("unreadable", None)
            parts["error"] = {name: value for name, value in kept.items() if value not in (None, math.inf)}
        return json.dumps(parts, ensure_ascii=False, allow_nan=False)

    @classmethod
    def _loads(cls, text: str) -> Self:
        parts = json.loads(text)
        personas = tuple(Persona.model_validate(one) for one in parts["personas"])
        return cls(personas, parts["usage"], _error(parts.get("error")), parts["identified"])


def _error(kept: dict[str, Any] | None) -> OctaveError | None:
    if kept is None:
        return None
    facts = dict(kept)
    kind, text = facts.pop("kind"), facts.pop("text")
    error: OctaveError = (NotSent if kind == NotSent.__name__ else getattr(errors, kind))(text, **facts)
    return error


@dataclass(frozen=True)
class Part:
    """One persona that a call asked for: its item, whether an earlier call had asked for it, and what became of it.

    `outcome` is None while the item is live.
    """

    item: Item
    joined: bool
    outcome: Outcome | None

    @property
    def state(self) -> State:
        """The item's state, or the outcome's where the ledger does not have it yet."""
        return self.outcome.state if self.outcome else self.item.state


@dataclass(frozen=True)
class Generation:
    """What is known of all that a call asked for, in its order. `waited` is how many seconds a call waited for it."""

    id: str
    created_at: float
    parts: tuple[Part, ...]
    waited: float = 0.0

    @property
    def asked(self) -> int:
        """How many personas were asked for."""
        return len(self.parts)

    @property
    def live(self) -> int:
        """How many are still being written, or wait for their turn."""
        return sum(part.state.is_live for part in self.parts)

    @property
    def waits(self) -> bool:
        """Whether something of it is unfinished, or was never handed over."""
        return any(part.state.is_live or part.item.handed_over_at is None for part in self.parts)

    @property
    def done(self) -> int:
        """How many of those asked for are ready."""
        return sum(part.state is State.DONE for part in self.parts)

    @cached_property
    def personas(self) -> list[Persona]:
        """The personas that Octave made, each once."""
        found: dict[object, Persona] = {}
        for part in self.parts:
            for persona in part.outcome.personas if part.outcome else ():
                found.setdefault(persona.oId or id(persona), persona)
        return list(found.values())

    @property
    def usage(self) -> float | None:
        """Credits, as Octave told them; None where it told none."""
        told = [part.outcome.usage for part in self.parts if part.outcome and part.outcome.usage is not None]
        return sum(told) if told and math.isfinite(sum(told)) else None
