"""The README claims what is so: its settings, its configurations, its commands, its links."""

import re
from pathlib import Path

import pytest
from mcp import Client
from support import documents

from octave_mcp.cli import main
from octave_mcp.server.app import build_server
from octave_mcp.server.schemas import GENERATE_PERSONAS
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", documents.DOCUMENTS)
def test_each_generated_part_of_the_documentation_is_as_the_code_has_it(path: str) -> None:
    """Run `make docs` if this fails."""
    text = (ROOT / path).read_text(encoding="utf-8")
    assert text.count("<!-- make docs: ") == text.count("<!-- end -->") > 0
    assert documents.written(text) == text


def test_every_command_of_ours_is_one() -> None:
    """In the shell blocks of the README."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in lines:
        words = line.split()
        if words[0] == "make":
            assert words[1] in targets
        if words[0] == "octave-personas-mcp":
            with pytest.raises(SystemExit) as ended:
                main([*words[1:], "--help"])
            assert ended.value.code == 0
    assert {"make", "octave-personas-mcp"} <= {line.split()[0] for line in lines}


def test_every_link_into_the_repository_leads_somewhere() -> None:
    """From the README and from the guide for contributors."""
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("https://") or (ROOT / link).exists(), link


async def test_the_tools_tables_name_every_argument_and_every_look_up() -> None:
    """And no other."""
    section = README.split("## The tools")[1].split("## Settings")[0]
    async with Client(build_server(Settings(sandbox=True))) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
    named = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert named == set(GENERATE_PERSONAS["properties"]) | tools - {"generate_personas", "get_generation"}
    assert all(f"`{tool}`" in section for tool in tools)


def test_what_the_readme_quotes_is_what_the_program_says() -> None:
    """In the table of what goes wrong."""
    table = README.split("## When something goes wrong")[1].split("## More commands")[0]
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "octave_mcp").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    found = re.findall(r"^\| \*(.+?)\* \|", table, re.MULTILINE)
    quotes = [part.strip() for quote in found for part in quote.split("...")]
    assert len(quotes) >= 8
    assert [part for part in quotes if part not in said] == []


def test_no_document_has_anyone_install_the_other_package() -> None:
    """PyPI's `octave-mcp` is someone else's."""
    texts = [path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *ROOT.glob("examples/**/*.*"))]
    assert not re.search(r"(?:pip install|uvx|uv tool install|pipx \w+) octave-personas-mcp", "\n".join(texts))
    assert "someone else's" in README
    assert "not affiliated with Octave" in README
