"""Client programs in processes of their own, which print what they see: one JSON object a line."""

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
LONGEST_LINE = 2**20

SECONDS = 60.0
"""A bound for what takes a tenth of it."""


def _ignore(_: dict[str, Any]) -> None:
    pass


async def run_client(
    *command: str,
    env: dict[str, str],
    on_line: Callable[[dict[str, Any]], None] = _ignore,
    seconds: float = SECONDS,
) -> list[dict[str, Any]]:
    """Run a client to its end, which must be good, and return all that it printed; `on_line` receives each at once.

    A server that it started shares its stderr, so that both have ended when this returns.
    """
    lines = []
    program = await asyncio.create_subprocess_exec(
        *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=env, cwd=TESTS, limit=LONGEST_LINE
    )
    assert program.stdout is not None
    assert program.stderr is not None
    try:
        async with asyncio.timeout(seconds):
            async with asyncio.TaskGroup() as tasks:
                complaints = tasks.create_task(program.stderr.read())
                async for line in program.stdout:
                    lines.append(json.loads(line))
                    on_line(lines[-1])
            await program.wait()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert program.returncode == 0, complaints.result().decode(errors="replace")
    return lines
