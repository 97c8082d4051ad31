"""The server as a client reaches it: started by its command, or over HTTP."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.http import process

TRANSPORTS = ("stdio", "http")


@asynccontextmanager
async def reached(transport: str, env: dict[str, str]) -> AsyncIterator[tuple[str, ...]]:
    """The words that name it to a client program: a command, which has `env` from the client, or a URL."""
    if transport == "stdio":
        yield sys.executable, "-m", "octave_mcp"
        return
    async with process(env | {"PYTHONUNBUFFERED": "1"}) as server:
        yield (server.url,)
