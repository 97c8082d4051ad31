"""The wheel and the source distribution, and the uv that installs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INSTALL_SECONDS = 90.0
"""A bound for installing the package with all that it needs; from uv's cache it takes a second."""

UNREACHABLE = ("error sending request", "dns error", "Failed to fetch", "Connection refused")
"""What uv prints when the package index cannot be reached. Anything else that it prints is a fault of what is here."""


ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
"""The environment before a test changes it: uv's cache is in the home of who runs the tests."""


def build(folder: Path) -> Path:
    """Put the wheel and the source distribution into that folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return folder


def uv_path() -> Path:
    """Return the uv of this machine, or the one that make installed. Skips the test if there is neither."""
    found = shutil.which("uv") or shutil.which("uv", path=ROOT / ".tools" / "bin")
    if found is None:
        pytest.skip("uv is not installed. `make test` installs it")
    return Path(found)


def uv(*arguments: str | Path) -> None:
    """Run uv with the Python of the tests. Skips the test if the package index cannot be reached."""
    ran = subprocess.run(
        [uv_path(), *arguments, "--quiet"],
        env=ENVIRONMENT | {"UV_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if ran.returncode and any(word in ran.stderr for word in UNREACHABLE):
        pytest.skip("the package index cannot be reached")
    assert not ran.returncode, ran.stderr
