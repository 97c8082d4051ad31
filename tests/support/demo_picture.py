"""A picture of `octave-personas-mcp demo` in a terminal, for the README: its own words, or some sections of them.

`python -m support.demo_picture`, with `tests` on the path, runs the demo and draws it anew.
"""

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).parent.parent.parent / "examples" / "demo.svg"
PROMPT = "$ octave-personas-mcp demo"
LEFT_OUT = "…"
"""In place of sections that are not drawn."""

DRAWN = ("The tools", "A persona from a text", "What costs nothing", "Tokens")
"""How the sections begin that are drawn; all of them would be taller than a screen."""

SECONDS = 60
"""For the demo, which takes a few."""

_COLUMNS = 112
"""The demo's lines, and a little air."""

_STYLES = {
    r"^(generate_personas|get_generation|get_persona|list_personas|list_library|check_workspace)(?=:)": "bold cyan",
    r"^From:|^  (titles|wants|struggles with|to ask):": "green",
    r"^\$": "bold green",
    r"^\S+( \S+){0,5}(?= \(pe_\w+\)$)": "bold magenta",
    r"\((pe_\w+)\)": "bright_black",
    r"^- personas\S+:": "yellow",
    r"\d+ fewer \(\d+%\)": "bold yellow",
}
_HEADING = "bold bright_white"

_INK, _PAPER = (201, 209, 217), (22, 27, 34)
_NORMAL = {"black": (72, 79, 88), "red": (255, 123, 114), "green": (126, 231, 135), "yellow": (242, 204, 96)}
_COLD = {"blue": (121, 192, 255), "magenta": (210, 168, 255), "cyan": (118, 227, 234), "white": _INK}
_BRIGHT = [(139, 148, 158), *list(_NORMAL.values())[1:], *list(_COLD.values())[:3], (240, 246, 252)]
_THEME = TerminalTheme(_PAPER, _INK, [*_NORMAL.values(), *_COLD.values()], _BRIGHT)

_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width} {height}" role="img"
  aria-label="octave-personas-mcp demo in a terminal">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Rich's own names a font's address on another host."""


def told() -> str:
    """Return what the demo prints."""
    command = [sys.executable, "-m", "octave_mcp", "demo"]
    return subprocess.run(command, capture_output=True, check=True, text=True, encoding="utf-8", timeout=SECONDS).stdout


def sections(words: str) -> list[str]:
    """Return what the demo printed, a section each: a heading, the line under it, and what follows."""
    return re.split(r"\n(?=.+\n-{3,}\n)", words)[1:]


def excerpt(words: str) -> str:
    """Return the sections that are drawn, in their order, with a mark where others are left out."""
    drawn = [PROMPT]
    for section in sections(words):
        if section.startswith(DRAWN):
            drawn.append(section.rstrip())
        elif drawn[-1] != LEFT_OUT:
            drawn.append(LEFT_OUT)
    return "\n\n".join(drawn)


def draw(words: str) -> str:
    """Return the words as an SVG."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    lines = words.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if not re.fullmatch(r"-{3,}", line):
            console.print(_styled(line, heading=below.startswith("---")), soft_wrap=True)
    return console.export_svg(title="", theme=_THEME, code_format=_FORMAT, unique_id="demo")


def _styled(line: str, *, heading: bool) -> Text:
    text = Text(line, style=_HEADING if heading else "")
    for pattern, style in _STYLES.items():
        text.highlight_regex(pattern, style)
    return text


if __name__ == "__main__":
    PICTURE.write_text(draw(excerpt(told())), encoding="utf-8")
