"""Requests of the protocol of 2026-07-28 as they are on the wire, each with its own declaration of capabilities."""

import json
from typing import Any

import httpx

from support.http import SECONDS

VERSION = "2026-07-28"
TASKS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
"""The capabilities of a client that takes tasks."""


async def ask(
    url: str, method: str, params: dict[str, Any], *, capabilities: Any = TASKS, **headers: str
) -> httpx.Response:
    """Send one request, which declares these capabilities."""
    about = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": about}}
    sent = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": VERSION,
        "mcp-method": method,
        **({"mcp-name": name} if (name := params.get("name") or params.get("taskId")) else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    async with httpx.AsyncClient(timeout=SECONDS) as http:
        return await http.post(url, content=json.dumps(body), headers=sent)


def error_in(response: httpx.Response) -> dict[str, Any]:
    """Return the error of a response."""
    error: dict[str, Any] = response.json()["error"]
    return error
