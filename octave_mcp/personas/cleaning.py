"""Text written by others, made safe to show.

Personas, and Octave's messages, are written by a language model from pages that anyone may have written. They may hold
characters that hide or reorder text, and they may be of any length.
"""

import re
import unicodedata

__all__ = ["clean", "shorten"]

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that show nothing or change how the rest is shown: control, format (bidirectional, zero-width and
tag characters among them), surrogates, private use, unassigned, line and paragraph separators."""

_HIDDEN = re.compile(
    # Variation selectors, fillers and blanks of other categories: invisible, and able to carry a hidden message.
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_MARKS_IN_A_ROW = re.compile(r"([\u0300-\u036f]{4})[\u0300-\u036f]+")


def clean(text: str) -> str:
    """`text` on one line, without what is invisible. White space of any kind and length becomes one space."""
    if not text.isascii():
        text = _HIDDEN.sub("", _MARKS_IN_A_ROW.sub(r"\1", text))
    if not text.isprintable():
        text = "".join(
            " " if character.isspace() else "" if unicodedata.category(character) in _INVISIBLE else character
            for character in text
        )
    return " ".join(text.split())


def shorten(text: str, length: int) -> str:
    """`text` in at most `length` characters, cut at a word where one ends near, with an ellipsis for the rest."""
    if len(text) <= length:
        return text
    cut = text[: max(length - 1, 0)]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > length // 2 else cut).rstrip(" ,;:-") + "…"
