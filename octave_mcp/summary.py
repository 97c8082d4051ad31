"""A persona, condensed: what a reader would miss most, within a number of tokens.

A record is about 1,100 tokens, and a chat has room for a few hundred. So each persona gets a share of the budget, and
`_PLAN` says in what order the share is spent: first what tells who this is and why they would buy, one line of each
kind; then second and third lines of the kinds that differ most between personas. Whole items are taken or left, never
half a sentence, and what is left is counted. With few personas the share is capped, since the most useful lines serve a
model better than the most lines; with many it shrinks, down to names and oIds.

Every summary exists twice, as text and as structured content, because some hosts show the model only one of them. The
items are the same in both, and the budget covers both.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from octave_mcp.octave.models import Persona, QualifyingQuestion
from octave_mcp.text import clean, shorten, tokens

__all__ = ["Condensed", "condense", "cost"]

FULL_SHARE = 800
"""Estimated tokens of one persona in both channels together when there is room: in English, about 250 in each."""

DETAIL = (("full", 600), ("standard", 260), ("brief", 110), ("name", 0))
"""What a share of at least so many tokens is called."""

MAX_ITEM_CHARACTERS = 320
"""A longer item is left out whole: it would displace several that say more."""

NAME_CHARACTERS = (80, 48, 32, 20, 12)
"""Lengths to which names are shortened, in turn, until everything fits."""

MAX_OID_CHARACTERS = 64
"""A longer oId is none that Octave makes, and could take any amount of room."""


@dataclass(frozen=True)
class Section:
    """One kind of line: its name in the API and in structured content, and its label in text."""

    key: str
    label: str


TITLES = Section("commonJobTitles", "Job titles")
OBJECTIVES = Section("keyObjectives", "Objectives")
PAINS = Section("painPoints", "Pain points")
CONCERNS = Section("keyConcerns", "Concerns")
RESPONSIBILITIES = Section("primaryResponsibilities", "Responsibilities")
TO_US = Section("whyTheyMatterToUs", "Why they matter to us")
TO_THEM = Section("whyWeMatterToThem", "Why we matter to them")
QUALIFYING = Section("qualifyingQuestions", "Qualifying question")
DISQUALIFYING = Section("disqualifyingQuestions", "Disqualifying question")
CUSTOM = Section("customFields", "Custom fields")

SECTIONS = (
    TITLES, OBJECTIVES, PAINS, CONCERNS, RESPONSIBILITIES, TO_US, TO_THEM, QUALIFYING, DISQUALIFYING, CUSTOM,
)  # fmt: skip
"""The order in which a summary shows them."""

_PLAN = (
    *(TITLES, OBJECTIVES, PAINS, TO_THEM, QUALIFYING, CONCERNS, TITLES, DISQUALIFYING, RESPONSIBILITIES, TO_US),
    *(PAINS, OBJECTIVES, CUSTOM, CONCERNS, TITLES, RESPONSIBILITIES, TO_THEM, PAINS, OBJECTIVES, CUSTOM, TO_US),
)
"""The order in which they are chosen, an item at a time."""

_WEIGHTS = {"HIGH": 0, "MEDIUM": 1, "LOW": 2}


@dataclass
class Condensed:
    """One persona as a result shows it. `left_out` counts, by section, the items that it does not show."""

    oid: str
    name: str
    description: str = ""
    flags: tuple[str, ...] = ()
    items: dict[Section, list[str]] = field(default_factory=dict)
    left_out: dict[Section, int] = field(default_factory=dict)
    tell_left_out: bool = True

    def structured(self) -> dict[str, Any]:
        """The persona as structured content, with Octave's names."""
        parts: dict[str, Any] = {"oId": self.oid} if self.oid else {}
        parts["name"] = self.name
        parts |= dict.fromkeys(self.flags, True)
        if self.description:
            parts["description"] = self.description
        parts |= {section.key: self.items[section] for section in SECTIONS if section in self.items}
        if remark := self._left_out_remark():
            parts["leftOut"] = remark
        return parts

    def text(self) -> str:
        """The persona as lines of text, of which none but the first is without a label."""
        flags = "".join(f", {flag} by Octave" for flag in self.flags)
        lines = [f"{self.name} ({self.oid or 'no oId'}{flags})"]
        if self.description:
            lines.append(f"Description: {self.description}")
        shown = (section for section in SECTIONS if section in self.items)
        lines += [f"{section.label}: {'; '.join(self.items[section])}" for section in shown]
        if remark := self._left_out_remark():
            lines.append(f"Left out: {remark}")
        return "\n".join(lines)

    def _left_out_remark(self) -> str:
        counts = {section.key: count for section in SECTIONS if (count := self.left_out.get(section))}
        return ", ".join(f"{count} {key}" for key, count in counts.items()) if self.tell_left_out else ""


def cost(structured: Any, text: str) -> int:
    """Estimated tokens of both channels together; structured content as JSON with spaces, the costlier way to show it."""
    return tokens(json.dumps(structured, ensure_ascii=False)) + tokens(text)


def condense(personas: Sequence[Persona], budget: int) -> tuple[list[Condensed], str]:
    """Condense `personas`, in their order, to at most `budget` estimated tokens in both channels together.

    Returns them with the level of detail: full, standard, brief or name. Only where not even names and oIds fit are
    there fewer than were given.
    """
    if not personas:
        return [], "full"
    candidates = [_Candidate(persona) for persona in personas]
    share = min(FULL_SHARE, budget // len(personas))
    for length in NAME_CHARACTERS:
        for _ in range(4):  # a share is an estimate of parts; what the whole costs corrects it
            shown = [candidate.within(share, length) for candidate in candidates]
            total = sum(map(_cost_of, shown))
            if total <= budget:
                return shown, next(name for name, least in DETAIL if share >= least)
            share = int(share * budget / total * 0.95)
        share = 0
    return _as_many_as_fit(shown, budget), "name"


def _as_many_as_fit(shown: list[Condensed], budget: int) -> list[Condensed]:
    fitting: list[Condensed] = []
    for one in shown:
        budget -= _cost_of(one)
        if budget < 0:
            break
        fitting.append(one)
    return fitting


def _cost_of(one: Condensed) -> int:
    return cost(one.structured(), one.text()) + 3  # the comma, the blank line and the number between two


class _Candidate:
    """A persona made safe to show, with what each of its items would cost."""

    def __init__(self, persona: Persona) -> None:
        self._name = (
            clean((persona.name or persona.internalName or persona.data.internalName or "")[:400]) or "(no name)"
        )
        self._oid = _plain_oid(persona.oId)
        self._flags = tuple(flag for flag in ("rejected", "unrecognized") if getattr(persona, flag))
        self._description = _first_sentence(persona.description)
        self._all = {section: list(texts) for section, texts in _sections(persona) if texts}
        self._cleaned: dict[tuple[Section, int], tuple[str, int] | None] = {}

    def within(self, share: int, name_characters: int) -> Condensed:
        """This persona with as many items, in the plan's order, as `share` tokens allow."""
        shown = Condensed(self._oid, shorten(self._name, name_characters), flags=self._flags)
        room = share - _cost_of(shown) - 30  # for the remark on what is left out
        if self._description and (spent := 2 * tokens(self._description) + 8) <= room:
            shown.description, room = self._description, room - spent
        taken = dict.fromkeys(self._all, 0)
        for section in _PLAN:
            item = self._item(section, taken.get(section, 0))
            if section in taken:
                taken[section] += 1
            if item is None:
                continue
            text, spent = item
            spent += 0 if section in shown.items else tokens(section.key) + tokens(section.label) + 6
            if spent <= room:
                shown.items.setdefault(section, []).append(text)
                room -= spent
        shown.left_out = {
            section: len(texts) - len(shown.items.get(section, ())) for section, texts in self._all.items()
        }
        shown.tell_left_out = room > 0
        return shown

    def _item(self, section: Section, place: int) -> tuple[str, int] | None:
        """The item at that place, clean, and its cost in both channels; None where there is none, or it is too long."""
        texts = self._all.get(section, [])
        if place >= len(texts):
            return None
        key = (section, place)
        if key not in self._cleaned:
            raw = texts[place]
            text = clean(raw) if len(raw) <= MAX_ITEM_CHARACTERS else ""
            self._cleaned[key] = (text, tokens(text) * 2 + 4) if text else None
        return self._cleaned[key]


def _sections(persona: Persona) -> Iterator[tuple[Section, list[str]]]:
    for section in (TITLES, OBJECTIVES, PAINS, CONCERNS, RESPONSIBILITIES, TO_US, TO_THEM):
        yield section, getattr(persona.data, section.key)
    yield QUALIFYING, _questions(persona, "GOOD")
    yield DISQUALIFYING, _questions(persona, "BAD")
    fields = persona.data.customFields
    yield CUSTOM, [f"{each.title or 'untitled'}: {', '.join(each.value)}" for each in fields if each.value]


def _questions(persona: Persona, fit: str) -> list[str]:
    """Questions of one fit that are not archived, strongest first."""

    def strength(question: QualifyingQuestion) -> int:
        return _WEIGHTS.get((question.weight or "").upper(), len(_WEIGHTS))

    asked = [one for one in persona.qualifyingQuestions if (one.fitType or "").upper() == fit and not one.archivedAt]
    return [question.question for question in sorted(asked, key=strength) if question.question]


def _first_sentence(description: str | None) -> str:
    """The description, or as many of its first sentences as fit; nothing where the first alone is too long."""
    text = clean((description or "")[: MAX_ITEM_CHARACTERS * 2])
    if len(text) <= MAX_ITEM_CHARACTERS and len(description or "") <= MAX_ITEM_CHARACTERS * 2:
        return text
    head = text[:MAX_ITEM_CHARACTERS]
    end = max(head.rfind(stop) for stop in (". ", "! ", "? ", "。", "！", "？"))
    return head[: end + 1]


def _plain_oid(oid: str | None) -> str:
    """The oId, unless it is one that could not be given back to Octave: too long, or with something invisible in it."""
    plain = oid is not None and len(oid) <= MAX_OID_CHARACTERS and clean(oid) == oid and " " not in oid
    return oid if oid is not None and plain else ""
