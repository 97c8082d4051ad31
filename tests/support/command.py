"""The command `octave-personas-mcp` run to its end in a process, while an upstream in this one answers it."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path

from support.upstream import Upstream

SECONDS = 60.0
"""Nothing that a test runs takes a quarter of it."""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


def unmeasured() -> dict[str, str]:
    """Return this process's environment without the measuring of coverage, which would slow many processes."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def environment(octave: Upstream | None = None, **settings: str) -> dict[str, str]:
    """Return this process's environment, with a key and the upstream's address, and settings on top."""
    own = {} if octave is None else {"OCTAVE_API_KEY": "sk-canary-0123456789", "OCTAVE_BASE_URL": octave.url}
    return {**os.environ, "PYTHONUNBUFFERED": "1", **own, **settings}


async def started(*arguments: str, env: dict[str, str], stdin: bool = False) -> Process:
    """Start the command."""
    given = PIPE if stdin else DEVNULL
    command = (sys.executable, "-m", "octave_mcp", *arguments)
    return await asyncio.create_subprocess_exec(*command, stdin=given, stdout=PIPE, stderr=PIPE, env=env)


async def ended(process: Process, stdin: bytes | None = None) -> Ran:
    """Wait for a process, and return how it ended."""
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def finished(*command: str, env: dict[str, str], cwd: Path) -> Ran:
    """Run any program in a folder to its end."""
    return await ended(
        await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=env, cwd=cwd)
    )


async def run(*arguments: str, env: dict[str, str], stdin: str | None = None) -> Ran:
    """Run the command to its end."""
    process = await started(*arguments, env=env, stdin=stdin is not None)
    return await ended(process, None if stdin is None else stdin.encode())
