"""Runs the worker: files in, texts out, within a time, and in a process of its own with little to lose."""

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from octave_mcp.settings import environment_value
from octave_mcp.sources.folders import FileContent

MAX_WORKERS = 2
"""Workers at once in this process, as each may take 2 GB of memory."""

_slots = threading.BoundedSemaphore(MAX_WORKERS)

NO_EXTRA = (
    "needs the extra `documents` of this server: install octave-personas-mcp[documents] where it runs, or save the "
    "file as text"
)
TOO_SLOW = "was not read within {seconds:.0f} seconds: save its text alone, or use fewer files in a call"
ENDED = "cannot be converted: it needs too much memory, or is damaged"


def can_convert() -> bool:
    """Return whether the extra `documents` is installed."""
    return find_spec("markitdown") is not None


def convert_files(files: Sequence[FileContent], *, deadline: float) -> list[dict[str, str]]:
    """Return for each file its `text` and a `note`, or the `problem`; `deadline` is a time of `time.monotonic`.

    After a problem that ends the worker the files that follow are not looked at, and have no entry.
    """
    timeout = max(0.0, deadline - time.monotonic())
    if not _slots.acquire(timeout=timeout):
        return [{"problem": TOO_SLOW.format(seconds=timeout)}]
    try:
        return _run(files, deadline=deadline, seconds=timeout)
    finally:
        _slots.release()


def _run(files: Sequence[FileContent], *, deadline: float, seconds: float) -> list[dict[str, str]]:
    lines = [{"format": file.format, "content": base64.b64encode(file.content).decode("ascii")} for file in files]
    try:
        ran = subprocess.run(
            [sys.executable, "-s", "-P", "-B", "-m", "octave_mcp.sources.worker"],
            input="".join(f"{json.dumps(line)}\n" for line in lines).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            timeout=max(0.0, deadline - time.monotonic()),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        done = _answers(late.stdout)
        return [*done, {"problem": TOO_SLOW.format(seconds=seconds)}]
    done = _answers(ran.stdout)
    return done if len(done) == len(files) else [*done, {"problem": ENDED}]


def _environment() -> dict[str, str]:
    """Return the worker's environment: where this process finds its modules, and nothing else, so no key."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    root = environment_value("SYSTEMROOT")  # without it no program starts on Windows
    windows = {"SYSTEMROOT": root} if root else {}
    # One thread: each further one of the number libraries reserves memory, and the limit counts what is reserved.
    return {**windows, "PYTHONPATH": path, "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _answers(output: bytes | None) -> list[dict[str, str]]:
    answers: list[Any] = [
        json.loads(line) for line in (output or b"").splitlines(keepends=True) if line.endswith(b"\n")
    ]
    return answers
