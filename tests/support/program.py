"""A client that is a program of its own, and tells what it meets: a JSON object a line."""

import asyncio
import json
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
LONGEST_LINE = 2**20

SECONDS = 60.0
"""For what takes a tenth of it."""


def _nothing(_: dict[str, Any]) -> None:
    pass


async def told(
    *command: str,
    env: dict[str, str],
    hear: Callable[[dict[str, Any]], None] = _nothing,
    seconds: float = SECONDS,
) -> list[dict[str, Any]]:
    """All that a program tells; `hear` has each as it comes. It ends well, with whatever it started.

    A server that it started has its stderr, which has an end when the last that has it is gone.
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
                    hear(lines[-1])
            await program.wait()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert program.returncode == 0, complaints.result().decode(errors="replace")
    return lines
