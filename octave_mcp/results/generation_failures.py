"""Explain why requested personas were not returned; those with the same reason are explained together.

A model has no clock and cannot wait by itself. So the text about an unknown outcome says when the request was sent,
what searches have found, when the outcome will be settled, and which one call waits for that.
"""

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from octave_mcp.generation.outcome import Generation, NameExists, Part
from octave_mcp.octave.errors import OctaveError, OutcomeUnknown
from octave_mcp.personas.cleaning import clean
from octave_mcp.personas.section_items import plain_oid
from octave_mcp.results.failures import (
    MAY_EXIST,
    NOTHING_CREATED,
    NOTHING_SENT,
    Code,
    Failure,
    Retry,
    explain,
    request_id,
)
from octave_mcp.results.wording import clock_time, first_few, places, quoted, utc

_Group = list[tuple[int, Part]]

MAX_EXISTING = 30
"""Personas that exist already, listed at most with their oIds; more are counted."""

_DO_NOT_REPEAT = "Do not ask for it again until its outcome is known."

_FINDINGS = {
    "absent": "no persona of this name was created since",
    "ambiguous": "it has a persona that may be this one, but that is not certain",
    "unreadable": "it could not be read to its end",
}
"""The findings of a search of Octave's list that leave the outcome unknown, in words."""


@dataclass(frozen=True)
class FailureWriter:
    """Writes the failures of generations.

    `window` is how long a call waits and `replay` how long a request counts as the same, both in seconds; `now` is in
    seconds since the epoch. `known_oids` says that this server itself named every oId of the request a moment ago.
    """

    window: float
    replay: float
    now: float
    known_oids: bool = False

    def failures(
        self, generation: Generation, explanations: int, message_characters: int
    ) -> Iterator[tuple[str, Failure]]:
        """Yield each failure with its places in the request: at most `explanations`, and one for the rest."""
        groups: dict[Hashable, _Group] = {}
        for place, part in enumerate(generation.parts):
            if error := part.outcome and part.outcome.error:
                groups.setdefault(self._reason(part, error, message_characters), []).append((place, part))
        for group in list(groups.values())[:explanations]:
            yield places(group), self._explain(group, message_characters)
        if rest := sorted(
            (one for group in list(groups.values())[explanations:] for one in group), key=lambda one: one[0]
        ):
            yield places(rest), _summed_up([part for _, part in rest])

    def _reason(self, part: Part, error: OctaveError, message_characters: int) -> Hashable:
        """Return what failures that are reported together have in common."""
        if isinstance(error, NameExists):
            return NameExists, error.generation
        if isinstance(error, OutcomeUnknown):
            return str(error), error.octave_message, part.item.name is None, part.search and part.search.finding
        return explain(error, message_characters=message_characters, known_oids=self.known_oids)

    def _explain(self, group: _Group, message_characters: int) -> Failure:
        errors = [part.outcome.error for _, part in group if part.outcome and part.outcome.error]
        failure = explain(errors[0], message_characters=message_characters, known_oids=self.known_oids)
        if isinstance(errors[0], NameExists):
            parts = [part for _, part in group]
            generation = errors[0].generation
            return _asked_for(generation, parts) if generation else _existing(errors, parts)
        if not failure.may_exist:
            return failure
        first = [failure.problem, *([request_id(errors[0])] if errors[0].request_id else [])]
        retry, seconds, advice = self._advice([part for _, part in group])
        return Failure(Code.OUTCOME_UNKNOWN, " ".join([*first, *advice]), retry, seconds, may_exist=True)

    def _advice(self, parts: Sequence[Part]) -> tuple[Retry, float | None, list[str]]:
        """Return when calling again helps, after how many seconds, and the sentences about an unknown outcome."""
        sent = min(part.item.sent_at or part.item.created_at for part in parts)
        sentences = [f"It was sent at {utc(sent)}."]
        if parts[0].item.name is None:
            return Retry.AFTER_CHANGE, None, [*sentences, self._unnamed()]
        search = max((part.search for part in parts if part.search), key=lambda search: search.looked_at, default=None)
        if search and search.finding in _FINDINGS:
            times = "once" if search.reads == 1 else f"{search.reads} times"
            finding = _FINDINGS[search.finding]
            sentences.append(
                f"Octave's list was read {times} since, last at {clock_time(search.looked_at)}: {finding}."
            )
        if search and search.finding == "ambiguous":
            sentences.append("Show the user those of this name with list_personas. Do not ask for it again.")
            return Retry.NEVER, None, sentences
        settles = max(part.settles_at or self.now for part in parts)
        left = max(0, math.ceil(settles - self.now))
        return Retry.AFTER_SECONDS, left, [*sentences, _DO_NOT_REPEAT, *self._one_call(settles, left)]

    def _one_call(self, settles: float, left: int) -> list[str]:
        call = f"Call get_generation with this generationId once: it waits up to {_seconds(self.window)}"
        if not left:
            return [f"{call}, and knows whether it was created as soon as Octave's list can be read to its end."]
        when = f"from {clock_time(settles)} on (in {_seconds(left)})"
        if left <= self.window:
            return [f"{call}, and {when} it knows whether the persona was created."]
        return [
            f"{call}, and returns the persona as soon as Octave lists it.",
            f"If it is still unknown then, tell the user: {when} get_generation knows whether it was created.",
        ]

    def _unnamed(self) -> str:
        return (
            "It was asked for without a name, so it cannot be looked for. The same request is not sent again for "
            f"{self.replay / 3600:g} hours. Tell the user; list_personas may show it only after a minute, and "
            "get_persona (section details) says when each was created. If it is missing even then and wanted, ask for "
            "it with a name."
        )


def _existing(errors: Sequence[OctaveError], parts: Sequence[Part]) -> Failure:
    """Return the failure of personas whose names exist in Octave."""
    shown = [_existing_one(error, part) for error, part in zip(errors, parts, strict=True)]
    problem = (
        f"Octave has a persona of this very name already: {first_few(shown, MAX_EXISTING)}. {NOTHING_SENT} Ask the "
        "user: use that one (get_persona shows it), change it in Octave, or ask again under another name."
    )
    return Failure(Code.NAME_EXISTS, problem, Retry.AFTER_CHANGE)


def _asked_for(generation: str, parts: Sequence[Part]) -> Failure:
    """Return the failure of personas whose names an earlier call asked for, if its outcome is not known yet."""
    names = list(dict.fromkeys(quoted(part.item.name) for part in parts))
    problem = (
        f"An earlier call, {generation}, asked for a persona of this very name, and its outcome is not known yet: "
        f"{first_few(names, MAX_EXISTING)}. {NOTHING_SENT} Call get_generation with that generationId: it waits for "
        "the outcome. Ask again under another name only if the user wants another persona."
    )
    return Failure(Code.NAME_EXISTS, problem, Retry.AFTER_CHANGE)


def _existing_one(error: OctaveError, part: Part) -> str:
    facts = []
    if isinstance(error, NameExists):
        facts = [plain_oid(error.oid), f"created {clean(error.created_at[:19])}" if error.created_at else ""]
    known = ", ".join(filter(None, facts))
    return f"{quoted(part.item.name)}{f' ({known})' if known else ''}"


def _summed_up(parts: Sequence[Part]) -> Failure:
    """Return one failure for parts with too many different reasons."""
    if any(part.outcome and isinstance(part.outcome.error, OutcomeUnknown) for part in parts):
        problem = f"Other problems. {MAY_EXIST} {_DO_NOT_REPEAT} Call get_generation with this generationId once."
        return Failure(Code.OUTCOME_UNKNOWN, problem, Retry.SAME_CALL, may_exist=True)
    return Failure(Code.NOT_CREATED, f"Other problems, not listed here. {NOTHING_CREATED}", Retry.AFTER_CHANGE)


def _seconds(number: float) -> str:
    whole = max(1, round(number))
    return f"{whole} second{'' if whole == 1 else 's'}"
