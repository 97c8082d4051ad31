"""`octave-personas-mcp generate`: the API's body from a file or stdin, with the server's ledger and guarantees."""

import asyncio
import io
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.command import Ran, ended, environment, run, started
from support.services import until
from support.upstream import (
    HoldsTheSlow,
    Request,
    Respond,
    Upstream,
    answer,
    by_the_page,
    error_envelope,
    metadata,
    timestamp,
    upstream,
)

from octave_mcp import cli
from octave_mcp.commands import output
from octave_mcp.commands.request_files import Unusable, read_request
from octave_mcp.generation.outcome import NameExists
from octave_mcp.octave.errors import Busy, InputProblem, KeyProblem, NoCredits, OctaveError, OutcomeUnknown

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"


def body(*names: str, **more: Any) -> str:
    """The API's body for a persona of each name."""
    return json.dumps(
        {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names], **more}
    )


def with_workspace(octave: Upstream) -> Respond:
    """Answer look-ups of the workspace too, with its credits."""
    credit = {"totalRemaining": 12, "totalMax": 100, "quotaAvailable": 5, "quotaMax": 50, "period": "MONTHLY"}

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path.endswith("/validate"):
            writer.write(answer({"_metadata": metadata(usage=0), "valid": True, "credits": credit}))
        else:
            await octave.list_personas(request, writer)

    return respond


async def test_a_file_becomes_summaries(tmp_path: Path) -> None:
    """What leaves is the body, a persona a POST; without a terminal there is no progress."""
    (tmp_path / "body.json").write_text(body("CISO", "CFO", playbookOId="pb_1"), encoding="utf-8")
    async with upstream(by_the_page) as octave:
        ran = await run("generate", str(tmp_path / "body.json"), env=environment(octave))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Done: 2 of 2 personas, 2 credits. Generation gen_")
    assert ran.out.index("CISO (") < ran.out.index("CFO (")
    assert sorted(one["name"] for one in octave.asked) == ["CFO", "CISO"]
    assert {request.json["playbookOId"] for request in octave.requests} == {"pb_1"}


async def test_stdin_becomes_whole_records_as_json() -> None:
    """As Octave gave them, and nothing else on stdout."""
    async with upstream(by_the_page) as octave:
        ran = await run("generate", "-", "--format", "json", env=environment(octave), stdin=body("CISO"))
    made = json.loads(ran.out)
    assert (ran.code, made["status"], made["usage"], made["failed"]) == (0, "complete", 1, [])
    assert made["personas"][0]["data"]["painPoints"]
    assert made["personas"][0]["workspace"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (body("A", playbook="pb_1"), "playbook: unknown argument; did you mean playbookOId?"),
        (body("A", sessionId="s"), "sessionId: unknown argument"),
        (body(), "personas: must have at least one item"),
        (body(*map(str, range(26))), "the limit for one command is 25: split the file, or set OCTAVE_MCP_MAX_PERSONAS"),
        (" \n", "stdin is empty. It has to hold the API's body"),
        ("name;source\nA;\n", "line 2: source is missing"),
        (
            "segment,source\nA,notes\n",
            "the first line has to name the columns name and source, each once, and type if you like; it has: segment",
        ),
        ("name,source,source\nA,x,y\n", "each once"),
        ("name,source\nA,notes, cut short\n", "line 2: text is outside the named columns"),
        (",source,\nA,notes,\n", "line 2: text is outside the named columns"),
        ('name,source\nA,"notes\nB,more\n', "is not CSV: unexpected end of data"),
        ('name,source\nA,"' + "x" * 200_000, "is not CSV"),
        ('{"personas": ', "is not JSON: "),
        ('{"personas": [], "personas": []}', "personas: comes twice in one object"),
        ("[]", "the body must be a JSON object"),
        ("\x00\x01", "is not JSON"),
    ],
)
def test_input_that_does_not_fit_sends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, words: str
) -> None:
    """What to change is said on stderr. Anything that left would fail, as nothing listens at that address."""
    monkeypatch.setenv("OCTAVE_API_KEY", KEY)
    monkeypatch.setenv("OCTAVE_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert cli.main(["generate", "-"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Nothing was sent to Octave, and nothing was charged." in err


async def test_a_file_that_is_not_there_or_a_key_that_is_missing_is_told(tmp_path: Path) -> None:
    """With exit codes that a script can tell apart."""
    async with upstream(by_the_page) as octave:
        missing = await run("generate", str(tmp_path / "none.json"), env=environment(octave))
        assert (missing.code, octave.connections) == (1, 0)
        assert "cannot be read" in missing.err
        keyless = await run("generate", "-", env={**environment(octave), "OCTAVE_API_KEY": ""}, stdin=body("A"))
    assert keyless.code == 2
    assert "Set OCTAVE_API_KEY" in keyless.err
    assert "--sandbox" in keyless.err


@pytest.mark.parametrize("arguments", [("--sandbox", "generate", "-"), ("generate", "--sandbox", "-")])
async def test_the_sandbox_needs_no_key_and_says_what_it_is(arguments: tuple[str, ...]) -> None:
    """On stderr, so that stdout has the personas only."""
    ran = await run(*arguments, env=environment(), stdin=body("A"))
    assert ran.code == 0
    assert "sample data" in ran.err


async def test_what_did_not_come_back_is_named_and_changes_the_exit_code() -> None:
    """Refused, or lost: with what to do, and never with the key."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        match request.json["personas"][0].get("name"):
            case "refused":
                writer.write(answer(error_envelope(f"Not that source, {KEY}"), status=422))
            case None:
                writer.transport.abort()
            case _:
                await by_the_page(request, writer)

    async with upstream(respond) as octave:
        asked = json.loads(body("A", "refused", "lost"))
        del asked["personas"][2]["name"]  # so that it is not looked for, which takes seconds
        given = json.dumps(asked)
        ran = await run("generate", "-", env=environment(octave), stdin=given)
        assert (ran.code, len(octave.requests)) == (1, 3)
        assert "Partly done: 1 of 3 personas, 1 credit. Generation gen_" in ran.out
        assert "Failed: personas[1]. Octave did not accept the request" in ran.out
        assert "Unknown: personas[2]. The connection to Octave broke" in ran.out
        assert "may exist and have been charged" in ran.out
        again = await run("generate", "-", "--format", "json", env=environment(octave), stdin=given)
    made = json.loads(again.out)
    assert (again.code, [one["name"] for one in made["personas"]]) == (1, ["A"])
    assert [one["personas"] for one in made["failed"]] == ["personas[1]", "personas[2]"]
    assert [one.get("name") for one in octave.asked].count("A") == 1
    assert KEY not in ran.out + ran.err + again.out + again.err


async def test_a_persona_that_may_exist_is_not_said_to_have_failed() -> None:
    """Whoever reads "Failed" asks for it again."""

    async def respond(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with upstream(respond) as octave:
        given = json.dumps({"personas": [{"sources": [{"type": "TEXT", "value": "notes"}]}]})
        ran = await run("generate", "-", env=environment(octave), stdin=given)
    assert ran.code == 1
    assert ran.out.startswith("Not settled: 0 of 1 personas. Generation gen_")
    assert "Failed" not in ran.out


def states(ledger: Path) -> list[str]:
    """Of all items."""
    with closing(sqlite3.connect(ledger)) as rows:
        return [state for (state,) in rows.execute("SELECT state FROM items")]


def interrupted(ran: Ran, code: int = 130) -> str:
    """The command that collects, which an interrupted one told."""
    assert ran.code == code
    assert ran.out == ""
    assert "nothing is charged twice" in ran.err
    (line,) = [line for line in ran.err.splitlines() if "--collect" in line]
    return line.rpartition(" ")[2]


async def test_ctrl_c_says_how_to_collect_the_rest_and_nothing_is_charged_twice(tmp_path: Path) -> None:
    """By the id, or by the same command: what was sent is on record."""
    held = HoldsTheSlow()
    async with upstream(held) as octave:
        ledger = tmp_path / "ledger"
        env = environment(octave, OCTAVE_MCP_SHUTDOWN_SECONDS="0", OCTAVE_MCP_STATE_URL=f"sqlite:///{ledger}")
        process = await started("generate", "-", env=env, stdin=True)
        assert process.stdin is not None
        process.stdin.write(body("quick", "slow").encode())
        process.stdin.close()
        await asyncio.wait_for(held.came.wait(), 30)
        while "created" not in states(ledger):  # noqa: ASYNC110 - a file, which sets no event
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        handle = interrupted(await ended(process))
        held.go.set()
        octave.library.append({"oId": "pe_slow", "name": "slow", "createdAt": timestamp()})  # Octave finished it
        collected = await run("generate", "--collect", handle, env=env)
        assert collected.code == 0
        assert "Recovered from Octave's list after the answer was lost" in collected.out
        assert "quick (" in collected.out
    assert len(octave.requests) == 2


@pytest.mark.parametrize(("asked", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_the_same_command_after_an_end_prints_what_was_finished_meanwhile(
    asked: signal.Signals, code: int
) -> None:
    """The end waits for what was sent, and nothing is charged again."""
    held = HoldsTheSlow()
    async with upstream(held) as octave:
        env = environment(octave, OCTAVE_MCP_SHUTDOWN_SECONDS="20")
        process = await started("generate", "-", env=env, stdin=True)
        assert process.stdin is not None
        process.stdin.write(body("slow").encode())
        process.stdin.close()
        await asyncio.wait_for(held.came.wait(), 30)
        process.send_signal(asked)
        assert process.stderr is not None
        assert b"waiting up to 20 s" in await asyncio.wait_for(process.stderr.readline(), 30)
        advice = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        assert "nothing is charged twice. To collect it: octave-personas-mcp generate --collect gen_" in advice
        held.go.set()
        assert (await ended(process)).code == code
        ran = await run("generate", "-", env=env, stdin=body("slow"))
    assert (ran.code, len(octave.requests)) == (0, 1)
    assert "slow (" in ran.out
    assert "not charged again: 1" in ran.out


async def test_an_id_that_is_unknown_is_told() -> None:
    """It may be another key's, or forgotten."""
    async with upstream(by_the_page) as octave:
        ran = await run("generate", "--collect", "gen_none", env=environment(octave))
    assert (ran.code, ran.out, octave.connections) == (1, "", 0)
    assert "No such generation for this key" in ran.err


async def test_what_could_not_be_printed_was_not_handed_over() -> None:
    """Its reader is gone; the same command prints it, and creates nothing more."""
    async with upstream(by_the_page) as octave:
        env = environment(octave)
        reading, writing = os.pipe()
        os.close(reading)
        command = (sys.executable, "-m", "octave_mcp", "generate", "-")
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=writing, stderr=pipe, env=env)
        os.close(writing)
        _, err = await asyncio.wait_for(process.communicate(body("A").encode()), 60)
        assert process.returncode == 1
        assert b"could not be written" in err
        assert b"Traceback" not in err
        again = await run("generate", "-", env=env, stdin=body("A"))
    assert (again.code, len(octave.requests)) == (0, 1)


async def test_a_limit_or_a_ledger_in_the_way_sends_nothing(tmp_path: Path) -> None:
    """And says which."""
    async with upstream(by_the_page) as octave:
        limited = await run(
            "generate", "-", env=environment(octave, OCTAVE_MCP_MAX_PERSONAS_PER_DAY="1"), stdin=body("A", "B")
        )
        assert "leaves 1" in limited.err
        ledger = tmp_path / "ledger"
        ledger.write_bytes(b"no database " * 200)
        damaged = await run(
            "generate", "-", env=environment(octave, OCTAVE_MCP_STATE_URL=f"sqlite:///{ledger}"), stdin=body("A")
        )
        assert "damaged" in damaged.err
    for ran in (limited, damaged):
        assert (ran.code, ran.out) == (1, "")
        assert "Nothing was sent to Octave, and nothing was charged." in ran.err
    assert octave.requests == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"name,source\r\nCFO,close of the quarter\r\nCFO,https://example.com/cfo\r\n,no name\r\n\r\n"),
        ("t.csv", "\ufeffName;Source\r\nFührung;Köln\r\n".encode()),
        ("t.csv", "name;source\r\nFührung;Köln\r\n".encode("cp1252")),
        ("t.csv", "name\tsource\r\nFührung\tKöln\r\n".encode("utf-16")),
        ("t.tsv", b"type\tname\tsource\nresource\tA\tr_1\n"),
        ("-", b'source,name\n"two\nlines, one cell",A\n'),
        ("t.csv", "\ufeffsep=;\r\nname;source\r\nFührung;Köln\r\n".encode()),
        ("t.csv", f"name;source\nFührung;Köln{' ' * 200_000}\n".encode()),
        ("-", "sep=|\nname|source\nFührung|Köln\n".encode()),
    ],
    ids=["comma", "semicolon", "latin", "utf-16", "type", "stdin", "separator", "long", "separator on stdin"],
)
def test_a_table_is_taken_as_excel_writes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes
) -> None:
    """Rows of one name are sources of one persona; an address is a URL."""
    path = name if name == "-" else str(tmp_path / name)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    if name != "-":
        (tmp_path / name).write_bytes(content)
    expected = {
        b"name,source": [
            {
                "name": "CFO",
                "sources": [
                    {"type": "TEXT", "value": "close of the quarter"},
                    {"type": "URL", "value": "https://example.com/cfo"},
                ],
            },
            {"sources": [{"type": "TEXT", "value": "no name"}]},
        ],
        b"type\tname\tsource": [{"name": "A", "sources": [{"type": "RESOURCE", "value": "r_1"}]}],
        b"source,name": [{"name": "A", "sources": [{"type": "TEXT", "value": "two\nlines, one cell"}]}],
    }
    usual = [{"name": "Führung", "sources": [{"type": "TEXT", "value": "Köln"}]}]
    wanted = next((body for head, body in expected.items() if content.startswith(head)), usual)
    assert read_request(path, 25).body() == {"personas": wanted}


async def test_a_table_becomes_personas(tmp_path: Path) -> None:
    """One request for each name."""
    (tmp_path / "t.csv").write_text("name;source\nA;x\nB;y\nA;z\n", encoding="utf-8")
    async with upstream(by_the_page) as octave:
        ran = await run("generate", str(tmp_path / "t.csv"), env=environment(octave))
    assert ran.code == 0
    assert sorted((one["name"], len(one["sources"])) for one in octave.asked) == [("A", 2), ("B", 1)]


@pytest.mark.parametrize(
    ("name", "begins"), [("p.md", "## A\n\noId: `"), ("p.csv", "\ufeffoId,name,"), ("p.json", '{\n  "generationId"')]
)
async def test_the_output_goes_to_a_file_in_the_form_of_its_ending(tmp_path: Path, name: str, begins: str) -> None:
    """What happened is said on stderr."""
    async with upstream(by_the_page) as octave:
        ran = await run("generate", "-", "--output", str(tmp_path / name), env=environment(octave), stdin=body("A"))
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("Done: 1 of 1 personas, 1 credit.")
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)


async def test_an_output_that_cannot_be_written_is_told_before_anything_is_paid_for(tmp_path: Path) -> None:
    """A report of something paid for would be lost."""
    async with upstream(by_the_page) as octave:
        source = tmp_path / "source.json"
        source.write_text(body("A"), encoding="utf-8")
        for path, said in (
            (tmp_path, "cannot be written: Is a directory"),
            (tmp_path / "none" / "p.md", "cannot be written: No such file"),
            (source, "is the input, and its content would be lost"),
            (tmp_path / "p.docx", ".docx files cannot be written. Use .md, .csv, .json or .txt, or choose with"),
        ):
            ran = await run("generate", str(source), "--output", str(path), env=environment(octave))
            assert (ran.code, ran.out, octave.connections) == (1, "", 0)
            assert said in ran.err
            assert "Traceback" not in ran.err
        assert source.read_text(encoding="utf-8") == body("A")


async def test_a_dry_run_says_what_would_happen_and_sends_nothing() -> None:
    """What was requested earlier, what exists already, what personas have cost, and the credits left."""
    async with upstream(by_the_page) as octave:
        octave.look_up = with_workspace(octave)
        env = environment(octave)
        await run("generate", "-", env=env, stdin=body("made"))
        ran = await run("generate", "-", "--dry-run", env=env, stdin=body("made", "fresh"))
        assert (ran.code, ran.err) == (0, "")
        assert "To be created, with one request each: 1 (fresh)." in ran.out
        assert "Requested earlier, so nothing is sent or charged: 1 (made)." in ran.out
        assert "Personas have cost 1 credit each so far (1 in the last 7 days)." in ran.out
        assert "Created with this key in the last 24 hours: 1, 1 credit." in ran.out
        assert "Credits left in the workspace: 5 of 50 this month; 12 of 100 in total." in ran.out
        octave.library = [{"oId": "pe_1", "name": "there"}]
        same = await run("generate", "-", "--dry-run", env=env, stdin=body("there"))
        assert "In Octave already under this name, so nothing is sent: 1 (there)." in same.out
        new = await run("generate", "-", "--dry-run", "--new", env=env, stdin=body("made"))
        assert "To be created, with one request each: 1 (made)." in new.out
        assert len(octave.requests) == 1
        again = await run("generate", "-", "--new", env=env, stdin=body("made"))
        assert again.code == 0
        assert len(octave.requests) == 2
        limited = await run(
            "generate", "-", "--dry-run", env=env | {"OCTAVE_MCP_MAX_PERSONAS_PER_DAY": "2"}, stdin=body("fresh")
        )
        assert (limited.code, limited.out) == (1, "")
        assert "limit of 2 personas in 24 hours (OCTAVE_MCP_MAX_PERSONAS_PER_DAY) leaves 0." in limited.err


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of another kind")
@pytest.mark.parametrize(("typed", "posts"), [("y", 1), ("n", 0), ("", 0)])
async def test_on_a_terminal_it_asks_before_it_spends(tmp_path: Path, typed: str, posts: int) -> None:
    """Arrow up and Enter would spend otherwise."""
    (tmp_path / "body.json").write_text(body("A"), encoding="utf-8")
    ours, theirs = os.openpty()
    async with upstream(by_the_page) as octave:
        octave.look_up = with_workspace(octave)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "octave_mcp", "generate", str(tmp_path / "body.json")),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
            env=environment(octave),
        )
        os.close(theirs)
        shown = ""
        while "[y/N]" not in shown:
            shown += (await asyncio.wait_for(asyncio.to_thread(os.read, ours, 65536), 60)).decode()
        os.write(ours, f"{typed}\n".encode())
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    os.close(ours)
    assert "To be created, with one request each: 1 (A)." in shown
    assert (process.returncode, len(octave.requests)) == (1 - posts, posts)
    assert (b"A (" in out) is bool(posts)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of another kind")
async def test_what_fails_while_a_person_reads_the_question_is_not_sent_with_their_yes(tmp_path: Path) -> None:
    """The question did not have it, as an earlier call had asked for it."""
    (tmp_path / "body.json").write_text(body("A", "B"), encoding="utf-8")
    read = asyncio.Event()

    async def refuses_a(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.json["personas"][0]["name"] == "B":
            await by_the_page(request, writer)
        else:
            await read.wait()
            writer.write(answer(error_envelope("no"), status=400))

    ours, theirs = os.openpty()
    async with upstream(refuses_a) as octave:
        octave.look_up = with_workspace(octave)
        env = environment(octave)
        earlier = asyncio.create_task(run("generate", "-", env=env, stdin=body("A")))
        await until(lambda: bool(octave.requests))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "octave_mcp", "generate", str(tmp_path / "body.json")),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
            env=env,
        )
        os.close(theirs)
        shown = ""
        while "[y/N]" not in shown:
            shown += (await asyncio.wait_for(asyncio.to_thread(os.read, ours, 65536), 60)).decode()
        read.set()
        assert (await earlier).code == 1
        os.write(ours, b"y\n")
        out, _ = await asyncio.wait_for(process.communicate(), 60)
    os.close(ours)
    assert "Create 1 persona?" in shown
    assert [request.json["personas"][0]["name"] for request in octave.requests] == ["A", "B"]
    assert b"B (" in out


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of another kind")
async def test_on_a_terminal_lines_say_how_far_it_is() -> None:
    """There is a line for each change."""
    ours, theirs = os.openpty()
    async with upstream(by_the_page) as octave:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "octave_mcp", "generate", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=theirs,
            env=environment(octave),
        )
        os.close(theirs)
        out, _ = await asyncio.wait_for(process.communicate(body("A", "B").encode()), 60)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == 0, (shown, out)
    assert "0 of 2 ready" in shown
    assert "2 of 2 ready" in shown


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("b.json", b"\xff\xfe\x00", "is not UTF-8"),
        ("b.json", '{"personas": "Köln"}'.encode("latin-1"), "is not UTF-8 text: save it as UTF-8, and a table as CSV"),
        ("b.json", b"[" * 100_000, "is not JSON that can be read"),
        ("t.csv", b"name,source\nA,\x81\x8d", "is not text that can be read"),
        ("\0", None, "there can be no such name"),
    ],
    ids=["bytes", "latin", "deep", "no text", "no name"],
)
def test_a_file_that_is_not_text_of_its_kind_is_refused(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    """The message says what it is not, and what to do."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Unusable, match=words):
        read_request(str(tmp_path / name), 25)


def test_a_file_without_an_end_is_refused() -> None:
    """What is read of it is bounded."""
    with pytest.raises(Unusable, match="is larger than 64 MB"):
        read_request("/dev/zero", 25)


def test_an_empty_id_is_an_unknown_generation(capsys: pytest.CaptureFixture[str]) -> None:
    """A script's variable may be empty."""
    assert cli.main(["--sandbox", "generate", "--collect", ""]) == 1
    assert "No such generation" in capsys.readouterr().err


def test_a_closed_stdin_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher may close it."""
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(Unusable, match="stdin is closed"):
        read_request("-", 25)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredits("The workspace has no credits left."), "Add credits in Octave"),
        (NameExists("It is there.", oid="pe_1"), "It has the oId pe_1. Nothing was charged. --new creates another"),
        (NameExists("It is there.", oid="pe\x1b[2J"), "It is there. Nothing was charged. --new creates another"),
        (
            NameExists("An earlier call asked for it.", generation="gen_7"),
            "outcome: octave-personas-mcp generate --coll",
        ),
        (KeyProblem("Octave rejected this API key."), "octave-personas-mcp doctor says what to do"),
        (Busy("Octave asks to wait."), "Run the same command again"),
        (InputProblem("It is too long."), "Change what this is about"),
        (OutcomeUnknown("The answer was lost.", request_id="req_7"), "(Octave's request id: req_7)"),
    ],
)
def test_each_kind_of_failure_says_what_to_do(error: OctaveError, words: str) -> None:
    """It says whether a persona may exist, too."""
    said = output._problem(error, "gen_1")
    assert said.startswith(str(error))
    assert words in said
    assert ("may exist" in said) is isinstance(error, OutcomeUnknown)
    assert "None" not in said


async def test_a_name_that_an_earlier_call_has_in_progress_is_not_said_to_be_in_octave() -> None:
    """Nor is another one offered: the way on is that call's outcome."""
    held = HoldsTheSlow()
    other = json.dumps({"personas": [{"name": "slow", "sources": [{"type": "TEXT", "value": "other notes"}]}]})
    async with upstream(held) as octave:
        env = environment(octave)
        process = await started("generate", "-", env=env, stdin=True)
        assert process.stdin is not None
        process.stdin.write(body("slow").encode())
        process.stdin.close()
        await asyncio.wait_for(held.came.wait(), 30)
        preview = await run("generate", "-", "--dry-run", env=env, stdin=other)
        assert "by an earlier call that is not settled, so nothing is sent: 1 (slow)." in preview.out
        assert "In Octave already" not in preview.out
        ran = await run("generate", "-", env=env, stdin=other)
        assert ran.code != 0
        assert "generate --collect gen_" in ran.out + ran.err
        assert "--new" not in ran.out + ran.err
        held.go.set()
        assert (await ended(process)).code == 0
        assert len(octave.requests) == 1


async def test_a_preview_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """The ledger is damaged."""
    ledger = tmp_path / "ledger"
    ledger.write_bytes(b"no database " * 200)
    async with upstream(by_the_page) as octave:
        env = environment(octave, OCTAVE_MCP_STATE_URL=f"sqlite:///{ledger}")
        ran = await run("generate", "-", "--dry-run", env=env, stdin=body("A"))
    assert (ran.code, ran.out, octave.requests) == (1, "", [])
    assert "Nothing was sent to Octave, and nothing was charged." in ran.err
