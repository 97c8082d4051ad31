"""The wheel and the source distribution, and the uv that installs them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

INSTALL_SECONDS = 90.0
"""For all that the package asks for; from uv's cache it takes a second."""

UNREACHABLE = ("error sending request", "dns error", "Failed to fetch", "Connection refused")
"""What uv says where it gets no answer. Anything else that it says is a fault of what is here."""


def build(folder: Path) -> Path:
    """Put the wheel and the source distribution into that folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    return folder


def uv_path() -> Path:
    """The uv of this machine, or the one that make fetched. Skips the test where there is neither."""
    found = shutil.which("uv") or shutil.which("uv", path=ROOT / ".tools" / "bin")
    if found is None:
        pytest.skip("there is no uv, with which environments are made")
    return Path(found)


def uv(*arguments: str | Path) -> None:
    """Run it, with the Python that the tests have. Skips the test where it gets no answer from its package index."""
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    ran = subprocess.run(
        [uv_path(), *arguments, "--quiet"],
        env=env | {"UV_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=INSTALL_SECONDS,
        check=False,
    )
    if ran.returncode and any(word in ran.stderr for word in UNREACHABLE):
        pytest.skip("uv cannot reach its package index")
    assert not ran.returncode, ran.stderr
