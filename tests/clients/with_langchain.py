"""An agent of LangChain's, in front of the server at a URL, or of the one that a command starts."""

import asyncio
import os
import sys
from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

from clients.assistant import TASK, Assistant, tell


class Scripted(BaseChatModel):  # type: ignore[misc]
    """A chat model that plays the assistant."""

    assistant: Assistant
    tools: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies it

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[BaseTool], **_: Any) -> "Scripted":
        """Learn which tools there are, in the shape in which a model is sent them."""
        functions = [convert_to_openai_tool(tool)["function"] for tool in tools]
        self.tools = {function["name"]: function["parameters"] for function in functions}
        return self

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        shown = [message.text for message in messages if isinstance(message, ToolMessage)]
        call = self.assistant.next_call(self.tools, shown)
        calls = [ToolCall(name=call.tool, args=call.arguments, id=f"call_{len(shown)}")] if call else []
        return ChatResult(generations=[ChatGeneration(message=AIMessage("" if call else "Done.", tool_calls=calls))])


async def main(server: str, *arguments: str) -> None:
    """Give the agent its task."""
    stdio = {"transport": "stdio", "command": server, "args": list(arguments), "env": dict(os.environ)}
    client = MultiServerMCPClient({"octave": stdio if arguments else {"transport": "http", "url": server}})
    async with client.session("octave") as session:
        agent = create_agent(Scripted(assistant=Assistant()), await load_mcp_tools(session))
        ended = await agent.ainvoke({"messages": [("user", TASK)]})
    tell(answer=ended["messages"][-1].text)


asyncio.run(main(*sys.argv[1:]))
