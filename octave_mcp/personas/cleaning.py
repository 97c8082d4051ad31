"""Text written by others, made safe to show.

Personas, and Octave's messages, are written by a language model from pages that anyone may have written. They may hold
characters that hide text, reorder it, or carry a message that only a machine reads. A character stays if a reader sees
it, or if its script needs it:

- A joiner (U+200C, U+200D) stays between two letters of a right-to-left script, beside a virama, and between two emoji.
  These are contexts A1, A2 and B of UAX #31, section 2.3 (without its tables of joining types, and with the joiner that
  Bengali writes before a virama), and the emoji joined by ED-16 of UTS #51.
- Variation selectors 15 and 16 stay after a symbol and in a keycap (ED-8a, ED-9a and ED-14c of UTS #51). The variation
  selectors and the vowel separator of Mongolian stay after a Mongolian character.
- Four nonspacing or enclosing marks in a row stay (UTS #39, section 5.4).
- Format characters that have a glyph stay, such as the Arabic number sign (Prepended_Concatenation_Mark in UAX #44).

Every other control, format, surrogate, private-use or unassigned character is removed. Among them are the controls of
UAX #9 (embeddings, overrides, isolates, and the implicit marks, without which text stays readable), zero-width spaces,
byte order marks, soft hyphens and tags. Removed are also the other variation selectors, with which a byte can be hidden
after any character, and letters without a glyph, such as the Hangul fillers (Default_Ignorable_Code_Point in UAX #44).
"""

import re
import unicodedata
from itertools import groupby

from octave_mcp.octave.text import is_visible

_MAX_MARKS = 4
_VIRAMA_CLASS = 9
"""The canonical combining class of viramas."""

_BRAILLE_BLANK = "\u2800"
_NON_JOINER, _JOINER = "\u200c", "\u200d"
_KEYCAP = "\u20e3"
_KEYCAP_BASES = frozenset("0123456789#*")
_EMOJI_SELECTORS = frozenset("\ufe0e\ufe0f")
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_MONGOLIAN_CONTROLS = frozenset("\u180b\u180c\u180d\u180e\u180f")
_MONGOLIAN = re.compile("[\u1800-\u180a\u1810-\u18af]")
_EMOJI_OF_OTHER_CATEGORIES = frozenset("\u203c\u2049\u2139\u3030")
"""Two exclamation marks, an exclamation and question mark, the information sign, the wavy dash."""

_FORMATS_WITH_GLYPH = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd]")


def clean(text: str) -> str:
    """Return `text` on one line, safe to show; white space of any kind and length becomes one space."""
    if not text.isascii():
        text = _without_invisible(text)
    elif not text.isprintable():
        text = "".join(one if one.isprintable() else " " if one.isspace() else "" for one in text)
    return " ".join(text.split())


def clean_lines(text: str) -> str:
    """Return `text` safe to show, with its line breaks; several empty lines become one."""
    runs = groupby(map(clean, text.splitlines()), bool)
    return "\n".join("\n".join(lines) if some else "" for some, lines in runs).strip("\n")


def shorten(text: str, length: int) -> str:
    """Return `text` in at most `length` characters, cut after a word if one ends near, with an ellipsis."""
    if len(text) <= length:
        return text
    cut = text[: max(length - 1, 0)]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > length // 2 else cut).rstrip(" ,;:-") + "…"


def _without_invisible(text: str) -> str:
    kept: list[str] = []
    marks = 0
    for character, following in zip(text, [*text[1:], ""], strict=True):
        category = unicodedata.category(character)
        if character.isspace() or character == _BRAILLE_BLANK:
            kept.append(" ")
            marks = 0
        elif not is_visible(character):
            if marks < _MAX_MARKS and _is_needed(character, kept, following):
                kept.append(character)
        elif category not in {"Mn", "Me"}:
            kept.append(character)
            marks = 0
        elif marks < _MAX_MARKS:
            kept.append(character)
            marks += 1
    return "".join(kept)


def _is_needed(character: str, kept: list[str], following: str) -> bool:
    """Return whether an invisible character does what its script needs, between what is kept before it and the next."""
    before = kept[-1] if kept else ""
    if character in {_NON_JOINER, _JOINER}:
        return _may_join(character, kept, following)
    if character in _EMOJI_SELECTORS:
        return _is_symbol(before) or (following == _KEYCAP and before in _KEYCAP_BASES)
    if character in _MONGOLIAN_CONTROLS:
        return bool(_MONGOLIAN.match(before))
    return bool(_FORMATS_WITH_GLYPH.match(character))


def _may_join(joiner: str, kept: list[str], following: str) -> bool:
    before = kept[-1] if kept else ""
    if _is_virama(before) or (joiner == _JOINER and _is_virama(following) and before.isalpha()):
        return True
    if joiner == _JOINER and _is_symbol(following):
        return _is_symbol(before) or before in _SKIN_TONES or before in _EMOJI_SELECTORS
    base = next((one for one in reversed(kept) if unicodedata.category(one) != "Mn"), "")
    return _is_right_to_left(base) and _is_right_to_left(following)


def _is_symbol(character: str) -> bool:
    """Return whether an emoji may begin with this character: a symbol beyond ASCII, or one of four others."""
    if character.isascii() or character == _BRAILLE_BLANK:
        return False
    return unicodedata.category(character) in {"So", "Sm"} or character in _EMOJI_OF_OTHER_CATEGORIES


def _is_virama(character: str) -> bool:
    return bool(character) and unicodedata.combining(character) == _VIRAMA_CLASS


def _is_right_to_left(character: str) -> bool:
    return character.isalpha() and unicodedata.bidirectional(character) in {"R", "AL"}
