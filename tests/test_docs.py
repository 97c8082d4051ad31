"""The documents say what is so: commands, links, settings, configurations, and the repository's one address."""

import argparse
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.readme import BEGIN, END

from octave_mcp import cli
from octave_mcp.clients.table import BY_NAME
from octave_mcp.http.settings import HttpSettings
from octave_mcp.settings import Settings, setting_name
from octave_mcp.sources import formats
from octave_mcp.sources.folders import MAX_FILE_BYTES, is_private
from octave_mcp.sources.plain_text import MAX_CHARACTERS, MAX_PLAIN_BYTES
from octave_mcp.sources.resolve import MAX_CALL_BYTES, MAX_CALL_CHARACTERS, RequestWithFiles

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), ROOT / "deploy/README.md"]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]

BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())

OTHER_VARIABLES = {"OCTAVE_MCP_TOKEN"}
"""What a client sends to a team server: a variable of the client's, not a setting."""

COMMAND = "octave-personas-mcp"

EXAMPLES = {"CLIENT": "cursor", "COMMAND": "doctor"}
"""Words in capitals that stand for one of a few values, and such a value."""


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def command_lines(text: str) -> Iterator[list[str]]:
    """Yield the words of each command line of ours, in shell blocks and in the running text."""
    lines = [line for block in blocks(text, "sh") for line in block.replace("\\\n", " ").splitlines()]
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    inline = re.findall(r"`([^`]+)`", without_blocks)
    for line in [*lines, *(" ".join(words.split()) for words in inline)]:
        words = shlex.split(line, comments=True) if COMMAND in line else []
        if COMMAND in words and "build" not in words:
            last = len(words) - words[::-1].index(COMMAND)
            end = words.index("--method") if "--method" in words else None  # the rest is the Inspector's
            yield words[last:end]


def parsed(line: list[str]) -> argparse.Namespace | str | int | None:
    """Return the options of a command line, or the exit code of one that ends at once, such as with `--help`."""
    try:
        return cli._parser().parse_args(line)
    except SystemExit as ended:
        return ended.code


@every_document
def test_every_command_line_of_ours_is_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The program's own parser takes it; words in capitals stand for a value."""
    for words in command_lines(path.read_text(encoding="utf-8")):
        line = [EXAMPLES.get(word, word) for word in words]
        options = parsed(line)
        if isinstance(options, argparse.Namespace):
            assert getattr(options, "client", None) in {None, *BY_NAME}, f"{line}: no such client"
        else:
            assert options == 0, f"{line}: {capsys.readouterr().err}"


@every_document
def test_every_target_of_make_is_one(path: Path) -> None:
    """In shell blocks and in the running text."""
    targets = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:^|`)make ([\w-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= set(" ".join(targets).split())


def anchor(heading: str) -> str:
    """Return the anchor that Markdown pages give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@every_document
def test_every_link_leads_somewhere(path: Path) -> None:
    """To a file of the repository, and to a heading in it, or to an address with https."""
    text = re.sub(r"`[^`\n]*`", "", path.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https://|cursor:|vscode:", link):
            continue
        name, _, heading = link.partition("#")
        target = (path.parent / name) if name else path
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in map(anchor, headings), link


@every_document
def test_every_setting_that_is_named_exists(path: Path) -> None:
    """A name that ends in `*` or `_` stands for several."""
    names = {setting_name(name) for name in (*Settings.model_fields, *HttpSettings.model_fields)} | OTHER_VARIABLES
    named = re.findall(r"\bOCTAVE_(?:MCP_|API_|BASE_)[A-Z_]*[A-Z]\b(?![*_])", path.read_text(encoding="utf-8"))
    assert set(named) <= names


@every_document
def test_every_configuration_can_be_read(path: Path) -> None:
    """The blocks of JSON and TOML."""
    text = path.read_text(encoding="utf-8")
    for block in blocks(text, "json"):
        json.loads(block)
    for block in blocks(text, "toml"):
        tomllib.loads(block)


@every_document
def test_the_repositorys_address_is_that_of_the_project(path: Path) -> None:
    """It stands in `[project.urls]`: change it there, and then in the documents that this test names."""
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"(?:git\+|git clone )(https?://[^\s`'\")]+)", text)
    named += re.findall(r"https?://[^\s`'\")]+/octave-personas-mcp(?:\.git)?\b", text)
    assert {address.removesuffix(".git") for address in named} <= {REPOSITORY}


@every_document
def test_no_document_names_what_is_gone_or_installs_another_package(path: Path) -> None:
    """PyPI's `octave-mcp` is a different project."""
    text = path.read_text(encoding="utf-8")
    gone = r"redis|nginx|packaging/|handed over|PERSONAS_PER_REQUEST|IGNORED_ARGUMENTS|uncollected"
    assert not re.search(gone, text, re.IGNORECASE)
    assert not re.search(r"(?:pip install|uvx|uv tool install|pipx \w+) octave-mcp\b", text)


def test_the_readme_says_what_this_is_not() -> None:
    """A person could take it for Octave's own, or for another package."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "not affiliated with Octave" in readme
    assert "`octave-mcp` on PyPI is a different project" in " ".join(readme.split())
    install = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    warned = ["is a placeholder until the project is published" in text for text in (readme, install)]
    assert warned == ["//example.com/" in REPOSITORY] * 2, "the documents say so as long as it is one"


def test_the_readme_leads_to_every_page() -> None:
    """No page of `docs/` is without a link from the README, directly or by a page that it links."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(docs/([\w-]+\.md)", readme))
    for name in list(linked):
        linked |= set(re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs" / name).read_text(encoding="utf-8")))
    assert {page.name for page in ROOT.glob("docs/*.md")} == linked


@every_document
def test_every_file_that_is_named_is_there(path: Path) -> None:
    """A path that begins with a folder of the repository leads to something."""
    folders = r"octave_mcp|tests|examples|deploy|docs|app"
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", path.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@every_document
def test_every_body_that_is_shown_is_one_of_the_api(path: Path) -> None:
    """It can be pasted into a file and given to `generate`, which takes addresses of files too."""
    for block in blocks(path.read_text(encoding="utf-8"), "json"):
        body = json.loads(block)
        if "personas" in body:
            assert RequestWithFiles.model_validate(body).personas


def test_the_quick_start_writes_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lines are run as they are, for a client that every platform has."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    start = (ROOT / "README.md").read_text(encoding="utf-8").split("## Quick start")[1].split("\n## ")[0]
    lines = [line for line in command_lines(start) if line and line[0] == "config" and "--write" in line]
    assert len(lines) == 2
    entries = []
    for line in lines:
        assert cli.main([word.replace("claude-desktop", "cursor") for word in line]) == 0, capsys.readouterr().err
        (entry,) = json.loads((tmp_path / ".cursor" / "mcp.json").read_text(encoding="utf-8"))["mcpServers"].values()
        entries.append(entry)
    sandbox, workspace = entries
    assert "--sandbox" in sandbox["args"]
    assert Path(workspace["env"]["OCTAVE_API_KEY_FILE"]) == tmp_path / "octave.key"
    assert "--sandbox" not in workspace["args"]


def test_the_benchmarks_have_a_place_for_their_table() -> None:
    """`make bench-chat BENCH='--readme docs/benchmarks.md'` writes between these markers."""
    assert len(re.findall(f"^{BEGIN}\n(?:.*\n)*?{END}$", BENCHMARKS, re.MULTILINE)) == 1


def test_the_page_about_files_has_every_ending_and_every_limit() -> None:
    """A new format or another limit has to be written there too."""
    page = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    table, limits = page.split("## What can be read")[1].split("## ")[0].split("| limit |")
    assert set(re.findall(r"`(\.\w+)`", table)) == set(formats.FORMATS)
    (extra,) = (line for line in table.splitlines() if "`documents`" in line)
    needing = {ending for ending, kind in formats.FORMATS.items() if kind in formats.DOCUMENTS}
    assert set(re.findall(r"`(\.\w+)`", extra)) == needing
    sizes = (MAX_FILE_BYTES, MAX_PLAIN_BYTES, MAX_CALL_BYTES)
    assert re.findall(r"(\d+) MB", limits) == [str(most // 2**20) for most in sizes]
    assert re.findall(r"([\d,]+) characters", limits) == [f"{most:,}" for most in (MAX_CHARACTERS, MAX_CALL_CHARACTERS)]
    (names,) = (line for line in page.splitlines() if "named like keys" in line)
    assert all(is_private(name) for name in re.findall(r"`([^`]+)`", names))
