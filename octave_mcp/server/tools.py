"""The tools: what each is for, in the words that a model reads, and what it does when called."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict

from octave_mcp.generation.ledger import LedgerError, LimitReached, RecordGone
from octave_mcp.generation.runner import Progress
from octave_mcp.octave.errors import KeyProblem
from octave_mcp.octave.models import GenerateRequest, NonBlank
from octave_mcp.server.arguments import ArgumentsError, read_arguments
from octave_mcp.server.results import explain, generation_result, problem_result, uncollected_result
from octave_mcp.server.schemas import (
    GENERATE_PERSONAS,
    GENERATE_PERSONAS_RESULT,
    GET_GENERATION,
    GET_GENERATION_RESULT,
)
from octave_mcp.server.state import State

__all__ = ["generate_personas_tool", "get_generation_tool"]

GENERATE_PERSONAS_DESCRIPTION = """\
Create buyer personas in the user's Octave workspace, one for each item of `personas`, from material about them.

Paid for and slow: each persona costs credits of the workspace and takes a language model seconds to minutes. Call \
once, with all the personas that are wanted (25 at most, unless this server is set otherwise). When this answers with \
status pending, the rest goes on: collect it with get_generation. Once a result is complete, the same call made again \
makes, and charges, new personas.

Fields ending in OId take an id that Octave gave (such as o_123456), never a name: look the id up in Octave or ask the \
user for it, and leave the field out otherwise. Bad input is refused before anything is sent or paid for.

Returns each persona condensed, with its oId; the full records are in Octave."""

GET_GENERATION_DESCRIPTION = """\
Collect the personas of an earlier generate_personas call that were still being written, waiting a while for them. \
Costs nothing, and may be called as often as needed.

Takes the generationId of that call's result. Without one it lists the calls whose personas are unfinished or were \
never collected, for when a result was lost. Where an outcome is unknown, this looks for it in Octave once more."""

NO_KEY_NEEDED = "Started with --sandbox, the server needs no key and makes example data."

_RECORD_GONE = (
    "The personas of this call may have been made and paid for all the same. Once that is mended, get_generation "
    "without arguments finds what is recorded of them; else look in Octave's persona library before asking for them "
    "again."
)
_NO_SUCH_GENERATION = (
    "There is no generation of that generationId. Call get_generation without arguments: it lists what is unfinished "
    "or was never collected. Older personas are in Octave's persona library."
)


class _AsTheyCame(ArgModelBase):
    """Hands a tool its arguments as the client sent them; `read_arguments` judges them, in the API's terms.

    The SDK derives schema and checks from a signature, and takes none that is written out. This is the least of it that
    has to be known to give it both: its argument model, and `Tool` made by hand.
    """

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        return {"arguments": self.model_extra or {}}


def generate_personas_tool() -> Tool:
    """`generate_personas`: a write that is not idempotent, and reaches out."""
    return _tool(
        generate_personas,
        "Generate personas",
        GENERATE_PERSONAS_DESCRIPTION,
        (GENERATE_PERSONAS, GENERATE_PERSONAS_RESULT),
        ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True),
    )


def get_generation_tool() -> Tool:
    """`get_generation`. It changes nothing in Octave; what is recorded here of what was bought may become clearer."""
    return _tool(
        get_generation,
        "Get a generation",
        GET_GENERATION_DESCRIPTION,
        (GET_GENERATION, GET_GENERATION_RESULT),
        ToolAnnotations(read_only_hint=True, open_world_hint=True),
    )


def _tool(
    function: Callable[..., Awaitable[CallToolResult]],
    title: str,
    description: str,
    schemas: tuple[dict[str, Any], dict[str, Any]],
    annotations: ToolAnnotations,
) -> Tool:
    """A tool named as its function, with its schemas as they are written and both result channels its own."""
    arguments, result = schemas
    return Tool(
        fn=function,
        name=function.__name__,
        title=title,
        description=description,
        parameters=arguments,
        fn_metadata=FuncMetadata(arg_model=_AsTheyCame, output_schema=result),
        is_async=True,
        context_kwarg="context",
        annotations=annotations,
    )


async def generate_personas(arguments: dict[str, Any], context: Context[State, Any]) -> CallToolResult:
    """Check the arguments, generate, condense. Never raises for what a caller or Octave did wrong."""
    state = context.request_context.lifespan_context
    settings, runner = state.settings, state.runner
    try:
        request, dropped = _read(arguments, state, GENERATE_PERSONAS, GenerateRequest)
        _keep_to(settings.max_personas_per_call, len(request.personas))
        generation = await runner.generate(request, settings.window_seconds, _progress(context))
    except _Unusable as problem:
        return problem_result(f"{problem}")
    except LimitReached as reached:
        rest = f"asking for no more than {reached.left} will do" if reached.left else "only time, or the user, helps"
        return problem_result(
            f"The limit of {reached.limit} personas in 24 hours (OCTAVE_MCP_MAX_PERSONAS_PER_DAY) leaves room for "
            f"{reached.left}. {_NOTHING_SENT} Tell the user; {rest}."
        )
    except RecordGone as error:
        return problem_result(f"{error} {_RECORD_GONE}")
    except LedgerError as error:
        return problem_result(f"{error} {_NOTHING_SENT}")
    runner.hand_over(generation)
    return generation_result(generation, budget=settings.result_tokens, sandbox=settings.sandbox, dropped=dropped)


async def get_generation(arguments: dict[str, Any], context: Context[State, Any]) -> CallToolResult:
    """Wait for a generation, or list what is uncollected."""
    state = context.request_context.lifespan_context
    settings, runner = state.settings, state.runner
    try:
        wanted, dropped = _read(arguments, state, GET_GENERATION, _GetGeneration)
        if wanted.generationId is None:
            uncollected = await runner.uncollected()
            return uncollected_result(uncollected, budget=settings.result_tokens, sandbox=settings.sandbox)
        generation = await runner.collect(wanted.generationId, settings.window_seconds, _progress(context))
    except _Unusable as problem:
        return problem_result(f"{problem}")
    except LedgerError as error:
        return problem_result(f"{error} Nothing is lost by that; call get_generation again once it is mended.")
    if generation is None:
        return problem_result(_NO_SUCH_GENERATION)
    runner.hand_over(generation)
    return generation_result(generation, budget=settings.result_tokens, sandbox=settings.sandbox, dropped=dropped)


class _GetGeneration(BaseModel):
    """The arguments of `get_generation`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    generationId: NonBlank | None = None


class _Unusable(Exception):
    """A call that cannot be made; its text is the result."""


_NOTHING_SENT = "Nothing was sent to Octave and nothing was paid for."

_Model = TypeVar("_Model", bound=BaseModel)


def _read(
    arguments: dict[str, Any], state: State, schema: dict[str, Any], model: type[_Model]
) -> tuple[_Model, list[str]]:
    """The arguments, and the names of those that were dropped. Raises _Unusable."""
    if not state.has_key:
        missing = KeyProblem("No Octave API key is set for this server.")
        raise _Unusable(f"{explain(missing)} {NO_KEY_NEEDED}")
    try:
        return read_arguments(arguments, schema, model, ignored=state.settings.ignored_argument_names)
    except ArgumentsError as error:
        lines = "\n".join(f"- {problem}" for problem in error.problems)
        raise _Unusable(
            f"The arguments do not fit:\n{lines}\n{_NOTHING_SENT} Correct these and call the tool again."
        ) from None


def _keep_to(most: int, asked: int) -> None:
    if asked > most:
        raise _Unusable(
            f"personas: {asked} were asked for, and one call may ask for {most} (OCTAVE_MCP_MAX_PERSONAS_PER_CALL). "
            f"{_NOTHING_SENT} Settle with the user which to ask for, or call once for each {most}."
        )


def _progress(context: Context[State, Any]) -> Progress:
    async def report(progress: float, total: int, message: str) -> None:
        await context.report_progress(progress, total, message)

    return report
