"""Estimates of how many tokens a text takes, made without a tokenizer.

The figures were measured with o200k, whose vocabulary is public. English prose takes about three quarters of its
estimate, prose in other languages between a third and all of it. Text that no person writes may take more than its
estimate: letters of one script drawn at random up to twice as much, hundreds of invented words up to 1.6 times as much.
"""

import json
import math
import re
from functools import lru_cache
from typing import Any

_PIECE = re.compile(
    r'"(?:[,:]|:\[|\],|\},\{)"'  # what stands between the strings of compact JSON
    r"|[A-Z]?[a-z]{1,40}|[A-Z]{1,40}"  # words, and the parts of one in CamelCase
    r"| ?[0-9]{1,3}"
    r"|\s{1,40}"
    r"|[!-/:-@\[-`{-~]{1,8}"
    r"|.",
    re.DOTALL,
)
_JSON_SEPARATOR = re.compile(r'"[]},:{[]+"')
_GIBBERISH = re.compile(r"[^aeiouy]{4}|[aeiouy]{4}|[jqxz][^aeiouy]", re.IGNORECASE)
"""Letters that stand together in few words of any language: in ids, hashes and encoded data they are frequent."""

_WHOLE_WORD_LETTERS = 5
"""Words of so many letters are mostly one token."""

_SCRIPTS = (
    # first and last character, tokens for each character
    (0x00C0, 0x024F, 0.95),  # Latin letters with marks
    (0x0370, 0x0E7F, 0.7),  # Greek, Cyrillic, Hebrew, Arabic, the scripts of India, Thai
    (0x1000, 0x10FF, 0.7),  # Burmese, Georgian
    (0x1E00, 0x1EFF, 0.95),  # Latin letters with marks, of Vietnamese above all
    (0x2010, 0x2027, 1.1),  # dashes, quotation marks, the ellipsis
    (0x3000, 0x30FF, 1.2),  # kana, and the punctuation of Chinese and Japanese
    (0x4E00, 0x9FFF, 1.2),  # Chinese characters
    (0xAC00, 0xD7A3, 1.2),  # Hangul
)


def estimate(text: str) -> int:
    """Return about how many tokens `text` takes, rather too many than too few."""
    return math.ceil(sum(map(_tokens_of, _PIECE.findall(text))))


def cost(structured: Any, text: str) -> int:
    """Return the estimated tokens of both channels of a result: structured content as compact JSON, and text."""
    return estimate(_compact(structured)) + estimate(text)


def fits(structured: Any, text: str, budget: int) -> bool:
    """Return whether both channels of a result have at most `budget` tokens. None has more tokens than bytes."""
    both = _compact(structured) + text
    return len(both.encode()) <= budget or estimate(both) <= budget


def _compact(structured: Any) -> str:
    return json.dumps(structured, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=8192)
def _tokens_of(piece: str) -> float:
    """Return the tokens of one piece: words come again and again, and a result is measured many times."""
    length = len(piece)
    if not piece.isascii():
        code = ord(piece)
        known = (tokens for first, last, tokens in _SCRIPTS if first <= code <= last)
        return next(known, 1.05 * len(piece.encode(errors="replace")))  # a tokenizer makes at most one of each byte
    if piece.isalpha():
        if _GIBBERISH.search(piece) or (length > 1 and piece.isupper()):
            return 0.5 + length * 0.67
        return 1.05 + max(0, length - _WHOLE_WORD_LETTERS) * 0.42
    if piece[-1].isdigit():
        return 2.0 if piece[0] == " " else 1.0
    if piece.isspace():
        return 0.0 if piece == " " else max(1.0, length / 2)
    return 1.0 if _JSON_SEPARATOR.fullmatch(piece) else 0.3 + length * 0.78
