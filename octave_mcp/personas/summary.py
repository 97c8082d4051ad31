"""Personas condensed to what a reader would miss most, within a number of tokens.

`octave.sections` declares which section a reader would miss most, and how many items of each are worth showing. The
first items of all sections are chosen before second ones, since a second pain repeats the kind of thing that the first
said, and a first concern does not.

- All personas of a result are shown to the same depth, so that they can be compared. One with long items, or in a
  script that takes many tokens, may take several equal shares of the budget.
- Nothing is skipped to fill a gap: what is shown in little room is also shown in more.
- Items are whole. What is left out is counted by section: at each persona where there are few, else for all together.
- Of questions the strongest are shown, and none that is archived; of everything else Octave's order is kept, as its
  first item is taken for the most important.

Each persona is rendered as text and as structured content with the same items, because some hosts show the model only
one of them. The budget covers both.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Any

from octave_mcp.octave.models import Persona, QualifyingQuestion
from octave_mcp.octave.sections import SECTIONS, Content, Section
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.tokens import cost, estimate

__all__ = ["Condensed", "condense", "display_name", "first_sentence", "plain_oid"]

LEAST_DEPTH = 2
"""Items of the plan that a summary has at least; less than a title and an objective is a name."""

FEW = 5
"""Personas whose left-out items are counted at each of them; where there are more, the note counts them together."""

MOST_SHARES = 3
"""Equal shares of the budget that one persona may take."""

MAX_ITEM_CHARACTERS = 320
"""Characters of an item that is shown: a longer one would displace several that say more."""

NAME_CHARACTERS = 80
"""Characters of a name; fewer, down to none, if names and oIds alone are too much."""

ELLIPSIS_CHARACTERS = 16
"""Characters of a shortened name that gets an ellipsis: in a shorter one it would cost as much as a word."""

REMARK_TOKENS = 60
"""Tokens of a share that are set aside for the counts of what is left out."""

MAX_OID_CHARACTERS = 64
"""Characters of an oId; Octave makes none that is longer, and one could take any amount of room."""

_MAX_TEXT_CHARACTERS = 100_000
"""Characters of a description that are read."""

_DELAYS = (0.0, 1.0, 1.5)
"""Places in the order of sections, in all sections, by which a first, second and third item are missed less: a second
one less than any first one, a third one about as much as the second one of a section in the later half."""


def _plan() -> tuple[Section, ...]:
    """Return the order in which items are chosen: each time the next item of the section."""
    places = [
        (place + len(SECTIONS) * _DELAYS[item], place, section)
        for place, section in enumerate(SECTIONS)
        for item in range(section.shown)
    ]
    return tuple(section for *_, section in sorted(places, key=lambda one: one[:2]))


_PLAN = _plan()

_DISPLAYED = sorted(SECTIONS, key=lambda section: section.content is not Content.TEXT)
"""The order in which sections are shown: as declared, after the description, which says who this is."""

_LABEL_TOKENS = {section.key: estimate(section.key) + estimate(section.label) + 6 for section in SECTIONS}
"""Tokens of the first item of a section beside its own."""

_SENTENCE = re.compile(r".+?(?:(?<=[.!?]) +(?=[^a-z])|(?<=[。！？])|$)", re.DOTALL)
"""A sentence with the space after it. An abbreviation such as "e.g." goes on in small letters and ends none."""

_WEIGHTS = ("INSTANT_DISQUALIFIER", "HIGH", "MEDIUM", "LOW")
"""Weights of questions, strongest first."""

_FITS = {"qualifyingQuestions": "GOOD", "disqualifyingQuestions": "BAD"}


@dataclass
class Condensed:
    """One persona as a result shows it: its items by section key, and how many of each it does not show."""

    oid: str
    name: str
    flags: tuple[str, ...] = ()
    items: dict[str, list[str]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    counted: bool = False
    """Whether the persona itself says what is left out; else the note to the result does."""

    @property
    def description(self) -> str:
        """Return the sentences of the description that are shown, as one text."""
        return "".join(self.items.get("description", ())).rstrip()

    def structured(self) -> dict[str, Any]:
        """Return the persona as structured content, with Octave's names."""
        parts: dict[str, Any] = {"oId": self.oid} if self.oid else {}
        if self.name or not self.oid:
            parts["name"] = self.name
        parts |= dict.fromkeys(self.flags, True)
        for key, items in self.items.items():
            parts[key] = self.description if key == "description" else items
        if self.counted and self.left_out:
            parts["leftOut"] = self.left_out
        return parts

    def text(self) -> str:
        """Return the persona as lines of text, each but the first with a label."""
        flags = "".join(f", {flag} by Octave" for flag in self.flags)
        lines = [f"{self.name} ({self.oid or 'no oId'}{flags})" if self.name else self.oid]
        left_out = dict(self.left_out) if self.counted else {}
        for section in _DISPLAYED:
            if items := self.items.get(section.key):
                shown = self.description if section.key == "description" else "; ".join(items)
                more = left_out.pop(section.key, 0)
                lines.append(f"{section.label}: {shown}" + (f" (+{more} more)" if more else ""))
        if left_out:
            lines.append(f"Left out: {_counts(left_out)}")
        return "\n".join(lines)


def condense(
    personas: Sequence[Persona], budget: int, *, in_full: Collection[int] | None = None
) -> tuple[list[Condensed], str]:
    """Condense `personas` to at most `budget` estimated tokens, both channels and the note together.

    `in_full` holds indices of personas that matter more than the rest: if not all fit in full, the rest is shown by
    name. Returns the personas in their order, and a note that says what is left out and is not said at each of them
    ("" if nothing is). Only if not even all oIds fit are there fewer personas than were given.
    """
    candidates = [_Candidate(persona) for persona in personas]
    everyone = range(len(candidates))
    for chosen, depths in ((everyone, [len(_PLAN)]), (in_full or everyone, range(LEAST_DEPTH, len(_PLAN) + 1))):
        if shown := _deepest(candidates, frozenset(chosen), depths, budget):
            return shown, _note(shown)

    def named(characters: int) -> list[Condensed]:
        return [candidate.named(characters) for candidate in candidates]

    # An index before the one that `bisect_right` returns was measured, and fits.
    characters = bisect_right(range(NAME_CHARACTERS + 1), budget, key=lambda length: _total(named(length))) - 1
    shown = named(max(0, characters))
    count = bisect_right(range(len(shown) + 1), budget, key=lambda end: _total(shown[:end])) - 1
    return shown[: max(0, count)], _note(shown[: max(0, count)])


def display_name(persona: Persona) -> str:
    """Return the persona's name, or what Octave has in place of one, safe to show; "" if there is none."""
    name = persona.name or persona.internalName or persona.data.internalName or ""
    return clean(name[: 5 * NAME_CHARACTERS])


def first_sentence(description: str | None) -> str:
    """Return the first sentence of a description; "" if it is too long for a summary."""
    return next(iter(_sentences((description or "")[: 2 * MAX_ITEM_CHARACTERS])), "").rstrip()


def plain_oid(oid: str | None) -> str:
    """Return the oId, or "" if it could not be given back to Octave: too long, or with something invisible in it."""
    plain = oid is not None and len(oid) <= MAX_OID_CHARACTERS and clean(oid) == oid and " " not in oid
    return oid if oid is not None and plain else ""


class _Candidate:
    """A persona made safe to show, with the tokens of each item that may be shown."""

    def __init__(self, persona: Persona) -> None:
        self._name = display_name(persona) or "(no name)"
        self._oid = plain_oid(persona.oId)
        self._flags = tuple(flag for flag in ("rejected", "unrecognized") if getattr(persona, flag))
        texts = {section.key: list(_texts(persona, section)) for section in SECTIONS}
        self._counts = {key: len(some) for key, some in texts.items() if some}
        self._items = {section.key: _priced(texts[section.key], section) for section in SECTIONS}

    def named(self, characters: int) -> Condensed:
        """Return this persona by name, of at most so many characters, and oId."""
        name = shorten(self._name, characters) if characters >= ELLIPSIS_CHARACTERS else self._name[:characters]
        name = name.rstrip() or ("" if self._oid else self._name[:ELLIPSIS_CHARACTERS])
        return Condensed(self._oid, name, self._flags, left_out=dict(self._counts))

    def to(self, depth: int, room: int, *, counted: bool) -> Condensed:
        """Return this persona with the plan's items down to `depth`, or to the last that fits into `room` tokens."""
        shown = self.named(NAME_CHARACTERS)
        shown.counted = counted
        room -= cost(shown.structured(), shown.text()) + REMARK_TOKENS
        chosen: Counter[str] = Counter()
        for section in _PLAN[:depth]:
            items = self._items[section.key]
            if chosen[section.key] == len(items):
                continue
            room -= items[chosen[section.key]][1] + (0 if chosen[section.key] else _LABEL_TOKENS[section.key])
            if room < 0:
                break
            chosen[section.key] += 1
        keys = [section.key for section in _DISPLAYED if chosen[section.key]]
        shown.items = {key: [text for text, _ in self._items[key][: chosen[key]]] for key in keys}
        shown.left_out = {key: left for key, count in self._counts.items() if (left := count - chosen[key])}
        return shown


def _deepest(
    candidates: Sequence[_Candidate], chosen: Collection[int], depths: Sequence[int], budget: int
) -> list[Condensed]:
    """Return the `chosen` as deep as fits, and the rest by name; nothing if not even the first of `depths` fits."""
    if not candidates:
        return []
    room = MOST_SHARES * budget // len(chosen)

    def shown(depth: int) -> list[Condensed]:
        return [
            candidate.to(depth, room, counted=len(chosen) <= FEW)
            if place in chosen
            else candidate.named(NAME_CHARACTERS)
            for place, candidate in enumerate(candidates)
        ]

    fitting = bisect_right(depths, budget, key=lambda depth: _total(shown(depth)))
    return shown(depths[fitting - 1]) if fitting else []


def _total(shown: Sequence[Condensed]) -> int:
    """Return the estimated tokens of all together, in both channels, with the note in both."""
    text = "\n\n".join(one.text() for one in shown)
    return cost([one.structured() for one in shown], text) + 2 * estimate(_note(shown))


def _note(shown: Sequence[Condensed]) -> str:
    """Return what a result says of the personas that do not say themselves what is left out."""
    named = sum(not one.items for one in shown)
    notes = [f"{'All' if named == len(shown) else named} are shown by name only."] if named else []
    left_out: Counter[str] = Counter()
    for one in shown:
        left_out.update(one.left_out if one.items and not one.counted else {})
    if left_out:
        notes.append(f"Left out: {_counts(left_out)}.")
    return " ".join(notes)


def _counts(left_out: dict[str, int]) -> str:
    """Return such as `2 description sentences, 3 painPoints`, in the order in which sections are shown."""
    units = {section.key: " sentences" if section.content is Content.TEXT else "" for section in _DISPLAYED}
    return ", ".join(f"{left_out[key]} {key}{unit}" for key, unit in units.items() if key in left_out)


def _priced(texts: Sequence[str], section: Section) -> list[tuple[str, int]]:
    """Return the first texts that are short enough to show, clean, each with its tokens in both channels."""
    usable: Iterable[str]
    if section.content is Content.TEXT:  # a later sentence says little without the one before it
        usable = takewhile(lambda text: len(text) <= MAX_ITEM_CHARACTERS, texts)
    else:
        usable = filter(None, (clean(text) for text in texts if len(text) <= MAX_ITEM_CHARACTERS))
    return [(text, estimate(text) * 2 + 4) for text in islice(usable, section.shown)]


def _texts(persona: Persona, section: Section) -> Sequence[str]:
    """Return all items of a section; only sentences of the description are clean already."""
    match section.content:
        case Content.TEXT:
            return _sentences((persona.description or "")[:_MAX_TEXT_CHARACTERS])
        case Content.QUESTIONS:
            return _questions(persona, _FITS[section.key])
        case Content.CUSTOM_FIELDS:
            fields = persona.data.customFields
            return [f"{each.title or 'untitled'}: {', '.join(each.value)}" for each in fields if each.value]
        case Content.LIST:
            texts: list[str] = getattr(persona.data, section.key, [])
            return texts


def _sentences(text: str) -> list[str]:
    return _SENTENCE.findall(clean(text))


def _questions(persona: Persona, fit: str) -> list[str]:
    """Return the questions of one fit that are not archived, strongest first."""

    def strength(question: QualifyingQuestion) -> int:
        weight = (question.weight or "").upper()
        return _WEIGHTS.index(weight) if weight in _WEIGHTS else len(_WEIGHTS)

    asked = [one for one in persona.qualifyingQuestions if (one.fitType or "").upper() == fit and not one.archivedAt]
    return [question.question for question in sorted(asked, key=strength) if question.question]
