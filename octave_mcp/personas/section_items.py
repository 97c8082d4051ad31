"""The items of a persona by section, and its name and oId, as far as they can be shown.

Of questions the strongest come first and archived ones are left out; of everything else Octave's order is kept, as its
first item is taken for the most important. Items are as Octave wrote them, but for the sentences of a description,
which are cut from the clean text.
"""

import re
from collections.abc import Sequence

from octave_mcp.octave.models import Persona, QualifyingQuestion
from octave_mcp.octave.sections import Content, Section
from octave_mcp.personas.cleaning import clean

MAX_ITEM_CHARACTERS = 320
"""Characters of an item that a condensed persona shows: a longer one would displace several that say more."""

MAX_OID_CHARACTERS = 64
"""Characters of an oId; Octave makes none that is longer, and one could take any amount of room."""

_MAX_NAME_CHARACTERS = 400
"""Characters of a name that are read; results shorten it further."""

_MAX_DESCRIPTION_CHARACTERS = 100_000
"""Characters of a description that are read; what follows is not counted either."""

_SENTENCE = re.compile(r".+?(?:(?<=[.!?]) +(?=[^a-z])|(?<=[。！？])|$)", re.DOTALL)
"""A sentence with the space after it. A full stop before a small letter ends none: it belongs to an abbreviation."""

_WEIGHTS = ("INSTANT_DISQUALIFIER", "HIGH", "MEDIUM", "LOW")
"""Weights of questions, strongest first."""

_FITS = {"qualifyingQuestions": "GOOD", "disqualifyingQuestions": "BAD"}


def display_name(persona: Persona) -> str:
    """Return the persona's name, or what Octave has in place of one, safe to show; "" if there is none."""
    name = persona.name or persona.internalName or persona.data.internalName or ""
    return clean(name[:_MAX_NAME_CHARACTERS])


def first_sentence(description: str | None) -> str:
    """Return the first sentence of a description; "" if it is too long to be shown."""
    sentences = _sentences((description or "")[: 2 * MAX_ITEM_CHARACTERS])
    first = sentences[0].rstrip() if sentences else ""
    return first if len(first) <= MAX_ITEM_CHARACTERS else ""


def plain_oid(oid: str | None) -> str:
    """Return the oId, or "" if it could not be given back to Octave: too long, or with something invisible in it."""
    plain = oid is not None and len(oid) <= MAX_OID_CHARACTERS and clean(oid) == oid and " " not in oid
    return oid if oid is not None and plain else ""


def items_of(persona: Persona, section: Section) -> Sequence[str]:
    """Return all items of a section, the first to be shown first."""
    match section.content:
        case Content.TEXT:
            return _sentences((persona.description or "")[:_MAX_DESCRIPTION_CHARACTERS])
        case Content.QUESTIONS:
            return _questions(persona, _FITS[section.key])
        case Content.CUSTOM_FIELDS:
            fields = persona.data.customFields
            return [f"{each.title or 'untitled'}: {', '.join(each.value)}" for each in fields if each.value]
        case Content.LIST:
            texts: list[str] = getattr(persona.data, section.key, [])
            return texts


def _sentences(text: str) -> list[str]:
    return _SENTENCE.findall(clean(text))


def _questions(persona: Persona, fit: str) -> list[str]:
    """Return the questions of one fit that are not archived, strongest first."""

    def strength(question: QualifyingQuestion) -> int:
        weight = (question.weight or "").upper()
        return _WEIGHTS.index(weight) if weight in _WEIGHTS else len(_WEIGHTS)

    asked = [one for one in persona.qualifyingQuestions if (one.fitType or "").upper() == fit and not one.archivedAt]
    return [question.question for question in sorted(asked, key=strength) if question.question]
