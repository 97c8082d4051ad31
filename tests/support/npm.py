"""What tests use of npm: programs not written here, and a Node recent enough for them.

`tests/npm` has the wish and the lock; both are installed there once. `python -m support.npm` makes the lock anew.
"""

import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "npm"
MODULES = FOLDER / "node_modules"
LOCK = FOLDER / "package-lock.json"
INSTALLED = MODULES / ".installed-lock.json"
"""A copy of the lock that was installed, put there last of all."""

INSTALL_SECONDS = 150.0
"""For some 400 MB, which take a fifth of it. It stays below pytest's own limit for a test."""

UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH")
"""What npm says where it gets no answer. Anything else that it says is a fault of what is here."""

QUIETLY = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
"""No script of a package runs when it is installed."""


def node() -> str:
    """The Node that the lock holds, with everything else of it. Skips the test where npm cannot bring it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on the PATH, and this needs packages of npm's")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    if platform.system() != "Linux" or machine not in {"x64", "arm64"}:
        pytest.skip("tests/npm has a Node for Linux on x64 and arm64 only")
    if not _is_installed():
        from fcntl import LOCK_EX, flock  # noqa: PLC0415 - not everywhere

        with LOCK.open() as alone:  # else two processes that share the tests would install it over each other
            flock(alone, LOCK_EX)
            if not _is_installed():
                _install(npm)
    return str(MODULES / f"node-linux-{machine}" / "bin" / "node")


def script(package: str, path: str) -> str:
    """A file of an installed package."""
    return str(MODULES / package / path)


def _is_installed() -> bool:
    return INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes()


def _install(npm: str) -> None:
    try:
        installing = subprocess.run(
            [npm, "ci", *QUIETLY],
            cwd=FOLDER,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install tests/npm within {INSTALL_SECONDS:g} seconds")
    said = installing.stdout.decode(errors="replace")
    if installing.returncode and any(word in said for word in UNREACHABLE):
        pytest.skip("npm cannot reach its registry, and tests/npm is not installed yet")
    assert not installing.returncode, said
    shutil.copyfile(LOCK, INSTALLED)


def lock() -> None:
    """Make the lock anew: the newest that `package.json` allows, with hashes, without addresses."""
    LOCK.unlink(missing_ok=True)
    options = ("--package-lock-only", "--omit-lockfile-registry-resolved=true", *QUIETLY)
    subprocess.run(["npm", "install", *options], cwd=FOLDER, check=True)
    made: dict[str, Any] = json.loads(LOCK.read_text(encoding="utf-8"))
    for package in made["packages"].values():
        for told in ("funding", "resolved"):
            package.pop(told, None)
    LOCK.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    lock()
