"""Writes a persona's record from its sources: the same ones make the same persona, oId and dates aside."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from octave_mcp.octave.models import PersonaRequest
from octave_mcp.sandbox import wording
from octave_mcp.sandbox.library import BrandVoice, Library, Offering, Playbook
from octave_mcp.sandbox.reading import MAX_READ, Material, plain, read
from octave_mcp.sandbox.sources import text_of
from octave_mcp.sandbox.titles import function_of, related_titles, titles_in
from octave_mcp.sandbox.wording import Question, Tone

__all__ = ["Brief", "write_persona"]

MAX_NAME = 80
MAX_SOURCES = 20
"""Sources read of one persona."""


@dataclass(frozen=True)
class Brief:
    """What all personas of a request have in common."""

    library: Library
    offering: Offering | None = None
    playbook: Playbook | None = None
    voice: BrandVoice | None = None
    linked: tuple[Offering, ...] = ()

    @property
    def sold(self) -> Offering:
        """What the persona would buy: the primary offering, or else the company as such."""
        return self.offering or self.library.company

    @property
    def tone(self) -> Tone:
        """How the persona is worded."""
        return self.voice.tone if self.voice else wording.NEUTRAL


def write_persona(request: PersonaRequest, brief: Brief) -> dict[str, Any]:
    """The written part of a persona's record. Raises `UnknownResource`."""
    return _Writer(request, brief).record()


class _Writer:
    """Holds what was read for one persona, and turns it into the record's parts."""

    def __init__(self, request: PersonaRequest, brief: Brief) -> None:
        self._brief = brief
        self._sources = request.sources[:MAX_SOURCES]
        share = MAX_READ // len(self._sources)
        texts = [text_of(source, brief.library)[:share] for source in self._sources]
        self._material = read("\n".join(texts))
        # The words of an address are no sentences to quote.
        said = [text for source, text in zip(self._sources, texts, strict=True) if source.type != "URL"]
        self._said = self._material if said == texts else read("\n".join(said))
        named = _bounded(plain(request.name or ""))
        self._titles = list(dict.fromkeys([*self._material.titles, *titles_in(named)]))
        self._name = named or next(iter(self._titles), "") or _name_from(self._material)
        self._topics = _usual_topics(" ".join([self._name, *map(function_of, self._titles), *self._material.words]))
        self._words = _listed([f"“{word}”" for word in self._material.words[:3]])
        # Other sources start elsewhere in the lists, so that two personas do not read like one.
        self._start = int(hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8], 16)
        self._fields = {
            "offering": brief.sold.name,
            "promise": brief.sold.promise,
            "company": brief.library.company.name,
        }

    def record(self) -> dict[str, Any]:
        """The parts of the record that are written from the sources."""
        internal_name = _bounded(f"{self._name} ({', '.join(self._material.words[:2]) or self._topics[0]})")
        return {
            "name": self._name,
            "internalName": internal_name,
            "description": self._description(),
            "data": {
                "internalName": internal_name,
                "primaryResponsibilities": self._responsibilities(),
                "painPoints": self._pains(),
                "keyConcerns": self._filled(wording.CONCERNS, self._offered(3)),
                "keyObjectives": self._objectives(),
                "commonJobTitles": self._job_titles(),
                "whyTheyMatterToUs": self._filled(self._brief.tone.to_us, self._offered(0)),
                "whyWeMatterToThem": self._why_we_matter(),
                "customFields": self._custom_fields(),
            },
            "qualifyingQuestions": self._questions(),
        }

    def _description(self) -> str:
        parts = [f"{self._name}: the person who answers for {_listed(self._topics[:2])}{self._unread()}."]
        if self._words:
            parts.append(f"In the source it is about {self._words}.")
        if resource := next((source.value for source in self._sources if source.type == "RESOURCE"), None):
            found = self._brief.library.resource(resource)
            parts.append(f"Drawn from the resource {found.name if found else resource}.")
        if self._brief.playbook:
            parts.append(f"Written for the playbook {self._brief.playbook.name}.")
        return " ".join([*parts, self._brief.tone.closing.format_map(self._fields)])

    def _unread(self) -> str:
        """That a page was not read: in the first sentence, which is what a summary shows."""
        host = next((urlsplit(source.value).hostname for source in self._sources if source.type == "URL"), None)
        if host is None:
            return ""
        return f", going by the words of an address at {_bounded(plain(host))}, a page that the sandbox cannot read"

    def _responsibilities(self) -> list[str]:
        said = [_quoted(one) for one in self._said.others[:2]]
        return said + self._filled(wording.RESPONSIBILITIES[: 5 - len(said)], self._offered(0))

    def _pains(self) -> list[str]:
        said = [_quoted(one) for one in self._said.pains[:3]]
        if self._words:
            said.append(f"Keeps track of {self._words} in separate spreadsheets")
        return said + self._filled(self._turned(wording.PAINS)[: 5 - len(said)], self._offered(1))

    def _objectives(self) -> list[str]:
        said = [_quoted(one) for one in self._said.wants[:2]]
        if self._words:
            said.append(f"Get one clear picture of {self._words} before the next planning round")
        return said + self._filled(self._turned(wording.OBJECTIVES), self._offered(2))

    def _job_titles(self) -> list[str]:
        if self._titles:
            return list(dict.fromkeys([*self._titles[:3], *related_titles(self._titles[0])]))[:5]
        return related_titles(self._name)

    def _why_we_matter(self) -> list[str]:
        reasons = self._filled(self._brief.tone.to_them, self._offered(1))
        if self._brief.playbook:
            name = self._brief.playbook.name
            reasons.append(
                f"The {name} playbook opens with {self._words or self._topics[0]}, in the words this persona uses"
            )
        return reasons

    def _custom_fields(self) -> list[dict[str, Any]]:
        kinds = [f"{source.type}: {_bounded(plain(source.value))}" for source in self._sources[:3]]
        fields = {
            "Source material": kinds,
            "Words that stood out": list(self._material.words[:4]),
            "Linked offerings": [one.name for one in self._brief.linked],
            "Playbook": [self._brief.playbook.name] if self._brief.playbook else [],
            "Brand voice": [self._brief.voice.name] if self._brief.voice else [],
        }
        return [{"title": title, "value": value} for title, value in fields.items() if value]

    def _questions(self) -> list[dict[str, Any]]:
        asked = zip([self._brief.tone.question, *wording.QUESTIONS], self._offered(0), strict=False)
        return [_question(question, topic) for question, topic in asked]

    def _filled(self, templates: Sequence[str], topics: Iterator[str]) -> list[str]:
        """Each template with the next topic, as a sentence."""
        pairs = zip(templates, topics, strict=False)
        return [_capital(template.format(topic=topic, **self._fields)) for template, topic in pairs]

    def _offered(self, start: int) -> Iterator[str]:
        """The topics without end, from the one at `start`."""
        return itertools.islice(itertools.cycle(self._topics), start, None)

    def _turned(self, templates: Sequence[str]) -> list[str]:
        """The templates, beginning at the one that these sources begin at."""
        start = self._start % len(templates)
        return [*templates[start:], *templates[:start]]


def _usual_topics(role: str) -> tuple[str, ...]:
    """What a role of that name usually deals with."""
    return next(topics for key, topics in wording.ROLE_TOPICS.items() if key in role.lower())


def _name_from(material: Material) -> str:
    """A name where the sources have no job title: the words that stand out."""
    return _bounded(" ".join([*map(_capital, material.words[:2]), "Buyer"]))


def _question(asked: Question, topic: str) -> dict[str, Any]:
    return {
        "question": asked.question.format(topic=topic),
        "rationale": asked.rationale,
        "fitType": asked.fit,
        "weight": asked.weight,
        "archivedAt": None,
    }


def _listed(items: Sequence[str]) -> str:
    """Such as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def _quoted(sentence: str) -> str:
    return f"“{sentence}”"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1].rstrip() + "…"
