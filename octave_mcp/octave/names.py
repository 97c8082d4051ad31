"""Compare names as Octave may have stored them: it may trim, fold white space, or normalise what it was sent."""

import unicodedata

__all__ = ["fold_name", "same_name"]


def fold_name(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), with each run of white space as one space, and none around it."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def same_name(one: str, other: str) -> bool:
    """Return whether two names differ in nothing but case, white space and Unicode form."""
    return fold_name(one).casefold() == fold_name(other).casefold()
