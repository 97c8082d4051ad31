"""Find rows by words, as people say names: in any case, without accents, in the plural, cut short, or as an acronym."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from enum import IntEnum
from typing import TypeVar

_Row = TypeVar("_Row")

_COMMON_WORDS = frozenset(
    {"an", "and", "at", "all", "by", "for", "from", "in", "is", "it", "of", "on", "or", "our", "product", "service"}
    | {"the", "to", "us", "we", "with"}
)
"""Words that say nothing about what is looked for."""

_PLURAL = re.compile(r"(?<=\w\w\w)(ies|s)$", re.ASCII)
"""An ending that the plural of an English word has. Words are found by their beginning, so it is not missed."""

MIN_ACRONYM = 3
"""Letters of the shortest acronym: two letters would be the initials of too many names."""


class MatchLevel(IntEnum):
    """How well the rows found match the text."""

    NONE = 0
    SOME_WORDS = 1
    ALL_WORDS = 2


def find_rows(
    rows: Sequence[_Row], text: str, words_of: Callable[[_Row], tuple[str, str]], ignored: Collection[str] = ()
) -> tuple[list[_Row], MatchLevel]:
    """Return the rows that match `text`: those with all its words, or else those with some, the best first.

    `words_of` returns the name of a row, which an acronym can stand for, and what else is searched. `ignored` has more
    words that say nothing, in the singular.
    """
    words = [_PLURAL.sub("", word) for word in re.findall(r"\w+", _folded(text)) if not word.isascii() or len(word) > 1]
    significant = [
        word for word in words if word not in _COMMON_WORDS and word.removesuffix("s") not in ignored
    ] or words
    if not significant:
        return [], MatchLevel.NONE
    initials = "".join(word[0] for word in significant)
    hits = []
    for row in rows:
        name, more = map(_folded, words_of(row))
        is_acronym = len(initials) >= MIN_ACRONYM and initials in re.findall(r"\w+", name)
        hits.append(len(significant) if is_acronym else sum(_matches(word, name, more) for word in significant))
    if best := [row for row, count in zip(rows, hits, strict=True) if count == len(significant)]:
        return best, MatchLevel.ALL_WORDS
    order = sorted((place for place, count in enumerate(hits) if count), key=lambda place: -hits[place])
    return [rows[place] for place in order], MatchLevel.SOME_WORDS if order else MatchLevel.NONE


def _matches(word: str, name: str, more: str) -> bool:
    """Return whether a word of either text begins with `word`, or the initials of the name have it.

    Scripts without spaces may have the word anywhere.
    """
    if not word.isascii():
        return word in name or word in more
    if re.search(rf"\b{re.escape(word)}", f"{name} {more}"):
        return True
    words = re.findall(r"\w+", name)
    significant = [each for each in words if each not in _COMMON_WORDS]
    return len(word) >= MIN_ACRONYM and any(word in "".join(each[0] for each in some) for some in (words, significant))


def _folded(text: str) -> str:
    """Return the text in small letters, without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))
