"""Files as sources of the command `generate`, relative to the folders of its environment or its arguments."""

import json
from pathlib import Path

import pytest
from support.command import environment, run
from support.material import INTERVIEW, make_folder
from support.upstream import by_the_page, upstream

pytestmark = pytest.mark.anyio


async def test_the_command_reads_files_and_says_what_it_read(tmp_path: Path) -> None:
    """In a body, or in a table, where an address that begins with `file:` is one."""
    make_folder(tmp_path)
    (tmp_path / "table.csv").write_text("name,source\nController,file:calls/controller.vtt\n", encoding="utf-8")
    async with upstream(by_the_page) as octave:
        table = str(tmp_path / "table.csv")
        ran = await run("--folder", str(tmp_path), "generate", table, env=environment(octave))
    assert ran.code == 0
    assert octave.asked == [{"name": "Controller", "sources": [{"type": "TEXT", "value": f"Ada: {INTERVIEW}"}]}]
    assert f"Read: calls/controller.vtt, {len(INTERVIEW) + 5} characters (without time stamps)" in ran.err


async def test_a_file_that_cannot_be_read_sends_nothing(tmp_path: Path) -> None:
    """The exit code is 1, and stderr names the file and the reason; without folders, what to set."""
    body = {"personas": [{"name": "A", "sources": [{"type": "URL", "value": "file:../secret.md"}]}]}
    async with upstream(by_the_page) as octave:
        folders = environment(octave, OCTAVE_MCP_FOLDERS=str(tmp_path))
        ran = await run("generate", "-", env=folders, stdin=json.dumps(body))
        without = await run("generate", "-", env=environment(octave), stdin=json.dumps(body))
    assert (ran.code, without.code, octave.connections) == (1, 1, 0)
    assert "personas[0].sources[0]: file:../secret.md has `..` in its path" in ran.err
    assert "OCTAVE_MCP_FOLDERS" in without.err
    assert "Traceback" not in ran.err + without.err
