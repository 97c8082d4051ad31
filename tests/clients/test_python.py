"""The Python SDK's client in both eras of the protocol, over stdio and over HTTP."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from support.http import process

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

WANTED = {"personas": [{"name": "CISO", "sources": [{"type": "TEXT", "value": "audits take three weeks"}]}]}


@asynccontextmanager
async def connected(transport: str, mode: str, home: Path) -> AsyncIterator[Client]:
    """A client of a sandboxed server in a process of its own."""
    env = {**os.environ, "OCTAVE_MCP_STATE_URL": "memory://", "HOME": str(home)}
    if transport == "stdio":
        server = StdioServerParameters(command=sys.executable, args=["-m", "octave_mcp", "--sandbox"], env=env)
        async with Client(server, mode=mode) as client:
            yield client
    else:
        async with process(env, "--sandbox") as running, Client(running.url, mode=mode) as client:
            yield client


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize(("mode", "version"), [("legacy", "2025"), ("2026-07-28", "2026-07-28")])
async def test_a_client_lists_generates_collects_and_reads(
    transport: str, mode: str, version: str, tmp_path: Path
) -> None:
    """The same in each."""
    async with connected(transport, mode, tmp_path) as client:
        assert client.protocol_version.startswith(version)
        assert len((await client.list_tools()).tools) == 6
        made: Any = (await client.call_tool("generate_personas", WANTED)).structured_content
        again: Any = await client.call_tool("get_generation", {"generationId": made["generationId"]})
        assert again.structured_content["personas"] == made["personas"]
        oid = made["personas"][0]["oId"]
        full: Any = await client.call_tool("get_persona", {"oId": oid})
        assert full.structured_content["oId"] == oid
