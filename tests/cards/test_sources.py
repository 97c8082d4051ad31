"""The sources of the persona cards, and the page that is built from them."""

import subprocess
import sys

from support.cards_page import SOURCES, build
from support.npm import node, script

from octave_mcp.cards.mcp_app import PAGE

SECONDS = 60.0
MAX_LINES = 350


def test_the_page_is_built_from_its_sources() -> None:
    """The built file is committed, so that an installation needs no Node; `make cards` builds it anew."""
    assert PAGE.read_text(encoding="utf-8") == build(), "cards/ has changed since the page was built: run `make cards`"


def test_the_types_of_the_sources_hold() -> None:
    """They are plain JavaScript with types in comments, which the TypeScript compiler checks strictly."""
    command = [node(), script("typescript", "bin/tsc"), "--project", str(SOURCES)]
    checked = subprocess.run(command, capture_output=True, check=False, text=True, encoding="utf-8", timeout=SECONDS)
    assert not checked.returncode, checked.stdout


def test_the_modules_are_short_and_say_what_they_are() -> None:
    """As those of the package do."""
    for path in SOURCES.glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("// "), path.name
        assert len(text.splitlines()) <= MAX_LINES, path.name


def test_the_rules_for_mcp_apps_are_kept() -> None:
    """Those of `mcp-app-check`, which reads the package, the page in it included, and runs nothing."""
    command = [sys.executable, "-m", "mcp_app_check", str(PAGE.parent.parent), "--fail-on=warning"]
    checked = subprocess.run(command, capture_output=True, check=False, text=True, encoding="utf-8", timeout=SECONDS)
    assert not checked.returncode, checked.stdout
