"""Ask the person before personas are created, in both eras of the protocol (`OCTAVE_MCP_CONFIRM`).

Nothing is recorded or sent before the answer. Since 2026-07-28 a question is a result of the call, and the client calls
again with the answer; before that the server sends a request to the client, and waits for a bounded time. Whoever
answers late, twice, or to another replica makes the same call again, for which the one rule for repeats holds.
"""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Annotated, Any

import anyio
from mcp.server.elicitation import AcceptedElicitation, ElicitationResult
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.resolve import Elicit, Resolve
from mcp.types import CallToolResult
from pydantic import BaseModel, Field, ValidationError

from octave_mcp.generation.records import LedgerError
from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.models import GenerateRequest, Persona
from octave_mcp.octave.text import same_name
from octave_mcp.results.confirmation import question
from octave_mcp.results.failures import NOTHING_SENT, Code, Failure, Retry
from octave_mcp.results.workspace import balance_of
from octave_mcp.server.services import CallRefused, CallState

__all__ = ["Consent", "ReadRequest", "ask_first", "refusal_of"]

ANSWER_SECONDS = 120.0
"""How long a question waits for its answer in the older era; no answer is a no. A newer client keeps it itself."""

LOOK_UP_SECONDS = 5.0
"""How long the figures and similar names of a question may take to look up."""

MAX_NAMES_SEARCHED = 5
"""Names whose similar ones are searched for."""

_INPUT_REQUIRED_SINCE = "2026-07-28"

ReadRequest = Callable[[dict[str, Any], CallState], Awaitable[GenerateRequest]]
"""Reads the request of a call from its arguments. Raises CallRefused, as the call itself will."""

DECLINED = (
    f"The question whether to create these personas was answered with no. {NOTHING_SENT} Some clients answer so by "
    "themselves, without asking anybody: tell the user, and call again only if the user wants it."
)
NO_ANSWER = (
    f"The question whether to create these personas was not answered in time. {NOTHING_SENT} Tell the user, and call "
    "again if the user wants it."
)
CANNOT_ASK = (
    "This server has to ask the person before it creates personas (OCTAVE_MCP_CONFIRM=require), and this client cannot "
    f"ask. {NOTHING_SENT} Tell the user: another client can ask, or OCTAVE_MCP_CONFIRM can be set to ask or never."
)


class Consent(BaseModel):
    """The form that a person fills in."""

    create: bool = Field(default=True, title="Create them", description="Create these personas and spend the credits.")


class Unasked(Enum):
    """Why a question was not put to a person."""

    NOT_NEEDED = "not needed"
    CANNOT_ASK = "cannot ask"
    NO_ANSWER = "no answer"
    NO = "no"


def refusal_of(outcome: ElicitationResult[Any]) -> Failure | None:
    """Return why nothing must be created, or None if the person agreed or need not be asked."""
    answer = outcome.data if isinstance(outcome, AcceptedElicitation) else Unasked.NO
    if isinstance(answer, Consent):
        answer = Unasked.NOT_NEEDED if answer.create else Unasked.NO
    text = {Unasked.NO: DECLINED, Unasked.CANNOT_ASK: CANNOT_ASK, Unasked.NO_ANSWER: NO_ANSWER}.get(answer)
    return Failure(Code.DECLINED, text, Retry.AFTER_CHANGE) if text else None


def ask_first(
    create: Callable[..., Awaitable[CallToolResult]],
    read_request: ReadRequest,
    failed: Callable[[Failure], CallToolResult],
) -> Callable[..., Awaitable[CallToolResult]]:
    """Return the tool `create` with a question before it. `failed` makes the result of a call that must not go on."""

    async def ask(context: Context[CallState, Any], arguments: dict[str, Any]) -> Elicit[Consent] | Consent | Unasked:
        state = context.request_context.lifespan_context
        try:
            request = await _to_be_created(await read_request(arguments, state), state)
        except (CallRefused, LedgerError):
            return Unasked.NOT_NEEDED  # the call itself reports it
        if request is None or len(request.personas) < state.settings.confirm_from:
            return Unasked.NOT_NEEDED
        if not _can_ask(context):
            return Unasked.CANNOT_ASK if state.settings.confirm == "require" else Unasked.NOT_NEEDED
        text = await _question(request, state)
        if (context.protocol_version or "") >= _INPUT_REQUIRED_SINCE:
            return Elicit(text, Consent)
        return await _answer(context, text)

    async def generate_personas(
        arguments: dict[str, Any],
        context: Context[CallState, Any],
        consent: Annotated[ElicitationResult[Any], Resolve(ask)],
    ) -> CallToolResult:
        refusal = refusal_of(consent)
        return failed(refusal) if refusal else await create(arguments, context)

    return generate_personas


async def _to_be_created(request: GenerateRequest, state: CallState) -> GenerateRequest | None:
    """Return the request with the personas that would be sent; None if there are none. Raises LedgerError."""
    preview = await state.generation.preview(request)
    new = [one for one, part in zip(request.personas, preview.parts, strict=True) if part.is_new]
    return request.model_copy(update={"personas": new}) if new else None


def _can_ask(context: Context[CallState, Any]) -> bool:
    """Whether the client declared that it can show a form. An empty declaration of 2025 means that it can."""
    elicitation = context.client_capabilities.elicitation if context.client_capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def _answer(context: Context[CallState, Any], text: str) -> Consent | Unasked:
    """Ask a client of the older era. No answer in time, or one that cannot be read, is a no."""
    with anyio.move_on_after(ANSWER_SECONDS):
        try:
            outcome = await context.elicit(text, Consent)
        except (ValueError, ValidationError):
            return Unasked.NO
        return outcome.data if isinstance(outcome, AcceptedElicitation) else Unasked.NO
    return Unasked.NO_ANSWER


async def _question(request: GenerateRequest, state: CallState) -> str:
    """Return the question, with what can be looked up in time."""
    spending, balance = None, None
    similar: dict[str, Persona] = {}
    names = [persona.name for persona in request.personas if persona.name][:MAX_NAMES_SEARCHED]
    with anyio.move_on_after(LOOK_UP_SECONDS):
        try:
            spending = await state.generation.spending()
            balance = balance_of((await state.lookups.workspace()).credits)
            for name in names:
                similar |= await _similar(state.lookups, name)
        except (OctaveError, LedgerError):
            pass  # the question says what is not known
    return question(request, spending, balance, sorted(similar.values(), key=lambda one: one.oId or ""))


async def _similar(lookups: LookupClient, name: str) -> dict[str, Persona]:
    page = await lookups.personas(text=name, offering_oid=None, playbook_oid=None, limit=10, offset=0)
    return {one.oId: one for one in page.data if one.oId and one.name and not same_name(one.name, name)}
