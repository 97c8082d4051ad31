"""What a competent person writes in thirty lines: the API's two endpoints as two tools, on the same SDK."""

import os
import sys
from typing import Any

import httpx
import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("octave-thin", log_level="WARNING")
octave = httpx.AsyncClient(
    base_url=os.environ["OCTAVE_BASE_URL"], headers={"api_key": os.environ["OCTAVE_API_KEY"]}, timeout=120
)


@server.tool()
async def generate_personas(personas: list[dict[str, Any]]) -> dict[str, Any]:
    """Generate personas in Octave."""
    answer = await octave.post("/api/v2/persona/generate", json={"personas": personas})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


@server.tool()
async def list_personas(limit: int = 10, offset: int = 0) -> dict[str, Any]:
    """List the personas in Octave."""
    answer = await octave.get("/api/v2/persona/list", params={"limit": limit, "offset": offset})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


if __name__ == "__main__":
    uvicorn.run(server.streamable_http_app(stateless_http=True), port=int(sys.argv[1]), log_level="warning")
