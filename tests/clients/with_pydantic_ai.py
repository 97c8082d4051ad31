"""An agent of Pydantic AI's, in front of the server at a URL, or of the one that a command starts."""

import asyncio
import os
import sys

from fastmcp.client.transports import StdioTransport
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from clients.assistant import TASK, Assistant, tell


async def main(server: str, *arguments: str) -> None:
    """Give the agent its task."""
    assistant = Assistant()

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        tools = {tool.name: tool.parameters_json_schema for tool in info.function_tools}
        call = assistant.next_call(tools, [text for message in messages for text in shown_in(message)])
        return ModelResponse(parts=[ToolCallPart(call.tool, call.arguments) if call else TextPart("Done.")])

    reached = StdioTransport(server, list(arguments), env=dict(os.environ)) if arguments else server
    agent = Agent(FunctionModel(answer), toolsets=[MCPToolset(reached)])
    async with agent:
        tell(answer=(await agent.run(TASK)).output)


def shown_in(message: ModelMessage) -> list[str]:
    """The tool results in a message, as a model is sent them."""
    texts = []
    for part in message.parts:
        if isinstance(part, ToolReturnPart):
            texts.append(part.model_response_str())
        elif isinstance(part, RetryPromptPart):
            texts.append(part.model_response())
    return texts


asyncio.run(main(*sys.argv[1:]))
