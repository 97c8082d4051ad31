"""The tools: what each is for, in the words that a model reads, and what it does when called."""

from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import ConfigDict

from octave_mcp.octave.errors import KeyProblem
from octave_mcp.octave.models import GenerateRequest
from octave_mcp.server.arguments import ArgumentsError, read_arguments
from octave_mcp.server.results import explain, generation_result, problem_result
from octave_mcp.server.schemas import GENERATE_PERSONAS, GENERATE_PERSONAS_RESULT
from octave_mcp.server.state import State

__all__ = ["generate_personas_tool"]

GENERATE_PERSONAS_DESCRIPTION = """\
Create buyer personas in the user's Octave workspace, one for each item of `personas`, from material about them.

Paid for and slow: each persona costs credits of the workspace and takes a language model seconds to minutes. The same \
call made twice makes, and charges, every persona twice; so call once, with all the personas that are wanted.

Fields ending in OId take an id that Octave gave (such as o_123456), never a name: look the id up in Octave or ask the \
user for it, and leave the field out otherwise. Bad input is refused before anything is sent or paid for.

Returns each persona condensed, with its oId; the full records are in Octave."""


NO_KEY_NEEDED = "Started with --sandbox, the server needs no key and makes example data."


class _AsTheyCame(ArgModelBase):
    """Hands a tool its arguments as the client sent them; `read_arguments` judges them, in the API's terms.

    The SDK derives schema and checks from a signature, and takes none that is written out. This is the least of it that
    has to be known to give it both: its argument model, and `Tool` made by hand.
    """

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        return {"arguments": self.model_extra or {}}


def generate_personas_tool() -> Tool:
    """`generate_personas`, with its schemas as they are written in `schemas` and both result channels its own."""
    return Tool(
        fn=generate_personas,
        name="generate_personas",
        title="Generate personas",
        description=GENERATE_PERSONAS_DESCRIPTION,
        parameters=GENERATE_PERSONAS,
        fn_metadata=FuncMetadata(arg_model=_AsTheyCame, output_schema=GENERATE_PERSONAS_RESULT),
        is_async=True,
        context_kwarg="context",
        annotations=ToolAnnotations(
            read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
        ),
    )


async def generate_personas(arguments: dict[str, Any], context: Context[State, Any]) -> CallToolResult:
    """Check the arguments, generate, condense. Never raises for what a caller or Octave did wrong."""
    state = context.request_context.lifespan_context
    settings = state.settings
    if not state.has_key:
        return problem_result(f"{explain(KeyProblem('No Octave API key is set for this server.'))} {NO_KEY_NEEDED}")
    try:
        request, dropped = read_arguments(
            arguments, GENERATE_PERSONAS, GenerateRequest, ignored=settings.ignored_argument_names
        )
    except ArgumentsError as error:
        lines = "\n".join(f"- {problem}" for problem in error.problems)
        return problem_result(
            f"The arguments do not fit Octave's API:\n{lines}\n"
            "Nothing was sent to Octave and nothing was paid for. Correct these and call generate_personas again."
        )

    async def progress(settled: int, asked: int, ready: int) -> None:
        failed = f", {settled - ready} not" if ready < settled else ""
        await context.report_progress(settled, asked, f"{ready} of {asked} ready{failed}")

    generation = await state.runner.run(request, progress)
    return generation_result(generation, budget=settings.result_tokens, sandbox=settings.sandbox, dropped=dropped)
