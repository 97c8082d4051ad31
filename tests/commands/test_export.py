"""The command `export`: the workspace's personas as Markdown, CSV or JSON."""

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from support.command import environment, run
from support.records import record
from support.upstream import Request, Respond, Upstream, always, answer, by_the_page, error_envelope, metadata, upstream

pytestmark = pytest.mark.anyio

TITLES = (["CISO", "Head of Security"], ["ciso", "=cmd()"])


def personas(count: int = 2) -> list[dict[str, Any]]:
    """Return records, of which the list has only the oId and the name."""
    found = []
    for number in range(count):
        one = record(number)
        found.append({**one, "oId": f"pe_{number}", "name": f"Persona {number}"})
        if number < len(TITLES):
            found[number]["data"] = {**one["data"], "commonJobTitles": TITLES[number]}
    return found


def in_full(octave: Upstream) -> Respond:
    """Answer the list with few fields, and each persona in full."""
    records = {one["oId"]: one for one in octave.library}
    octave.library = [{"oId": one["oId"], "name": one["name"]} for one in octave.library]

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if not request.path.endswith("/get"):
            await octave.list_personas(request, writer)
        elif found := records.get(request.query["oId"]):
            writer.write(answer({"_metadata": metadata(usage=0), "data": found}))
        else:
            writer.write(answer(error_envelope("no such persona"), status=404))

    return respond


async def test_all_personas_are_written_in_full_page_by_page(tmp_path: Path) -> None:
    """More than one page of them; how many is said."""
    async with upstream(by_the_page) as octave:
        octave.library = personas(53)
        octave.look_up = in_full(octave)
        ran = await run("export", "--output", str(tmp_path / "p.json"), env=environment(octave))
    assert (ran.code, ran.out, ran.err) == (0, "", "53 of 53 personas written.\n")
    written = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert [one["oId"] for one in written] == [f"pe_{number}" for number in range(53)]
    assert all(one["data"]["painPoints"] for one in written)
    assert octave.requests == []


async def test_a_count_that_is_nonsense_is_not_written() -> None:
    """Octave's word for how many there are is believed only if it may be so."""
    async with upstream(by_the_page) as octave:
        rows = personas()
        octave.look_up = always({"_metadata": metadata(usage=0), **rows[0], "total": 1e308, "data": rows})
        ran = await run("export", "--format", "json", env=environment(octave))
    assert (ran.code, ran.err) == (0, "2 of 2 personas written.\n")


async def test_markdown_is_a_heading_for_each_persona_and_section() -> None:
    """It goes to stdout."""
    async with upstream(by_the_page) as octave:
        octave.library = personas()
        octave.look_up = in_full(octave)
        ran = await run("export", "--text", "Persona 1", env=environment(octave))
        assert ran.code == 0
        assert ran.out.startswith("## Persona 1\n\noId: `pe_1`\n")
        assert "\n### Pain points\n\n- " in ran.out
        assert ran.err == "1 of 1 persona written.\n"


async def test_csv_is_a_row_for_each_persona_and_no_cell_is_a_formula() -> None:
    """What others wrote must not run in a spreadsheet."""
    async with upstream(by_the_page) as octave:
        octave.library = personas()
        octave.look_up = in_full(octave)
        ran = await run("export", "--format", "csv", "pe_1", "pe_0", "pe_1", env=environment(octave))
        titles = await run("export", "--job-titles", env=environment(octave))
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [row["oId"] for row in rows] == ["pe_1", "pe_0"]
    assert rows[0]["commonJobTitles"].splitlines() == ["ciso", "=cmd()"]
    assert rows[1]["painPoints"]
    found = list(csv.DictReader(io.StringIO(titles.out)))
    assert [(row["jobTitle"], row["personas"].splitlines()) for row in found] == [
        ("CISO", ["Persona 0", "Persona 1"]),
        ("Head of Security", ["Persona 0"]),
        ("'=cmd()", ["Persona 1"]),
    ]


async def test_what_goes_wrong_is_told_in_a_line(tmp_path: Path) -> None:
    """No key, an oId that does not exist, options that contradict each other, a file that cannot be written."""
    async with upstream(by_the_page) as octave:
        octave.library = personas()
        octave.look_up = in_full(octave)
        env = environment(octave)
        for arguments, more, code, words in (
            ((), {"OCTAVE_API_KEY": ""}, 2, "No Octave API key is set"),
            ((), {"OCTAVE_API_KEY": "${KEY}"}, 2, "put the value (your Octave key is in Octave: Settings > API Keys)"),
            (("pe_none",), {}, 1, "pe_none: Octave has no persona of this oId. --text finds personas by a word"),
            (("--output", "all.docx"), {}, 1, "all.docx: .docx files cannot be written. Use .md, .csv, .json or .txt"),
            (("--job-titles", "--output", "all.docx"), {}, 2, "all.docx: --job-titles writes CSV. Use a name"),
            (("--job-titles", "--format", "json"), {}, 2, "--job-titles writes CSV: leave --format out"),
            (("pe_0", "--text", "x"), {}, 2, "give oIds or --text, not both"),
            (("--output", str(tmp_path)), {}, 1, f"{tmp_path} cannot be written: Is a directory"),
        ):
            before = octave.connections
            ran = await run("export", *arguments, env={**env, **more})
            assert (ran.code, ran.out) == (code, "")
            assert words in ran.err
            assert "Traceback" not in ran.err
        assert octave.connections == before


async def test_the_sandbox_has_personas_to_export() -> None:
    """It needs no key."""
    ran = await run("export", "--sandbox", "--job-titles", env=environment())
    assert ran.code == 0
    assert ran.out.startswith("jobTitle,personas")
