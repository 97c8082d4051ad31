"""The server as a client program is given it: a command to start, or a URL."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.http import process

TRANSPORTS = ("stdio", "http")


@asynccontextmanager
async def server_target(transport: str, env: dict[str, str]) -> AsyncIterator[tuple[str, ...]]:
    """Yield a client program's arguments: a command, started with `env` by the client, or a running server's URL."""
    if transport == "stdio":
        yield sys.executable, "-m", "octave_mcp"
        return
    async with process(env | {"PYTHONUNBUFFERED": "1"}) as server:
        yield (server.url,)
