"""A host of the persona cards: AppBridge in a page of a headless browser, in front of tools that a test chooses."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from octave_mcp.cards.mcp_app import PAGE
from support.browser import Browser, Page
from support.npm import MODULES, node, script

SECONDS = 60.0
EVERYTHING: dict[str, dict[str, Any]] = {
    "serverTools": {},
    "message": {"text": {}},
    "updateModelContext": {"text": {}},
    "downloadFile": {},
}
"""The capabilities of a host that lets the page do all that it asks for."""

FRAME = """<!doctype html><html lang="en"><head><title>A host</title><style>
body { margin: 0; color-scheme: light dark; } iframe { border: 0; width: 100%; display: block; min-height: 60px; }
</style></head><body></body></html>"""
"""A host's page with nothing in it."""

Tool = Callable[[str, dict[str, Any]], dict[str, Any]]
"""A tool's name and arguments in, a CallToolResult out."""


@dataclass
class Host:
    """The page around the cards, and what the cards asked for."""

    page: Page
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def input(self, **arguments: Any) -> None:
        """Tell the cards the arguments of the call."""
        self.page.run(f"host.sendToolInput({json.dumps({'arguments': arguments})})")

    def result(self, structured: dict[str, Any] | None, text: str = "", *, is_error: bool = False) -> None:
        """Give the cards a tool's result."""
        self.page.run(f"host.sendToolResult({json.dumps(call_result(structured, text, is_error=is_error))})")

    def click(self, label: str, *, place: int = 0) -> None:
        """Click the button, or the label of a box, that has this text; the first, unless another place is given."""
        labelled = f"(one) => one.textContent.trim() === {json.dumps(label)}"
        found = f"[...document.querySelectorAll('button, label, summary')].filter({labelled})"
        self.page.wait(f"{found}.length > {place}")
        self.page.run(f"{found}[{place}].click()", in_frame=True, as_person=True)

    def sees(self, text: str) -> bool:
        """Wait until the cards show a text."""
        return bool(self.page.wait(f"document.body.innerText.includes({json.dumps(text)})"))

    def text(self) -> str:
        """Return all that the cards show."""
        return str(self.page.run("document.body.innerText", in_frame=True))

    def methods(self, method: str) -> list[dict[str, Any]]:
        """Return what the cards asked for by one method."""
        return [params for name, params in self.asked if name == method]


def call_result(structured: dict[str, Any] | None, text: str = "", *, is_error: bool = False) -> dict[str, Any]:
    """Return a CallToolResult as JSON has it."""
    result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": is_error}
    return result if structured is None else result | {"structuredContent": structured}


def open_host(
    browser: Browser,
    tool: Tool | None = None,
    *,
    capabilities: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    frame: str = FRAME,
    width: int = 800,
    height: int = 900,
) -> Host:
    """Open a host that shows the cards, and shake hands. `tool` answers what the cards call."""
    page = browser.page()
    host = Host(page)
    page.open(frame, width=width, height=height)

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        host.asked.append((asked["method"], asked["params"]))
        if asked["method"] != "tools/call" or tool is None:
            return {}
        return tool(asked["params"]["name"], asked["params"]["arguments"])

    page.expose("asked", answer)
    page.run(_bundle() + ";0")
    shown = [PAGE.read_text(encoding="utf-8"), EVERYTHING if capabilities is None else capabilities, context or {}]
    page.run(f"show({', '.join(map(json.dumps, shown))})")
    return host


@cache
def _bundle() -> str:
    program = node()
    made = subprocess.run(
        [program, script("esbuild", "bin/esbuild"), "host.js", "--bundle", "--format=iife", "--target=es2022"],
        cwd=Path(__file__).parent.parent / "cards",
        env={"NODE_PATH": str(MODULES)},
        capture_output=True,
        check=False,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    assert not made.returncode, made.stderr
    return made.stdout
