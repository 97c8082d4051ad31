"""The extension Tasks, `io.modelcontextprotocol/tasks` (SEP-2663): a generation that is not ready at once is a task.

The task's id is the generation's, and its state is what the ledger has, so that any replica answers for it. Only a
request that declares the extension receives a task, or may ask for one; for all others nothing changes. A person's
consent is settled before: the question is a result of the call, and so no task. mcp 2.3 has the place for an
extension, and nothing of this one.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import HEADER_MISMATCH, INTERNAL_ERROR, INVALID_PARAMS, CallToolRequestParams, RequestParams

from octave_mcp.generation.outcome import Generation, progress_words
from octave_mcp.generation.service import no_progress
from octave_mcp.ledger.records import RETENTION_SECONDS, LedgerError
from octave_mcp.tools.generation import generation_so_far
from octave_mcp.tools.services import CallRefused, CallState, Deferral

IDENTIFIER = "io.modelcontextprotocol/tasks"

VERSIONS = frozenset({"2026-07-28"})
"""The protocol versions that have extensions of this kind."""

POLL_MILLISECONDS = 3000
"""How often a client should ask. A persona takes seconds to minutes, and each request counts towards a key's limit."""

_UNKNOWN_TASK = (
    "There is no task of this id for this key; records are kept for 7 days. The tool get_generation without arguments "
    "lists the latest generations."
)


class _TaskParams(RequestParams):
    """The parameters of the three methods. No task ever asks for input, so `inputResponses` is not looked at."""

    task_id: str


class Tasks(Extension):
    """Answers a slow `generate_personas` with a task, and serves `tasks/get`, `tasks/update` and `tasks/cancel`."""

    identifier = IDENTIFIER

    async def intercept_tool_call(
        self,
        params: CallToolRequestParams,  # noqa: ARG002 - the SDK gives it; the tool decides
        ctx: ServerRequestContext[CallState, Any],
        call_next: CallNext,
    ) -> HandlerResult:
        """Let the tool leave what takes longer to a task, if the client takes one and the ledger keeps it."""
        if not _takes_tasks(ctx):
            return await call_next(ctx)
        deferral = Deferral()
        state = replace(ctx.lifespan_context, deferral=deferral)
        result = await call_next(replace(ctx, lifespan_context=state))
        if deferral.generation is None:
            return result
        try:
            await state.generation.sync()
        except LedgerError:
            return result  # which names the generation, for get_generation
        return {"resultType": "task", **_task(deferral.generation)}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the three methods."""
        handlers = {"tasks/get": _get, "tasks/update": _update, "tasks/cancel": _cancel}
        return [MethodBinding(name, _TaskParams, handler, VERSIONS) for name, handler in handlers.items()]


def _takes_tasks(context: ServerRequestContext[CallState, Any]) -> bool:
    """Whether this very request declares the extension."""
    capabilities = context.session.client_capabilities
    declared = capabilities.extensions if capabilities else None
    return context.protocol_version in VERSIONS and IDENTIFIER in (declared or {})


async def _get(context: ServerRequestContext[CallState, Any], params: _TaskParams) -> dict[str, Any]:
    """Return the task, with the tool's result when nothing of it can change any more."""
    generation = await _generation(context, params.task_id)
    task = _task(generation)
    if task["status"] == "completed":
        state = replace(context.lifespan_context, deferral=Deferral())
        result = generation_so_far(generation, state)
        task["result"] = result.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"resultType": "complete", **task}


async def _update(context: ServerRequestContext[CallState, Any], params: _TaskParams) -> dict[str, Any]:
    """Acknowledge the answers and ignore them: no task of this server asks a question. Raises MCPError."""
    await _generation(context, params.task_id)
    return {}


async def _cancel(context: ServerRequestContext[CallState, Any], params: _TaskParams) -> dict[str, Any]:
    """Send nothing more. The task still completes, as its result says what was created and what was not."""
    _check(context, params.task_id)
    try:
        is_known = await context.lifespan_context.generation.cancel(params.task_id)
    except (CallRefused, LedgerError) as error:
        raise MCPError(INTERNAL_ERROR, str(error)) from None
    if not is_known:
        raise MCPError(INVALID_PARAMS, _UNKNOWN_TASK)
    return {}


async def _generation(context: ServerRequestContext[CallState, Any], task_id: str) -> Generation:
    """Return the caller's generation of this id as it is now; a lost answer is searched for. Raises MCPError."""
    _check(context, task_id)
    try:
        generation = await context.lifespan_context.generation.collect(task_id, seconds=0, progress=no_progress)
    except (CallRefused, LedgerError) as error:
        raise MCPError(INTERNAL_ERROR, str(error)) from None
    if generation is None:
        raise MCPError(INVALID_PARAMS, _UNKNOWN_TASK)
    return generation


def _check(context: ServerRequestContext[CallState, Any], task_id: str) -> None:
    """Raise MCPError if the request does not declare the extension, or its header names another task.

    Proxies may route by that header; the SDK checks it for its own methods only. Without it nothing can go wrong here,
    and FastMCP 4.1 does not send it.
    """
    require_client_extension(context, IDENTIFIER)
    name = context.request.headers.get(MCP_NAME_HEADER) if context.request else None
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(HEADER_MISMATCH, f"The header {MCP_NAME_HEADER} must be the request's taskId.")


def _task(generation: Generation) -> dict[str, Any]:
    """Return the fields of a task."""
    unsettled = generation.unsettled(time.time())
    settled = generation.asked - unsettled
    items = [part.item for part in generation.parts]
    times = [at for item in items for at in (item.sent_at, item.settled_at) if at is not None]
    return {
        "taskId": generation.id,
        "status": "working" if unsettled else "completed",
        "statusMessage": progress_words(generation.asked, generation.created, settled - generation.created),
        "createdAt": _iso(generation.created_at),
        "lastUpdatedAt": _iso(max([generation.created_at, *times])),
        "ttlMs": int(RETENTION_SECONDS * 1000),
        "pollIntervalMs": POLL_MILLISECONDS,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
