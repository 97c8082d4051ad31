"""A client of the TypeScript SDK in front of the server, while a persona takes its time."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from support.library import Library
from support.npm import node
from support.program import TESTS, told
from support.reached import reached
from support.records import record
from support.upstream import Request, answer, page_answer, upstream

SECONDS = 120.0
"""For what takes a minute."""


@dataclass(frozen=True)
class Met:
    """What a client told, and how many POSTs it cost."""

    lines: list[dict[str, Any]]
    posts: int

    def all(self, what: str) -> list[Any]:
        """Everything that it told of one kind."""
        return [line[what] for line in self.lines if what in line]


async def meets(env: dict[str, str], sdk: str, *, takes: float, transport: str = "stdio", **wish: Any) -> Met:
    """What a client of that SDK meets where a persona takes so many seconds; `wish` is for with_typescript.mjs."""

    async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(takes)
        writer.write(answer(page_answer(request)))

    program = (node(), str(TESTS / "clients" / "with_typescript.mjs"), json.dumps({"sdk": sdk, **wish}))
    async with upstream(slowly) as octave:
        octave.look_up = Library(personas=[record(0)])
        env = {**env, "OCTAVE_API_KEY": "sk-canary-0123456789", "OCTAVE_BASE_URL": octave.url}
        async with reached(transport, env) as server:
            return Met(await told(*program, *server, env=env, seconds=SECONDS), len(octave.requests))
