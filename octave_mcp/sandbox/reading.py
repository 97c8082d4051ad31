"""What sources say, taken word for word: sentences, the words that stand out, and job titles.

Nothing is understood. A sentence goes to the pains or to the wants by the words in it, and a word stands out by how
often it is there; both are quoted, so that what is written from them reads well whatever they are.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from octave_mcp.sandbox.titles import TITLE, titles_in

__all__ = ["MAX_READ", "Material", "plain", "read"]

MAX_READ = 20_000
"""Characters read of all sources together: more would take longer and say nothing new."""

MAX_QUOTE = 160
"""Characters of a sentence that is quoted; half as many where they are not ASCII, which cost more tokens each."""

LEAST_QUOTE = 16
"""Characters of a sentence that is worth quoting."""

MAX_KEPT = 8
"""Sentences, words and titles that are kept, of each."""


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|[\r\n\u2028]+")
_WORD = re.compile(
    r"[\u3400-\u9fff\u30a1-\u30ff\u3005]{2,12}"  # Chinese characters and Katakana: Hiragana is mostly grammar
    r"|[^\W\d_\u3040-\u30ff\u3400-\u9fff][\w'\u2019-]{3,30}"
)
_PAIN = re.compile(
    r"\b(?:worr|struggl|los[et]|slow|manual|distrust|risk|too |never|nobody|fail|miss|delay|wast|pressure|overload|fear"
    r"|hate|block|stuck|churn|late|spend)",
    re.IGNORECASE,
)
_WANT = re.compile(
    r"\b(?:want|need|goal|aim|measured|target|look(?:s|ing)? for|care|hope|ask|expect|plan|achiev|improv|grow|reduc"
    r"|drive)",
    re.IGNORECASE,
)
_COMMON = _words_of(
    """
    about above across after against along already also always among answer answers around because been before
    behind being below best better between both could deal does done down each either else even ever every everyone
    first five four from gets give gives goes good have having hear hers here into itself just keep keeps know knows
    least less like look looks made make makes manage manages many measured more most much must need needs never
    none nobody often once only other others over owns people person persona personas professionals same says should
    sides since some someone something spend spends still such take takes team teams tell than that their theirs
    them then there these they thing things this those three through time times tired toward turn under until upon
    used uses using very want wants week weeks well were what when where whether which while whom whose will with
    within without would year years your quarter month months hours days aber alle auch auf aus bei dass dem den der
    des die durch ein eine einem einen einer für haben ihre ihrem ihren mit nach nicht oder sein sich sind über und
    unter vom von vor werden wird zum zur avec cette dans elle elles leur leurs mais nous pour plus sans sont tous
    votre vous como con cuando desde donde entre esta este para pero porque sobre también
    """
)
"""Words of four letters and more that say nothing about a buyer: English, and some German, French and Spanish."""


@dataclass(frozen=True)
class Material:
    """What was found, the most telling first; no sentence is in two places."""

    titles: tuple[str, ...]
    words: tuple[str, ...]
    pains: tuple[str, ...]
    wants: tuple[str, ...]
    others: tuple[str, ...]


def plain(text: str) -> str:
    """The text on one line, without control, invisible and unpaired characters."""
    return " ".join("".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text).split())


def read(text: str) -> Material:
    """Find what personas are written from in `text`."""
    sentences = [one for part in _SENTENCE_END.split(text[:MAX_READ]) if (one := plain(part).lstrip("-*•# "))]
    quotable = dict.fromkeys(_shortened(one) for one in sentences if len(one) >= LEAST_QUOTE)
    pains = [one for one in quotable if _PAIN.search(one)]
    wants = [one for one in quotable if one not in pains and _WANT.search(one)]
    return Material(
        titles=tuple(dict.fromkeys(title for sentence in sentences for title in titles_in(sentence)))[:MAX_KEPT],
        words=_outstanding(sentences),
        pains=tuple(pains[:MAX_KEPT]),
        wants=tuple(wants[:MAX_KEPT]),
        others=tuple(one for one in quotable if one not in {*pains, *wants})[:MAX_KEPT],
    )


def _outstanding(sentences: list[str]) -> tuple[str, ...]:
    """The most frequent words, those of a pain counting double; of equal ones the first; as they are written first."""
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for sentence in sentences:
        weight = 2 if _PAIN.search(sentence) else 1
        for word in _words(sentence):
            first.setdefault(word.lower(), word)
            counts[word.lower()] += weight
    return tuple(first[word] for word, _ in counts.most_common(MAX_KEPT))


def _words(sentence: str) -> Iterator[str]:
    found = _WORD.findall(TITLE.sub(" ", sentence))
    for place, word in enumerate(each.rstrip("'\u2019-") for each in found):
        if word.lower() in _COMMON or _PAIN.match(word) or _WANT.match(word):
            continue
        yield word.lower() if place == 0 and word.istitle() and word.isascii() else word


def _shortened(sentence: str) -> str:
    limit = MAX_QUOTE if sentence.isascii() else MAX_QUOTE // 2
    if len(sentence) <= limit:
        return sentence
    cut = sentence[:limit]
    return (cut[: cut.rfind(" ")] if " " in cut[limit // 2 :] else cut).rstrip(",;:") + "…"
