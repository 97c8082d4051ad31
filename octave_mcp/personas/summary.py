"""Personas condensed to what a reader would miss most, within a number of tokens.

`octave.sections` declares which section a reader would miss most, and how many items of each are worth showing. The
first items of all sections are chosen before second ones, since a second pain repeats the kind of thing that the first
said, and a first concern does not. Third items are chosen along with the second ones of the later sections.

- All personas of a result are shown to the same depth, so that they can be compared. One with long items, or in a
  script that takes many tokens, may take several equal shares of the budget.
- Nothing is skipped to fill a gap: what is shown in little room is also shown in more.
- Items are whole. What is left out is counted by section: at each persona if there are few, else for all together.

Each persona is rendered as text and as structured content with the same items, because some hosts show the model only
one of them. The budget covers both.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, takewhile
from typing import Any

from octave_mcp.octave.models import Persona
from octave_mcp.octave.sections import SECTIONS, Content, Section
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.section_items import MAX_ITEM_CHARACTERS, display_name, items_of, plain_oid
from octave_mcp.personas.tokens import fits

_MIN_ITEMS = 2
"""Items of a condensed persona: with less than a job title and an objective it is shown by name."""

_MAX_COUNTED_EACH = 5
"""Personas that say themselves what is left out of them; if there are more, the note counts it together."""

_MAX_SHARES = 3
"""Equal shares of the budget that one persona may take."""

_MAX_NAME_CHARACTERS = 80
"""Characters of a name; fewer, down to none, if names and oIds alone are too much."""

_MIN_CHARACTERS_WITH_ELLIPSIS = 16
"""Characters of a shortened name that gets an ellipsis: in a shorter one it would cost as much as a word."""

_BYTES_A_TOKEN = 3
"""Bytes of a token, for an item's part of a share: prose has about four, Chinese two and a half."""

_HEAD_TOKENS = 120
"""Tokens of a share that are set aside for name, oId and the counts of what is left out."""

_LABEL_TOKENS = 16
"""Tokens of a share that a section's names take, beside its items."""


def _plan() -> tuple[Section, ...]:
    """Return the sections in the order in which their items are chosen, each as often as items of it are shown."""

    def place(section: int, item: int) -> float:
        return section + len(SECTIONS) * (item + 1) / 2 if item else section

    places = [(place(n, item), n) for n, section in enumerate(SECTIONS) for item in range(section.shown)]
    return tuple(SECTIONS[n] for _, n in sorted(places))


_PLAN = _plan()

_DISPLAYED = sorted(SECTIONS, key=lambda section: section.content is not Content.TEXT)
"""The order in which sections are shown: as declared, after the description, which says who this is."""


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
    for chosen, depths in ((everyone, [len(_PLAN)]), (in_full or everyone, range(_MIN_ITEMS, len(_PLAN) + 1))):
        if shown := _deepest(candidates, frozenset(chosen), depths, budget):
            return shown, _note(shown)

    def named(characters: int) -> list[Condensed]:
        return [candidate.named(characters) for candidate in candidates]

    shown = named(max(0, _most_that_fits(range(_MAX_NAME_CHARACTERS + 1), named, budget)))
    count = max(0, _most_that_fits(range(len(shown) + 1), lambda end: shown[:end], budget))
    return shown[:count], _note(shown[:count])


class _Candidate:
    """A persona made safe to show, with the items that may be shown."""

    def __init__(self, persona: Persona) -> None:
        self._name = display_name(persona) or "(no name)"
        self._oid = plain_oid(persona.oId)
        self._flags = tuple(flag for flag in ("rejected", "unrecognized") if getattr(persona, flag))
        texts = {section.key: list(items_of(persona, section)) for section in SECTIONS}
        self._counts = {key: len(some) for key, some in texts.items() if some}
        self._items = {section.key: _usable(texts[section.key], section) for section in SECTIONS}

    def named(self, characters: int) -> Condensed:
        """Return this persona by oId, and by name in at most the given number of characters."""
        with_ellipsis = characters >= _MIN_CHARACTERS_WITH_ELLIPSIS
        short = shorten(self._name, characters) if with_ellipsis else self._name[:characters].rstrip()
        name = short or ("" if self._oid else self._name[:_MIN_CHARACTERS_WITH_ELLIPSIS])
        return Condensed(self._oid, name, self._flags, left_out=dict(self._counts))

    def to(self, depth: int, room: int, *, counted: bool) -> Condensed:
        """Return this persona with the plan's items down to `depth`, or to the last that fits into `room` tokens."""
        shown = self.named(_MAX_NAME_CHARACTERS)
        shown.counted = counted
        room -= _HEAD_TOKENS
        chosen: Counter[str] = Counter()
        for section in _PLAN[:depth]:
            items, place = self._items[section.key], chosen[section.key]
            if place == len(items):
                continue
            room -= 2 * len(items[place].encode()) // _BYTES_A_TOKEN + (0 if place else _LABEL_TOKENS)
            if room < 0:
                break
            chosen[section.key] += 1
        keys = [section.key for section in _DISPLAYED if chosen[section.key]]
        shown.items = {key: self._items[key][: chosen[key]] for key in keys}
        shown.left_out = {key: left for key, count in self._counts.items() if (left := count - chosen[key])}
        return shown


def _deepest(
    candidates: Sequence[_Candidate], chosen: Collection[int], depths: Sequence[int], budget: int
) -> list[Condensed]:
    """Return the `chosen` as deep as fits, and the rest by name; nothing if not even the first of `depths` fits."""
    if not candidates:
        return []
    room = _MAX_SHARES * budget // len(chosen)

    @cache  # the depth that fits was measured, and is returned
    def shown(depth: int) -> list[Condensed]:
        return [
            candidate.to(depth, room, counted=len(chosen) <= _MAX_COUNTED_EACH)
            if place in chosen
            else candidate.named(_MAX_NAME_CHARACTERS)
            for place, candidate in enumerate(candidates)
        ]

    fitting = _most_that_fits(depths, shown, budget)
    return shown(depths[fitting]) if fitting >= 0 else []


def _most_that_fits(sizes: Sequence[int], shown: Callable[[int], Sequence[Condensed]], budget: int) -> int:
    """Return the index of the largest size at which what is shown fits, or -1 if nothing does."""
    return bisect_left(sizes, True, key=lambda size: not _fits(shown(size), budget)) - 1


def _fits(shown: Sequence[Condensed], budget: int) -> bool:
    """Return whether all together fit, in both channels, with the note in both."""
    note = _note(shown)
    text = "\n\n".join([*(one.text() for one in shown), note])
    return fits([*(one.structured() for one in shown), note], text, budget)


def _note(shown: Sequence[Condensed]) -> str:
    """Return what a result says of the personas that do not say themselves what is left out."""
    uncounted = [one for one in shown if one.left_out and not one.counted]
    named = sum(not one.items for one in uncounted)
    notes = [f"Shown by name only: {named} of {len(shown)}."] if named else []
    left_out: Counter[str] = Counter()
    for one in uncounted:
        left_out.update(one.left_out if one.items else {})
    if left_out:
        notes.append(f"Left out: {_counts(left_out)}.")
    return " ".join(notes)


def _counts(left_out: dict[str, int]) -> str:
    """Return the numbers as text, for example `2 description sentences, 3 painPoints`, in the order of sections."""
    units = {section.key: " sentences" if section.content is Content.TEXT else "" for section in _DISPLAYED}
    return ", ".join(f"{left_out[key]} {key}{unit}" for key, unit in units.items() if key in left_out)


def _usable(texts: Sequence[str], section: Section) -> list[str]:
    """Return the first texts that are short enough to show, clean."""
    usable: Iterable[str]
    if section.content is Content.TEXT:  # a later sentence says little without the one before it
        usable = takewhile(lambda text: len(text) <= MAX_ITEM_CHARACTERS, texts)
    else:
        usable = filter(None, (clean(text) for text in texts if len(text) <= MAX_ITEM_CHARACTERS))
    return list(islice(usable, section.shown))
