"""Give an agent of LangChain a task that needs personas.

    pip install langchain langchain-openai langchain-mcp-adapters
    OPENAI_API_KEY=KEY python agent_langchain.py openai:gpt-5 "Build a persona of a CISO from these notes: …"

The model is any that LangChain knows, with the package of its maker, or one behind an address of your own
(`OPENAI_BASE_URL`, openai:NAME). Uses sample data unless `OCTAVE_API_KEY` or `OCTAVE_API_KEY_FILE` is set. A third
argument is the address of a team server.
"""

import asyncio
import os
import sys
from typing import Any

try:
    from langchain.agents import create_agent
    from langchain.chat_models import init_chat_model
    from langchain_mcp_adapters.client import MultiServerMCPClient
    from langchain_mcp_adapters.tools import load_mcp_tools
    from openai import OpenAIError
except ImportError as error:
    sys.exit(f"{error}. The first lines of this file say what to install.")


def personas_server(url: str | None) -> dict[str, Any]:
    """Return the server: one that is started here, or a team server."""
    if url:
        return {"transport": "http", "url": url}
    has_key = {"OCTAVE_API_KEY", "OCTAVE_API_KEY_FILE"} & os.environ.keys()
    return {
        "transport": "stdio",
        "command": "octave-personas-mcp",
        "args": [] if has_key else ["--sandbox"],
        "env": dict(os.environ),  # its settings, and the proxy's
    }


async def main(model: str, task: str, url: str | None = None) -> str:
    """Give the agent its task, and return its answer, or what went wrong."""
    try:
        chat_model = init_chat_model(model)
    except (ImportError, ValueError, OpenAIError) as error:  # such as a key that is missing
        return f"{model} cannot be used: {error}"
    async with MultiServerMCPClient({"octave": personas_server(url)}).session("octave") as session:
        agent = create_agent(chat_model, await load_mcp_tools(session))
        try:
            result = await agent.ainvoke({"messages": [("user", task)]})
        except OpenAIError as error:  # such as an address that does not answer
            return f"{error}"
    answer: str = result["messages"][-1].text
    return answer


if __name__ == "__main__":
    match sys.argv[1:]:
        case [model, task] | [model, task, _]:
            print(asyncio.run(main(model, task, *sys.argv[3:])))
        case _:
            sys.exit("Usage: python agent_langchain.py MODEL TASK [URL]")
