"""A client of the TypeScript SDK in front of the server, while a persona takes its time."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from support.library import Library
from support.npm import node
from support.program import TESTS, run_client
from support.records import record
from support.server_target import server_target
from support.upstream import Request, answer, page_answer, upstream

SECONDS = 120.0
"""A bound for what takes a minute."""


@dataclass(frozen=True)
class ClientRun:
    """What a client printed, and how many POSTs reached Octave."""

    lines: list[dict[str, Any]]
    posts: int

    def all(self, kind: str) -> list[Any]:
        """Return everything of one kind."""
        return [line[kind] for line in self.lines if kind in line]


async def run_typescript_client(
    env: dict[str, str], sdk: str, *, takes: float, transport: str = "stdio", **options: Any
) -> ClientRun:
    """Run a client of that SDK while a persona takes so many seconds; `options` are for with_typescript.mjs."""

    async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(takes)
        writer.write(answer(page_answer(request)))

    program = (node(), str(TESTS / "clients" / "with_typescript.mjs"), json.dumps({"sdk": sdk, **options}))
    async with upstream(slowly) as octave:
        octave.look_up = Library(personas=[record(0)])
        env = {**env, "OCTAVE_API_KEY": "sk-canary-0123456789", "OCTAVE_BASE_URL": octave.url}
        async with server_target(transport, env) as server:
            return ClientRun(await run_client(*program, *server, env=env, seconds=SECONDS), len(octave.requests))
