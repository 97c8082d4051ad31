"""Writes a persona's record from its sources: the same sources make the same persona, oId and dates aside.

Nothing is understood. A few sentences of the material are quoted, the words that are in it most often become the
topics, and templates are filled with both.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from octave_mcp.octave.library_kinds import RESOURCES
from octave_mcp.octave.models import PersonaRequest, Source
from octave_mcp.octave.sections import LIST_SECTIONS
from octave_mcp.sandbox.library import COMPANY, CONTENTS, PROMISES, TONES, Entry, find

MAX_READ = 20_000
"""Characters that are read of all sources together."""

MAX_SOURCES = 20
"""Sources that are read of one persona."""

MAX_NAME = 80
MAX_QUOTE = 140
"""Characters of a name and of a quoted sentence."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|[\r\n\u2028]+")
_WORD = re.compile(r"[\u3400-\u9fff\u30a1-\u30ff]{2,12}|[^\W\d_\u3040-\u30ff\u3400-\u9fff]{4,30}")
_TITLE = re.compile(
    r"\b(?:C[A-Z]O|CISO|(?:S?VP|Vice President|Head|Director)(?: of)? [A-Z]\w+(?: (?:and |& )?[A-Z]\w+)?"
    r"|Chief(?: [A-Z]\w+){1,3})(?=s?\b)"
)
_PAIN = re.compile(
    r"\b(?:worr|struggl|los[et]|slow|manual|risk|too |fail|miss|delay|wast|fear|churn|late\b)", re.IGNORECASE
)
_COMMON = re.compile(
    r"about|after|also|answers|asked|because|care|companies|company|from|have|into|manage|many|more|most|much|need|only|other|over|people|professionals|some|spend|spends"
    r"|than|that|their|them|then|there|they|this|those|through|want|what|when|where|which|while|will|with|without|your"
)
"""Words that say nothing about a buyer."""

_USUAL_TOPICS = ("team priorities", "budget planning", "supplier comparisons")

_TEMPLATES: dict[str, tuple[str, ...]] = {
    "commonJobTitles": ("{title}", "Deputy {title}", "Senior {title}", "Regional {title}"),
    "keyObjectives": (
        "Give the leadership team one trusted view of {topic} before the next quarter begins",
        "Make progress on {topic} without adding headcount",
        "Agree on two or three numbers that say how {topic} should look in a year",
    ),
    "painPoints": (
        "Work on {topic} is spread over spreadsheets, inboxes and chats, so nobody sees the whole picture",
        "Questions about {topic} take days to answer, because the facts have to be collected one by one",
        "Trouble with {topic} comes to light only when it is late and costly to put right",
    ),
    "buyingRole": ("Economic buyer",),
    "whyWeMatterToThem": (
        "{tone}",
        "{offering} takes the manual work out of {topic}, which frees the team for decisions",
        "{company} shows a first result for {topic} before the budget review",
    ),
    "keyConcerns": (
        "Whether a new tool will disturb {topic} in the middle of a busy quarter",
        "How soon results for {topic} can be shown when the budget is reviewed",
        "Who answers for {topic} if something goes wrong after the change",
    ),
    "primaryResponsibilities": (
        "Set the yearly goals for {topic} and answer for the result",
        "Choose the tools and suppliers used for {topic}",
        "Report on {topic} to the leadership team each month",
    ),
    "whyTheyMatterToUs": (
        "They hold the budget for {topic} and decide within a quarter",
        "Their word on {topic} turns a trial into a rollout for {company}",
        "Peers ask them about {topic}, so one success brings others",
    ),
}
"""Sentences for each section that is a list."""

_QUESTIONS = (
    ("Who decides about {topic} today, and is there a budget for it this year?", "GOOD", "HIGH"),
    ("What would it be worth to fix {topic} within this quarter?", "GOOD", "MEDIUM"),
    ("How many hours does the team spend on {topic} in a normal week?", "GOOD", "LOW"),
    ("Has responsibility for {topic} been handed to a parent company?", "BAD", "INSTANT_DISQUALIFIER"),
    ("Did the company commit to another tool for {topic} within the last six months?", "BAD", "MEDIUM"),
)
_RATIONALES = {
    "GOOD": "A clear answer shows that there is a decision to be made, and by whom.",
    "BAD": "If so, this persona cannot buy now, however interested.",
}


class UnknownResource(LookupError):
    """A RESOURCE source names nothing in the library."""


@dataclass(frozen=True)
class Context:
    """The parts of a request that all its personas share."""

    offering: Entry | None = None
    playbook: Entry | None = None
    voice: Entry | None = None
    linked: tuple[Entry, ...] = ()


def write_persona(request: PersonaRequest, context: Context) -> dict[str, Any]:
    """Return the written part of a persona's record. Raises `UnknownResource`."""
    sources = request.sources[:MAX_SOURCES]
    share = MAX_READ // len(sources)
    texts = [_text_of(source)[:share] for source in sources]
    sentences = [[one for one in map(_plain, _SENTENCE_END.split(text)) if one] for text in texts]
    phrases = _frequent_phrases(itertools.chain(*sentences))
    name = _name(request.name, itertools.chain(*sentences), phrases)
    topics = [*(phrase for phrase in phrases if phrase not in name.lower()), *_USUAL_TOPICS][:5]
    sold = context.offering or COMPANY
    promise = {"offering": sold.name, "promise": PROMISES[sold.oid], "company": COMPANY.name}
    tone = TONES[context.voice.oid if context.voice else ""].format(**promise)
    internal_name = _short(f"{name} ({', '.join(topics[:2])})", MAX_NAME)
    quotable = [found for source, found in zip(sources, sentences, strict=True) if source.type != "URL"]
    quotes = _quotes(itertools.chain(*quotable))
    fields = {**promise, "title": name, "tone": tone}
    data: dict[str, Any] = {"internalName": internal_name}
    for section in LIST_SECTIONS:
        templates = _TEMPLATES.get(section.key, (f"{section.label}: {{topic}}",))
        turns = _topics_in_turn(topics, section.key, texts)
        written = [_capital(template.format(topic=next(turns), **fields)) for template in templates]
        data[section.key] = [*quotes.get(section.key, ()), *written]
    data["customFields"] = _custom_fields(sources, context)
    turns = _topics_in_turn(topics, "qualifyingQuestions", texts)
    return {
        "name": name,
        "internalName": internal_name,
        "description": _description(name, topics, sources, context, tone),
        "data": data,
        "qualifyingQuestions": [
            {
                "question": question.format(topic=next(turns)),
                "rationale": _RATIONALES[fit],
                "fitType": fit,
                "weight": weight,
                "archivedAt": None,
            }
            for question, fit, weight in _QUESTIONS
        ],
    }


# --- The material -----------------------------------------------------------------------------------------------------


def _text_of(source: Source) -> str:
    """Return the text of a source: its own, the words of its address, or the resource's content."""
    if source.type == "TEXT":
        return source.value
    if source.type == "URL":
        parts = re.sub(r"\.\w+$", "", unquote(urlsplit(source.value).path)).split("/")
        return "\n".join(_capital(re.sub(r"[\W_]+", " ", part)) for part in parts)
    if resource := find(RESOURCES, source.value, by_name=True):
        return CONTENTS[resource.oid]
    raise UnknownResource


def _plain(text: str) -> str:
    """Return `text` on one line, without control and invisible characters."""
    return " ".join("".join(one if one.isprintable() or one.isspace() else "" for one in text).split())


def _frequent_phrases(sentences: Iterable[str]) -> list[str]:
    """Return the phrases of one or two uncommon words that are in the material most often."""
    phrases: Counter[str] = Counter()
    for sentence in sentences:
        matches = [one for one in _WORD.finditer(sentence) if not _COMMON.fullmatch(one[0].lower())]
        for before, one, after in zip([None, *matches], matches, [*matches[1:], None], strict=False):
            if after is None or after.start() != one.end() + 1:  # the last word of a run says most
                pair = [before, one] if before is not None and before.end() + 1 == one.start() else [one]
                phrases[" ".join(word[0].lower() for word in pair)] += len(pair)
    return [phrase for phrase, _ in phrases.most_common(8)]


def _name(given: str | None, sentences: Iterable[str], phrases: Sequence[str]) -> str:
    """Return the name that was given, else the first job title in the material, else its most frequent phrase."""
    title = next((found[0] for one in sentences if (found := _TITLE.search(one))), None)
    return _short(
        _plain(given or "") or title or " ".join([*map(_capital, " ".join(phrases[:1]).split()), "Buyer"]), MAX_NAME
    )


def _quotes(sentences: Iterable[str]) -> dict[str, list[str]]:
    """Return sentences of the material for some sections, word for word: what hurts, what is done, what is wanted."""
    quoted: dict[str, list[str]] = {"painPoints": [], "primaryResponsibilities": [], "keyObjectives": []}
    others = itertools.cycle(["keyObjectives", "primaryResponsibilities"])
    for sentence in dict.fromkeys(sentences):
        key = "painPoints" if _PAIN.search(sentence) else next(others)
        if len(quoted[key]) < 3:  # noqa: PLR2004 - no section is shown with more
            quoted[key].append(f"“{_short(sentence, MAX_QUOTE)}”")
    return quoted


# --- The record -------------------------------------------------------------------------------------------------------


def _description(name: str, topics: Sequence[str], sources: Sequence[Source], context: Context, tone: str) -> str:
    parts = [f"{name}: a buyer whose work is about {topics[0]} and {topics[1]}."]
    if host := next((urlsplit(one.value).hostname for one in sources if one.type == "URL"), None):
        parts.append(
            f"Written from the words of an address at {_short(_plain(host), MAX_NAME)}; the page was not read."
        )
    for resource in (find(RESOURCES, one.value, by_name=True) for one in sources if one.type == "RESOURCE"):
        parts += [f"Written from the resource {resource.name}."] if resource else []
    if context.playbook:
        parts.append(f"Written for the playbook {context.playbook.name}.")
    return " ".join([*parts, f"{tone}."])


def _topics_in_turn(topics: Sequence[str], key: str, texts: Sequence[str]) -> Iterator[str]:
    """Yield the topics again and again, from a start that depends on the material and on the section.

    So two personas do not read alike, nor do two sections, and a new section changes no other.
    """
    start = hashlib.sha256("\n".join([key, *texts]).encode()).digest()[0] % len(topics)
    return itertools.islice(itertools.cycle(topics), start, None)


def _custom_fields(sources: Sequence[Source], context: Context) -> list[dict[str, Any]]:
    fields = {
        "Source material": [f"{source.type}: {_short(_plain(source.value), MAX_NAME)}" for source in sources[:3]],
        "Linked offerings": [one.name for one in context.linked],
        "Playbook": [context.playbook.name] if context.playbook else [],
        "Brand voice": [context.voice.name] if context.voice else [],
    }
    return [{"title": title, "value": value} for title, value in fields.items() if value]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
