"""Completions for the arguments of prompts and resources, as the SDK asks for them."""

from mcp.server.mcpserver import MCPServer
from mcp.types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from octave_mcp.server.completer import MAX_VALUES, NAMED
from octave_mcp.server.services import State, current

__all__ = ["add_completions"]


def add_completions(server: MCPServer[State]) -> None:
    """Offer completions, by the completer of whoever asks: the SDK hands a completion no context."""

    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        _: CompletionContext | None,
    ) -> Completion | None:
        arguments = {"oId"} if isinstance(ref, ResourceTemplateReference) else {"persona", *NAMED}
        desk = current.get().desk
        if desk is None or argument.name not in arguments:
            return None
        values = await desk.completer.values(argument.name, argument.value)
        return Completion(values=values, has_more=len(values) == MAX_VALUES)

    server.completion()(complete)  # type: ignore[no-untyped-call]
