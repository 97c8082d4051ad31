"""The MCPB bundle: what a desktop program installs with two clicks. `python -m support.bundle` builds it in `dist`.

What is bundled has no dependencies in it, since some are compiled: the host's uv installs those for its machine, in the
versions that are tested here. The bundler is npm's, so it is taken from where tests take what they need of npm.
"""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from support.npm import node, script

ROOT = Path(__file__).parents[2]
MCPB = ROOT / "deploy" / "mcpb"
MANIFEST: dict[str, Any] = json.loads((MCPB / "manifest.json").read_text(encoding="utf-8"))

SHIPPED = ("README.md", "LICENSE")


def staged(folder: Path) -> Path:
    """Fill a folder with what is bundled, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "octave_mcp", folder / "octave_mcp", ignore=shutil.ignore_patterns("__pycache__"))
    for source in (*(ROOT / name for name in SHIPPED), MCPB / "manifest.json", MCPB / "icon.png"):
        shutil.copy(source, folder)
    (folder / "pyproject.toml").write_text(project(), encoding="utf-8")
    return folder


def project() -> str:
    """Return a `pyproject.toml` with nothing to build: what to install, in the versions that are tested."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "deploy" / "requirements.lock").read_text(encoding="utf-8")
    pins = [pin.strip() for pin in re.findall(r"^([\w.-]+==[^\\\n]+)", lock, re.MULTILINE)]
    return f"""[project]
name = {json.dumps(ours["name"])}
version = {json.dumps(MANIFEST["version"])}
requires-python = {json.dumps(ours["requires-python"])}
dependencies = {json.dumps(ours["dependencies"], indent=2)}

[tool.uv]
constraint-dependencies = {json.dumps(pins, indent=2)}
"""


def bundle(folder: Path) -> Path:
    """Build the bundle in that folder. Raises CalledProcessError where the bundler finds a fault."""
    whole, packed = staged(folder / "mcpb"), folder / "octave-personas.mcpb"
    mcpb("validate", whole / "manifest.json")
    mcpb("pack", whole, packed)
    return packed


def mcpb(*arguments: str | Path) -> None:
    """Run the bundler, which says on stderr what is wrong."""
    command = [node(), script("@anthropic-ai/mcpb", "dist/cli/cli.js"), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)


if __name__ == "__main__":
    print(bundle(ROOT / "dist"))  # noqa: T201
