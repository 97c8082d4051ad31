"""The guide of `deploy/` says what the code does."""

import re
from pathlib import Path

from octave_mcp.http.settings import HttpSettings
from octave_mcp.settings import setting_name

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GUIDE = (DEPLOY / "README.md").read_text(encoding="utf-8")


def test_the_guides_links_and_quotes_are_so() -> None:
    """What it says is answered is what the code answers."""
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE):
        assert link.startswith("https://") or (DEPLOY / link).exists(), link
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "octave_mcp").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    table = GUIDE.split("## When something goes wrong")[1]
    quotes = [quote for quote in re.findall(r"\*([^*]+)\*", table) if quote != "insufficient_scope"]
    assert len(quotes) >= 5
    assert [quote for quote in quotes if quote not in said] == []
    names = {setting_name(name) for name in HttpSettings.model_fields}
    assert set(re.findall(r"OCTAVE_[A-Z_]+[A-Z]", GUIDE)) <= names
