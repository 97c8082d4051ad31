"""The programs in examples/, unchanged: with the sandbox, with an Octave that fails, and with a model on loopback."""

import asyncio
import csv
import json
import re
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.command import Ran, ended, environment
from support.http import until
from support.library import Library
from support.ports import free_ports
from support.scripted_model import scripted_model
from support.upstream import Request, Upstream, answer, error_envelope, metadata, page_answer, upstream

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
NOTES = sorted(EXAMPLES.glob("notes/*.md"))
SEGMENTS = EXAMPLES / "segments.csv"
FRAMEWORKS = ROOT / "tests" / "clients" / ".venv" / "bin" / "python"
with_frameworks = pytest.mark.skipif(
    not FRAMEWORKS.exists(),
    reason="the agent frameworks are not installed",
)


async def begun(program: str, *arguments: object, env: dict[str, str], python: object = sys.executable) -> Process:
    """An example, under way in its folder, with this environment's `octave-personas-mcp`."""
    path = f"{Path(sys.executable).parent}:{env['PATH']}"
    return await asyncio.create_subprocess_exec(
        *map(str, (python, program, *arguments)),
        stdin=PIPE if python == FRAMEWORKS else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=EXAMPLES,
        env=env | {"PATH": path},
    )


async def talking(program: str, about: str, octave: Upstream | None, scripted: Upstream) -> Process:
    """An example with a model, under way."""
    env = environment(octave, OPENAI_BASE_URL=f"{scripted.url}/v1", OPENAI_API_KEY="none")
    return await begun(program, about, "openai-chat:scripted", env=env, python=FRAMEWORKS)


def quiet(octave: Upstream) -> dict[str, str]:
    """Return an environment in which a look-up that is tried again logs nothing."""
    return environment(octave, OCTAVE_MCP_LOG_LEVEL="ERROR")


async def ran(program: str, *arguments: object, env: dict[str, str] | None = None) -> Ran:
    """An example, run to its end."""
    return await ended(await begun(program, *arguments, env=env or environment()))


@dataclass
class Workspace:
    """An Octave that keeps what it makes."""

    refused: set[str] = field(default_factory=set)
    """Names that it makes no persona of."""
    listing: bool = True
    go: asyncio.Event = field(default_factory=asyncio.Event)
    """Until then it answers no POST."""
    library: Library = field(default_factory=lambda: Library(personas=[]))

    @asynccontextmanager
    async def serving(self, *, held: bool = False) -> AsyncIterator[Upstream]:
        """Serve it."""
        if not held:
            self.go.set()
        async with upstream(self.make) as octave:
            octave.look_up = self.look_up
            yield octave

    async def make(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Make what is asked for."""
        if self.refused & {one["name"] for one in request.json["personas"]}:
            writer.write(answer(error_envelope("The page cannot be read."), status=422))
            return
        await self.go.wait()
        made = page_answer(request)
        self.library.personas += made["data"]
        writer.write(answer(made))

    async def look_up(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Show what there is, or, where the list lags behind, only who asks for it by its oId."""
        if self.listing or not request.path.endswith("list"):
            await self.library(request, writer)
        else:
            writer.write(answer({"_metadata": metadata(usage=0), "hasNext": False, "total": 0, "data": []}))


# --- What is there ----------------------------------------------------------------------------------------------------


def test_the_table_has_each_program_with_the_command_that_its_first_lines_have() -> None:
    """And nothing that is not there."""
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\((.+?)\) \| .+ \| `(.+)` \|$", table, re.MULTILINE)
    programs = {one.name for one in EXAMPLES.iterdir() if one.suffix in {".py", ".sh", ".mjs"}}
    assert {name for name, _, _ in rows} == programs
    for name, link, command in rows:
        assert link == name
        assert command in (EXAMPLES / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", table):
        assert link.startswith("https://") or (EXAMPLES / link).exists(), link


# --- A report -------------------------------------------------------------------------------------------------------


async def test_segments_become_a_report(tmp_path: Path) -> None:
    """Those that are shipped, with made-up data since no key is set."""
    report = tmp_path / "report.md"
    made = await ran("research.py", SEGMENTS, report)
    assert (made.code, made.err) == (0, "")
    text = report.read_text(encoding="utf-8")
    with SEGMENTS.open(encoding="utf-8", newline="") as file:
        segments = list(dict.fromkeys(row["name"] for row in csv.DictReader(file)))
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == segments
    assert len(re.findall(r"^oId: `pe_\w+`$", text, re.MULTILINE)) == len(segments)
    for title in ("Titles", "Objectives", "Pain points", "Why we matter to them", "Questions"):
        assert text.count(f"### {title}\n\n- ") == len(segments)


async def test_a_second_run_of_the_research_creates_only_what_failed(tmp_path: Path) -> None:
    """What was pending is collected; what failed is told, on the terminal and in the report, as by the exit code."""
    report, segments = tmp_path / "report.md", tmp_path / "segments.csv"
    segments.write_text("name,source\nA <b>,notes\nB,https://example.com\nB,more\n", encoding="utf-8")
    octave = Workspace(refused={"B"})
    async with octave.serving(held=True) as sent:
        env = environment(sent, OCTAVE_MCP_WAIT_SECONDS="2", OCTAVE_MCP_LOG_LEVEL="ERROR")
        running = await begun("research.py", segments, report, env=env)
        await until(lambda: len(sent.requests) == 2)
        await asyncio.sleep(2)  # the first call answers with pending
        octave.go.set()
        first = await ended(running)
        assert (first.code, first.err) == (1, "")
        assert "1 of 2 are in " in first.out
        text = report.read_text(encoding="utf-8")
        assert "## A \\<b\\>\n" in text
        assert "The page cannot be read." in text.split("## Failed")[1]
        octave.refused.clear()
        second = await ran("research.py", segments, report, env=quiet(sent))
    assert (second.code, second.err) == (0, "")
    assert "2 names, of which 1 have no persona yet" in second.out
    assert sorted(one["name"] for one in sent.asked) == ["A <b>", "B", "B"]
    assert sent.asked[-1]["sources"] == [
        {"type": "URL", "value": "https://example.com"},
        {"type": "TEXT", "value": "more"},
    ]
    assert re.findall(r"^## (.*)$", report.read_text(encoding="utf-8"), re.MULTILINE) == [r"A \<b\>", "B"]


async def test_the_research_after_ctrl_c_is_handed_what_was_asked_for(tmp_path: Path) -> None:
    """Also where Octave's list does not show it yet: the server's record does."""
    report, segments = tmp_path / "report.md", tmp_path / "segments.csv"
    segments.write_text("name,source\nA,notes\nB,notes\n", encoding="utf-8")
    octave = Workspace(listing=False)
    async with octave.serving(held=True) as sent:
        first = await begun("research.py", segments, report, env=quiet(sent))
        await until(lambda: len(sent.requests) == 2)
        first.send_signal(signal.SIGINT)
        await asyncio.sleep(1)  # it hears that before the answers come, and its server waits longer than that for them
        octave.go.set()
        stopped = await ended(first)
        assert stopped.code == 1
        assert stopped.err.startswith("Interrupted.")
        assert not report.exists()
        second = await ran("research.py", segments, report, env=quiet(sent))
    assert (second.code, second.err) == (0, "")
    assert len(sent.requests) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"segment,source\nA,x\n", "the first line has to name the columns name and source"),
        (b"name,source\nA\n", "line 2: a name or a source is missing"),
        (b"name,source\n", "has no rows"),
        (b"", "the first line has to name"),
        ("name;source\nFührung;x\n".encode("cp1252"), "is not UTF-8"),
        (None, "No such file"),
    ],
    ids=["columns", "source", "rows", "empty", "latin", "none"],
)
async def test_a_table_that_cannot_be_used_is_told_in_a_line(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Neither a traceback nor a report."""
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    told = await ran("research.py", tmp_path / "t.csv", tmp_path / "report.md")
    assert (told.code, told.out, len(told.err.splitlines())) == (1, "", 1)
    assert said in told.err
    assert not (tmp_path / "report.md").exists()


async def test_a_report_that_cannot_be_written_is_told_before_anything_is_paid_for(tmp_path: Path) -> None:
    """A semicolon is fine."""
    (tmp_path / "t.csv").write_text("name;source\nA;notes\n", encoding="utf-8")
    octave = Workspace()
    async with octave.serving() as sent:
        told = await ran("research.py", tmp_path / "t.csv", tmp_path, env=quiet(sent))
        assert (told.code, len(told.err.splitlines()), sent.requests) == (1, 1, [])
        made = await ran("research.py", tmp_path / "t.csv", tmp_path / "report.md", env=quiet(sent))
    assert made.code == 0
    assert [one["name"] for one in sent.asked] == ["A"]


async def test_the_shortest_program_builds_a_persona() -> None:
    """It starts the sandbox itself."""
    made = await ran("hello.py")
    assert (made.code, made.err) == (0, "")
    assert "CISO (pe_" in made.out


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_a_package_that_is_missing_is_told_in_a_line(example: Path) -> None:
    """`-S` hides what is installed."""
    ran = subprocess.run([sys.executable, "-S", example], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 1
    assert re.fullmatch(r"No module named .*The first lines of this file say what to install\.\n", ran.stderr)


@pytest.mark.parametrize("program", [[sys.executable, "hello.py"], ["/bin/sh", "team_server.sh"]])
def test_a_command_that_is_missing_is_told_in_a_line(program: list[str], tmp_path: Path) -> None:
    """Nothing is written before."""
    script = EXAMPLES / program[1]
    ran = subprocess.run(
        [program[0], script], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.returncode, list(tmp_path.iterdir())) == (1, [])
    assert ran.stderr == "The command octave-personas-mcp was not found: install it first.\n"


async def test_the_research_says_why_nothing_can_be_done(tmp_path: Path) -> None:
    """A key that Octave does not know, before anything is asked for."""

    async def refuse(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(error_envelope("Unknown key."), status=401))

    async with upstream(refuse) as octave:
        octave.look_up = refuse
        told = await ran("research.py", SEGMENTS, tmp_path / "report.md", env=environment(octave))
    assert told.code == 1
    assert "OCTAVE_API_KEY" in told.out
    assert octave.requests == []


# --- A team's server --------------------------------------------------------------------------------------------------


async def test_a_team_is_served_to_whoever_has_a_token(tmp_path: Path) -> None:
    """The token is made at the first start, for its owner's eyes only."""
    (port,) = free_ports(1)
    url, tokens = f"http://127.0.0.1:{port}/mcp", tmp_path / "tokens"
    env = environment(OCTAVE_MCP_TOKENS_FILE=str(tokens))
    server = await begun("team_server.sh", port, env=env, python="sh")
    try:
        await until(lambda: _ready(url))
        assert tokens.stat().st_mode & 0o077 == 0
        token, wrong = tokens.read_text(encoding="utf-8").strip(), "0" * 64
        let_in, turned_away = await asyncio.gather(
            *(ran("team_client.py", url, *NOTES, env=environment(PERSONAS_TOKEN=one)) for one in (token, wrong))
        )
    finally:
        server.send_signal(signal.SIGTERM)
        stopped = await ended(server)
    assert (let_in.code, let_in.err) == (0, "")
    assert "VP of Sales (pe_" in let_in.out
    assert f"Status complete: {len(NOTES)} of {len(NOTES)} personas created" in let_in.out
    assert (turned_away.code, turned_away.err) == (1, "The server rejected this token.\n")
    assert token not in stopped.out + stopped.err
    assert stopped.code == 128 + signal.SIGTERM


def _ready(url: str) -> bool:
    try:
        return httpx.get(url.replace("/mcp", "/readyz")).is_success
    except httpx.TransportError:
        return False


# --- With a model -----------------------------------------------------------------------------------------------------


@with_frameworks
async def test_a_chat_builds_personas_from_notes_after_a_yes_and_not_after_a_no() -> None:
    """A model that errs is shown its errors, and the turn goes on."""
    note = NOTES[0].read_text(encoding="utf-8")
    body = {"personas": [{"name": "CISO", "sources": [{"type": "TEXT", "value": note}]}]}
    misspelt = {"personas": [{"name": "CISO", "sourcs": []}]}
    acts: Iterator[str | dict[str, Any]] = iter(
        (
            {"list_notes": {}},
            {"read_note": {"name": NOTES[0].name}},
            {"generate_personas": body},
            "No, then.",
            {"generate_personas": misspelt},
            {"generate_personas": misspelt},
            {"generate_personas": body},
            "There it is.",
        )
    )
    shown: list[str] = []

    def says(request: dict[str, Any]) -> str | dict[str, Any]:
        shown.append(request["messages"][-1]["content"])
        return next(acts)

    async with Workspace().serving() as octave, scripted_model(says) as scripted:
        chat = await talking("chat_agent.py", "notes", octave, scripted)
        talk = await ended(chat, b"Build one.\nn\nAs before.\ny\ny\ny\n\n")
    assert (talk.code, talk.err) == (0, "")
    assert shown[1:3] == [json.dumps([one.name for one in NOTES], separators=(",", ":")), note]
    assert shown[3].startswith("The user said no.")
    assert ["did you mean sources?" in one for one in shown[4:]] == [False, True, True, False]
    assert '"status":"complete"' in shown[7]
    assert [request.json for request in octave.requests] == [body]
    assert talk.out.count("To be created in Octave, for credits: ") == 4
    assert "1 of 1 ready" in talk.out
    assert "There it is." in talk.out


@with_frameworks
async def test_a_persona_is_interviewed_until_the_user_says_stop() -> None:
    """The model is given the server's prompt, with the record."""
    shown: list[str] = []

    def says(request: dict[str, Any]) -> str:
        shown.append(request["messages"][-1]["content"])
        return f"Answer {len(shown)}."

    async with scripted_model(says) as scripted:
        interview = await talking("interview.py", "VP of Sales", None, scripted)
        talk = await ended(interview, b"What keeps you awake?\nstop\n")
    assert (talk.code, talk.err) == (0, "")
    assert shown[0].startswith("Play the persona")
    assert "VP of Sales (pe_" in shown[0]
    assert shown[1:] == ["What keeps you awake?", "stop"]
    assert re.findall(r"Answer \d\.", talk.out) == ["Answer 1.", "Answer 2.", "Answer 3."]
