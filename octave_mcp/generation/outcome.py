"""Outcomes of items and generations: how the service reports them, and how the ledger stores them as JSON."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

from octave_mcp.ledger.records import GenerationRecord, Item, Namesake, State
from octave_mcp.octave import errors
from octave_mcp.octave.errors import OctaveError, OutcomeUnknown, Refused, Rejected
from octave_mcp.octave.models import GenerateAnswer, Persona

ERROR_ANSWER_SECONDS = 60.0
"""How long after Octave's own error the persona may still appear in Octave's list."""

NO_ANSWER_SECONDS = 600.0
"""How long after a request without an answer its persona may still appear: the client's own deadline for one."""

LATE_SEARCH_SECONDS = 30.0
"""How long after a lost answer is due to be settled the search that settles it may take."""

_GATEWAY_STATUSES = frozenset({408, 425, 460, 499, 502, 503, 504, *range(520, 531), 598, 599})
"""Statuses that a gateway gives while Octave may still be at work."""


class NotSent(Refused):
    """Nothing left this machine."""


class NotCreated(Refused):
    """The answer was lost, and later a complete list of Octave's showed that nothing was created."""


class NameExists(Rejected):
    """Octave has a persona of this very name already, or may have it soon, so nothing was sent.

    `oid` and `created_at` (as Octave writes it) are that persona's. `generation` is an earlier one that asked for it,
    if it is not known yet whether it was created.
    """

    def __init__(
        self,
        text: str,
        *,
        oid: str | None = None,
        created_at: str | None = None,
        generation: str | None = None,
        **facts: Any,
    ) -> None:
        """Take the persona that exists or the generation, beside what every error takes."""
        super().__init__(text, **facts)
        self.oid = oid
        self.created_at = created_at
        self.generation = generation

    @classmethod
    def of_persona(cls, persona: Persona) -> Self:
        """Return the error for a persona that exists."""
        return cls("Octave already has a persona of this name.", oid=persona.oId, created_at=persona.createdAt)

    @classmethod
    def of_namesake(cls, namesake: Namesake) -> Self:
        """Return the error for what an earlier call asked for."""
        outcome = Outcome.of_item(namesake.item)
        if outcome and outcome.personas:
            return cls.of_persona(outcome.personas[0])
        text = "An earlier call asked for a persona of this name, and its outcome is not known yet."
        return cls(text, generation=namesake.generation)


_OWN_ERRORS = {kind.__name__: kind for kind in (NotSent, NotCreated, NameExists)}


@dataclass(frozen=True)
class Outcome:
    """Personas (one, unless Octave answered with more), or an error. `usage` is in credits, as Octave reported it.

    `identified` means that the answer was lost and the persona was found in Octave's list. `name_unchecked` means that
    it was not known before sending whether Octave already had a persona of this name.
    """

    personas: tuple[Persona, ...] = ()
    usage: float | None = None
    error: OctaveError | None = None
    identified: bool = False
    name_unchecked: bool = False

    @property
    def state(self) -> State:
        """The state of an item with this outcome."""
        if self.error is None:
            return State.CREATED
        return State.UNKNOWN if isinstance(self.error, OutcomeUnknown) else State.FAILED

    @property
    def oids(self) -> list[str]:
        """The oIds of the personas."""
        return [persona.oId for persona in self.personas if persona.oId]

    @classmethod
    def of_answer(cls, answer: GenerateAnswer, *, name_unchecked: bool = False) -> Self:
        """Return the outcome of an answer, which has at least one persona."""
        return cls(tuple(answer.data), answer.metadata.usage, name_unchecked=name_unchecked)

    @classmethod
    def of_error(cls, error: OctaveError) -> Self:
        """Return the outcome of an error."""
        return cls(error=error, usage=error.usage)

    @classmethod
    def of_item(cls, item: Item) -> Self | None:
        """Return the outcome that the ledger has of an item, or None while the item is live."""
        if item.state.is_live:
            return None
        if item.outcome is not None:
            return cls._from_json(item.outcome)
        if item.state is State.UNKNOWN:
            return cls(error=OutcomeUnknown("The server stopped before Octave had answered."))
        return cls(error=NotSent("The call was cancelled, or the server stopped, before this was sent."))

    def to_json(self) -> str:
        """Return this outcome as JSON for the ledger."""
        parts: dict[str, Any] = {
            "usage": self.usage,
            "identified": self.identified,
            "name_unchecked": self.name_unchecked,
        }
        parts["personas"] = [one.model_dump(mode="json", by_alias=True, exclude_unset=True) for one in self.personas]
        if self.error is not None:
            kept = {"kind": type(self.error).__name__, "text": str(self.error), **vars(self.error)}
            kept.pop("unreadable", None)
            parts["error"] = {name: value for name, value in kept.items() if value not in (None, math.inf)}
        return json.dumps(parts, ensure_ascii=False, allow_nan=False)

    @classmethod
    def _from_json(cls, text: str) -> Self:
        parts = json.loads(text)
        personas = tuple(Persona.model_validate(one) for one in parts["personas"])
        return cls(personas, parts["usage"], _error(parts.get("error")), parts["identified"], parts["name_unchecked"])


def _error(kept: dict[str, Any] | None) -> OctaveError | None:
    if kept is None:
        return None
    facts = dict(kept)
    name, text = facts.pop("kind"), facts.pop("text")
    error: OctaveError = (_OWN_ERRORS.get(name) or getattr(errors, name))(text, **facts)
    return error


def progress_words(asked: int, created: int, failed: int) -> str:
    """Return how far a generation is, such as `2 of 5 ready, 1 failed`."""
    return f"{created} of {asked} ready" + (f", {failed} failed" if failed else "")


def settles_at(item: Item, outcome: Outcome | None, clock_moved_at: float = 0.0) -> float | None:
    """Return when a complete list without an unknown item's persona proves that it was not created.

    Seconds since the epoch; None if the item is not unknown, or has no name to search for. If the clock was moved
    forward since the item was sent, it is not known how long ago that was, and the wait begins again.
    """
    if item.state is not State.UNKNOWN or item.name is None or item.sent_at is None:
        return None
    moved_at = clock_moved_at if clock_moved_at > item.sent_at else 0.0
    error = outcome.error if outcome else None
    if error is not None and item.settled_at is not None and _is_from_octave(error):
        return max(item.settled_at, moved_at) + ERROR_ANSWER_SECONDS
    return max(item.sent_at, moved_at) + NO_ANSWER_SECONDS


def _is_from_octave(error: OctaveError) -> bool:
    """Return whether Octave itself answered with an error, so that it is not at work any more.

    A gateway's answer may be JSON with a message too; only Octave's id of the request shows that it is Octave's.
    """
    if error.status is None or error.status < 400:  # noqa: PLR2004 - an HTTP status
        return False
    return error.status not in _GATEWAY_STATUSES or bool(error.request_id)


@dataclass(frozen=True)
class Search:
    """The last search for an unknown item's persona: when Octave's list was read, how often, and what it showed.

    absent: no persona of this name was created since. ambiguous: at least one may be this item's, none is certain.
    unreadable: the list could not be read to its end. unnamed: without a name there is nothing to search for.
    """

    finding: Literal["absent", "ambiguous", "unreadable", "unnamed"]
    looked_at: float
    reads: int


@dataclass(frozen=True)
class Part:
    """One requested persona: its item, whether an earlier call had asked for it, and what became of it.

    `outcome` is None while the item is live. `search` and `settles_at` (seconds since the epoch) are those of an
    unknown item.
    """

    item: Item
    joined: bool
    outcome: Outcome | None
    search: Search | None = None
    settles_at: float | None = None

    @property
    def state(self) -> State:
        """The item's state, or the outcome's if the ledger does not have it yet."""
        return self.outcome.state if self.outcome else self.item.state


@dataclass(frozen=True)
class Generation:
    """What is known of everything that one call asked for, in its order.

    `sends_at`, in seconds since the epoch, is when queued items are sent at the earliest; None if Octave does not ask
    to wait.
    """

    id: str
    created_at: float
    parts: tuple[Part, ...]
    sends_at: float | None = None

    @classmethod
    def of_record(
        cls,
        record: GenerationRecord,
        unrecorded: dict[str, Outcome],
        searches: dict[str, Search],
        clock_moved_at: float = 0.0,
        sends_at: float | None = None,
    ) -> Self:
        """Return a recorded generation, with the outcomes that the ledger does not have yet, and the searches."""
        parts = []
        for item in record.items:
            outcome = unrecorded.get(item.id) or Outcome.of_item(item)
            due = settles_at(item, outcome, clock_moved_at)
            search = searches.get(item.id) if item.state is State.UNKNOWN else None
            parts.append(Part(item, item.id in record.joined, outcome, search, due))
        return cls(record.id, record.created_at, tuple(parts), sends_at)

    @property
    def asked(self) -> int:
        """The number of personas that were asked for."""
        return len(self.parts)

    @property
    def live(self) -> int:
        """The number that is being written or waits for its turn."""
        return self._count(lambda part: part.state.is_live)

    @property
    def created(self) -> int:
        """The number that was created."""
        return self._count(lambda part: part.state is State.CREATED)

    @property
    def unknown(self) -> int:
        """The number whose outcome is unknown."""
        return self._count(lambda part: part.state is State.UNKNOWN)

    @property
    def status(self) -> Literal["pending", "failed", "partial", "complete"]:
        """How far it is. Failed: nothing was created; partial: less than what was asked for."""
        if self.live:
            return "pending"
        if not self.personas:
            return "failed"
        return "complete" if self.created == self.asked else "partial"

    def unsettled(self, now: float) -> int:
        """Return the number that may still settle: live items, and unknown ones whose search is not over yet.

        `now` is in seconds since the epoch.
        """
        return self._count(
            lambda part: (
                part.state.is_live or (part.settles_at is not None and now < part.settles_at + LATE_SEARCH_SECONDS)
            )
        )

    def _count(self, condition: Any) -> int:
        return sum(map(condition, self.parts))

    @cached_property
    def personas(self) -> list[Persona]:
        """The created personas, each once."""
        found: dict[object, Persona] = {}
        for part in self.parts:
            for persona in part.outcome.personas if part.outcome else ():
                found.setdefault(persona.oId or id(persona), persona)
        return list(found.values())

    @property
    def usage(self) -> float | None:
        """Credits of what this call added; None if Octave reported none."""
        return self._usage(joined=False)

    @property
    def earlier_usage(self) -> float | None:
        """Credits that the personas of earlier calls had cost; None if Octave reported none."""
        return self._usage(joined=True)

    def _usage(self, *, joined: bool) -> float | None:
        parts = (part for part in self.parts if part.joined is joined and part.outcome is not None)
        reported = [part.outcome.usage for part in parts if part.outcome and part.outcome.usage is not None]
        return sum(reported) if reported and math.isfinite(sum(reported)) else None
