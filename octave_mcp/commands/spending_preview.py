"""What a command would create and charge, said before it does so."""

from collections.abc import Iterator

from octave_mcp.commands.output import credits_text
from octave_mcp.commands.request_files import Unusable
from octave_mcp.generation.preview import Preview, PreviewPart
from octave_mcp.ledger.records import LedgerError, LimitReached, Spending
from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.lookup_models import Credits
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.personas.cleaning import clean, shorten
from octave_mcp.results.failures import NOTHING_SENT
from octave_mcp.settings import Settings
from octave_mcp.tools.services import open_call_state

NAMES_SHOWN = 30
"""Bounds the names in one line of the preview."""


async def preview_of(settings: Settings, request: GenerateRequest, new: bool) -> tuple[Preview, str]:  # noqa: FBT001 - anyio.run passes no keywords
    """Return what a request would create, and that in words with what it costs. Nothing is sent.

    Raises Unusable if a limit forbids it, or the ledger cannot be used.
    """
    async with open_call_state(settings) as state:
        try:
            preview = await state.generation.preview(request, new=new)
            spending = await state.generation.spending()
        except (LedgerError, LimitReached) as error:
            raise Unusable(f"{error} {NOTHING_SENT}") from None
        try:
            left = list(credit_counts((await state.lookups.workspace()).credits))
        except OctaveError as error:
            left = [f"not known, as Octave did not say ({error})"]
    lines = [*_parts(preview), *_spent(spending)]
    lines.append(f"Credits left in the workspace: {'; '.join(left) or 'not known, as Octave did not say'}.")
    return preview, "\n".join(lines)


def credit_counts(credit: Credits) -> Iterator[str]:
    """Yield in words how many credits are left: in the period, and in total."""
    period = f" this {_period(credit.period)}" if credit.period else " in this period"
    for left, most, when in (
        (credit.quotaAvailable, credit.quotaMax, period),
        (credit.totalRemaining, credit.totalMax, " in total"),
    ):
        if left is not None:
            yield f"{left:,.10g}{'' if most is None else f' of {most:,.10g}'}{when}"
    if credit.quotaAvailable is None and credit.totalRemaining is None and credit.creditsAvailable is not None:
        yield f"{credit.creditsAvailable:,.10g}"


def _period(name: str) -> str:
    """Return a period as people call it."""
    usual = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year", "ANNUAL": "year"}
    return usual.get(name.upper(), f"period ({shorten(clean(name[:100]), 40)})")


def _parts(preview: Preview) -> Iterator[str]:
    new = [part for part in preview.parts if part.is_new]
    earlier = [part for part in preview.parts if part.earlier]
    pending = [part for part in preview.parts if part.same_name and part.same_name.generation]
    same = [part for part in preview.parts if part.same_name and not part.same_name.generation]
    yield f"To be created, with one request each: {_listed(new)}."
    if earlier:
        yield f"Requested earlier, so nothing is sent or charged: {_listed(earlier)}. --new creates others."
    if pending:
        yield f"This name is in use by an earlier call that is not settled, so nothing is sent: {_listed(pending)}."
    if same:
        yield f"In Octave already under this name, so nothing is sent: {_listed(same)}. --new creates others."


def _listed(parts: list[PreviewPart]) -> str:
    names = [shorten(clean((part.name or "(no name)")[:400]), 100) for part in parts[:NAMES_SHOWN]]
    more = f" and {len(parts) - NAMES_SHOWN} more" if len(parts) > NAMES_SHOWN else ""
    return f"{len(parts)}" + (f" ({', '.join(names)}{more})" if names else "")


def _spent(spending: Spending) -> Iterator[str]:
    if spending.average is not None:
        each = credits_text(round(spending.average, 2))
        yield f"Personas have cost {each} each so far ({spending.priced} in the last 7 days)."
    day = "" if spending.day_credits is None else f", {credits_text(spending.day_credits)}"
    yield f"Created with this key in the last 24 hours: {spending.day_personas}{day}."
