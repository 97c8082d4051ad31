"""A server that may read folders, a client of it, and a stand-in for Octave behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import Client
from mcp.types import CallToolResult, TextContent
from pydantic import SecretStr

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings
from support.upstream import Upstream, by_the_page, upstream


@asynccontextmanager
async def file_server(*folders: Path, **settings: Any) -> AsyncIterator[tuple[Client, Upstream]]:
    """Run a server that may read these folders. Yields a client of it, and the upstream."""
    async with upstream(by_the_page) as octave:
        given = {"base_url": octave.url, "api_key": SecretStr("sk-canary-0123456789"), "folders": folders, **settings}
        async with Client(build_server(Settings(**given))) as client:
            yield client, octave


def asking(*sources: str, name: str = "Ada") -> dict[str, Any]:
    """Return arguments for one persona from these addresses."""
    return {"personas": [{"name": name, "sources": [{"type": "URL", "value": source} for source in sources]}]}


def text_of(result: CallToolResult) -> str:
    """Return the text of a result."""
    return "".join(block.text for block in result.content if isinstance(block, TextContent))
