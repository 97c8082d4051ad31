"""Between the SDK and a tool: a tool made of its schemas as they are written, and arguments read in the API's terms."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict

from octave_mcp.observability.telemetry import count_call
from octave_mcp.server.arguments import ArgumentsError, read_arguments
from octave_mcp.server.services import CallRefused, CallState

__all__ = ["Arguments", "make_tool", "read"]


class Arguments(BaseModel):
    """Base of the arguments of our own tools: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class _AsTheyCame(ArgModelBase):
    """Hands a tool its arguments as the client sent them; `read_arguments` judges them, in the API's terms.

    The SDK derives schema and checks from a signature, and takes none that is written out. This is the least of it that
    has to be known to give it both: its argument model, and `Tool` made by hand.
    """

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        return {"arguments": self.model_extra or {}}


def make_tool(
    function: Callable[..., Awaitable[CallToolResult]],
    title: str,
    description: str,
    schemas: tuple[dict[str, Any], dict[str, Any]],
    annotations: ToolAnnotations,
) -> Tool:
    """A tool named as its function, with its schemas as they are written and both result channels its own."""
    arguments, result = schemas
    return Tool(
        fn=_counted(function),
        name=function.__name__,
        title=title,
        description=description,
        parameters=arguments,
        fn_metadata=FuncMetadata(arg_model=_AsTheyCame, output_schema=result),
        is_async=True,
        context_kwarg="context",
        annotations=annotations,
    )


def _counted(function: Callable[..., Awaitable[CallToolResult]]) -> Callable[..., Awaitable[CallToolResult]]:
    @wraps(function)
    async def counted(**arguments: Any) -> CallToolResult:
        try:
            result = await function(**arguments)
        except BaseException as error:  # a cancel, as when the caller is gone
            count_call(function.__name__, type(error).__name__)
            raise
        count_call(function.__name__, "problem" if result.is_error else "ok")
        return result

    return counted


_Model = TypeVar("_Model", bound=BaseModel)


def read(
    arguments: dict[str, Any], state: CallState, schema: dict[str, Any], model: type[_Model], *, cost: str = ""
) -> tuple[_Model, list[str]]:
    """The arguments, and the names of those that were dropped.

    Raises CallRefused, whose text has `cost`: what a call that cannot be made has cost, where somebody may wonder.
    """
    if state.services is None:
        raise CallRefused(f"{state.problem} {cost}".rstrip())
    try:
        return read_arguments(arguments, schema, model)
    except ArgumentsError as error:
        lines = "\n".join(f"- {problem}" for problem in error.problems)
        advice = f"{cost} Correct these and call the tool again.".lstrip()
        raise CallRefused(f"The arguments do not fit:\n{lines}\n{advice}") from None
