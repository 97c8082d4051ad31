"""A persona in full: all that its record says, as text and as structured content, within a number of tokens.

What a reader has no use for (nulls, empty lists, internal flags that say nothing) is left away. Where the rest does not
fit, whole items are left out, from the end of each section in turn, so that of every kind the first ones stay; each
section's are counted, and asking for that section alone gives it all the room. Only a text that alone would take more
than half of it is cut, and says by how much.
"""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from octave_mcp.octave.lenient_types import Answer
from octave_mcp.octave.models import Persona
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.summary import SECTIONS as LINES
from octave_mcp.personas.summary import plain_oid
from octave_mcp.personas.tokens import cost

__all__ = ["RECORD_SECTIONS", "Record", "record"]

LABELS = {
    "description": "Description",
    **{one.key: one.label for one in LINES if one.key not in {"qualifyingQuestions", "disqualifyingQuestions"}},
    "qualifyingQuestions": "Questions",
    "details": "Details",
}
RECORD_SECTIONS = tuple(LABELS)
"""The sections of a record, in the order in which it is shown. `details` are dates, flags, the owner and the like."""

_FITS = {"GOOD": "qualifying", "BAD": "disqualifying"}
"""What a question's `fitType` says, as summaries have it."""

NAME_CHARACTERS = 200

MOST_CHARACTERS_A_TOKEN = 10
"""No prose has more, so that a text of any length is priced in little time."""

MAX_TEXT_CHARACTERS = 100_000
"""Of one text, before it is cut to what fits; what is beyond is not even counted."""

_NOISE = frozenset({"_metadata", "metadata", "workspace", "user", "status"})
"""Fields beside the record's own that say nothing of the persona."""


@dataclass(frozen=True)
class _Item:
    """One item of a section: as structured content has it, and as a line of text."""

    section: str
    value: Any
    line: str


@dataclass(frozen=True)
class Record:
    """A persona's record as a result shows it. `left_out` counts the items that do not fit, by section."""

    oid: str
    name: str
    items: tuple[_Item, ...]
    left_out: dict[str, int]

    def structured(self) -> dict[str, Any]:
        """The record, with Octave's names; `details` has the rest."""
        parts: dict[str, Any] = {"oId": self.oid, "name": self.name}
        for section in RECORD_SECTIONS:
            values = [item.value for item in self.items if item.section == section]
            if section == "description" and values:
                parts[section] = values[0]
            elif section == "details" and values:
                parts[section] = dict(values)
            elif section == "customFields" and values:
                fields: dict[str, list[str]] = {}
                for title, text in values:
                    fields.setdefault(title, []).append(text)
                parts[section] = [{"title": title, "value": texts} for title, texts in fields.items()]
            elif values:
                parts[section] = values
        return parts

    def text(self) -> str:
        """The record as text, a line for each item under its section's label."""
        lines = [f"{self.name} ({self.oid})"]
        for section in RECORD_SECTIONS:
            found = [item.line for item in self.items if item.section == section]
            if section == "description" and found:
                lines.append(f"{LABELS[section]}: {found[0]}")
            elif found:
                lines += [f"{LABELS[section]}:", *(f"- {line}" for line in found)]
        return "\n".join(lines)


def record(persona: Persona, budget: int, sections: Collection[str] = ()) -> Record:
    """The record, or only `sections` of it, in at most `budget` estimated tokens of both channels together."""
    oid, name = plain_oid(persona.oId), _bounded_name(_clean(_name(persona)), budget // 4)
    wanted = [item for item in _items(persona) if not sections or item.section in sections]
    counts = Counter(item.section for item in wanted)
    candidates = _first_of_each(wanted, budget)

    def shown(count: int) -> Record:
        kept = sorted(candidates[:count], key=lambda one: one[0])
        left = counts - Counter(item.section for _, item in kept)
        return Record(
            oid,
            name,
            tuple(item for _, item in kept),
            {section: left[section] for section in RECORD_SECTIONS if left[section]},
        )

    def price(count: int) -> int:
        one = shown(count)
        return cost(one.structured(), one.text())

    return shown(max(0, bisect_right(range(len(candidates) + 1), budget, key=price) - 1))


def _first_of_each(items: Sequence[_Item], budget: int) -> list[tuple[int, _Item]]:
    """Items with their places, of every section the first, then the second ones: as many as could fit, and some."""
    seen: Counter[str] = Counter()
    order = []
    for place, item in enumerate(items):
        order.append((seen[item.section], RECORD_SECTIONS.index(item.section), place))
        seen[item.section] += 1
    found: list[tuple[int, _Item]] = []
    spent = 0
    for *_, place in sorted(order):
        if spent > 2 * budget:  # together they cost no less than half of what they cost apart
            break
        bounded = _bounded(items[place], budget // 2)
        spent += cost(bounded.value, bounded.line)
        found.append((place, bounded))
    return found


def _clean(text: str) -> str:
    """A text made safe to show, of bounded length."""
    return clean(text[:MAX_TEXT_CHARACTERS])


def _name(persona: Persona) -> str:
    return persona.name or persona.internalName or persona.data.internalName or ""


def _items(persona: Persona) -> Iterator[_Item]:
    """All that the record says, made safe to show, in the order of `RECORD_SECTIONS`."""
    if text := _clean(persona.description or ""):
        yield _Item("description", text, text)
    for section in RECORD_SECTIONS:
        for text in filter(None, map(_clean, getattr(persona.data, section, ()) if section in _LISTS else ())):
            yield _Item(section, text, text)
    for field in persona.data.customFields:
        title = _clean(field.title or "") or "untitled"
        for text in filter(None, map(_clean, field.value)):
            yield _Item("customFields", (title, text), f"{title}: {text}")
    yield from _questions(persona)
    for name, text in _details(persona).items():
        yield _Item("details", (name, text), f"{name}: {text}")


_LISTS = frozenset(RECORD_SECTIONS) - {"description", "customFields", "qualifyingQuestions", "details"}


def _questions(persona: Persona) -> Iterator[_Item]:
    for asked in persona.qualifyingQuestions:
        if text := _clean(asked.question or ""):
            told = {"fitType": asked.fitType, "weight": asked.weight, "rationale": asked.rationale}
            value: dict[str, Any] = {
                "question": text,
                **{name: kept for name, said in told.items() if (kept := _clean(said or ""))},
            }
            marks = [_FITS.get(value.get("fitType", "").upper(), value.get("fitType", ""))]
            marks = [*filter(None, marks), *([f"weight {value['weight'].lower()}"] if "weight" in value else [])]
            if asked.archivedAt:
                value["archived"] = True
                marks.append("archived")
            line = text + (f" ({', '.join(marks)})" if marks else "")
            yield _Item("qualifyingQuestions", value, line + (f" {value['rationale']}" if "rationale" in value else ""))


def _details(persona: Persona) -> dict[str, str]:
    """Dates, flags that say something, the owner, and whatever Octave has beside the fields that are known."""
    owner = " ".join(filter(None, (persona.user.firstName, persona.user.lastName)))
    told: dict[str, str | None] = {
        "internalName": next(filter(None, (persona.internalName, persona.data.internalName)), None),
        "createdAt": persona.createdAt,
        "updatedAt": persona.updatedAt,
        "archivedAt": persona.archivedAt,
        "deletedAt": persona.deletedAt,
        "owner": owner or persona.user.oId,
        **{flag: "yes" for flag in ("rejected", "unrecognized") if getattr(persona, flag)},
        "active": "no" if persona.active is False else None,
    }
    told |= {name: text for one in (persona, persona.data) for name, text in _extras(one)}
    return {_clean(name[:80]): kept for name, text in told.items() if text and (kept := _clean(text))}


def _extras(answer: Answer) -> Iterator[tuple[str, str]]:
    """Fields that Octave has and this project does not know."""
    for name, value in (answer.model_extra or {}).items():
        if name not in _NOISE and value not in (None, "", [], {}):
            yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bounded(item: _Item, room: int) -> _Item:
    """The item, its text cut where it alone would take more than `room` tokens."""
    fits = len(item.line) <= MOST_CHARACTERS_A_TOKEN * room and cost(item.value, item.line) <= room
    if fits:
        return item
    text = _cut(item.line, room)
    cut = f"{shorten(text + ' ', len(text))} [{len(item.line) - len(text)} more characters]"
    value: Any = cut
    if item.section == "qualifyingQuestions":
        value = {"question": cut}
    elif isinstance(item.value, tuple):
        value = (shorten(item.value[0], 20), cut)
    return _Item(item.section, value, cut)


def _bounded_name(name: str, room: int) -> str:
    return shorten(name, min(NAME_CHARACTERS, max(20, len(_cut(name, room))))) or "(no name)"


def _cut(text: str, room: int) -> str:
    """The beginning of a text that takes at most `room` tokens."""
    text = text[: MOST_CHARACTERS_A_TOKEN * room]
    while (spent := cost(text, text)) > room:
        text = text[: int(len(text) * 0.9 * room / spent)]
    return text
