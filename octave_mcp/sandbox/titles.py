"""Job titles: how they are recognised in text, and which others are near to one."""

import re

__all__ = ["TITLE", "function_of", "related_titles", "titles_in"]

_CHIEFS = {
    "CEO": "Strategy",
    "CFO": "Finance",
    "CHRO": "People",
    "CIO": "Information Technology",
    "CISO": "Information Security",
    "CMO": "Marketing",
    "COO": "Operations",
    "CPO": "Product",
    "CRO": "Revenue",
    "CTO": "Engineering",
}

_WORD = r"[A-Z][\w&-]*"
_FIELD = rf"{_WORD}(?: (?:and |& )?{_WORD}){{0,3}}"
_RANK = r"(?:[SE]?VP|Vice President|Head|Director|President)"
_SECOND = "(?:development|enablement|experience|operations|resources|success|support)"
"""Words that end a field of two lower-case words, as in "head of customer success"."""

_POST = r"(?:Manager|Lead|Director|Leader|Engineer|Analyst|Architect|Administrator|Owner|Buyer)s?"

_MIDDLE = "(?!and|by|for|from|in|of|our|the|to|with)[a-z]+"

TITLE = re.compile(
    "|".join(
        [
            rf"\b(?:{'|'.join(_CHIEFS)})s?\b",
            r"\bChief(?: [A-Z][a-z]+){1,4} Officer\b",
            rf"\b(?:Senior )?{_RANK} (?:of|for) {_FIELD}",
            rf"\b(?i:(?:vp|head|director|vice president) of) [a-z]{{3,20}}(?: {_SECOND})?\b",
            rf"\b[SE]?VP {_FIELD}",
            rf"\b(?:{_WORD} ){{1,3}}{_POST}\b",
            # "Operations managers" and "Supply chain directors", as a text may begin.
            rf"\b(?!The|New|Our|All|Many|Most|Some|Their|These)[A-Z][a-z]+(?: {_MIDDLE})? (?i:{_POST})\b",
            # German and Japanese, as two examples of languages that the sandbox does not speak.
            r"\b[A-ZÄÖÜ][a-zäöüß]*(?:[Ll]eiter|führer)(?:in)?\b(?: [A-ZÄÖÜ]\w+)?",
            r"\bLeiter(?:in)? (?:der |des )?[A-ZÄÖÜ]\w+",
            r"[\u3400-\u9fff\u30a1-\u30ff]{1,16}(?:責任者|部長|課長|担当者)",
        ]
    )
)
"""A job title in running text."""

_SUPERIOR = re.compile(rf"\b(?i:report(?:s|ing)?) (?:directly )?to (?:the |an? )?(?:{TITLE.pattern})")

_SMALL = {"of", "for", "and", "der", "des"}


def titles_in(text: str) -> list[str]:
    """The job titles in `text`, in their order, without those of whom it says that somebody reports to them."""
    return [_tidy(found[0]) for found in TITLE.finditer(_SUPERIOR.sub("", text))]


def _tidy(title: str) -> str:
    """The title in the singular with its words capitalised: "head of sales" is "Head of Sales"."""
    if title.removesuffix("s") in _CHIEFS or re.search(rf"(?i:{_POST})$", title):
        title = title.removesuffix("s")
    every = title.split()
    return " ".join(
        "VP" if word.lower() == "vp" else word if word in _SMALL else word[0].upper() + word[1:] for word in every
    )


def function_of(title: str) -> str:
    """The part of a company that a title stands for: Sales for "VP of Sales"; nothing where that is not plain."""
    if title in _CHIEFS:
        return _CHIEFS[title]
    if title.startswith("Chief ") and title.endswith(" Officer"):
        return title.removeprefix("Chief ").removesuffix(" Officer")
    if found := re.match(rf"(?:Senior )?{_RANK} (?:(?:of|for) )?(.+)", title):
        return found[1]
    return ""


def related_titles(title: str) -> list[str]:
    """The title itself, and others that people in the same seat have."""
    function = function_of(title)
    if not function and not title.isascii():
        return [title, f"{title} (deputy)", f"{title} (regional)"]
    if not function:
        return [title, f"Senior {title}", f"Group {title}", f"{title}, Regional"]
    ranks = ("VP of", "Head of", "Senior Director of", "Director of")
    return list(dict.fromkeys([title, *(f"{rank} {function}" for rank in ranks)]))[:5]
