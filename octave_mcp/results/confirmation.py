"""The question that a person answers before personas are created: how many, from what, at what price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from octave_mcp.ledger.records import Spending
from octave_mcp.octave.models import GenerateRequest, Persona
from octave_mcp.personas.section_items import plain_oid
from octave_mcp.results.receipts import MAX_DETAILED, fields_asked_for, sources_asked_for
from octave_mcp.results.wording import first_few, plain_number, quoted

MAX_NAMES = 50
"""Personas to be created that are named; more are counted. One call may ask for 25, unless the operator allows more."""

_UNNAMED = "one without a name"

MAX_SIMILAR = 5
"""Similar personas that are named; more are counted."""


@dataclass
class Figures:
    """What is known for a question, None if it is not.

    `spending` is what personas have cost here so far, and `balance` the credits left. `similar` are personas in Octave
    whose names are like those asked for. `names` has those of offerings and the like, by oId.
    """

    spending: Spending | None = None
    balance: float | None = None
    similar: Sequence[Persona] | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def question(request: GenerateRequest, known: Figures) -> str:
    """Return the question whether to create the personas of `request`."""
    count = len(request.personas)
    lines = [f"Create {count} persona{'' if count == 1 else 's'} in Octave?"]
    if count > MAX_DETAILED:
        lines.append(f"{first_few([quoted(one.name) or _UNNAMED for one in request.personas], MAX_NAMES)}.")
    lines.append(f"{_capitalized(sources_asked_for(request.personas, unnamed=_UNNAMED))}.")
    fields = fields_asked_for(request, unlinked="no offerings to link to", names=known.names)
    lines.append(f"{_capitalized('; '.join(fields))}.")
    lines.append(f"{_price(known.spending, count)} {_left(known.balance)}")
    if known.similar is None:
        lines.append("Whether similar personas exist is not known.")
    elif known.similar:
        names = first_few(
            [f"{quoted(one.name)} ({plain_oid(one.oId) or 'no oId'})" for one in known.similar], MAX_SIMILAR
        )
        lines.append(f"Similar personas exist already: {names}.")
    return "\n".join(lines)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]


def _price(spending: Spending | None, count: int) -> str:
    each = spending.average if spending else None
    if each is None:
        return "The price is not known."
    return (
        f"Personas have cost {plain_number(round(each, 1))} credits each here in the last 7 days, "
        f"so expect about {plain_number(round(each * count, 1))}."
    )


def _left(balance: float | None) -> str:
    return "The credits left are not known." if balance is None else f"Credits left: {plain_number(balance)}."
