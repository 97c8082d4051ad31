"""Ask the person before personas are created, in both eras of the protocol (`OCTAVE_MCP_CONFIRM`).

Nothing is recorded or sent before the answer. Since 2026-07-28 a question is a result of the call, and the client makes
the call again with the answer; before that the server sends a request to the client, and waits for a bounded time. A
yes covers the personas that the question was about, by their fingerprints, and no others: what the question said of
prices or similar names may have changed since. Whoever answers twice makes the same call again, for which the one rule
for repeats holds.
"""

import time
from dataclasses import dataclass
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS, ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult
from pydantic import BaseModel, ValidationError

from octave_mcp.generation.preview import Preview
from octave_mcp.ledger.records import LedgerError
from octave_mcp.octave.errors import OctaveError
from octave_mcp.octave.library_kinds import BRAND_VOICES, OFFERINGS, PLAYBOOKS
from octave_mcp.octave.lookup_client import LookupClient
from octave_mcp.octave.models import GenerateRequest, Persona
from octave_mcp.octave.text import same_name
from octave_mcp.results.confirmation import Figures, question
from octave_mcp.results.failures import NOTHING_SENT, Code, Failure, Retry
from octave_mcp.results.workspace import balance_of
from octave_mcp.tools.services import CallRefused, CallState

ANSWER_SECONDS = 120.0
"""How long a question waits for its answer in the older era; no answer is a no. A newer client keeps the question
itself, and the SDK takes its answer for 10 minutes."""

LOOK_UP_SECONDS = 5.0
"""How long the figures and similar names of a question may take to look up."""

MAX_NAMES_SEARCHED = 5
"""Names whose similar ones are searched for."""

QUESTION = "spend"
"""The name of the question on the wire."""

_INPUT_REQUIRED_SINCE = "2026-07-28"

DECLINED = (
    f"The question whether to create these personas was answered with no. {NOTHING_SENT} Some clients answer so by "
    "themselves, without asking anybody: tell the user, and call again only if the user wants it."
)
NO_ANSWER = (
    f"The question whether to create these personas was not answered in time. {NOTHING_SENT} Tell the user, and call "
    "again if the user wants it."
)
UNREADABLE = (
    f"The client's answer to the question whether to create these personas cannot be read. {NOTHING_SENT} Tell the "
    "user, and call again if the user wants it."
)
CANNOT_ASK = (
    "This server has to ask the person before it creates personas (OCTAVE_MCP_CONFIRM=require), and cannot ask through "
    f"this client. {NOTHING_SENT} Tell the user: use a client that can be asked through, or set OCTAVE_MCP_CONFIRM to "
    "ask or never."
)
REJECTED_STATE = (
    "Invalid or expired requestState: the answer came more than 10 minutes after the question, belongs to another "
    f"call, or reached a server that does not share the key of the one that asked. {NOTHING_SENT} Make the call again "
    "without it, so that the person is asked again."
)


FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "create": {
            "type": "boolean",
            "title": "Create them",
            "description": "Create these personas and spend the credits.",
            "default": True,
        }
    },
    "required": ["create"],
}
"""The form that a person fills in. What an answer leaves out is no yes: some clients leave out what was not ticked."""


class _Consent(BaseModel):
    """What the form contains."""

    create: bool


@dataclass(frozen=True)
class Agreed:
    """What a call may do, and the `seconds` that the person took to agree while the call waited."""

    preview: Preview
    seconds: float = 0.0


async def agree(request: GenerateRequest, context: Context[CallState, Any]) -> Agreed | InputRequiredResult:
    """Return what the person agreed to or need not be asked about, or the question as the result of the call.

    Raises CallRefused if nothing must be created, LimitReached, and LedgerError.
    """
    state = context.request_context.lifespan_context
    agreed, waited = _agreed_before(context), 0.0
    while True:
        preview = await state.generation.preview(request)
        new = [one for one, part in zip(request.personas, preview.parts, strict=True) if part.is_new]
        asked = frozenset(part.fingerprint for part in preview.parts if part.is_new)
        if asked <= agreed or len(new) < state.settings.confirm_from:
            return Agreed(preview, waited)
        if not _can_ask(context):
            if state.settings.confirm == "require":
                raise _refused(CANNOT_ASK)
            return Agreed(preview, waited)
        text = await _question(request.model_copy(update={"personas": new}), state)
        if (context.protocol_version or "") >= _INPUT_REQUIRED_SINCE:
            return _as_result(text, asked)
        began = time.monotonic()
        await _ask(context, text)
        agreed, waited = asked, waited + time.monotonic() - began


async def explain_rejected_answer(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Say in the SDK's error about an answer or a state that it rejects that nothing was sent, and what to do."""
    try:
        return await call_next(ctx)
    except ValidationError as error:
        if not any("inputResponses" in detail["loc"] for detail in error.errors()):
            raise
        raise MCPError(INVALID_PARAMS, UNREADABLE) from None
    except MCPError as error:
        data = error.error.data
        if not isinstance(data, dict) or data.get("reason") != "invalid_request_state":
            raise
        raise MCPError(error.error.code, REJECTED_STATE, data) from None


def _agreed_before(context: Context[CallState, Any]) -> frozenset[str]:
    """Return the fingerprints of what the person agreed to in answer to this call's question, if there was one.

    Raises CallRefused if the answer is not a yes.
    """
    answer = (context.input_responses or {}).get(QUESTION)
    if not isinstance(answer, ElicitResult):
        return frozenset()
    _require_yes(answer)
    return frozenset((context.request_state or "").split())


def _require_yes(answer: ElicitResult) -> None:
    """Raise CallRefused if this answer is not a yes."""
    if answer.action != "accept":
        raise _refused(DECLINED)
    try:
        consent = _Consent.model_validate(answer.content)
    except ValidationError:
        raise _refused(UNREADABLE) from None
    if not consent.create:
        raise _refused(DECLINED)


def _as_result(text: str, asked: frozenset[str]) -> InputRequiredResult:
    """Return the question as a result, with what it is about as its state, which the SDK seals."""
    form = ElicitRequestFormParams(message=text, requested_schema=FORM)
    return InputRequiredResult(
        input_requests={QUESTION: ElicitRequest(params=form)}, request_state=" ".join(sorted(asked))
    )


async def _ask(context: Context[CallState, Any], text: str) -> None:
    """Ask a client of the older era. Raises CallRefused if its answer is not a yes, or there is none in time."""
    with anyio.move_on_after(ANSWER_SECONDS):
        try:
            answer = await context.session.elicit_form(text, FORM, context.request_id)
        except (ValidationError, MCPError):  # no answer to a form, or the client's error
            raise _refused(UNREADABLE) from None
        _require_yes(answer)
        return
    raise _refused(NO_ANSWER)


def _refused(text: str) -> CallRefused:
    return CallRefused(Failure(Code.DECLINED, text, Retry.AFTER_CHANGE))


def _can_ask(context: Context[CallState, Any]) -> bool:
    """Whether the client declared that it can show a form. An empty declaration of 2025 means that it can."""
    elicitation = context.client_capabilities.elicitation if context.client_capabilities else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


async def _question(request: GenerateRequest, state: CallState) -> str:
    """Return the question, with what can be looked up in time; it says what is not known."""
    figures = Figures()
    with anyio.move_on_after(LOOK_UP_SECONDS):
        try:
            figures.spending = await state.generation.spending()
            figures.balance = balance_of((await state.lookups.workspace()).credits)
            figures.similar = await _similar(request, state.lookups)
            figures.names = await _names(request, state.lookups)
        except (OctaveError, LedgerError):
            pass
    return question(request, figures)


async def _similar(request: GenerateRequest, lookups: LookupClient) -> list[Persona]:
    """Return the personas whose names contain a requested one."""
    similar: dict[str, Persona] = {}
    for name in [persona.name for persona in request.personas if persona.name][:MAX_NAMES_SEARCHED]:
        page = await lookups.personas(text=name, offering_oid=None, playbook_oid=None, limit=10, offset=0)
        similar |= {one.oId: one for one in page.data if one.oId and one.name and not same_name(one.name, name)}
    return sorted(similar.values(), key=lambda one: one.oId or "")


async def _names(request: GenerateRequest, lookups: LookupClient) -> dict[str, str]:
    """Return the names of what a request gives by oId, as far as Octave's lists have them."""
    linked = request.linkingStrategy.offeringOIds if request.linkingStrategy else None
    wanted = {
        OFFERINGS: {request.primaryOfferingOId, *(linked or ())},
        PLAYBOOKS: {request.playbookOId},
        BRAND_VOICES: {request.brandVoiceOId},
    }
    names: dict[str, str] = {}
    for kind, oids in wanted.items():
        rows, _ = await lookups.all_rows(kind, if_few=True) if any(oids) else ([], True)
        names |= {row.oId: row.name for row in rows if row.oId in oids and row.oId and row.name}
    return names
