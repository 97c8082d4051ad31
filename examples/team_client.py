"""Have a team's server build a persona from each file of notes.

    pip install "mcp>=2.3"
    PERSONAS_TOKEN=TOKEN python team_client.py http://127.0.0.1:8000/mcp notes/*.md

`sh team_server.sh` starts such a server. The token comes from the environment, since everyone on a machine can read
what its programs' arguments are.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

try:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.types import CallToolResult, TextContent
except ImportError as error:
    sys.exit(f"{error}. The first lines of this file say what to install.")

SECONDS = 60  # the server answers within 45, with what is ready


async def main(url: str, notes: list[Path]) -> int:
    """Show what exists, then what was created. Return 0 only if everything was created."""
    headers = {"Authorization": f"Bearer {os.environ['PERSONAS_TOKEN']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=SECONDS) as http:
        if problem := await unready(http, url):
            print(problem, file=sys.stderr)
            return 1
        async with Client(streamable_http_client(url, http_client=http)) as client:
            print(text_of(await client.call_tool("list_personas", {})))
            return await build(client, notes)


async def unready(http: httpx2.AsyncClient, url: str) -> str:
    """Return why the server cannot be asked now, or nothing: the SDK's client only says that there was an error."""
    try:
        ready = await http.get(httpx2.URL(url).join("/readyz"))
        known = await http.post(url)
    except httpx2.TransportError as error:
        return f"{url} cannot be reached: {error}"
    if ready.is_error:
        return f"The server is not ready (HTTP {ready.status_code}); its log says why."
    return "The server rejected this token." if known.status_code == httpx2.codes.UNAUTHORIZED else ""


async def build(client: Client, notes: list[Path]) -> int:
    """Ask for all personas in one call, and collect until none is being written."""
    personas = [
        {
            "name": path.stem.replace("-", " "),
            "sources": [{"type": "TEXT", "value": path.read_text(encoding="utf-8")}],
        }
        for path in notes
    ]
    result = await client.call_tool("generate_personas", {"personas": personas})
    while (made := made_in(result)).get("status") == "pending":
        print("\n".join(made["pending"]), file=sys.stderr)
        result = await client.call_tool("get_generation", {"generationId": made["generationId"]})
    print(f"\n{text_of(result)}")
    return 0 if made.get("status") == "complete" else 1


def made_in(result: CallToolResult) -> dict[str, Any]:
    """Return a result for a program."""
    return result.structured_content or {}


def text_of(result: CallToolResult) -> str:
    """Return a result for a person."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [url, *notes] if notes and "PERSONAS_TOKEN" in os.environ:
            try:
                sys.exit(asyncio.run(main(url, [Path(name) for name in notes])))
            except (OSError, UnicodeDecodeError) as error:  # such as notes that cannot be read
                sys.exit(f"{error}")
        case _:
            sys.exit("Usage: PERSONAS_TOKEN=TOKEN python team_client.py URL NOTES...")
