"""Interview a persona of the workspace, played by a model from its record.

    pip install "pydantic-ai-slim[mcp,openai]"
    OPENAI_API_KEY=KEY python interview.py "VP of Sales" openai:gpt-5

The persona is given by its name or oId, the model as for `chat_agent.py`. Uses sample data unless
`OCTAVE_API_KEY` or `OCTAVE_API_KEY_FILE` is set. "stop" ends it with a summary, an empty line without.
"""

import asyncio
import os
import sys

try:
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai import Agent
    from pydantic_ai.exceptions import AgentRunError, UserError
    from pydantic_ai.mcp import MCPError, MCPToolset
    from pydantic_ai.messages import TextContent
except ImportError as error:
    sys.exit(f"{error}. The first lines of this file say what to install.")


async def brief(persona: str) -> str:
    """Return the server's prompt for a model that plays this persona: what to do, and the persona's record."""
    server = StdioTransport(
        command="octave-personas-mcp",
        args=[] if {"OCTAVE_API_KEY", "OCTAVE_API_KEY_FILE"} & os.environ.keys() else ["--sandbox"],
        env=dict(os.environ),  # its settings, and the proxy's
        keep_alive=False,
    )
    prompt = await MCPToolset(server, init_timeout=30).get_prompt("interview_persona", {"persona": persona})
    return "\n".join(one.content.content for one in prompt.messages if isinstance(one.content, TextContent))


def interview(briefing: str, model: str) -> None:
    """Talk until the user says stop, or nothing."""
    agent = Agent(model)
    said, history = briefing, None
    while said:
        result = agent.run_sync(said, message_history=history)
        history = result.all_messages()
        print(f"\n{result.output}")
        said = "" if said.lower() == "stop" else read_line("\nYou: ")


def read_line(prompt: str) -> str:
    """Return a line from the user, empty at the end of input."""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def main(persona: str, model: str) -> None:
    """Have the interview, or say why there is none."""
    try:
        interview(asyncio.run(brief(persona)), model)
    except (MCPError, AgentRunError) as error:  # such as two personas of that name, or a model that cannot be reached
        sys.exit(error.message)
    except UserError as error:  # such as a model that does not exist
        sys.exit(f"{error}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [persona, model]:
            main(persona, model)
        case _:
            sys.exit("Usage: python interview.py PERSONA MODEL")
