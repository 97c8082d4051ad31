"""What sources say: job titles, actions, topics and problems, found with word lists and no understanding.

A sentence is cut at stop words and punctuation, so that "who manage enterprise deals and drive revenue growth" leaves
the runs "manage enterprise deals" and "drive revenue growth". A run that begins with a verb is an action, and what
follows the verb is a topic. A topic with a word such as "slow" or "missed" is a problem.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from octave_mcp.sandbox import words
from octave_mcp.sandbox.titles import TITLE, titles_in

__all__ = ["MAX_READ", "Material", "plain", "read"]

MAX_READ = 20_000
"""Characters read of all sources together: more would take longer and say nothing new."""

MAX_QUOTE = 160
"""Characters of a sentence that is quoted; half as many where they are not ASCII, which cost more tokens each."""

MAX_PHRASE = 48
MAX_WORDS = 4
MAX_ACTION_WORDS = 6
MAX_KEPT = 8
"""Topics, problems, actions and titles that are kept, of each."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|[\r\n\u2028]+")
_TOKEN = re.compile(r"[^\W_][\w'\u2019&/+-]*|[^\w\s]")
_EAST_ASIAN_NOUN = re.compile(r"[\u3400-\u9fff\u30a1-\u30ff\u3005]{2,12}")
"""Han characters and Katakana; the Hiragana between them are mostly grammar."""


@dataclass(frozen=True)
class Material:
    """What was found, the most telling first."""

    titles: tuple[str, ...]
    actions: tuple[str, ...]
    """With the verb in its base form: "manage enterprise deals"."""

    topics: tuple[str, ...]
    problems: tuple[str, ...]
    sentences: tuple[str, ...]
    english: bool


@dataclass(frozen=True)
class _Run:
    """Neighbouring words with no stop word between them; `opener` is the word before them if a verb may follow it."""

    words: list[str]
    opener: str
    audience: bool = False


def plain(text: str) -> str:
    """The text on one line, without control, invisible and unpaired characters."""
    return " ".join("".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text).split())


def read(text: str) -> Material:
    """Find what personas are written from in `text`."""
    sentences = [one for part in _SENTENCE_END.split(text[:MAX_READ]) if (one := plain(part).lstrip("-*•# "))]
    titles = dict.fromkeys(title for sentence in sentences for title in titles_in(sentence))
    english = _is_english(sentences)
    if english:
        found = [phrase for sentence in sentences for run in _runs(sentence) for phrase in _phrases(run)]
    else:
        found = [("topic", phrase) for sentence in sentences for phrase in _foreign_phrases(sentence)]
    phrases = [phrase for kind, phrase in found if kind == "topic"]
    topics = _ranked(phrases or [phrase for _, phrase in found]) if english else phrases
    problems = [topic for topic in topics if _without_problem(topic) != topic]
    return Material(
        titles=tuple(titles)[:MAX_KEPT],
        actions=_distinct(phrase for kind, phrase in found if kind == "action"),
        topics=_distinct(
            filter(None, [*(one for one in topics if one not in problems), *map(_without_problem, problems)])
        ),
        problems=_distinct(problems),
        sentences=tuple(_shortened(sentence) for sentence in sentences[:MAX_KEPT]),
        english=english,
    )


def _is_english(sentences: list[str]) -> bool:
    letters = [each for sentence in sentences for each in sentence if each.isalpha()]
    if sum(each.isascii() for each in letters) < 0.9 * len(letters):
        return False
    counts = Counter(word.lower() for sentence in sentences for word in sentence.split())
    return sum(counts[word] for word in words.FOREIGN_STOP) <= sum(counts[word] for word in words.STOP)


def _runs(sentence: str) -> Iterator[_Run]:
    """The runs of an English sentence. A verb may follow a title: "the CISO owns vendor risk"."""
    tokens = _TOKEN.findall(TITLE.sub("|", sentence))
    if tokens and tokens[0].istitle():
        tokens[0] = tokens[0].lower()
    run = _Run([], opener=".")
    for token in [*tokens, "."]:
        word = token.lower()
        if word in words.ARTICLES and len(run.words) == 1 and _verb_at(run, least_after=0) == 0:
            run.words.append(word)
            continue
        if word in words.AUDIENCES:
            # Who it is about may be followed by a verb: "security teams own vendor risk".
            yield _Run([*run.words, token], opener="", audience=True)
            run = _Run([], opener=word)
            continue
        adverb = word.endswith(words.ADVERB_ENDING) and word not in words.NO_ADVERBS
        if adverb and not run.words:
            continue  # "who quickly close deals": it changes nothing about what may follow
        if not adverb and word not in words.STOP and word[0].isalnum():
            run.words.append(token)
            continue
        if run.words:
            yield run
        opens = word in words.OPENERS or word in words.RELATIVES or not word[0].isalnum()
        run = _Run([], opener=word if opens else "")


def _phrases(run: _Run) -> Iterator[tuple[str, str]]:
    """The action and topics of a run, as ("action" or "topic", phrase)."""
    if run.audience:
        yield "audience", " ".join(run.words[-MAX_WORDS:])
        return
    at = _verb_at(run)
    if at is None and _verb_at(run, least_after=0) == 0 and not run.words[0].endswith("ing"):
        return  # a verb without an object, such as "reports" in "reports to the board"
    if at is None:
        yield from _topic(run.words)
        return
    yield from _topic(run.words[:at])
    rest = run.words[at + 1 :]
    topic = list(_topic([word for word in rest if word not in words.ARTICLES]))
    has_object = rest[-1] not in words.ARTICLES and (topic or rest[0] in words.ARTICLES)
    if has_object and run.opener not in words.RELATIVES and len(rest) < MAX_ACTION_WORDS:
        yield "action", " ".join([_verb(run.words[at]), *rest])
    yield from topic


def _verb_at(run: _Run, least_after: int = 1) -> int | None:
    """Where a verb stands: at the start, or behind a plural such as "analysts review alerts"; with words after it."""
    for at, word in enumerate(run.words[: len(run.words) - least_after]):
        if not (verb := _verb(word)):
            continue
        begins = at == 0 and (run.opener or word.endswith("ing"))
        if begins or (at > 0 and run.words[at - 1].endswith("s") and word.lower() == verb):
            return at
    return None


def _verb(word: str) -> str:
    """The base form of a known verb, or nothing."""
    word = word.lower()
    forms = [word]
    if word.endswith("s"):
        forms += [word[:-1], word[:-2], word[:-3] + "y"]
    if word.endswith("ing"):
        forms += [word[:-3], word[:-3] + "e", word[:-4]]
    return next((form for form in forms if form in words.VERBS), "")


def _topic(run: list[str]) -> Iterator[tuple[str, str]]:
    """The run as a topic, where it ends like a noun. The end of a long one says most."""
    while run and (run[0].isdigit() or run[0].lower() in words.ADJECTIVES):
        run = run[1:]
    kept = run if len(run) <= MAX_WORDS else run[-MAX_WORDS + 1 :]
    while kept and _no_noun(kept[-1].lower()):
        kept = kept[:-1]
    phrase = " ".join(kept).rstrip("'\u2019/-+&")
    single = len(kept) == 1 and not (phrase.isupper() or phrase.lower().endswith(words.NOUN_ENDINGS))
    if len(phrase) > 2 and len(phrase) <= MAX_PHRASE and not single:  # noqa: PLR2004 - "IT" alone says too little
        yield "topic", phrase


def _no_noun(word: str) -> bool:
    if word in words.ADJECTIVES:
        return True
    return word.endswith(words.NO_NOUN_ENDINGS) and not word.endswith(words.NOUNS_NEVERTHELESS)


def _without_problem(topic: str) -> str:
    """What is left of "slow security reviews" when they are not slow any more."""
    return " ".join(word for word in topic.split() if word.lower() not in words.PROBLEM_WORDS)


def _foreign_phrases(sentence: str) -> Iterator[str]:
    """Nouns of Chinese and Japanese; of any other language, the first words of each run between its stop words."""
    sentence = TITLE.sub("|", sentence)
    yield from _EAST_ASIAN_NOUN.findall(sentence)
    run: list[str] = []
    for token in [*_TOKEN.findall(_EAST_ASIAN_NOUN.sub("|", sentence)), "."]:
        if token[0].isalnum() and token.lower() not in words.FOREIGN_STOP:
            run.append(token)
            continue
        phrase = " ".join(run[:MAX_WORDS])
        if 4 <= len(phrase) <= MAX_PHRASE:  # noqa: PLR2004 - three letters are seldom a noun
            yield phrase
        run = []


def _ranked(phrases: Iterable[str]) -> list[str]:
    """Frequent phrases first, then those of several words; else in the order of the text."""
    counts = Counter(phrases)
    return sorted(counts, key=lambda phrase: (-counts[phrase], " " not in phrase))


def _distinct(phrases: Iterable[str]) -> tuple[str, ...]:
    """The first few, without any that another one contains."""
    kept: list[str] = []
    for phrase in phrases:
        if len(kept) == MAX_KEPT:
            break
        if not any(phrase.lower() in other.lower() or other.lower() in phrase.lower() for other in kept):
            kept.append(phrase)
    return tuple(kept)


def _shortened(sentence: str) -> str:
    limit = MAX_QUOTE if sentence.isascii() else MAX_QUOTE // 2
    if len(sentence) <= limit:
        return sentence
    cut = sentence[:limit]
    return (cut[: cut.rfind(" ")] if " " in cut[limit // 2 :] else cut).rstrip(",;:") + "…"
