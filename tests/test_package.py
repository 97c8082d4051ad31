"""What is shipped: the wheel has the whole package, and it runs where nothing else of ours is."""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from support.distributions import build

from octave_mcp import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    return build(tmp_path_factory.mktemp("dist"))


def test_the_wheel_has_every_module_and_nothing_else(built: Path, tmp_path: Path) -> None:
    """It starts from another folder, by itself, with the metadata that it needs."""
    (wheel,) = built.glob("octave_personas_mcp-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(f"octave_personas_mcp-{__version__}.dist-info/METADATA").decode()
        archive.extractall(tmp_path)
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "octave_mcp").rglob("*") if path.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert "octave_mcp/py.typed" in names
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: MIT" in metadata
    registered = json.loads((ROOT / "deploy" / "server.json").read_text(encoding="utf-8"))["name"]
    assert f"mcp-name: {registered} " in metadata, "the registry takes the package for another's without it"
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "octave_mcp", "--version"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        timeout=60,
    )
    assert ran.stdout == f"octave-personas-mcp {__version__}\n"


def test_the_wheel_has_one_command_named_like_the_distribution(built: Path) -> None:
    """So that `uvx octave-personas-mcp` is all one types."""
    (wheel,) = built.glob("octave_personas_mcp-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        entry_points = archive.read(f"octave_personas_mcp-{__version__}.dist-info/entry_points.txt").decode()
    assert entry_points.split() == ["[console_scripts]", "octave-personas-mcp", "=", "octave_mcp.cli:main"]


def test_the_source_distribution_has_what_its_tests_need(built: Path) -> None:
    """The tests, the lock, and what they read of the repository."""
    (source,) = built.glob("octave_personas_mcp-*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in (
        "pyproject.toml",
        "deploy/server.json",
        "deploy/Caddyfile",
        "deploy/mcpb/manifest.json",
        "README.md",
        "LICENSE",
        "Makefile",
        "requirements.lock",
        "tests/test_package.py",
        "tests/npm/package-lock.json",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "examples/research.py",
        "skills/octave-personas/SKILL.md",
        ".claude-plugin/plugin.json",
    ):
        assert name in names


def test_the_lock_holds_hashes_and_names_no_registry() -> None:
    """So that it works wherever packages come from."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^([\w.-]+)(?:\[.*?\])?==", lock, re.MULTILINE)
    assert "://" not in lock
    entries = re.split(r"\n(?=\w)", lock[lock.index("annotated-types") :])
    assert all("--hash=sha256:" in entry for entry in entries)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [re.split(r"[<>=!;\[ ]", line)[0] for line in project["project"]["dependencies"]]
    wanted += [re.split(r"[<>=!;\[ ]", line)[0] for line in project["dependency-groups"]["dev"]]
    assert set(wanted) <= set(pinned)
