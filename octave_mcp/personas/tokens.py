"""Tokens, estimated without a tokenizer."""

import json
import math
import re
from typing import Any

__all__ = ["cost", "estimate"]

_KINDS = {
    "escape": r"\\u[0-9a-f]{4}",
    "word": r"[A-Z]?[a-z]+|[A-Z]+",
    "digits": r"[ ]?[0-9]{1,3}",
    "space": r"\s+",
    "mark": r"[!-/:-@\[-`{-~]+",
    "other": r".",
}
_PIECES = re.compile("|".join(_KINDS.values()), re.DOTALL)
_KIND = re.compile("|".join(f"(?P<{kind}>{piece})" for kind, piece in _KINDS.items()), re.DOTALL)
_UNLIKE_A_WORD = re.compile(r"[^aeiouy]{4}|[aeiouy]{4}|^[^aeiouy]{3}|[jqxz][^aeiouy]|[^aeiouycnst][qxz]", re.IGNORECASE)
_ALTERNATING = re.compile(r"[^aeiouy]?(?:[aeiouy][^aeiouy])*[aeiouy]?", re.IGNORECASE)
"""Syllables of two letters each: more often than other words these are names, and made up."""
_SYLLABLE = 3
_KEPT_CHARACTERS = 24
_KEPT_PIECES = 8192
_KEY_OF_EACH = "name"
"""Stands in JSON once for each persona, and looks like syllables."""
_JSON_MARKS = frozenset({'{"', '":"', '","', '"},{"', '":["', '":', '"},', "],", "):", ");", "),"})
_KNOWN_SCRIPTS = (
    # (first, last, tokens): scripts that tokenizers know, and what a letter drawn at random from one costs.
    (0x00C0, 0x00FF, 1.15),  # Latin letters of western Europe
    (0x0386, 0x03CE, 1.1),  # Greek
    (0x0410, 0x0457, 1.0),  # Cyrillic
    (0x0531, 0x0587, 1.05),  # Armenian
    (0x05D0, 0x05EA, 0.9),  # Hebrew
    (0x0620, 0x06FF, 1.05),  # Arabic
    (0x0900, 0x0B7F, 1.3),  # Devanagari, Bengali and their neighbours
    (0x0B80, 0x0DFF, 1.65),  # Tamil and its neighbours
    (0x0E00, 0x0E7F, 1.2),  # Thai
    (0x10A0, 0x10FF, 1.05),  # Georgian
    (0x1E00, 0x1EFF, 1.3),  # Vietnamese
    (0x2010, 0x2026, 1.1),  # dashes, curved quotes, the ellipsis
    (0x3000, 0x3002, 1.1),  # the stops of Chinese and Japanese
    (0x3040, 0x30FF, 1.25),  # Kana
    (0x4E00, 0x9FFF, 2.1),  # Chinese characters
    (0xAC00, 0xD7A3, 2.45),  # Hangul
    (0x1F300, 0x1FAFF, 2.7),  # Emoji
)


def estimate(text: str) -> int:
    """About how many tokens `text` is, on the safe side for prose in any script and for characters drawn at random.

    The figures were read off o200k, the tokenizer whose vocabulary is public. Running prose costs less than is said
    here: by a third in English, by more where a script's letters are few and its words are known. Only words that
    nobody knows, made up by the hundred, cost more: about a seventh.
    """
    return math.ceil(sum(map(_costs.__getitem__, _PIECES.findall(text))))


class _Costs(dict[str, float]):
    """What each piece costs, worked out once: words come again and again, and a result is measured many times.

    No long piece is kept, nor more than so many, so that what others write takes no memory.
    """

    def __missing__(self, piece: str) -> float:
        found = _KIND.match(piece)
        cost = _cost(found.lastgroup if found else None, piece)
        if len(piece) <= _KEPT_CHARACTERS:
            if len(self) >= _KEPT_PIECES:
                self.clear()
            self[piece] = cost
        return cost


_costs = _Costs()


def _cost(kind: str | None, found: str) -> float:
    length = len(found)
    match kind:
        case "word" if _UNLIKE_A_WORD.search(found) or (length > 1 and found.isupper()):
            cost = 0.5 + length * 0.64
        case "word" if found == _KEY_OF_EACH:
            cost = 1.0
        case "word" if length > _SYLLABLE and _ALTERNATING.fullmatch(found):
            cost = 0.5 + length * 0.42
        case "word":
            cost = 1.0 if length == 1 else max(1.15, 1.15 + (length - 4) / 3.6)
        case "escape":
            cost = 3.8
        case "digits":
            cost = 2.0 if found[0] == " " else 1.0
        case "space":
            cost = 0.0 if found == " " else 0.5 * length
        case "mark":
            cost = 1.0 if found in _JSON_MARKS else max(1.0, length * 0.85)
        case _:
            cost = _cost_beyond_ascii(found)
    return cost


def _cost_beyond_ascii(character: str) -> float:
    """The cost that its script has, or its bytes in UTF-8, of which no tokenizer makes more than a token each."""
    code = ord(character)
    known = (cost for first, last, cost in _KNOWN_SCRIPTS if first <= code <= last)
    return next(known, float(len(character.encode(errors="replace"))))


def cost(structured: Any, text: str) -> int:
    """Estimated tokens of both channels together.

    Structured content counts as compact JSON with whatever is not ASCII escaped: most hosts show it unescaped, but
    Python's own `json.dumps` does not, and an escaped letter costs several times as much.
    """
    return estimate(json.dumps(structured, separators=(",", ":"))) + estimate(text)
