"""A persona's full record, as text and as structured content, within a number of tokens.

What says nothing (nulls, empty lists, internal flags) is left out. If the rest does not fit, whole items are left out
from the end of each section in turn, so that the first ones of every section stay; they are counted by section, and
asking for one section alone gives it all the room. Only a text that alone takes more than half of the budget is cut,
and says by how much. Texts keep their line breaks; names and titles stay on one line.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from textwrap import indent
from typing import Any

from octave_mcp.octave.lenient_types import Answer
from octave_mcp.octave.models import Persona
from octave_mcp.octave.sections import LIST_SECTIONS, SECTIONS, Content
from octave_mcp.personas.cleaning import clean, clean_lines, shorten
from octave_mcp.personas.section_items import display_name, plain_oid
from octave_mcp.personas.tokens import cost

_QUESTIONS = "qualifyingQuestions"

_LABELS = {
    "description": "Description",
    **{section.key: section.label for section in SECTIONS if section.content is not Content.QUESTIONS},
    _QUESTIONS: "Questions",
    "details": "Details",
}
RECORD_SECTIONS = tuple(_LABELS)
"""The sections of a record, in the order in which it is shown. `details` are dates, flags, the owner and the like."""

_FITS = {"GOOD": "qualifying", "BAD": "disqualifying"}
"""The words for a question's `fitType`, as condensed personas have them."""

_MAX_NAME_CHARACTERS = 200
"""Characters of the persona's name."""

_MAX_CHARACTERS_PER_TOKEN = 10
"""Characters of a token in prose, at most: text beyond is not measured, so that one of any length takes little time."""

_MAX_TEXT_CHARACTERS = 100_000
"""Characters of one text that are read; the rest is not even counted."""

_IGNORED_FIELDS = frozenset({"_metadata", "metadata", "workspace", "user", "status"})
"""Fields beside the record's own that say nothing of the persona."""


@dataclass(frozen=True)
class _Item:
    """One item of a section: as structured content has it, and as text."""

    section: str
    value: Any
    text: str


@dataclass(frozen=True)
class Record:
    """A persona's record as a result shows it. `left_out` counts the items that do not fit, by section."""

    oid: str
    name: str
    items: tuple[_Item, ...]
    left_out: dict[str, int]

    def structured(self) -> dict[str, Any]:
        """Return the record with Octave's names; `details` holds the rest."""
        parts: dict[str, Any] = {"oId": self.oid, "name": self.name}
        for section, items in self._by_section():
            values = [item.value for item in items]
            if section == "description":
                parts[section] = values[0]
            elif section == "details":
                parts[section] = dict(values)
            elif section == "customFields":
                fields: dict[str, list[str]] = {}
                for title, text in values:
                    fields.setdefault(title, []).append(text)
                parts[section] = [{"title": title, "value": texts} for title, texts in fields.items()]
            else:
                parts[section] = values
        return parts

    def text(self) -> str:
        """Return the record as text: each item under its section's label, further lines of an item indented."""
        lines = [f"{self.name} ({self.oid})"]
        for section, items in self._by_section():
            texts = [indent(item.text, "  ")[2:] for item in items]
            if section == "description":
                lines.append(f"{_LABELS[section]}: {texts[0]}")
            else:
                lines += [f"{_LABELS[section]}:", *(f"- {text}" for text in texts)]
        return "\n".join(lines)

    def _by_section(self) -> Iterator[tuple[str, list[_Item]]]:
        for section in RECORD_SECTIONS:
            if items := [item for item in self.items if item.section == section]:
                yield section, items


def record(persona: Persona, budget: int, sections: Collection[str] = ()) -> Record:
    """Return the record, or only `sections` of it, in at most `budget` estimated tokens of both channels together."""
    room = len(_beginning(display_name(persona), budget // 4))
    name = shorten(display_name(persona), min(_MAX_NAME_CHARACTERS, max(20, room))) or "(no name)"
    wanted = [item for item in _items(persona) if not sections or item.section in sections]
    counts = Counter(item.section for item in wanted)
    candidates = _first_of_each(wanted, budget)

    def shown(count: int) -> Record:
        kept = sorted(candidates[:count], key=lambda placed: placed[0])
        left = counts - Counter(item.section for _, item in kept)
        left_out = {section: left[section] for section in RECORD_SECTIONS if left[section]}
        return Record(plain_oid(persona.oId), name, tuple(item for _, item in kept), left_out)

    def price(count: int) -> int:
        return cost(shown(count).structured(), shown(count).text())

    return shown(max(0, bisect_right(range(len(candidates) + 1), budget, key=price) - 1))


def _first_of_each(items: Sequence[_Item], budget: int) -> list[tuple[int, _Item]]:
    """Return items with their places: the first of every section, then the second ones, as many as could fit."""
    seen: Counter[str] = Counter()
    order = []
    for place, item in enumerate(items):
        order.append((seen[item.section], RECORD_SECTIONS.index(item.section), place))
        seen[item.section] += 1
    chosen: list[tuple[int, _Item]] = []
    spent = 0
    for *_, place in sorted(order):
        if spent > 2 * budget:  # together they take at least half of what they take one by one
            break
        bounded = _bounded(items[place], budget // 2)
        spent += cost(bounded.value, bounded.text)
        chosen.append((place, bounded))
    return chosen


def _items(persona: Persona) -> Iterator[_Item]:
    """Yield all that the record says, made safe to show; the items of a section are together."""
    if text := _clean(persona.description):
        yield _Item("description", text, text)
    for section in LIST_SECTIONS:
        for text in filter(None, map(_clean, getattr(persona.data, section.key, ()))):
            yield _Item(section.key, text, text)
    for field in persona.data.customFields:
        title = clean((field.title or "")[:_MAX_TEXT_CHARACTERS]) or "untitled"
        for text in filter(None, map(_clean, field.value)):
            yield _Item("customFields", (title, text), f"{title}: {text}")
    yield from _questions(persona)
    for name, text in _details(persona).items():
        yield _Item("details", (name, text), f"{name}: {text}")


def _questions(persona: Persona) -> Iterator[_Item]:
    for asked in persona.qualifyingQuestions:
        texts = {name: _clean(getattr(asked, name)) for name in ("question", "fitType", "weight", "rationale")}
        value: dict[str, Any] = {name: text for name, text in texts.items() if text}
        if "question" not in value:
            continue
        marks = [_FITS.get(texts["fitType"].upper(), texts["fitType"])] if texts["fitType"] else []
        marks += [f"weight {texts['weight'].lower().replace('_', ' ')}"] if texts["weight"] else []
        if asked.archivedAt:
            value["archived"] = True
            marks.append("archived")
        line = " ".join(filter(None, [texts["question"], f"({', '.join(marks)})" if marks else "", texts["rationale"]]))
        yield _Item(_QUESTIONS, value, line)


def _details(persona: Persona) -> dict[str, str]:
    """Return dates, flags that say something, the owner, and the fields of Octave's that this project does not know."""
    owner = " ".join(filter(None, (persona.user.firstName, persona.user.lastName)))
    details: dict[str, str | None] = {
        "internalName": persona.internalName or persona.data.internalName,
        "createdAt": persona.createdAt,
        "updatedAt": persona.updatedAt,
        "archivedAt": persona.archivedAt,
        "deletedAt": persona.deletedAt,
        "owner": owner or persona.user.oId,
        **{flag: "yes" for flag in ("rejected", "unrecognized") if getattr(persona, flag)},
        "active": "no" if persona.active is False else None,
    }
    details |= {name: text for one in (persona, persona.data) for name, text in _unknown_fields(one)}
    return {clean(name[:80]): kept for name, text in details.items() if (kept := _clean(text))}


def _unknown_fields(answer: Answer) -> Iterator[tuple[str, str]]:
    for name, value in (answer.model_extra or {}).items():
        if name not in _IGNORED_FIELDS and value not in (None, "", [], {}):
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clean(text: str | None) -> str:
    """Return a text safe to show, of bounded length, with its line breaks."""
    return clean_lines((text or "")[:_MAX_TEXT_CHARACTERS])


def _bounded(item: _Item, room: int) -> _Item:
    """Return the item, its text cut if it alone takes more than `room` tokens."""
    if len(item.text) <= _MAX_CHARACTERS_PER_TOKEN * room and cost(item.value, item.text) <= room:
        return item
    text = _beginning(item.text, room)
    cut = f"{shorten(text + ' ', len(text))} [{len(item.text) - len(text)} more characters]"
    value: Any = cut
    if item.section == _QUESTIONS:
        value = {"question": cut}
    elif isinstance(item.value, tuple):
        value = (shorten(item.value[0], 20), cut)
    return _Item(item.section, value, cut)


def _beginning(text: str, room: int) -> str:
    """Return the beginning of a text that takes at most `room` tokens in both channels."""
    text = text[: _MAX_CHARACTERS_PER_TOKEN * room]
    while (spent := cost(text, text)) > room:
        text = text[: int(len(text) * 0.9 * room / spent)]
    return text
