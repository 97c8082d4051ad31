"""An agent of the OpenAI Agents SDK's, in front of the server at a URL, or of the one that a command starts."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from agents import Agent, Model, ModelResponse, RunConfig, Runner, Usage
from agents.items import TResponseStreamEvent
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from clients.assistant import TASK, Assistant, tell


class Scripted(Model):  # type: ignore[misc]
    """A model that plays the assistant."""

    def __init__(self) -> None:
        """Begin."""
        self.assistant = Assistant()

    async def get_response(self, **given: Any) -> ModelResponse:
        """Answer with a call, or with an end."""
        parameters = {tool.name: tool.params_json_schema for tool in given["tools"]}
        outputs = [item["output"] for item in given["input"] if item.get("type") == "function_call_output"]
        shown = [output if isinstance(output, str) else output[0]["text"] for output in outputs]
        call = self.assistant.next_call(parameters, shown)
        output = (
            ResponseFunctionToolCall(
                type="function_call", call_id=f"call_{len(shown)}", name=call.tool, arguments=json.dumps(call.arguments)
            )
            if call
            else ResponseOutputMessage(
                id="message",
                type="message",
                role="assistant",
                status="completed",
                content=[ResponseOutputText(type="output_text", text="Done.", annotations=[])],
            )
        )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *_: Any, **__: Any) -> AsyncIterator[TResponseStreamEvent]:
        """Nobody asks for a stream."""
        raise NotImplementedError


async def main(server: str, *arguments: str) -> None:
    """Give the agent its task."""
    reached = (
        MCPServerStdio({"command": server, "args": list(arguments), "env": dict(os.environ)})
        if arguments
        else MCPServerStreamableHttp({"url": server})
    )
    async with reached:
        agent = Agent("assistant", model=Scripted(), mcp_servers=[reached])
        ended = await Runner.run(agent, TASK, run_config=RunConfig(tracing_disabled=True))
    tell(answer=ended.final_output)


asyncio.run(main(*sys.argv[1:]))
