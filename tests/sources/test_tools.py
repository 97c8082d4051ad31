"""Files through the tools: found by name, sent word for word, reported, and never sent twice."""

import json
import time
from pathlib import Path

import jsonschema
import pytest
from pydantic import SecretStr
from support.file_server import asking, file_server, text_of
from support.http import client as http_client
from support.http import serving
from support.material import INTERVIEW, make_folder
from support.portability import TOOL_RULES
from support.tokens import o200k
from support.upstream import by_the_page, upstream

from octave_mcp.tools import file_sources

pytestmark = pytest.mark.anyio

LIST_TOKENS = 2_800
"""Most tokens (o200k) of all tools, where folders are configured."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a document of each format."""
    folder = tmp_path / "material"
    make_folder(folder)
    return folder


async def test_documents_reach_octave_as_text_and_the_result_says_what_was_sent(folder: Path) -> None:
    """By name, characters, and what was done to each."""
    async with file_server(folder) as (client, octave):
        result = await client.call_tool(
            "generate_personas",
            asking("file:calls/controller.txt", f"file:{folder}/report.docx", "https://example.com"),
        )
    assert not result.is_error
    (asked,) = octave.asked
    assert asked["sources"] == [
        {"type": "TEXT", "value": INTERVIEW},
        {"type": "TEXT", "value": INTERVIEW},
        {"type": "URL", "value": "https://example.com"},
    ]
    count = len(INTERVIEW)
    told = f"calls/controller.txt, {count} characters (UTF-16); report.docx, {count} characters (converted from Word)"
    assert told in text_of(result)
    assert result.structured_content is not None
    assert told in " ".join(result.structured_content["notes"])


async def test_a_file_name_given_as_text_is_not_paid_for(folder: Path) -> None:
    """It says nothing of a person, and the message says how files are given; a text about a file is a text."""
    whole = f"{folder}/report.docx"
    async with file_server(folder) as (client, octave):
        for name in ("calls/controller.md", whole):
            source = {"type": "TEXT", "value": name}
            result = await client.call_tool("generate_personas", {"personas": [{"name": "X", "sources": [source]}]})
            assert result.is_error
            assert f"personas[0].sources[0]: {name} is a file's name and not its text" in text_of(result)
        assert octave.requests == []
        source = {"type": "TEXT", "value": "She keeps her numbers in missing.md"}
        await client.call_tool("generate_personas", {"personas": [{"name": "X", "sources": [source]}]})
        result = await client.call_tool("generate_personas", asking("calls/controller.md"))
        assert "or file: and the name of a file" in text_of(result)
    assert len(octave.requests) == 1


async def test_a_repeat_is_the_same_request_while_the_content_is_the_same(folder: Path) -> None:
    """Wherever the file is, and however it is addressed; once it has changed, it is another request."""
    note = folder / "calls" / "controller.md"
    async with file_server(folder, allow_same_name=True) as (client, octave):
        await client.call_tool("generate_personas", asking("file:calls/controller.md"))
        (folder / "copy.md").write_bytes(note.read_bytes())
        for address in ("file:calls/controller.md", f"file:{note}", "file:copy.md"):
            again = await client.call_tool("generate_personas", asking(address))
            assert not again.is_error
        assert len(octave.requests) == 1
        note.write_text("They changed their mind.")
        await client.call_tool("generate_personas", asking("file:calls/controller.md"))
    assert len(octave.requests) == 2


async def test_one_unreadable_file_sends_nothing_and_is_named_with_its_reason(folder: Path) -> None:
    """Also if it is one of many personas; misspelt fields come first, before any file is read."""
    (folder / "scan.txt").write_bytes(b"\x89PNG\0")
    personas = [*asking("file:survey.csv")["personas"], *asking("file:scan.txt", name="Bo")["personas"]]
    async with file_server(folder) as (client, octave):
        result = await client.call_tool("generate_personas", {"personas": personas})
        misspelt = await client.call_tool("generate_personas", {"personas": personas, "playbook": "pb_1"})
        latest = await client.call_tool("get_generation", {})
    assert octave.requests == []
    assert result.is_error
    assert "personas[1].sources[0]: file:scan.txt is no text" in text_of(result)
    assert "nothing was charged" in text_of(result)
    assert "playbookOId" in text_of(misspelt)
    assert "scan.txt" not in text_of(misspelt)
    assert "gen_" not in text_of(latest)


async def test_the_files_are_listed_page_by_page(folder: Path) -> None:
    """Name, size and day; by any words of the name."""
    for number in range(30):
        (folder / f"interview_{number:02}.md").write_text("x" * 1500)
    async with file_server(folder) as (client, _):
        page = await client.call_tool("list_library", {"kind": "files", "limit": 5})
        found = await client.call_tool("list_library", {"kind": "files", "text": "interview 07"})
        none = await client.call_tool("list_library", {"kind": "files", "text": "zebra", "limit": 1})
        offerings = await client.call_tool("list_library", {"kind": "offerings"})
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "list_library"]
    assert page.structured_content is not None
    assert tool.output_schema is not None
    jsonschema.validate(page.structured_content, tool.output_schema)
    assert page.structured_content["total"] == 43
    assert [row["name"] for row in page.structured_content["rows"]][:2] == [
        "calls/controller.md",
        "calls/controller.srt",
    ]
    assert '"offset": 5' in page.structured_content["more"]
    assert found.structured_content is not None
    (row, *_) = found.structured_content["rows"]
    assert (row["name"], row["size"]) == ("interview_07.md", "1.5 kB")
    assert f"- interview_07.md (1.5 kB, {row['changed']})" in text_of(found)
    assert "so all are listed" in text_of(none)
    assert offerings.structured_content is not None
    assert offerings.structured_content["rows"] == []


async def test_names_that_an_address_cannot_have_as_they_are_come_with_a_value(tmp_path: Path) -> None:
    """A percent sign, two blanks in a row, and a name that two folders have: what is listed can be used."""
    for name in ("a/50%25.md", "a/two  blanks.md", "a/both.md", "b/both.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    async with file_server(tmp_path / "a", tmp_path / "b") as (client, octave):
        listed = await client.call_tool("list_library", {"kind": "files"})
        assert listed.structured_content is not None
        rows = listed.structured_content["rows"]
        values = [row.get("value", f"file:{row['name']}") for row in rows]
        result = await client.call_tool("generate_personas", asking(*values))
    assert not result.is_error
    assert all("value" in row for row in rows)
    assert all(value in text_of(listed) for value in values)
    assert {source["value"] for source in octave.asked[0]["sources"]} == {
        *("a/50%25.md", "a/two  blanks.md", "a/both.md", "b/both.md")
    }


async def test_a_huge_folder_says_that_the_list_is_not_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends in time."""
    monkeypatch.setattr("octave_mcp.sources.listing.MAX_ENTRIES", 3)
    async with file_server(folder) as (client, _):
        listed = await client.call_tool("list_library", {"kind": "files"})
    assert "only the first files" in text_of(listed)


async def test_tools_with_files_keep_the_rules_and_the_budget(folder: Path) -> None:
    """They mention files; in 2,800 tokens, and each description in 2 KB."""
    async with file_server(folder) as (client, _):
        tools = (await client.list_tools()).tools
    assert [broken for tool in tools for rule in TOOL_RULES for broken in rule(tool)] == []
    listed = {"tools": [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]}
    assert o200k(json.dumps(listed, ensure_ascii=False, separators=(",", ":"))) <= LIST_TOKENS
    by_name = {tool.name: tool.model_dump_json() for tool in tools}
    assert {name for name, text in by_name.items() if "file" in text} >= {"generate_personas", "list_library"}
    assert all(len((tool.description or "").encode()) < 2048 for tool in tools)


async def test_a_disk_that_does_not_answer_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent, and the call ends."""

    def hangs(*_: object, **__: object) -> None:
        time.sleep(1.5)

    monkeypatch.setattr(file_sources, "read_files", hangs)
    monkeypatch.setattr(file_sources, "GRACE_SECONDS", 0.0)
    async with file_server(folder, wait_seconds=1) as (client, octave):
        result = await client.call_tool("generate_personas", asking("file:survey.csv"))
    assert result.is_error
    assert "disk does not answer" in text_of(result)
    assert octave.requests == []


async def test_over_http_the_folders_are_those_of_the_server(folder: Path) -> None:
    """And no caller's."""
    async with (
        upstream(by_the_page) as octave,
        serving(base_url=octave.url, api_key=SecretStr("sk-canary-0123456789"), folders=(folder,)) as url,
        http_client(url) as client,
    ):
        listed = await client.call_tool("list_library", {"kind": "files", "text": "survey json"})
        result = await client.call_tool("generate_personas", asking("file:survey.csv"))
        outside = await client.call_tool("generate_personas", asking(f"file:{folder.parent}/survey.csv"))
    assert "survey.json" in text_of(listed)
    assert not result.is_error
    assert outside.is_error
    assert [INTERVIEW in one["sources"][0]["value"] for one in octave.asked] == [True]
