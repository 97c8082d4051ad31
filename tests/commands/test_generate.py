"""`octave-personas-mcp generate`: the API's body from a file or stdin, with the server's ledger and guarantees."""

import asyncio
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
from support.upstream import HoldsTheSlow, Request, answer, by_the_page, error_envelope, upstream

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"


def body(*names: str, **more: Any) -> str:
    """The API's body for a persona of each name."""
    return json.dumps(
        {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names], **more}
    )


async def test_a_file_becomes_summaries(tmp_path: Path) -> None:
    """What leaves is the body, a persona a POST; without a terminal there is no bar."""
    (tmp_path / "body.json").write_text(body("CISO", "CFO", playbookOId="pb_1"), encoding="utf-8")
    async with upstream(by_the_page) as octave:
        ran = await run("generate", str(tmp_path / "body.json"), env=environment(octave))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Status complete: 2 of 2 came back. Usage, in credits: 2. Id: gen_")
    assert ran.out.index("CISO (") < ran.out.index("CFO (")
    assert sorted(one["name"] for one in octave.asked) == ["CFO", "CISO"]
    assert {request.json["playbookOId"] for request in octave.requests} == {"pb_1"}


async def test_stdin_becomes_whole_records_as_json() -> None:
    """As Octave gave them, and nothing else on stdout."""
    async with upstream(by_the_page) as octave:
        ran = await run("generate", "-", "--json", env=environment(octave), stdin=body("CISO"))
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
        (body(*map(str, range(26))), "one command may ask for 25 (OCTAVE_MCP_MAX_PERSONAS_PER_CALL)"),
        ('{"personas": ', "is not JSON: "),
        ('{"personas": [], "personas": []}', "personas: comes twice in one object"),
        ("[]", "the body must be a JSON object"),
        ("\x00\x01", "is not JSON"),
    ],
)
async def test_input_that_does_not_fit_sends_nothing(given: str, words: str) -> None:
    """And says what to change, on stderr."""
    async with upstream(by_the_page) as octave:
        ran = await run("generate", "-", env=environment(octave), stdin=given)
    assert (ran.code, ran.out, octave.connections) == (1, "", 0)
    assert words in ran.err
    assert "Nothing was sent to Octave and nothing was paid for." in ran.err
    assert "Traceback" not in ran.err


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
    assert "made-up data" in ran.err


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
        assert "Status partial: 1 of 3 came back." in ran.out
        assert "personas[1]. Octave did not accept the request" in ran.out
        assert "personas[2]. The connection to Octave broke" in ran.out
        assert "may have been made and paid for" in ran.out
        again = await run("generate", "-", "--json", env=environment(octave), stdin=given)
    made = json.loads(again.out)
    assert (again.code, [one["name"] for one in made["personas"]]) == (1, ["A"])
    assert [one["personas"] for one in made["failed"]] == ["personas[1]", "personas[2]"]
    assert [one.get("name") for one in octave.asked].count("A") == 1
    assert KEY not in ran.out + ran.err + again.out + again.err


def states(ledger: Path) -> list[str]:
    """Of all items."""
    with closing(sqlite3.connect(ledger)) as rows:
        return [state for (state,) in rows.execute("SELECT state FROM items")]


def interrupted(ran: Ran, code: int = 130) -> str:
    """The command that collects, which an interrupted one told."""
    assert ran.code == code
    assert ran.out == ""
    assert "buys nothing twice" in ran.err
    (line,) = [line for line in ran.err.splitlines() if "--collect" in line]
    return line.rpartition(" ")[2]


async def test_ctrl_c_says_how_to_collect_the_rest_and_nothing_is_bought_twice(tmp_path: Path) -> None:
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
        while "done" not in states(ledger):  # noqa: ASYNC110 - a file, which sets no event
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        handle = interrupted(await ended(process))
        held.go.set()
        collected = await run("generate", "--collect", handle, env=env)
        assert collected.code == 1
        assert "quick (" in collected.out
        assert "personas[1]. The server ended before Octave had answered." in collected.out
    assert len(octave.requests) == 2


@pytest.mark.parametrize(("asked", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_the_same_command_after_an_end_prints_what_was_finished_meanwhile(
    asked: signal.Signals, code: int
) -> None:
    """The end waits for what was sent, and nothing is bought again."""
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
        assert b"waited for, 20 seconds at most" in await asyncio.wait_for(process.stderr.readline(), 30)
        held.go.set()
        interrupted(await ended(process), code)
        ran = await run("generate", "-", env=env, stdin=body("slow"))
    assert (ran.code, len(octave.requests)) == (0, 1)
    assert "slow (" in ran.out
    assert "not bought again: 1" in ran.out


async def test_an_id_that_is_unknown_is_told() -> None:
    """It may be another key's, or forgotten."""
    async with upstream(by_the_page) as octave:
        ran = await run("generate", "--collect", "gen_none", env=environment(octave))
    assert (ran.code, ran.out, octave.connections) == (1, "", 0)
    assert "no generation of that id" in ran.err


async def test_what_could_not_be_printed_was_not_handed_over() -> None:
    """Its reader is gone; the same command prints it, and buys nothing."""
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
        assert "leaves room for 1" in limited.err
        ledger = tmp_path / "ledger"
        ledger.write_bytes(b"no database " * 200)
        damaged = await run(
            "generate", "-", env=environment(octave, OCTAVE_MCP_STATE_URL=f"sqlite:///{ledger}"), stdin=body("A")
        )
        assert "damaged" in damaged.err
    for ran in (limited, damaged):
        assert (ran.code, ran.out) == (1, "")
        assert "Nothing was sent to Octave and nothing was paid for." in ran.err
    assert octave.requests == []


async def test_the_ledger_is_the_servers_own(tmp_path: Path) -> None:
    """What was printed counts as handed over."""
    ledger = tmp_path / "ledger"
    async with upstream(by_the_page) as octave:
        await run("generate", "-", env=environment(octave, OCTAVE_MCP_STATE_URL=f"sqlite:///{ledger}"), stdin=body("A"))
    with closing(sqlite3.connect(ledger)) as rows:
        ((state, handed_over_at),) = rows.execute("SELECT state, handed_over_at FROM items").fetchall()
    assert state == "done"
    assert handed_over_at is not None


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of another kind")
async def test_on_a_terminal_a_bar_tells_how_far_it_is() -> None:
    """Rewritten in place."""
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
    assert f"\r[{'#' * 24}] 2 of 2 ready" in shown
