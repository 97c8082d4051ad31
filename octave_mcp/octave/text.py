"""Checks of text that is sent: whether anybody can see it, and what surrounds it unseen."""

import re
import unicodedata

__all__ = ["is_blank", "is_visible", "strip_invisible"]

_WITHOUT_GLYPH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Fillers, blanks and variation selectors: invisible, although their categories are those of letters and marks."""


def is_visible(character: str) -> bool:
    """Return whether a character shows anything: no space, control, format or private-use character, and no filler."""
    return unicodedata.category(character)[0] not in "CZ" and not _WITHOUT_GLYPH.match(character)


def is_blank(text: str) -> bool:
    """Return whether nothing of `text` can be seen."""
    return not any(map(is_visible, text))


def strip_invisible(text: str) -> str:
    """Return `text` without the white space and the invisible characters at both of its ends."""
    start, end = 0, len(text)
    while start < end and not is_visible(text[start]):
        start += 1
    while end > start and not is_visible(text[end - 1]):
        end -= 1
    return text[start:end]
