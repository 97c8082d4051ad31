"""What a competent person writes in fifty lines: the API's two endpoints as two tools, on the same SDK.

With a port it serves over HTTP, without one over stdio. With THIN_RECORDS, the path of a file, it keeps two of this
server's promises in the cheapest way: each POST is recorded there and synced to the disk before it is sent, and has a
connection of its own.
"""

import os
import sys
from typing import Any, Literal

import httpx
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

server = MCPServer("octave-thin", log_level="WARNING")
records = os.environ.get("THIN_RECORDS")
octave = httpx.AsyncClient(
    base_url=os.environ["OCTAVE_BASE_URL"],
    headers={"api_key": os.environ["OCTAVE_API_KEY"]},
    timeout=120,
    limits=httpx.Limits(max_keepalive_connections=0 if records else None),
)


class Source(BaseModel):
    """Material that a persona is made from."""

    type: Literal["TEXT", "URL", "RESOURCE"]
    value: str


class PersonaRequest(BaseModel):
    """One persona to be made."""

    sources: list[Source]
    name: str | None = None


class LinkingStrategy(BaseModel):
    """Which offerings the personas are linked to."""

    mode: Literal["ALL", "SPECIFIC"]
    offeringOIds: list[str] | None = None


class GenerateRequest(BaseModel):
    """The API's body."""

    personas: list[PersonaRequest]
    primaryOfferingOId: str | None = None
    linkingStrategy: LinkingStrategy | None = None
    playbookOId: str | None = None
    brandVoiceOId: str | None = None


def record(text: str) -> None:
    """Add a line to the file of records, and return when it is on the disk."""
    assert records is not None
    with open(records, "a", encoding="utf-8") as file:  # noqa: PTH123 - as one writes it
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())


@server.tool()
async def generate_personas(
    personas: list[PersonaRequest],
    primaryOfferingOId: str | None = None,  # noqa: N803 - the API's own names
    linkingStrategy: LinkingStrategy | None = None,  # noqa: N803
    playbookOId: str | None = None,  # noqa: N803
    brandVoiceOId: str | None = None,  # noqa: N803
) -> dict[str, Any]:
    """Generate personas in Octave from source materials; each item of personas makes one."""
    body = GenerateRequest(
        personas=personas,
        primaryOfferingOId=primaryOfferingOId,
        linkingStrategy=linkingStrategy,
        playbookOId=playbookOId,
        brandVoiceOId=brandVoiceOId,
    )
    if records:
        record(body.model_dump_json())
    answer = await octave.post("/api/v2/persona/generate", json=body.model_dump(exclude_none=True))
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
    if len(sys.argv) == 1:
        server.run()
    else:
        import uvicorn

        uvicorn.run(server.streamable_http_app(stateless_http=True), port=int(sys.argv[1]), log_level="warning")
