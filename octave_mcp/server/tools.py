"""The tools that make personas: what each is for, in the words that a model reads, and what it does when called."""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult, ToolAnnotations

from octave_mcp.generation.records import LedgerError, LimitReached, RecordLost
from octave_mcp.generation.service import Progress
from octave_mcp.octave.models import GenerateRequest, NonBlank
from octave_mcp.server.generation_list import latest_result
from octave_mcp.server.results import generation_result, problem_result
from octave_mcp.server.schemas import (
    GENERATE_PERSONAS,
    GENERATE_PERSONAS_RESULT,
    GET_GENERATION,
    GET_GENERATION_RESULT,
)
from octave_mcp.server.services import CallRefused, CallState
from octave_mcp.server.tool_adapter import Arguments, make_tool, read

__all__ = ["generate_personas_tool", "get_generation_tool"]

GENERATE_PERSONAS_DESCRIPTION = """\
Create buyer personas in the user's Octave workspace, one for each item of `personas`, from material about them.

Paid for and slow: each persona costs credits of the workspace and takes a language model seconds to minutes. Call \
once, with all the personas that are wanted (25 at most, unless this server is set otherwise). When this answers with \
status pending, the rest goes on: collect it with get_generation. Made again after a partial result, the same call \
makes only what did not come back; after a complete one it makes, and charges, everything anew.

Fields ending in OId take an id that Octave gave, never a name: list_library finds the ids of offerings, playbooks, \
brand voices and resources by name. Leave out what the user did not ask for. Misspelt or missing fields are refused \
before anything is sent or paid for.

Returns each persona condensed, with its oId; get_persona shows one in full."""

GET_GENERATION_DESCRIPTION = """\
Collect the personas of an earlier generate_personas call that were still being written, waiting for them up to 45 \
seconds, unless this server is set otherwise. Costs nothing, and may be called as often as needed.

Takes the generationId of that call's result. Without one it lists the calls whose personas are unfinished, were \
never collected, or may exist without having come back: for when a result was lost. A persona that was asked for by \
name and whose outcome is unknown is looked for in Octave once more."""

_RECORD_GONE = (
    "The personas of this call may have been made and paid for all the same. Once that is mended, get_generation "
    "without arguments finds what is recorded of them; else look with list_personas before asking for them again."
)
_NO_SUCH_GENERATION = (
    "There is no generation of that generationId. Call get_generation without arguments: it lists what is "
    "unfinished, was never collected or is in doubt. list_personas finds older personas."
)


def generate_personas_tool() -> Tool:
    """`generate_personas`: a write that is not idempotent, and reaches out."""
    return make_tool(
        generate_personas,
        "Generate personas",
        GENERATE_PERSONAS_DESCRIPTION,
        (GENERATE_PERSONAS, GENERATE_PERSONAS_RESULT),
        ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True),
    )


def get_generation_tool() -> Tool:
    """`get_generation`. It changes nothing in Octave; what is recorded here of what was bought may become clearer."""
    return make_tool(
        get_generation,
        "Get a generation",
        GET_GENERATION_DESCRIPTION,
        (GET_GENERATION, GET_GENERATION_RESULT),
        ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=True),
    )


async def generate_personas(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """Check the arguments, generate, condense. Never raises for what a caller or Octave did wrong."""
    state = context.request_context.lifespan_context
    settings = state.settings
    try:
        request, dropped = read(arguments, state, GENERATE_PERSONAS, GenerateRequest, cost=_NOTHING_SENT)
        runner = state.generation
        _keep_to(settings.max_personas_per_call, len(request.personas))
        generation = await runner.generate(request, seconds=settings.window_seconds, progress=_progress(context))
    except CallRefused as problem:
        return problem_result(f"{problem}")
    except LimitReached as reached:
        rest = f"asking for no more than {reached.left:g} will do" if reached.left else "only time, or the user, helps"
        return problem_result(
            f"The limit of {reached.limit:g} {reached.unit} in 24 hours "
            f"(OCTAVE_MCP_MAX_{reached.unit.upper()}_PER_DAY) leaves room for {reached.left:g}. "
            f"{_NOTHING_SENT} Tell the user; {rest}."
        )
    except RecordLost as error:
        return problem_result(f"{error} {_RECORD_GONE}")
    except LedgerError as error:
        return problem_result(f"{error} {_NOTHING_SENT}")
    return generation_result(generation, budget=settings.result_tokens, sandbox=settings.sandbox, dropped=dropped)


async def get_generation(arguments: dict[str, Any], context: Context[CallState, Any]) -> CallToolResult:
    """Wait for a generation, or list the latest generations."""
    state = context.request_context.lifespan_context
    settings = state.settings
    try:
        wanted, dropped = read(arguments, state, GET_GENERATION, _GetGeneration)
        runner = state.generation
        if wanted.generationId is None:
            return latest_result(
                await runner.latest(), budget=settings.result_tokens, sandbox=settings.sandbox, dropped=dropped
            )
        generation = await runner.collect(
            wanted.generationId, seconds=settings.window_seconds, progress=_progress(context)
        )
    except CallRefused as problem:
        return problem_result(f"{problem}")
    except LedgerError as error:
        return problem_result(f"{error} Nothing is lost by that; call get_generation again once it is mended.")
    if generation is None:
        return problem_result(_NO_SUCH_GENERATION)
    return generation_result(generation, budget=settings.result_tokens, sandbox=settings.sandbox, dropped=dropped)


class _GetGeneration(Arguments):
    """The arguments of `get_generation`."""

    generationId: NonBlank | None = None


_NOTHING_SENT = "Nothing was sent to Octave and nothing was paid for."


def _keep_to(most: int, asked: int) -> None:
    if asked > most:
        raise CallRefused(
            f"personas: {asked} were asked for, and one call may ask for {most} (OCTAVE_MCP_MAX_PERSONAS_PER_CALL). "
            f"{_NOTHING_SENT} Settle with the user which to ask for, or call once for each {most}."
        )


def _progress(context: Context[CallState, Any]) -> Progress:
    async def report(progress: float, total: int, message: str) -> None:
        await context.report_progress(progress, total, message)

    return report
