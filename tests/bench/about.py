"""When a benchmark ran, on what machine, and with which versions."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.processes import CONVERTED


def about() -> dict[str, Any]:
    """All of it."""
    versions = {name: version(name) for name in ("mcp", "uvicorn", "httpx", "pydantic", "octave-personas-mcp")}
    if CONVERTED.exists():
        asked = "from importlib.metadata import version; print(version('fastmcp'), version('mcp'))"
        said = subprocess.run((CONVERTED, "-c", asked), capture_output=True, text=True, check=True).stdout.split()
        versions |= {"fastmcp": said[0], "mcp of openapi": said[1]}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def described(found: dict[str, Any]) -> str:
    """The same in a line."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    machine = f"{found['cores']} cores of {found['processor']}, {found['system']}, Python {found['python']}"
    return f"{found['date']}; {machine}; {versions}."


def _processor() -> str:
    """Its model, where the system tells."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or "an unknown model"
