"""Adapt tools to the SDK: build them from written schemas, and check their arguments with the API's field names."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict

from octave_mcp.cards.mcp_app import app_meta
from octave_mcp.observability.telemetry import count_call
from octave_mcp.results.failures import Code, Failure, Retry
from octave_mcp.tools.arguments import ArgumentsError, read_arguments
from octave_mcp.tools.services import CallRefused, CallState

ToolFunction = Callable[..., Awaitable[CallToolResult | InputRequiredResult]]
"""Takes the arguments and the context, and returns the result, or a question to the person."""


class Arguments(BaseModel):
    """Base of the arguments of this server's own tools: nothing unknown, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class _RawArguments(ArgModelBase):
    """Passes a tool its arguments as the client sent them; `read_arguments` checks them, in the API's terms.

    The SDK derives schema and checks from a signature, and accepts no written schema. So the tool is made by hand, with
    this as its argument model.
    """

    model_config = ConfigDict(extra="allow")

    def model_dump_one_level(self) -> dict[str, Any]:
        return {"arguments": self.model_extra or {}}


def make_tool(
    function: ToolFunction,
    title: str,
    description: str,
    schemas: tuple[dict[str, Any], dict[str, Any]],
    annotations: ToolAnnotations,
) -> Tool:
    """Return a tool named as its function, with the given schemas of its arguments and of its result."""
    arguments, result = schemas
    return Tool(
        fn=_counted(function),
        name=function.__name__,
        title=title,
        description=description,
        parameters=arguments,
        fn_metadata=FuncMetadata(arg_model=_RawArguments, output_schema=result),
        is_async=True,
        context_kwarg="context",
        annotations=annotations,
        meta=app_meta(function.__name__),
    )


def _counted(function: ToolFunction) -> ToolFunction:
    @wraps(function)
    async def counted(**arguments: Any) -> CallToolResult | InputRequiredResult:
        try:
            result = await function(**arguments)
        except BaseException as error:  # a cancel, as when the caller is gone
            count_call(function.__name__, type(error).__name__)
            raise
        if isinstance(result, CallToolResult):  # a question is no end of a call
            count_call(function.__name__, "problem" if result.is_error else "ok")
        return result

    return counted


_Model = TypeVar("_Model", bound=BaseModel)


def read(
    arguments: dict[str, Any], state: CallState, schema: dict[str, Any], model: type[_Model], *, consequence: str = ""
) -> tuple[_Model, list[str]]:
    """Return the arguments, and notes about how they were adjusted.

    Raises CallRefused if they are wrong, or if the call has no services. Its text ends with `consequence`: what a call
    that cannot be made has sent or cost.
    """
    if state.services is None:
        raise CallRefused(replace(state.refusal, problem=f"{state.refusal.problem} {consequence}".rstrip()))
    try:
        found, adjusted = read_arguments(arguments, schema, model)
    except ArgumentsError as error:
        lines = "\n".join(f"- {problem}" for problem in error.problems)
        advice = f"{consequence} Correct these and call the tool again.".lstrip()
        problem = f"Invalid arguments:\n{lines}\n{advice}"
        raise CallRefused(Failure(Code.INVALID_ARGUMENTS, problem, Retry.AFTER_CHANGE)) from None
    return found, adjusted.notes()
