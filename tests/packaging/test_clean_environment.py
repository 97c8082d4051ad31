"""What is built, in environments that hold nothing else; and beside another project's package of the same name."""

import os
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from support.distributions import ROOT, build, uv

from octave_mcp import __version__

pytestmark = pytest.mark.anyio

COMMANDS = [["octave-mcp"], ["octave-personas-mcp"], ["python", "-m", "octave_mcp"]]
"""Each way to start; `uvx` uses the second."""

FIRST = {"octave_mcp/__init__.py": "raise RuntimeError('this is another project')\n"}
COVERING = {"octave_mcp/cli/__init__.py": "", "octave_mcp/cli/main.py": ""}
DEEPER = {"octave_mcp/settings.py": "", "octave_mcp/theirs.py": ""}
"""What another package may put over this one; the real one has the first two. The last shows only when it is loaded."""


@dataclass
class Environment:
    """A virtual environment of its own."""

    folder: Path

    def install(self, *what: str | Path) -> None:
        """Install that, and nothing that it asks for."""
        uv("pip", "install", "--python", self.folder, "--no-deps", "--reinstall", *what)

    def uninstall(self, name: str) -> None:
        """Remove a distribution with its files."""
        uv("pip", "uninstall", "--python", self.folder, name)

    def run(self, command: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, from a folder that has none of ours."""
        program, *rest = command
        return subprocess.run(
            [self.folder / "bin" / program, *rest, *arguments],
            cwd=self.folder,
            env={"PATH": os.defpath},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    return build(tmp_path_factory.mktemp("dist"))


def only(folder: Path, kind: str) -> Path:
    """The one file of that kind."""
    (found,) = folder.glob(f"*.{kind}")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An empty one."""
    folder = tmp_path / "environment"
    uv("venv", folder)
    return Environment(folder)


@pytest.fixture
def another(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """A wheel of another project's with those files, which makes no claim to be the real one."""

    def wheel(files: dict[str, str]) -> Path:
        path = tmp_path / "octave_mcp-99.0-py3-none-any.whl"
        info = "octave_mcp-99.0.dist-info"
        whole = files | {
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: octave-mcp\nVersion: 99.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = "".join(f"{name},,\n" for name in (*whole, f"{info}/RECORD"))
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in {**whole, f"{info}/RECORD": record}.items():
                archive.writestr(name, text)
        return path

    return wheel


@pytest.mark.parametrize("kind", ["whl", "tar.gz"])
async def test_it_runs_where_only_what_it_asks_for_is(kind: str, built: Path, environment: Environment) -> None:
    """From the wheel and from the source distribution: each command, and a client that builds a persona."""
    for lock in ("requirements.lock", "build.lock") if kind == "tar.gz" else ("requirements.lock",):
        environment.install("--require-hashes", "-r", ROOT / "packaging" / lock)
    environment.install("--no-build-isolation", only(built, kind))
    for command in COMMANDS:
        assert environment.run(command, "--version").stdout == f"octave-personas-mcp {__version__}\n"
    server = StdioServerParameters(
        command=str(environment.folder / "bin" / "octave-mcp"),
        args=["--sandbox"],
        env={"PATH": os.defpath},
        cwd=environment.folder,
    )
    asking = {"personas": [{"sources": [{"type": "TEXT", "value": "A bank's CISO fears audits."}]}]}
    async with Client(server, mode="legacy") as client:
        assert "generate_personas" in [tool.name for tool in (await client.list_tools()).tools]
        result = await client.call_tool("generate_personas", asking)
    assert (result.structured_content or {})["status"] == "complete"


@pytest.mark.parametrize("theirs", [FIRST | COVERING, COVERING, DEEPER], ids=["as it is", "in part", "deeper"])
@pytest.mark.parametrize("last", ["theirs", "ours"])
def test_it_says_so_where_another_package_is_in_its_place(
    theirs: dict[str, str], last: str, built: Path, environment: Environment, another: Callable[[dict[str, str]], Path]
) -> None:
    """Whichever was installed last: in words, with a code of its own, and without running what is not ours."""
    ours = only(built, "whl")
    wheels = [ours, another(theirs)]
    for wheel in wheels if last == "theirs" else reversed(wheels):
        environment.install(wheel)
    harmed = last == "theirs" or "octave_mcp/cli/__init__.py" in theirs
    for command in COMMANDS[:2]:
        ran = environment.run(command, "doctor")
        told = "another package has written over files of octave-personas-mcp" in ran.stderr
        assert told is harmed, ran.stderr
        if harmed:
            assert ran.returncode == 2
            assert "same name (octave_mcp): octave-mcp." in ran.stderr
            assert "uv tool install" in ran.stderr
            assert "Traceback" not in ran.stderr


def test_it_says_so_where_another_package_took_its_files_away(
    built: Path, environment: Environment, another: Callable[[dict[str, str]], Path]
) -> None:
    """As uninstalling the other does: it goes by the names of files. Installed again, all is well."""
    ours = only(built, "whl")
    for wheel in (ours, another(FIRST)):
        environment.install(wheel)
    environment.uninstall("octave-mcp")
    for command in COMMANDS:
        ran = environment.run(command, "--version")
        assert ran.returncode == 2
        assert "octave_mcp/__init__.py" in ran.stderr
        assert "--force-reinstall" in ran.stderr
    environment.install(ours)
    assert environment.run(["octave-mcp"], "--version").stdout == f"octave-personas-mcp {__version__}\n"


def test_a_missing_dependency_is_nobody_elses_doing(built: Path, environment: Environment) -> None:
    """What is whole is not said to be damaged."""
    ours = only(built, "whl")
    environment.install(ours)
    ran = environment.run(["octave-mcp"], "doctor")
    assert ran.returncode == 1
    assert "ModuleNotFoundError" in ran.stderr
    assert "another package" not in ran.stderr
