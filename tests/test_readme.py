"""The README claims what is so: its generated tables, its tools, and the messages that it quotes."""

import re
from pathlib import Path

import pytest
from mcp import Client
from support import documents

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings
from octave_mcp.tools.schemas import GENERATE_PERSONAS

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

MAX_LINES = 260
"""Lines of the README: it is for the first five minutes, and `docs/` has the rest."""


@pytest.mark.parametrize("path", documents.DOCUMENTS)
def test_each_generated_part_of_the_documentation_is_as_the_code_has_it(path: str) -> None:
    """Run `make docs` if this fails."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert text.count("<!-- make docs: ") == text.count("<!-- end -->") > 0
    assert documents.written(text) == text


def test_the_readme_is_short_and_has_the_picture() -> None:
    """It begins with what this is, and shows it."""
    assert len(README.splitlines()) <= MAX_LINES
    assert "(docs/chat.png)" in README.split("## Quick start")[0]


async def test_the_tools_tables_name_every_argument_and_every_look_up() -> None:
    """They name no other."""
    section = README.split("## The tools")[1].split("\n## ")[0]
    async with Client(build_server(Settings(sandbox=True))) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
    named = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert named == set(GENERATE_PERSONAS["properties"]) | tools - {"generate_personas", "get_generation"}
    assert all(f"`{tool}`" in section for tool in tools)


async def test_the_prompts_are_named() -> None:
    """A client shows them by these names."""
    async with Client(build_server(Settings(sandbox=True))) as client:
        prompts = {prompt.name for prompt in (await client.list_prompts()).prompts}
    assert len(prompts) > 1
    assert all(f"`{prompt}`" in README for prompt in prompts)


def test_what_the_readme_quotes_is_what_the_program_says() -> None:
    """The messages in the table of what goes wrong are found in the code."""
    table = README.split("## If something goes wrong")[1].split("\n## ")[0]
    messages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "octave_mcp").rglob("*.py"))
    messages = re.sub(r'"\s*\n\s*f?"', "", messages)
    rows = table.split("| client | log |")[0]
    found = re.findall(r"^\| \*(.+?)\* \|", rows, re.MULTILINE)
    quotes = [part.strip() for quote in found for part in quote.split("...")]
    assert len(quotes) >= 8
    assert [part for part in quotes if part not in messages] == []


def test_the_numbers_in_the_text_are_those_of_the_settings() -> None:
    """Defaults stand in sentences too: 45 seconds, 25 personas, 6,000 tokens, 24 hours."""
    settings = Settings()
    for words in (
        f"After {settings.wait_seconds:g} seconds",
        f"at most {settings.max_personas_per_call} personas",
        f"within {settings.result_tokens:,} tokens",
        f"within {settings.replay_seconds / 3600:g} hours creates nothing twice",
    ):
        assert words in README
    assert settings.max_personas_per_day is settings.max_credits_per_day is None
    assert settings.confirm == "never"
    assert not settings.allow_same_name
