"""Write a generation as a tool result: what was created, what was not and why, and what to do next, within a budget.

Text and structured content say the same, since some hosts show the model only one of them. The first line and the last
lines of the text say what happened, since some hosts show a person only these.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.types import CallToolResult, TextContent

from octave_mcp.generation.outcome import Generation, Part
from octave_mcp.ledger.records import State
from octave_mcp.personas.summary import Condensed, condense
from octave_mcp.personas.tokens import cost
from octave_mcp.results.failures import Failure
from octave_mcp.results.generation_failures import FailureWriter
from octave_mcp.results.wording import DATA_NOTE, clock_time, names_of, places, plain_number, utc

CONDENSED_NOTE = "Condensed; get_persona shows all of one."

PENDING_NOTE = (
    "Some personas are not ready yet. Call get_generation with this generationId to collect them; do not ask for them "
    "again."
)

ANOTHER_ONE = (
    "It may have been changed or deleted in Octave since. To have another persona from the same material, change its "
    "name, and say in a source what should differ. If it has no name, change only the source."
)

FAILURE_DETAIL = ((5, 300), (3, 100), (1, 60))
"""The number of failures that a result explains, and the characters of Octave's message in each: the first pair that
leaves half of the budget to the personas is used. Failures with the same reason count as one."""

_SLACK = 60
"""Estimated tokens by which the notes may grow when it is known how many personas fit."""


def generation_result(
    generation: Generation,
    writer: FailureWriter,
    *,
    budget: int,
    notes: Sequence[str] = (),
    receipt: str = "",
    already_shown: Collection[str] = (),
) -> CallToolResult:
    """Return a generation in at most `budget` estimated tokens, both channels together.

    `notes` stand before the result's own ones. `already_shown` has the oIds of personas that an earlier
    result of this generation showed: if not all fit in full, these are shown by name only.
    """
    for explanations, message_characters in FAILURE_DETAIL:
        failures = tuple(writer.failures(generation, explanations, message_characters))
        report = _Report(generation, failures, tuple(notes), receipt)
        spent = report.cost()
        if spent <= budget // 2:
            break
    new = [place for place, persona in enumerate(generation.personas) if persona.oId not in already_shown]
    shown, left_out = condense(generation.personas, budget - spent, in_full=new or None)
    return CallToolResult(
        content=[TextContent(type="text", text=report.text(shown, left_out))],
        structured_content=report.structured(shown, left_out),
        is_error=generation.status == "failed",
    )


@dataclass(frozen=True)
class _Report:
    """All parts of a result except the personas."""

    generation: Generation
    failures: tuple[tuple[str, Failure], ...]
    """Places of the request, with their failure."""
    general: tuple[str, ...]
    receipt: str

    def cost(self) -> int:
        """Return the estimated tokens of this in both channels."""
        return cost(self.structured([], ""), self.text([], "")) + _SLACK

    def structured(self, shown: Sequence[Condensed], left_out: str) -> dict[str, Any]:
        parts: dict[str, Any] = {"generationId": self.generation.id, "status": self.generation.status}
        if self._usage is not None:
            parts["usage"] = plain_number(self._usage)
        if self.failures:
            parts["failed"] = [{"personas": where, **failure.structured()} for where, failure in self.failures]
        if pending := self._pending():
            parts["pending"] = pending
        parts["notes"] = self._notes(shown, left_out)
        parts["personas"] = [one.structured() for one in shown]
        return parts

    def text(self, shown: Sequence[Condensed], left_out: str) -> str:
        first = f"Status {self.generation.status}: {self._counts()}. generationId: {self.generation.id}."
        lines = [first, *self._pending()]
        lines += [f"Failed: {where}. {failure.problem}" for where, failure in self.failures]
        lines += self._notes(shown, left_out)
        gap = "\n\n" if any(one.items for one in shown) else "\n"
        return gap.join(["\n".join(lines), *(one.text() for one in shown), self._last_line()])

    def _counts(self) -> str:
        """Return how many were created, and what was charged."""
        one = self.generation
        parts = [f"{len(one.personas)} of {one.asked} personas created"]
        earlier = len(self._in({State.CREATED}, joined=True))
        parts += [f"{earlier} of them by an earlier call"] if earlier else []
        parts += [f"{len(found)} {words}" for words, found in self._live.items() if found]
        parts += [f"{one.unknown} may exist (outcome unknown)"] if one.unknown else []
        if self._usage is not None:
            so_far = " so far" if one.live else ""
            parts.append(f"{plain_number(self._usage)} credit{'' if self._usage == 1 else 's'} charged{so_far}")
        return "; ".join(parts)

    @property
    def _usage(self) -> float | None:
        """Credits of this call: none if earlier calls had all of it created; not known if Octave reported none."""
        one = self.generation
        return 0 if not one.unknown and all(part.joined for part in one.parts) else one.usage

    @property
    def _live(self) -> dict[str, list[tuple[int, Part]]]:
        """Return the parts that are not ready, each with its place, by words that say how far they are."""
        return {"still being written": self._in({State.SENT}), "waiting to be sent": self._in({State.QUEUED})}

    def _last_line(self) -> str:
        """Return which were created and which were not, by name, for hosts that show a person the end of a text."""
        kinds = {
            "created": self._in({State.CREATED}, joined=False),
            "created earlier": self._in({State.CREATED}, joined=True),
            **self._live,
            "outcome unknown": self._in({State.UNKNOWN}),
            "failed": self._in({State.FAILED}),
        }
        parts = [f"{kind}: {names_of(found)}" for kind, found in kinds.items() if found]
        return f"Status {self.generation.status}; {'; '.join(parts)}."

    def _in(self, states: Collection[State], *, joined: bool | None = None) -> list[tuple[int, Part]]:
        """Return the parts in these states, with their places; only those that were joined, or were not, if given."""
        parts = enumerate(self.generation.parts)
        return [one for one in parts if one[1].state in states and joined in {None, one[1].joined}]

    def _pending(self) -> list[str]:
        sends_at = self.generation.sends_at
        until = "their turn" if sends_at is None else f"{clock_time(sends_at)}, as Octave is busy and asks to wait"
        kinds = {"Being written": State.SENT, f"Waiting for {until}": State.QUEUED}
        return [f"{words}: {places(found)}." for words, state in kinds.items() if (found := self._in({state}))]

    def _notes(self, shown: Sequence[Condensed], left_out: str) -> list[str]:
        created = len(self.generation.personas)
        notes = list(self.general)
        if self.generation.live:
            notes.append(PENDING_NOTE)
        notes += self._earlier()
        if created:
            notes.append(" ".join(filter(None, [DATA_NOTE, CONDENSED_NOTE, left_out])))
        if len(shown) < created:
            notes.append(f"{created - len(shown)} more were created than fit here; list_personas lists them.")
        if created != self.generation.created:
            notes.append(f"Octave created {created} personas where {self.generation.created} were asked for.")
        created_parts = self._in({State.CREATED})
        if found := [(place, part) for place, part in created_parts if part.outcome and part.outcome.identified]:
            notes.append(
                f"The answer was lost, and the persona was found in Octave's list: {places(found)}. What it cost is "
                "not known; check_workspace tells the balance."
            )
        if unchecked := [
            (place, part) for place, part in created_parts if part.outcome and part.outcome.name_unchecked
        ]:
            notes.append(f"Octave's list could not be searched for a persona of the same name: {places(unchecked)}.")
        return [*notes, *([self.receipt] if self.receipt else [])]

    def _earlier(self) -> list[str]:
        """Return what earlier calls had asked for already."""
        joined = self._in({State.CREATED}, joined=True)
        notes = []
        if joined:
            times = sorted(part.item.settled_at or part.item.created_at for _, part in joined)
            when = (
                f"at {utc(times[0])}" if times[-1] - times[0] < 1 else f"between {utc(times[0])} and {utc(times[-1])}"
            )
            earlier = self.generation.earlier_usage
            paid = "" if earlier is None else f" (charged then, in credits: {plain_number(earlier)})"
            nothing = "nothing was sent or charged for it now"
            notes.append(f"Created earlier, {when}{paid}; {nothing}: {places(joined)}. {ANOTHER_ONE}")
        if waiting := self._in({State.QUEUED, State.SENT}, joined=True):
            notes.append(f"Asked for by an earlier call already, and not sent again: {places(waiting)}.")
        return notes
