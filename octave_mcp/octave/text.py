"""Tell which characters of a text are visible and which names are the same, and make text encodable.

Octave may store a name not quite as it was sent: without what cannot be seen at its ends (JavaScript trims U+FEFF,
Python does not), with white space folded, or in another Unicode form.
"""

import re
import unicodedata

_WITHOUT_GLYPH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Fillers, blanks and variation selectors: invisible, although their categories are those of letters and marks."""


def well_formed(text: str) -> str:
    """Return `text` with each lone surrogate replaced by U+FFFD, so that it can be encoded."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def is_visible(character: str) -> bool:
    """Return whether a character is visible: not a space, control, format or private-use character, nor a filler."""
    return unicodedata.category(character)[0] not in "CZ" and not _WITHOUT_GLYPH.match(character)


def is_blank(text: str) -> bool:
    """Return whether `text` has no visible character."""
    return not any(map(is_visible, text))


def strip_invisible(text: str) -> str:
    """Return `text` without the white space and the invisible characters at both of its ends."""
    start, end = 0, len(text)
    while start < end and not is_visible(text[start]):
        start += 1
    while end > start and not is_visible(text[end - 1]):
        end -= 1
    return text[start:end]


def fold_name(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), with each run of white space as one space.

    What cannot be seen at its ends is removed.
    """
    return " ".join(strip_invisible(unicodedata.normalize("NFC", name)).split())


def name_key(name: str) -> str:
    """Return what names have in common that differ in nothing but case, white space and Unicode form."""
    return fold_name(fold_name(name).casefold())


def same_name(one: str, other: str) -> bool:
    """Return whether two names differ in nothing but case, white space and Unicode form."""
    return name_key(one) == name_key(other)


def search_word(name: str) -> str:
    """Return the word of a name that finds all forms of that name, or the whole name if it has no such word.

    Octave may compare letter by letter, and its form of the name may have more blanks, accents as characters of their
    own, or `ß` for `ss`. So this is the longest word in ASCII, one without `ss` if there is one.
    """
    words = [word for word in re.findall(r"\w+", fold_name(name)) if word.isascii()]
    return max(words, key=lambda word: ("ss" not in word.lower(), len(word)), default=fold_name(name))
