"""A persona, condensed: what a reader would miss most, within a number of tokens.

The reader writes to this person, or decides whether to: a seller, a marketer, or a model that works for one. `_PLAN`
is the order in which such a reader would miss things. First the title to search for, what the person wants, what hurts:
without these there is no message. Then a line on where they work; what we have to say to them; the question that tells
best whether they fit. Then what holds them back, the question that rules them out, what they do all day. Why they
matter to us, and what their team added in a field of its own, come last of the first lines: the sender knows these
best. Seconds come after all firsts, since a second pain repeats the kind of thing that the first said, and a first
concern does not. Rationales and archived questions are never shown; the other questions go by weight. Of everything
else Octave's own order is kept: the first is taken for the most important.

All personas of a result are shown down to the same place of the plan, so that they can be compared, and one with long
items or in a dear script is not told less than its neighbours, unless it would take several shares by itself. Nothing
is skipped to fill a gap: what is shown in little room is also shown in more. Only an item too long for any summary is
passed over. Items are whole, never half a sentence, and what is left out is counted.

- full: a line of each kind and a second title, or nearly. Left out: seconds and thirds, the long tails. More would fit,
  but the most useful lines serve a model better than the most lines.
- standard: title, objective, pain, then as far as there is room. Left out first: why they matter to us, duties, what
  rules them out.
- brief: a title and an objective: enough to tell whom to open with get_persona.
- name: name and oId. Less than a brief summary would be a list of titles, which names nearly are.

Every summary exists twice, as text and as structured content, because some hosts show the model only one of them. The
items are the same in both, and the budget covers both.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

from octave_mcp.octave.models import Persona, QualifyingQuestion
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.personas.tokens import cost, estimate

__all__ = ["SECTIONS", "Condensed", "condense", "first_sentence", "plain_oid"]

LEAST_DEPTH = 2
"""A title and an objective; where not even this fits, names and oIds."""

MOST_SHARES = 3
"""Equal shares of the budget that one persona may take: one with long items does not shorten all others for long."""

DETAIL = (("full", 8), ("standard", 3), ("brief", LEAST_DEPTH))
"""What a summary down to at least so many lines of the plan is called; below them all, `name`."""

MAX_ITEM_CHARACTERS = 320
"""A longer item is left out whole: it would displace several that say more."""

NAME_CHARACTERS = (80, 40, 24, 16, 12, 8, 5, 3, 0)
"""Lengths to which names are shortened, in turn, where names and oIds alone are too much."""

ELLIPSIS_CHARACTERS = 16
"""A name that is shortened to fewer gets no ellipsis, which would cost as much as a word of it."""

REMARK_TOKENS = 30
"""Set aside, of a share, for the remark on what is left out."""

MAX_OID_CHARACTERS = 64
"""A longer oId is none that Octave makes, and could take any amount of room."""


@dataclass(frozen=True, eq=False)
class Section:
    """One kind of line: its name in the API and in structured content, and its label in text.

    There is one object of each, which is its own key.
    """

    key: str
    label: str


DESCRIPTION = Section("description", "Description")
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
    *(TITLES, OBJECTIVES, PAINS, DESCRIPTION, TO_THEM, QUALIFYING),
    *(CONCERNS, DISQUALIFYING, RESPONSIBILITIES, TO_US, CUSTOM, TITLES),
)
"""The order in which they are chosen, an item at a time: one of each kind, and a second title."""

_MOST = Counter(_PLAN)
"""How many items of a kind are chosen at most."""

_LABEL_COSTS = {section: estimate(section.key) + estimate(section.label) + 6 for section in (DESCRIPTION, *SECTIONS)}
"""What the first item of a kind costs beside itself."""

_SENTENCE_END = re.compile(r"(?<=[.!?]) +(?=[^a-z])|(?<=[。！？])")
"""Where one sentence ends and another begins; an abbreviation such as "e.g." goes on in small letters."""

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
    detail: str = "full"

    def structured(self) -> dict[str, Any]:
        """The persona as structured content, with Octave's names."""
        parts: dict[str, Any] = {"oId": self.oid} if self.oid else {}
        if self.name or not self.oid:
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
        lines = [f"{self.name} ({self.oid or 'no oId'}{flags})" if self.name else self.oid]
        if self.description:
            lines.append(f"Description: {self.description}")
        for section in SECTIONS:
            if items := self.items.get(section):
                more = (
                    f" (+{self.left_out[section]} more)" if self.detail == "full" and self.left_out.get(section) else ""
                )
                lines.append(f"{section.label}: {'; '.join(items)}{more}")
        if remark := self._left_out_remark(but=self.items):
            lines.append(f"Left out: {remark}")
        return "\n".join(lines)

    def _left_out_remark(self, but: Collection[Section] = ()) -> str:
        """How many items are left out: of each kind (`but` those) where there is room to say so, else in all.

        Where there is room for neither, the result counts them over all personas.
        """
        if self.detail == "full":
            counts = {section.key: count for section, count in self.left_out.items() if count and section not in but}
            return ", ".join(f"{count} {key}" for key, count in counts.items())
        count = sum(self.left_out.values())
        return f"{count} items" if count and self.detail == "standard" else ""


def condense(personas: Sequence[Persona], budget: int) -> tuple[list[Condensed], str]:
    """Condense `personas`, in their order, to at most `budget` estimated tokens in both channels together.

    Returns them with the level of detail: full, standard, brief or name. Only where not even oIds fit are there fewer
    than were given.
    """
    if not personas:
        return [], "full"
    candidates = [_Candidate(persona) for persona in personas]
    most = MOST_SHARES * budget // len(personas)

    @cache
    def to(depth: int) -> list[Condensed]:
        return [one.to(depth, most) for one in candidates]

    def total(depth: int) -> int:
        return _total(to(depth))

    depths = range(LEAST_DEPTH, len(_PLAN) + 1)
    # The deepest fits nearly always, where few are asked for.
    fitting = len(depths) if total(depths[-1]) <= budget else bisect_right(depths, budget, key=total)
    if fitting:
        depth = depths[fitting - 1]
        return to(depth), _detail(depth)
    for length in NAME_CHARACTERS:
        shown = [one.named(length) for one in candidates]
        if _total(shown) <= budget:
            return shown, "name"
    return _as_many_as_fit(shown, budget), "name"


def _detail(depth: int) -> str:
    return next(detail for detail, least in DETAIL if depth >= least)


def _total(shown: Sequence[Condensed]) -> int:
    """Of all together: what joins two in JSON is one token, which the parts would count as several."""
    return cost([one.structured() for one in shown], "\n\n".join(one.text() for one in shown))


def _as_many_as_fit(shown: list[Condensed], budget: int) -> list[Condensed]:
    fitting: list[Condensed] = []
    for one in shown:
        budget -= _cost_of(one)
        if budget < 0:
            break
        fitting.append(one)
    return fitting


def _cost_of(one: Condensed) -> int:
    return cost(one.structured(), one.text()) + 1  # the line between two


class _Candidate:
    """A persona made safe to show, with what each of its items would cost."""

    def __init__(self, persona: Persona) -> None:
        self._name = (
            clean((persona.name or persona.internalName or persona.data.internalName or "")[:400]) or "(no name)"
        )
        self._oid = plain_oid(persona.oId)
        self._flags = tuple(flag for flag in ("rejected", "unrecognized") if getattr(persona, flag))
        sections = [(section, texts) for section, texts in _sections(persona) if texts]
        self._counts = {section: len(texts) for section, texts in sections if section is not DESCRIPTION}
        self._items = {section: _priced(texts, _MOST[section]) for section, texts in sections}

    def named(self, characters: int) -> Condensed:
        """This persona by name, of at most so many characters, and oId."""
        short = (
            shorten(self._name, characters) if characters >= ELLIPSIS_CHARACTERS else self._name[:characters].rstrip()
        )
        name = short or ("" if self._oid else self._name[:ELLIPSIS_CHARACTERS])
        shown = Condensed(self._oid, name, flags=self._flags, detail="name")
        shown.left_out = self._left_out(shown)
        return shown

    def to(self, depth: int, most: int) -> Condensed:
        """This persona with what the plan has down to `depth`, as far as that is `most` tokens."""
        shown = Condensed(self._oid, shorten(self._name, NAME_CHARACTERS[0]), flags=self._flags, detail=_detail(depth))
        room = most - _cost_of(shown) - REMARK_TOKENS
        offered = {section: iter(texts) for section, texts in self._items.items()}
        for section in _PLAN[:depth]:
            text, spent = next(offered.get(section, iter(())), ("", 0))
            if not text:
                continue
            room -= spent + (0 if section in shown.items else _LABEL_COSTS[section])
            if room < 0:
                break
            shown.items.setdefault(section, []).append(text)
        if described := shown.items.pop(DESCRIPTION, None):
            shown.description = described[0]
        shown.left_out = self._left_out(shown)
        return shown

    def _left_out(self, shown: Condensed) -> dict[Section, int]:
        return {section: count - len(shown.items.get(section, ())) for section, count in self._counts.items()}


def _priced(texts: Sequence[str], most: int) -> list[tuple[str, int]]:
    """The first texts that are of a length to show, clean, each with its cost in both channels."""
    cleaned = (clean(text) for text in texts if len(text) <= MAX_ITEM_CHARACTERS)
    return [(text, estimate(text) * 2 + 4) for text in islice(filter(None, cleaned), most)]


def _sections(persona: Persona) -> Iterator[tuple[Section, list[str]]]:
    yield DESCRIPTION, [sentence] if (sentence := first_sentence(persona.description)) else []
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


def first_sentence(description: str | None) -> str:
    """The first sentence of a description: the one line that says who this is; nothing where it is too long."""
    text = clean((description or "")[: MAX_ITEM_CHARACTERS * 2])
    first = _SENTENCE_END.split(text, maxsplit=1)[0].strip()
    return first if len(first) <= MAX_ITEM_CHARACTERS else ""


def plain_oid(oid: str | None) -> str:
    """The oId, unless it is one that could not be given back to Octave: too long, or with something invisible in it."""
    plain = oid is not None and len(oid) <= MAX_OID_CHARACTERS and clean(oid) == oid and " " not in oid
    return oid if oid is not None and plain else ""
