"""MCP Inspector's command line, over stdio and over HTTP."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

import pytest
from support.http import process
from support.npm import node, script

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

SECONDS = 60.0
WANTED = '[{"name":"CISO","sources":[{"type":"TEXT","value":"audits take three weeks"}]}]'
STDIO = (sys.executable, "-m", "octave_mcp", "--sandbox")


async def inspect(target: tuple[str, ...], home: Path, *arguments: str) -> dict[str, Any]:
    """What the Inspector prints of one request."""
    program = script("@modelcontextprotocol/inspector", "clients/launcher/build/index.js")
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "NO_COLOR": "1"}
    running = await asyncio.create_subprocess_exec(
        *(node(), program, "--cli", *target, *arguments), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=env
    )
    try:
        out, complaints = await asyncio.wait_for(running.communicate(), SECONDS)
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, complaints.decode(errors="replace")
    printed: dict[str, Any] = json.loads(out)
    return printed


async def test_the_inspector_lists_and_generates_over_stdio(tmp_path: Path) -> None:
    """Each request has a server of its own."""
    tools = (await inspect(STDIO, tmp_path, "--method", "tools/list"))["tools"]
    assert tools[0]["name"] == "generate_personas"
    call = ("--method", "tools/call", "--tool-name", "generate_personas", "--tool-arg", f"personas={WANTED}")
    assert (await inspect(STDIO, tmp_path, *call))["structuredContent"]["status"] == "complete"
    prompt = ("--method", "prompts/get", "--prompt-name", "build_personas", "--prompt-args", "audience=CISOs")
    assert "CISOs" in str((await inspect(STDIO, tmp_path, *prompt))["messages"])


async def test_the_inspector_reads_over_http_what_it_generated(tmp_path: Path) -> None:
    """As a tool's result, and as a resource."""
    env = {**os.environ, "OCTAVE_MCP_STATE_URL": "memory://", "HOME": str(tmp_path)}
    async with process(env, "--sandbox") as server:
        target = (server.url,)
        call = ("--method", "tools/call", "--tool-name", "generate_personas", "--tool-arg", f"personas={WANTED}")
        (made,) = (await inspect(target, tmp_path, *call))["structuredContent"]["personas"]
        oid = made["oId"]
        read = ("--method", "tools/call", "--tool-name", "get_persona", "--tool-arg", f"oId={oid}")
        assert (await inspect(target, tmp_path, *read))["structuredContent"]["oId"] == oid
        resource = ("--method", "resources/read", "--uri", f"octave://personas/{oid}")
        assert oid in str((await inspect(target, tmp_path, *resource))["contents"])
