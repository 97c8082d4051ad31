"""Calls of the server's tools through a real client, for tests of what comes back."""

import asyncio
from typing import Any

import jsonschema
from mcp import Client
from mcp.types import CallToolResult, TextContent
from pydantic import SecretStr

from octave_mcp.settings import Settings
from octave_mcp.tools import schemas
from support.upstream import Request, Respond, answer, error_envelope, page_answer

KEY = "sk-canary-0123456789"


def asking(*names: str) -> dict[str, Any]:
    """Return arguments that ask for a persona of each name."""
    return {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]}


def settings(url: str, **more: Any) -> Settings:
    """Return the settings of a server with a short window."""
    own: dict[str, Any] = {"base_url": url, "api_key": SecretStr(KEY), "wait_seconds": 0.3, "shutdown_seconds": 2}
    return Settings(**own | more)


def text_of(result: CallToolResult) -> str:
    """Return what a host that shows text would show."""
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def structured(result: CallToolResult, tool: str = "generate_personas") -> dict[str, Any]:
    """Return what a host that shows structured content would show; it is valid by the tool's published schema."""
    content = result.structured_content
    assert isinstance(content, dict)
    jsonschema.validate(content, getattr(schemas, f"{tool.upper()}_RESULT"))
    return content


async def generate(client: Client, *names: str) -> CallToolResult:
    """Ask for a persona of each name."""
    return await client.call_tool("generate_personas", asking(*names))


async def collect(client: Client, generation_id: str | None = None) -> CallToolResult:
    """Collect a generation, or list the latest."""
    return await client.call_tool("get_generation", {"generationId": generation_id} if generation_id else {})


def losing(*names: str) -> Respond:
    """Return an upstream that loses the answers for these names, and answers the others by the page."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.json["personas"][0].get("name", "") in names:
            writer.transport.abort()
        else:
            writer.write(answer(page_answer(request)))

    return respond


def refusing(*names: str, message: str = "No", status: int = 422) -> Respond:
    """Return an upstream that refuses these names, and answers the others by the page."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        refused = request.json["personas"][0].get("name", "") in names
        body = error_envelope(message) if refused else page_answer(request)
        writer.write(answer(body, status=status if refused else 200))

    return respond
