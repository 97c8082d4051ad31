"""The image's own steps, taken without a Docker engine and run as `nobody`; and its locks."""

import asyncio
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.http import ASKING, called
from support.ports import free_ports

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TOKEN = "token-of-the-only-one"

DOCKERFILE = [
    (word, rest)
    for line in re.sub(r"\\\n\s*", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8")).splitlines()
    if line.strip() and not line.startswith("#")
    for word, _, rest in [line.partition(" ")]
]
"""Its instructions, in order."""

SPLIT = max(number for number, (word, _) in enumerate(DOCKERFILE) if word == "FROM")
BUILD, FINAL = DOCKERFILE[1:SPLIT], DOCKERFILE[SPLIT + 1 :]

NOBODY: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
"""Root runs the image's program as another; all others as themselves."""


def only(word: str) -> str:
    """What the one instruction of that name says, in the last stage."""
    (rest,) = [rest for name, rest in FINAL if name == word]
    return rest


def health() -> list[str]:
    """The command of the health check."""
    check = only("HEALTHCHECK")
    found: list[str] = json.loads(check[check.index("CMD") + 4 :])
    return found


# --- What is in it ----------------------------------------------------------------------------------------------------


def test_each_step_takes_only_what_is_locked() -> None:
    """Wheels by their hashes from a lock, or this package's own and no network; the last stage runs nothing."""
    steps = [set(rest.split()) for word, rest in BUILD if word == "RUN" and " install " in rest]
    locked = [{"--require-hashes", "--no-deps", "--only-binary", "-r"} <= step for step in steps]
    ours = [{"--no-index", "--no-deps", "octave-personas-mcp"} <= step for step in steps]
    assert (sum(locked), sum(ours), len(steps)) == (2, 1, 3)
    assert not {"RUN", "ADD"} & {word for word, _ in FINAL}


def test_both_stages_have_one_base_that_does_not_float_and_the_last_is_no_roots() -> None:
    """A version to the patch; and the program itself receives the signals, without a shell before it."""
    bases = {rest.split()[0] for word, rest in DOCKERFILE if word == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases.pop())
    assert int(only("USER").split(":")[0]) > 0
    assert json.loads(only("ENTRYPOINT")) == ["octave-personas-mcp"]
    assert "/healthz" in only("HEALTHCHECK")


def test_nothing_but_what_is_copied_reaches_the_engine() -> None:
    """`.dockerignore` leaves out everything, then lets in what the Dockerfile copies: no secret among it."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    everything, *rules = [line for line in lines if not line.startswith("#")]
    assert everything == "*"
    copied = {source for word, rest in BUILD if word == "COPY" for source in rest.split()[:-1]}
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert [rule for rule in rules if not rule.startswith("!")] == ["**/__pycache__"]


def _pinned(name: str) -> set[tuple[str, str, str]]:
    """Return the packages of a lock, each with its hashes: name, version, marker. One may stand there twice."""
    text = (ROOT / name).read_text(encoding="utf-8")
    found = re.findall(r"^([\w.-]+)==(\S+)\s+(?:; (.*?)\s+)?--hash=sha256:", text.replace("\\\n", " "), re.MULTILINE)
    assert len(found) == len(re.findall(r"^\S+==", text, re.MULTILINE)), name
    assert "://" not in text
    return {(str(canonicalize_name(package)), version, marker) for package, version, marker in found}


def _needed(wanted: list[str]) -> set[str]:
    """Those requirements and all that they require, here, by what is installed."""
    found: set[tuple[str, str]] = set()
    left = [Requirement(line) for line in wanted]
    while left:
        one = left.pop()
        for extra in ("", *one.extras):
            name = str(canonicalize_name(one.name))
            if (name, extra) not in found:
                found.add((name, extra))
                more = map(Requirement, metadata.requires(name) or [])
                left += [need for need in more if need.marker is None or need.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


def test_it_has_what_runs_and_nothing_else() -> None:
    """Its locks are exactly what runtime and build need, in the versions of the project's own lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    every = _pinned("requirements.lock")
    for name, wanted in (
        (
            "deploy/requirements.lock",
            [*project["project"]["dependencies"], *extras["postgres"], *extras["documents"], *extras["otel"]],
        ),
        ("deploy/build.lock", project["build-system"]["requires"]),
    ):
        lock = _pinned(name)
        assert {one[:2] for one in lock} <= {one[:2] for one in every}, name
        here = {package for package, _, marker in lock if not marker or _is_here(marker)}
        assert here == _needed(wanted), name


def _is_here(marker: str) -> bool:
    """Whether a marker is true on this machine."""
    found = Requirement(f"x; {marker}").marker
    return found is not None and found.evaluate()


# --- What it does -----------------------------------------------------------------------------------------------------


def _python() -> str | None:
    """One of this machine that has pip, and that whoever runs the program can reach."""
    names = ["/usr/bin/python3", "python3", "python3.14", "python3.13", "python3.12", "python3.11"]
    code = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    for python in (os.path.realpath(sys.executable), *filter(None, map(shutil.which, names))):
        with suppress(OSError):
            ran = subprocess.run([python, "-c", code], cwd="/", capture_output=True, timeout=60, check=False, **NOBODY)
            if ran.returncode == 0:
                return python
    return None


def _here(folder: Path, text: str) -> str:
    """A text of the Dockerfile, with a folder in place of `/`."""
    return re.sub(r"(?<![\w/])/(opt|build)\b", rf"{folder}/\1", text)


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The folder that the Dockerfile's steps fill, taken as they stand there."""
    python = _python()
    if python is None:
        pytest.skip("no Python 3.11 or later with pip can be reached by every user")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # the user that it runs as has to get in
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(python)
        (folder / "build").mkdir()
        for word, rest in BUILD:
            if word == "COPY":
                _copy(folder / "build", *rest.split())
            elif word == "RUN":
                ran = subprocess.run(
                    ["/bin/sh", "-c", _here(folder, rest)],
                    cwd=folder / "build",
                    env={**os.environ, "PATH": f"{folder}/bin:/usr/bin:/bin"},
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )
                assert ran.returncode == 0, (rest, ran.stdout[-2000:], ran.stderr[-2000:])
        yield folder


def _copy(folder: Path, *names: str) -> None:
    *sources, to = names
    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, folder / to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / to).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, folder / to)


async def test_it_serves_as_nobody_with_nothing_to_write_to(image: Path) -> None:
    """Its command with its own environment: health is told, calls are answered, and it ends well."""
    (port,) = free_ports(1)
    env = dict(part.split("=", 1) for part in shlex.split(_here(image, only("ENV"))))
    assert env["HOME"] == "/nonexistent"
    env |= {"OCTAVE_MCP_SANDBOX": "true", "OCTAVE_MCP_TOKENS": TOKEN, "TMPDIR": "/nonexistent"}
    entry = [*json.loads(only("ENTRYPOINT")), *json.loads(only("CMD"))]
    assert only("EXPOSE") in entry
    command = [str(port) if word == only("EXPOSE") else word for word in entry]
    check = [word.replace(f":{only('EXPOSE')}/", f":{port}/") for word in health()]
    programs = image / "opt" / "octave" / "bin"
    running = await asyncio.create_subprocess_exec(
        programs / command[0], *command[1:], cwd="/", env=env, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, **NOBODY
    )
    try:
        assert running.stderr is not None
        first = await asyncio.wait_for(running.stderr.readline(), 30)
        assert b"MCP over HTTP" in first, first
        made = await called(
            f"http://127.0.0.1:{port}/mcp", "generate_personas", ASKING, authorization=f"Bearer {TOKEN}"
        )
        assert made["structuredContent"]["status"] == "complete"
        for given, code in ((check, 0), ([word.replace("/healthz", "/no") for word in check], 1)):
            asking = await asyncio.create_subprocess_exec(
                programs / given[0], *given[1:], cwd="/", env=env, stderr=DEVNULL, **NOBODY
            )
            assert await asyncio.wait_for(asking.wait(), 30) == code
        running.terminate()
        assert await asyncio.wait_for(running.wait(), 30) == 143
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    compiled = next((image / "opt").rglob("octave_mcp/server/__pycache__/*.pyc"), None)
    assert compiled, "it would be compiled anew at each start, since it cannot be written"


def test_it_has_the_extras(image: Path) -> None:
    """PostgreSQL's client, OpenTelemetry's exporter and what reads documents."""
    code = "import octave_mcp.observability.exporter, psycopg, psycopg_pool, markitdown"
    python = image / "opt" / "octave" / "bin" / "python"
    subprocess.run([python, "-I", "-c", code], cwd="/", check=True, timeout=60)
