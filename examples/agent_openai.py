"""Give an agent of the OpenAI Agents SDK a task that needs personas.

    pip install openai-agents
    OPENAI_API_KEY=KEY python agent_openai.py gpt-5 "Build a persona of a CISO from these notes: …"

The model is any that OpenAI's chat completions offer, or one behind an address of your own (`OPENAI_BASE_URL`). Uses
sample data unless `OCTAVE_API_KEY` or `OCTAVE_API_KEY_FILE` is set. A third argument is the address of a team server.
"""

import asyncio
import os
import sys

try:
    from agents import Agent, RunConfig, Runner, set_default_openai_api
    from agents.exceptions import AgentsException
    from agents.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHttp
    from openai import OpenAIError
except ImportError as error:
    sys.exit(f"{error}. The first lines of this file say what to install.")

SECONDS = 60  # a call answers within 45 seconds; the SDK's own limit is 5


def personas_server(url: str | None) -> MCPServer:
    """Return the server: one that is started here, or a team server."""
    if url:
        return MCPServerStreamableHttp({"url": url}, client_session_timeout_seconds=SECONDS)
    has_key = {"OCTAVE_API_KEY", "OCTAVE_API_KEY_FILE"} & os.environ.keys()
    return MCPServerStdio(
        {
            "command": "octave-personas-mcp",
            "args": [] if has_key else ["--sandbox"],
            "env": dict(os.environ),  # its settings, and the proxy's
        },
        client_session_timeout_seconds=SECONDS,
    )


async def main(model: str, task: str, url: str | None = None) -> None:
    """Give the agent its task, and print its answer."""
    set_default_openai_api("chat_completions")  # which models of other makers understand too
    async with personas_server(url) as server:
        agent = Agent("personas", model=model, mcp_servers=[server])
        result = await Runner.run(agent, task, run_config=RunConfig(tracing_disabled=True))
    print(result.final_output)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [model, task] | [model, task, _]:
            try:
                asyncio.run(main(model, task, *sys.argv[3:]))
            except (OpenAIError, AgentsException, OSError) as error:  # such as a key that is missing
                sys.exit(f"{error}")
        case _:
            sys.exit("Usage: python agent_openai.py MODEL TASK [URL]")
