"""A client of FastMCP's that takes tasks: `python with_fastmcp.py URL [URL]`, or a command in place of the URL.

It makes a task at the first server and follows it at the last. It prints what it meets, a JSON object a line.
"""

import asyncio
import json
import os
import sys
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp_tasks import ToolTask, call_tool_task


def tell(**what: Any) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def asking(*names: str) -> dict[str, Any]:
    """Return arguments that ask for a persona of each name."""
    return {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]}


def client_of(*server: str) -> Client[Any]:
    """Return a client of a URL or of a command."""
    if server[1:]:
        return Client(StdioTransport(server[0], list(server[1:]), env=dict(os.environ)))
    return Client(server[0])


async def follow(first: Client[Any], last: Client[Any]) -> None:
    """Make a task and follow it; ask for the same as any caller of a tool does; cancel another."""
    began = await call_tool_task(first, "generate_personas", asking("A", "B"))
    task = ToolTask(last, "generate_personas", began.create_result)
    state = await task.status()
    tell(task=task.task_id, status=state.status, words=state.status_message)
    whole = await first.call_tool("generate_personas", asking("B", "C"))
    tell(whole=whole.structured_content)
    tell(result=(await task.result()).structured_content)
    dropped = await call_tool_task(first, "generate_personas", asking("D"))
    stopped = ToolTask(last, "generate_personas", dropped.create_result)
    await stopped.cancel()
    tell(cancelled=(await stopped.wait(timeout=30)).status)


async def main(server: list[str]) -> None:
    """Connect, to two servers if there are two."""
    if server[0].startswith("http"):
        async with client_of(server[0]) as first, client_of(server[-1]) as last:
            await follow(first, last)
    else:
        async with client_of(*server) as client:
            await follow(client, client)


asyncio.run(main(sys.argv[1:]))
