"""The window, collecting what was still being written, repeats, unknown outcomes and limits, through a real client."""

import asyncio
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from pydantic import SecretStr
from support.calls import KEY, asking, collect, generate, losing, refusing, settings, structured, text_of
from support.records import record
from support.tokens import channels, o200k
from support.upstream import (
    HoldsTheSlow,
    Request,
    always,
    answer,
    by_the_page,
    error_envelope,
    page_answer,
    timestamp,
    upstream,
)

from octave_mcp.generation import outcome
from octave_mcp.ledger import sqlite
from octave_mcp.results.failures import MAY_EXIST, NOTHING_CREATED, NOTHING_SENT
from octave_mcp.results.generation import ANOTHER_ONE, CONDENSED_NOTE, PENDING_NOTE
from octave_mcp.results.generation_list import LIST_NOTE, NOTHING_LISTED_NOTE
from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio


# --- The window -------------------------------------------------------------------------------------------------------


async def test_a_call_answers_within_its_window_and_the_rest_is_collected() -> None:
    """The result says what is ready, what is being written, what waits, and how to collect the rest."""
    slow = HoldsTheSlow()
    async with (
        upstream(slow) as octave,
        Client(build_server(settings(octave.url, concurrency=2, wait_seconds=1.5))) as client,
    ):
        first = await generate(client, "A", "slow 1", "slow 2", "slow 3")
        content = structured(first)
        assert not first.is_error
        assert (content["status"], [one["name"] for one in content["personas"]]) == ("pending", ["A"])
        assert content["pending"] == [
            'Being written: personas[1] "slow 1", personas[2] "slow 2".',
            'Waiting for their turn: personas[3] "slow 3".',
        ]
        live = "2 still being written; 1 waiting to be sent; 1 credit charged so far"
        for words in (*content["pending"], content["generationId"], PENDING_NOTE, live):
            assert words in text_of(first)
        assert PENDING_NOTE in content["notes"]
        last = 'still being written: "slow 1", "slow 2"; waiting to be sent: "slow 3".'
        assert text_of(first).endswith(last)
        slow.go.set()
        rest = await collect(client, content["generationId"])
    collected = structured(rest, "get_generation")
    assert collected["status"] == "complete"
    assert [one["name"] for one in collected["personas"]] == ["A", "slow 1", "slow 2", "slow 3"]
    assert len(octave.requests) == 4


async def test_a_call_that_ends_while_octave_asks_to_wait_says_until_when() -> None:
    """The person knows why nothing happens, and when to collect."""
    busy = always(error_envelope("Slow down"), status=429, headers={"retry-after": "60"})
    async with upstream(busy) as octave, Client(build_server(settings(octave.url))) as client:
        first = await generate(client, "A")
        (pending,) = structured(first)["pending"]
        assert re.fullmatch(
            r'Waiting for \d\d:\d\d:\d\d UTC, as Octave is busy and asks to wait: personas\[0\] "A"\.', pending
        )
        assert pending in text_of(first)


async def test_the_first_and_the_last_line_say_what_happened() -> None:
    """Some hosts show a person nothing but one of them."""
    async with upstream(refusing("B")) as octave, Client(build_server(settings(octave.url))) as client:
        lines = text_of(await generate(client, "A", "B")).splitlines()
    assert lines[0].startswith("Status partial: 1 of 2 personas created; 1 credit charged. generationId: gen_")
    assert lines[-1] == 'Status partial; created: "A"; failed: "B".'


async def test_what_an_earlier_result_showed_does_not_push_out_what_is_new() -> None:
    """It is shown by name; with room for everything it is shown again."""
    slow = HoldsTheSlow()

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        name = request.json["personas"][0]["name"]
        if name.startswith("slow"):
            slow.came.set()
            await asyncio.wait_for(slow.go.wait(), 30)
        writer.write(answer({"data": [record(request.number) | {"name": name}]}))

    names = [f"A{number}" for number in range(8)]
    for budget, repeated in ((2000, False), (30_000, True)):
        slow.go.clear()
        configured = {"result_tokens": budget, "concurrency": 10, "shutdown_seconds": 0}
        async with upstream(respond) as octave, Client(build_server(settings(octave.url, **configured))) as client:
            first = structured(await generate(client, *names, "slow"))
            while len(first["personas"]) < len(names):  # on a busy machine
                first = structured(await collect(client, first["generationId"]), "get_generation")
            slow.go.set()
            rest = structured(await collect(client, first["generationId"]), "get_generation")
        by_name = {one["name"]: one for one in rest["personas"]}
        assert list(by_name) == [*names, "slow"]
        assert "keyObjectives" in by_name["slow"]
        assert ["keyObjectives" in by_name[name] for name in names] == [repeated] * 8


# --- The same request again -------------------------------------------------------------------------------------------


async def test_the_same_call_again_returns_what_was_created_earlier_and_charges_nothing() -> None:
    """It says when, what it cost then, that it may have changed since, and how to get another one."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url))) as client:
        before = time.time()
        first = structured(await generate(client, "A", "B"))
        for _ in range(2):
            again = await generate(client, "A", "B")
            content = structured(again)
            assert content["status"] == "complete"
            assert text_of(again).startswith(
                "Status complete: 2 of 2 personas created; 2 of them by an earlier call; 0 credits"
            )
            assert text_of(again).endswith('Status complete; created earlier: "A", "B".')
            assert content["usage"] == 0
            assert [one["oId"] for one in content["personas"]] == [one["oId"] for one in first["personas"]]
            (note,) = (note for note in content["notes"] if note.startswith("Created earlier, "))
            assert note in text_of(again)
            assert time.strftime("at %Y-%m-%d %H:%M", time.gmtime(before)) in note or "between" in note
            for words in ("charged then, in credits: 2", "nothing was sent or charged", 'personas[0] "A"', ANOTHER_ONE):
                assert words in note
    assert len(octave.requests) == 2


async def test_the_same_call_while_it_is_being_written_joins_and_says_so() -> None:
    """Usage is that of this call alone."""
    slow = HoldsTheSlow()
    async with upstream(slow) as octave, Client(build_server(settings(octave.url))) as client:
        await generate(client, "A", "slow")
        joined = await generate(client, "A", "slow", "B")
        assert 'Asked for by an earlier call already, and not sent again: personas[1] "slow".' in text_of(joined)
        assert structured(joined)["usage"] == 1
        slow.go.set()
        await generate(client, "A", "slow")
    assert len(octave.requests) == 3


@pytest.mark.parametrize("again", [["A", "B"], ["A", "B fixed"], ["A", "B", "C"], ["B"]])
async def test_an_edited_retry_sends_only_what_is_not_there(again: list[str]) -> None:
    """A refused persona is sent again, a created one is not."""
    failing = True

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        failed = failing and request.json["personas"][0]["name"] == "B"
        writer.write(answer(error_envelope("No"), status=422) if failed else answer(page_answer(request)))

    async with upstream(respond) as octave, Client(build_server(settings(octave.url))) as client:
        await generate(client, "A", "B")
        failing = False
        result = await generate(client, *again)
    assert [one["name"] for one in structured(result)["personas"]] == again
    assert [one["name"] for one in octave.asked].count("A") == 1


# --- Unknown outcomes -------------------------------------------------------------------------------------------------


async def test_an_unknown_outcome_says_since_when_what_was_looked_at_and_the_one_call_that_settles_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model has no clock, so it is given the times, and what to do until then."""
    monkeypatch.setattr(outcome, "NO_ANSWER_SECONDS", 100.0)
    async with upstream(losing("Auditor")) as octave, Client(build_server(settings(octave.url))) as client:
        result = await generate(client, "CISO", "Auditor")
        assert text_of(result).startswith(
            "Status partial: 1 of 2 personas created; 1 may exist (outcome unknown); 1 credit charged."
        )
        assert text_of(result).endswith('Status partial; created: "CISO"; outcome unknown: "Auditor".')
        (failed,) = structured(result)["failed"]
    assert (failed["code"], failed["mayExist"], failed["retry"]) == ("outcome_unknown", True, "after_seconds")
    assert 95 <= failed["retryAfterSeconds"] <= 100
    sent = time.strftime("It was sent at %Y-%m-%d ", time.gmtime())
    read = r"Octave's list was read (once|\d+ times) since, last at [\d:]{8} UTC: no persona of this name was created"
    assert re.search(read, failed["problem"])
    for words in (MAY_EXIST, sent, "Do not ask for it again until its outcome is known"):
        assert words in failed["problem"]
    assert "Call get_generation with this generationId once: it waits up to 1 second, and" in failed["problem"]
    assert (
        f"on (in {failed['retryAfterSeconds']} seconds) get_generation knows whether it was created"
        in failed["problem"]
    )


async def test_one_call_settles_an_unknown_outcome_that_its_window_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The persona was not created, and the same call then creates it."""
    monkeypatch.setattr(outcome, "NO_ANSWER_SECONDS", 2.0)
    lost = losing("Auditor")
    async with upstream(lost) as octave, Client(build_server(settings(octave.url))) as client:
        first = structured(await generate(client, "Auditor"))
    assert first["failed"][0]["code"] == "outcome_unknown"
    async with upstream(lost) as octave, Client(build_server(settings(octave.url, wait_seconds=20))) as client:
        result = await generate(client, "Auditor")
        (failed,) = structured(result)["failed"]
        assert (failed["code"], failed["mayExist"], failed["retry"]) == ("not_created", False, "same_call")
        assert failed["problem"].count(NOTHING_CREATED) == 1
        octave.respond = by_the_page
        assert structured(await generate(client, "Auditor"))["status"] == "complete"
    assert len(octave.requests) == 2


async def test_a_persona_that_octave_lists_later_is_found_by_the_next_call() -> None:
    """The same call and get_generation both find it and say that the answer was lost; what it cost is not known."""
    async with upstream(losing("Auditor")) as octave, Client(build_server(settings(octave.url))) as client:
        handle = structured(await generate(client, "Auditor"))["generationId"]
        octave.library.append({"oId": "pe_late", "name": "Auditor", "createdAt": timestamp()})
        found = await collect(client, handle)
        if structured(found, "get_generation")["status"] != "complete":  # the list is read again after a second
            await asyncio.sleep(1.5)
            found = await collect(client, handle)
        assert "pe_late" in text_of(found)
        assert "The answer was lost, and the persona was found in Octave's list: personas[0]" in text_of(found)
        assert structured(await generate(client, "Auditor"))["personas"][0]["oId"] == "pe_late"
        assert structured(await generate(client, "CISO"))["status"] == "complete"
        spent = text_of(await client.call_tool("check_workspace", {}))
        assert "2 in the last 7 days (1 credits); on average 1 credits each; the cost of 1 is not known." in spent
    assert len(octave.requests) == 2


async def test_one_without_a_name_cannot_be_looked_for_and_says_how_to_go_on() -> None:
    """The same request is not sent again; one with a name is another request."""
    arguments = {"personas": [{"sources": [{"type": "TEXT", "value": "notes"}]}]}
    async with upstream(losing("")) as octave, Client(build_server(settings(octave.url))) as client:
        for _ in range(2):
            result = await client.call_tool("generate_personas", arguments)
            (failed,) = structured(result)["failed"]
            assert (failed["mayExist"], failed["retry"]) == (True, "after_change")
            for words in ("so it cannot be looked for", "24 hours", "only after a minute", "ask for it with a name"):
                assert words in failed["problem"]
            assert "usage" not in structured(result)  # it may have been charged
    assert len(octave.requests) == 1


async def test_an_outcome_that_several_personas_could_be_stays_unknown_and_says_so() -> None:
    """They are to be looked at, not asked for again."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        twins = [{"oId": f"pe_{number}", "name": "Twin", "createdAt": timestamp()} for number in (1, 2)]
        octave.library.extend(twins)
        await losing("Twin")(request, writer)

    async with upstream(respond) as octave, Client(build_server(settings(octave.url))) as client:
        (failed,) = structured(await generate(client, "Twin"))["failed"]
    assert failed["retry"] == "never"
    for words in (
        "it has a persona that may be this one, but that is not certain",
        "list_personas",
        "Do not ask for it again.",
    ):
        assert words in failed["problem"]


# --- The latest generations -------------------------------------------------------------------------------------------


async def test_a_lost_id_costs_nothing() -> None:
    """Without an id the latest generations are listed, and what is pending can be collected."""
    slow = HoldsTheSlow()
    async with upstream(slow) as octave, Client(build_server(settings(octave.url)), mode="legacy") as client:
        assert NOTHING_LISTED_NOTE in text_of(await collect(client))
        call = asyncio.create_task(generate(client, "slow"))
        await asyncio.wait_for(slow.came.wait(), 10)
        call.cancel()
        await asyncio.wait([call])
        listed = await collect(client)
        (one,) = structured(listed, "get_generation")["generations"]
        assert (one["status"], one["pending"]) == ("pending", ["slow"])
        assert one["generationId"] in text_of(listed)
        slow.go.set()
        rest = structured(await collect(client, one["generationId"]), "get_generation")
        assert rest["status"] == "complete"
        (one,) = structured(await collect(client), "get_generation")["generations"]
    assert one["created"] == [f"slow ({rest['personas'][0]['oId']})"]
    assert len(octave.requests) == 1


async def test_each_persona_is_listed_once_with_the_newest_call_that_asked_for_it() -> None:
    """However often it was asked for, in the state that it has now."""
    async with upstream(refusing("B")) as octave, Client(build_server(settings(octave.url))) as client:
        await generate(client, "A", "B")
        for _ in range(2):
            await generate(client, "A")
        listed = await collect(client)
    content = structured(listed, "get_generation")
    newest, oldest = content["generations"]
    assert [len(newest["created"]), newest.get("failed")] == [1, None]
    assert [oldest.get("created"), oldest["failed"]] == [None, ["B"]]
    assert LIST_NOTE in content["notes"]
    assert text_of(listed).count("A (pe_") == 1
    lines = text_of(listed).splitlines()
    assert lines[0] == lines[-1] == "Latest calls: 2; nothing is pending or unknown."


async def test_the_list_of_generations_begins_and_ends_with_what_is_not_settled() -> None:
    """Some hosts show a person nothing but the first or the last lines."""
    slow = HoldsTheSlow()
    configured = {"wait_seconds": 2, "concurrency": 1, "shutdown_seconds": 0}
    async with upstream(slow) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        await generate(client, "slow", "A")
        lines = text_of(await collect(client)).splitlines()
    assert lines[0] == lines[-1] == "Latest calls: 1; pending: slow, A."


async def test_the_list_of_generations_keeps_to_the_budget() -> None:
    """However many there are, and however they are named."""
    slow = HoldsTheSlow()
    configured = {"wait_seconds": 0.05, "max_personas_per_call": 20, "result_tokens": 1000, "shutdown_seconds": 0}
    async with upstream(slow) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        for number in range(14):
            names = [f"slow 漢字 {number} {place} " + "long " * 50 for place in range(8)]
            await generate(client, *names)
        listed = await collect(client)
    text, content = channels(listed)
    assert o200k(text) + o200k(content) <= 1000
    assert "older ones do not fit here" in text


@pytest.mark.parametrize("arguments", [{"generationId": "gen_nothing"}, {"generationId": 7}, {"id": "x"}])
async def test_an_unknown_id_is_answered_with_what_to_do(arguments: dict[str, Any]) -> None:
    """So are a wrong type and a wrong name."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url))) as client:
        result = await client.call_tool("get_generation", arguments)
    assert result.is_error
    assert any(words in text_of(result) for words in ("get_generation without arguments lists", "generationId"))
    assert structured(result, "get_generation")["failed"][0]["code"] in {"not_found", "invalid_arguments"}


async def test_a_generation_belongs_to_one_key(tmp_path: Path) -> None:
    """Another key on the same ledger finds nothing, and joins nothing."""
    store = {"state_url": f"sqlite:///{tmp_path / 'ledger'}", "shutdown_seconds": 0}
    async with upstream(HoldsTheSlow()) as octave:
        async with Client(build_server(settings(octave.url, **store))) as client:
            mine = structured(await generate(client, "slow"))["generationId"]
            other = settings(octave.url, **store | {"api_key": SecretStr("sk-another-0123456789")})
            async with Client(build_server(other)) as stranger:
                assert (await collect(stranger, mine)).is_error
                assert structured(await collect(stranger), "get_generation")["generations"] == []
                await generate(stranger, "slow")
        assert len(octave.requests) == 2


# --- Limits -----------------------------------------------------------------------------------------------------------


async def test_a_call_may_ask_for_so_many_and_no_more() -> None:
    """It is refused before anything is sent."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url))) as client:
        result = await generate(client, *map(str, range(26)))
    assert "26 were asked for, and one call may ask for 25 (OCTAVE_MCP_MAX_PERSONAS_PER_CALL)" in text_of(result)
    assert NOTHING_SENT in text_of(result)
    assert structured(result)["failed"][0]["code"] == "limit_reached"
    assert octave.connections == 0


async def test_a_day_may_create_so_many_personas_and_no_more() -> None:
    """All of a call or nothing, and it says how many are left."""
    limited = {"max_personas_per_day": 3}
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url, **limited))) as client:
        await generate(client, "A", "B")
        result = await generate(client, "C", "D")
        assert result.is_error
        for words in ("limit of 3 personas", "OCTAVE_MCP_MAX_PERSONAS_PER_DAY", "leaves 1", "ask for 1 at most"):
            assert words in text_of(result)
        assert NOTHING_SENT in text_of(result)
        assert not (await generate(client, "C")).is_error
        assert "wait, or let the user raise the limit" in text_of(await generate(client, "D"))
    assert len(octave.requests) == 3


async def test_a_day_may_cost_so_many_credits_and_no_more() -> None:
    """They are counted as Octave reported them."""
    limited = {"max_credits_per_day": 1}
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url, **limited))) as client:
        assert not (await generate(client, "A")).is_error
        result = await generate(client, "B")
        assert result.is_error
        for words in ("limit of 1 credits in 24 hours (OCTAVE_MCP_MAX_CREDITS_PER_DAY) leaves 0", NOTHING_SENT):
            assert words in text_of(result)
    assert len(octave.requests) == 1


# --- The ledger -------------------------------------------------------------------------------------------------------


async def test_a_ledger_that_cannot_be_kept_sends_nothing_and_says_so(tmp_path: Path) -> None:
    """It is used again once it is mended, without a restart."""
    ledger = tmp_path / "ledger"
    ledger.write_bytes(b"no database at all " * 100)
    configured = {"state_url": f"sqlite:///{ledger}"}
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        result = await generate(client, "A")
        assert result.is_error
        for words in ("OCTAVE_MCP_STATE_URL", NOTHING_SENT):
            assert words in text_of(result)
        assert (await collect(client)).is_error
        assert octave.requests == []
        ledger.unlink()
        assert not (await generate(client, "A")).is_error


def bytes_in(folder: Path) -> bytes:
    """Return everything that is written there."""
    return b"".join(path.read_bytes() for path in folder.rglob("ledger*") if path.is_file())


async def test_the_ledger_holds_neither_key_nor_source(tmp_path: Path) -> None:
    """Also if Octave echoes the key in an answer that cannot be read."""

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(f"<html>{request.header('api_key')} <b>created</b> {KEY[:-3]}".encode()))

    configured = {"state_url": f"sqlite:///{tmp_path / 'ledger'}"}
    arguments = {"personas": [{"name": "A", "sources": [{"type": "TEXT", "value": "a secret source"}]}]}
    async with upstream(respond) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        await client.call_tool("generate_personas", arguments)
        written = bytes_in(tmp_path)
    assert b"gen_" in written
    for secret in (KEY[:-3].encode(), b"a secret source"):
        assert secret not in written


async def test_ten_personas_take_three_rounds_of_four() -> None:
    """Each answer waits until its round is full."""
    rounds: list[int] = [0]
    full = asyncio.Event()

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        nonlocal full
        mine = full
        rounds[-1] += 1
        if rounds[-1] == min(4, 10 - 4 * (len(rounds) - 1)):
            rounds.append(0)
            full = asyncio.Event()
            mine.set()
        await asyncio.wait_for(mine.wait(), 10)
        writer.write(answer(page_answer(request)))

    names = [str(number) for number in range(10)]
    async with upstream(respond) as octave, Client(build_server(settings(octave.url, wait_seconds=10))) as client:
        result = await generate(client, *names)
    assert [one["name"] for one in structured(result)["personas"]] == names
    assert rounds == [4, 4, 2, 0]


async def test_a_sandbox_keeps_its_record_in_memory(tmp_path: Path) -> None:
    """Its personas end with it too."""
    async with Client(build_server(Settings(sandbox=True))) as client:
        result = await generate(client, "A")
    assert not result.is_error
    assert CONDENSED_NOTE in text_of(result)
    assert bytes_in(tmp_path) == b""


async def test_a_record_that_is_removed_meanwhile_is_not_reported_as_nothing_sent(tmp_path: Path) -> None:
    """What was sent may have been created."""
    slow = HoldsTheSlow()
    ledger = tmp_path / "ledger"
    configured = {"state_url": f"sqlite:///{ledger}", "wait_seconds": 5, "shutdown_seconds": 0}
    async with upstream(slow) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        call = asyncio.create_task(client.call_tool("generate_personas", asking("slow", "A")))
        await asyncio.wait_for(slow.came.wait(), 10)
        with sqlite3.connect(ledger) as rows:
            rows.execute("DELETE FROM generations")
        rows.close()
        slow.go.set()
        result = await call
    assert structured(result)["failed"][0]["mayExist"]
    assert MAY_EXIST in text_of(result)
    assert "Nothing was sent" not in text_of(result)


async def test_a_ledger_that_fails_after_the_start_is_not_reported_as_nothing_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program locks it while the persona is being written."""
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    slow, ledger = HoldsTheSlow(), tmp_path / "ledger"
    configured = {"state_url": f"sqlite:///{ledger}", "wait_seconds": 1, "shutdown_seconds": 0}
    async with upstream(slow) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        call = asyncio.create_task(client.call_tool("generate_personas", asking("slow")))
        await asyncio.wait_for(slow.came.wait(), 10)
        holder = sqlite3.connect(ledger, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        slow.go.set()
        result = await call
        holder.close()
    assert "Nothing was sent" not in text_of(result)
    assert MAY_EXIST in text_of(result) or PENDING_NOTE in text_of(result)
