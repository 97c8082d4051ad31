"""Give an agent of Pydantic AI a task that needs personas.

    pip install "pydantic-ai-slim[mcp,openai]"
    OPENAI_API_KEY=KEY python agent_pydantic_ai.py openai:gpt-5 "Build a persona of a CISO from these notes: …"

The model is any that Pydantic AI knows, or one behind an address of your own (`OPENAI_BASE_URL`, openai-chat:NAME).
Uses sample data unless `OCTAVE_API_KEY` or `OCTAVE_API_KEY_FILE` is set. A third argument is the address of a team
server. `chat_agent.py` asks before it spends credits.
"""

import asyncio
import os
import sys

try:
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai import Agent
    from pydantic_ai.exceptions import AgentRunError, UserError
    from pydantic_ai.mcp import MCPToolset
except ImportError as error:
    sys.exit(f"{error}. The first lines of this file say what to install.")


def personas_server(url: str | None) -> StdioTransport | str:
    """Return the server: one that is started here, or a team server."""
    has_key = {"OCTAVE_API_KEY", "OCTAVE_API_KEY_FILE"} & os.environ.keys()
    return url or StdioTransport(
        command="octave-personas-mcp",
        args=[] if has_key else ["--sandbox"],
        env=dict(os.environ),  # its settings, and the proxy's
    )


async def main(model: str, task: str, url: str | None = None) -> None:
    """Give the agent its task, and print its answer."""
    agent = Agent(model, toolsets=[MCPToolset(personas_server(url), init_timeout=30)])
    async with agent:
        print((await agent.run(task)).output)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [model, task] | [model, task, _]:
            try:
                asyncio.run(main(model, task, *sys.argv[3:]))
            except (AgentRunError, UserError, OSError) as error:  # such as a key that is missing
                sys.exit(f"{error}")
        case _:
            sys.exit("Usage: python agent_pydantic_ai.py MODEL TASK [URL]")
