"""Build the page of the persona cards, `octave_mcp/cards/personas.html`, from its sources in `cards/`.

`python -m support.cards_page`, with `tests` on the path, writes it. esbuild joins the modules. Nothing is shortened, so
that the built file can be read, and compared with the one before.
"""

import json
import subprocess
from pathlib import Path

from octave_mcp.cards.mcp_app import PAGE
from octave_mcp.octave.sections import SECTIONS, Content
from support.npm import node, script

SOURCES = Path(__file__).parent.parent.parent / "cards"
SECONDS = 60.0
"""For esbuild, which takes a fraction of one."""

_FIRST_CONTENT = Content.TEXT
"""The description says who a persona is, and comes first wherever it is shown."""


def build() -> str:
    """Return the page as one HTML document."""
    page = (SOURCES / "index.html").read_text(encoding="utf-8")
    style = (SOURCES / "style.css").read_text(encoding="utf-8")
    page = page.replace("/* style.css */", style.strip()).replace("/* main.js */", _script().strip())
    return "\n".join(line.rstrip() for line in page.splitlines()) + "\n"


def _script() -> str:
    ordered = sorted(SECTIONS, key=lambda section: section.content is not _FIRST_CONTENT)
    sections = [{"key": one.key, "label": one.label, "content": one.content.name} for one in ordered]
    program = node()
    command = [
        *(program, script("esbuild", "bin/esbuild"), "main.js", "--bundle", "--format=iife", "--target=es2022"),
        *("--charset=utf8", "--legal-comments=none", f"--define:BUILT_SECTIONS={json.dumps(sections)}"),
    ]
    made = subprocess.run(
        command, cwd=SOURCES, capture_output=True, check=False, text=True, encoding="utf-8", timeout=SECONDS
    )
    assert not made.returncode, made.stderr
    assert "</script" not in made.stdout
    return made.stdout


if __name__ == "__main__":
    PAGE.write_text(build(), encoding="utf-8")
