"""The window, collecting what was still being written, and the limits, through a real client."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client
from mcp.types import CallToolResult, TextContent
from pydantic import SecretStr
from support.tokens import channels, o200k
from support.upstream import (
    HoldsTheSlow,
    Request,
    answer,
    by_the_page,
    error_envelope,
    page_answer,
    timestamp,
    upstream,
)

from octave_mcp.generation import sqlite
from octave_mcp.server.app import build_server
from octave_mcp.server.generation_list import IN_DOUBT_NOTE
from octave_mcp.server.schemas import GENERATE_PERSONAS_RESULT, GET_GENERATION_RESULT
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

KEY = "sk-canary-0123456789"


def asking(*names: str) -> dict[str, Any]:
    """Arguments that ask for a persona of each name."""
    return {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": "notes"}]} for name in names]}


def text_of(result: CallToolResult) -> str:
    """What a host that shows text would show."""
    return "".join(block.text for block in result.content if isinstance(block, TextContent))


def structured(result: CallToolResult, schema: dict[str, Any] = GET_GENERATION_RESULT) -> dict[str, Any]:
    """What a host that shows structured content would show; valid by the published schema."""
    content = result.structured_content
    assert isinstance(content, dict)
    jsonschema.validate(content, schema)
    return content


def settings(url: str, **more: Any) -> Settings:
    """A server's, with a short window."""
    own: dict[str, Any] = {"base_url": url, "api_key": SecretStr(KEY), "wait_seconds": 0.3, "shutdown_seconds": 2}
    return Settings(**own | more)


async def test_a_call_answers_within_its_window_and_the_rest_is_collected() -> None:
    """What is ready, what is being written, what waits, and an id for the rest."""
    slow = HoldsTheSlow()
    async with upstream(slow) as octave, Client(build_server(settings(octave.url, concurrency=2))) as client:
        first = await client.call_tool("generate_personas", asking("A", "slow 1", "slow 2", "slow 3"))
        content = structured(first, GENERATE_PERSONAS_RESULT)
        assert not first.is_error
        assert (content["status"], [one["name"] for one in content["personas"]]) == ("pending", ["A"])
        assert content["pending"] == [
            'Being written: personas[1] "slow 1", personas[2] "slow 2".',
            'Waiting for their turn: personas[3] "slow 3".',
        ]
        for words in (*content["pending"], content["generationId"], "Call get_generation with this generationId"):
            assert words in text_of(first)
        slow.go.set()
        rest = await client.call_tool("get_generation", {"generationId": content["generationId"]})
    collected = structured(rest)
    assert collected["status"] == "complete"
    assert [one["name"] for one in collected["personas"]] == ["A", "slow 1", "slow 2", "slow 3"]
    assert len(octave.requests) == 4


async def test_the_same_call_again_while_pending_joins_and_buys_nothing() -> None:
    """What was ready is handed over again, and the rest is waited for."""
    slow = HoldsTheSlow()
    async with upstream(slow) as octave, Client(build_server(settings(octave.url))) as client:
        await client.call_tool("generate_personas", asking("A", "slow"))
        slow.go.set()
        again = await client.call_tool("generate_personas", asking("A", "slow"))
    assert [one["name"] for one in structured(again)["personas"]] == ["A", "slow"]
    assert "not bought again: 2 (usage counted in here)" in text_of(again)
    assert len(octave.requests) == 2


async def test_asking_twice_on_purpose_buys_twice() -> None:
    """Once a result was handed over."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url))) as client:
        for _ in range(2):
            result = await client.call_tool("generate_personas", asking("A"))
            assert structured(result)["status"] == "complete"
    assert len(octave.requests) == 2


@pytest.mark.parametrize("again", [["A", "B"], ["A", "B fixed"], ["A", "B", "C"], ["B"]])
async def test_an_edited_retry_buys_only_what_is_not_there(again: list[str]) -> None:
    """Of a call of which one failed."""
    failing = True

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        failed = failing and request.json["personas"][0]["name"] == "B"
        writer.write(answer(error_envelope("No"), status=422) if failed else answer(page_answer(request)))

    async with upstream(respond) as octave, Client(build_server(settings(octave.url))) as client:
        await client.call_tool("generate_personas", asking("A", "B"))
        failing = False
        result = await client.call_tool("generate_personas", asking(*again))
    assert [one["name"] for one in structured(result)["personas"]] == again
    assert [one["name"] for one in octave.asked].count("A") == 1


async def test_a_lost_handle_costs_nothing() -> None:
    """Without an id, what is unfinished or uncollected is listed; once collected, it is not."""
    slow = HoldsTheSlow()
    async with upstream(slow) as octave, Client(build_server(settings(octave.url)), mode="legacy") as client:
        call = asyncio.create_task(client.call_tool("generate_personas", asking("slow")))
        await asyncio.wait_for(slow.came.wait(), 10)
        call.cancel()
        await asyncio.wait([call])
        listed = await client.call_tool("get_generation", {})
        (one,) = structured(listed)["uncollected"]
        assert (one["asked"], one["ready"], one["pending"], one["names"]) == (1, 0, 1, ["slow"])
        assert one["generationId"] in text_of(listed)
        slow.go.set()
        rest = await client.call_tool("get_generation", {"generationId": one["generationId"]})
        assert structured(rest)["status"] == "complete"
        nothing = await client.call_tool("get_generation", {})
    assert structured(nothing)["uncollected"] == []
    assert len(octave.requests) == 1


async def test_the_list_of_what_is_uncollected_keeps_to_the_budget() -> None:
    """However many, and however they are named."""
    slow = HoldsTheSlow()
    configured = {"wait_seconds": 0.05, "max_personas_per_call": 20, "result_tokens": 1000, "shutdown_seconds": 0}
    async with upstream(slow) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        for number in range(14):
            names = [f"slow 漢字 {number} {place} " + "long " * 50 for place in range(8)]
            await client.call_tool("generate_personas", asking(*names))
        listed = await client.call_tool("get_generation", {})
    text, content = channels(listed)
    assert o200k(text) + o200k(content) <= 1000
    assert "older ones are not listed" in text


@pytest.mark.parametrize("arguments", [{"generationId": "gen_nothing"}, {"generationId": 7}, {"id": "x"}])
async def test_an_id_that_is_none_is_told_with_what_to_do(arguments: dict[str, Any]) -> None:
    """An unknown one, a wrong type, a wrong name."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url))) as client:
        result = await client.call_tool("get_generation", arguments)
    assert result.is_error
    assert any(words in text_of(result) for words in ("Call get_generation without arguments", "generationId"))


async def test_a_handle_belongs_to_one_key(tmp_path: Path) -> None:
    """Another key on the same ledger finds nothing, and joins nothing."""
    store = {"state_url": f"sqlite:///{tmp_path / 'ledger'}"}
    async with upstream(HoldsTheSlow()) as octave:
        async with Client(build_server(settings(octave.url, **store, shutdown_seconds=0))) as client:
            mine = structured(await client.call_tool("generate_personas", asking("slow")))["generationId"]
            other = settings(
                octave.url, **store | {"api_key": SecretStr("sk-another-0123456789"), "shutdown_seconds": 0}
            )
            async with Client(build_server(other)) as stranger:
                assert (await stranger.call_tool("get_generation", {"generationId": mine})).is_error
                assert structured(await stranger.call_tool("get_generation", {}))["uncollected"] == []
                await stranger.call_tool("generate_personas", asking("slow"))
        assert len(octave.requests) == 2


async def test_a_call_may_ask_for_so_many_and_no_more() -> None:
    """Refused before anything is sent."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url))) as client:
        result = await client.call_tool("generate_personas", asking(*map(str, range(26))))
    assert result.is_error
    assert "26 were asked for, and one call may ask for 25 (OCTAVE_MCP_MAX_PERSONAS_PER_CALL)" in text_of(result)
    assert "Nothing was sent" in text_of(result)
    assert octave.connections == 0


async def test_what_never_came_back_stays_in_doubt_until_it_is_found() -> None:
    """Also for a chat that begins anew and knows of nothing; by name, and never among what can be collected."""

    async def lose(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.json["personas"][0]["name"] == "Auditor":
            writer.transport.abort()
        else:
            await by_the_page(request, writer)

    async with upstream(lose) as octave, Client(build_server(settings(octave.url))) as client:
        first = await client.call_tool("generate_personas", asking("CISO", "Auditor"))
        assert 'Did not come back: personas[1] "Auditor".' in text_of(first)
        handle = structured(first)["generationId"]
        listed = await client.call_tool("get_generation", {})
        (doubtful,) = structured(listed)["inDoubt"]
        assert (doubtful["generationId"], doubtful["unknown"]) == (handle, 1)
        assert "Nothing is unfinished or waits to be collected." in text_of(listed)
        assert IN_DOUBT_NOTE in text_of(listed)
        assert handle in text_of(listed)
        octave.library.append({"oId": "pe_late", "name": "Auditor", "createdAt": timestamp()})
        found = await client.call_tool("get_generation", {"generationId": handle})
        assert "pe_late" in text_of(found)
        last = await client.call_tool("get_generation", {})
        assert "In doubt" not in text_of(last)


async def test_a_day_may_buy_so_many_and_no_more() -> None:
    """All of a call or nothing, and it says how many are left."""
    async with (
        upstream(by_the_page) as octave,
        Client(build_server(settings(octave.url, max_personas_per_day=3))) as client,
    ):
        await client.call_tool("generate_personas", asking("A", "B"))
        result = await client.call_tool("generate_personas", asking("C", "D"))
        assert result.is_error
        for words in ("limit of 3", "OCTAVE_MCP_MAX_PERSONAS_PER_DAY", "room for 1", "Nothing was sent"):
            assert words in text_of(result)
        assert not (await client.call_tool("generate_personas", asking("C"))).is_error
        assert "only time, or the user, helps" in text_of(await client.call_tool("generate_personas", asking("D")))
    assert len(octave.requests) == 3


async def test_a_ledger_that_cannot_be_kept_sends_nothing_and_says_so(tmp_path: Path) -> None:
    """And is used again once it is mended, without a restart."""
    ledger = tmp_path / "ledger"
    ledger.write_bytes(b"no database at all " * 100)
    configured = {"state_url": f"sqlite:///{ledger}"}
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        result = await client.call_tool("generate_personas", asking("A"))
        assert result.is_error
        for words in ("OCTAVE_MCP_STATE_URL", "damaged", "Nothing was sent"):
            assert words in text_of(result)
        assert (await client.call_tool("get_generation", {})).is_error
        assert octave.connections == 0
        ledger.unlink()
        assert not (await client.call_tool("generate_personas", asking("A"))).is_error


def bytes_in(folder: Path) -> bytes:
    """All that is written there."""
    return b"".join(path.read_bytes() for path in folder.rglob("ledger*") if path.is_file())


async def test_the_ledger_holds_neither_key_nor_source(tmp_path: Path) -> None:
    """Also where Octave echoes the key in an answer that cannot be read, which is kept."""
    ledger = tmp_path / "ledger"

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(f"<html>{request.header('api_key')} <b>made it</b> {KEY[:-3]}".encode()))

    configured = {"state_url": f"sqlite:///{ledger}"}
    arguments = {"personas": [{"name": "A", "sources": [{"type": "TEXT", "value": "a secret source"}]}]}
    async with upstream(respond) as octave, Client(build_server(settings(octave.url, **configured))) as client:
        await client.call_tool("generate_personas", arguments)
        written = bytes_in(tmp_path)
    for secret in (KEY[:-3].encode(), b"a secret source"):
        assert secret not in written
    with sqlite3.connect(ledger) as rows:
        kept = rows.execute("SELECT unreadable FROM items").fetchall()
    rows.close()
    assert b"made it" in kept[0][0]


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
    configured = settings("http://localhost", wait_seconds=10)
    async with upstream(respond) as octave:
        server = build_server(configured.model_copy(update={"base_url": octave.url}))
        async with Client(server) as client:
            result = await client.call_tool("generate_personas", asking(*names))
    assert [one["name"] for one in structured(result)["personas"]] == names
    assert rounds == [4, 4, 2, 0]


async def test_a_sandbox_keeps_its_record_in_memory(tmp_path: Path) -> None:
    """Its personas end with it too."""
    async with Client(build_server(Settings(sandbox=True))) as client:
        result = await client.call_tool("generate_personas", asking("A"))
    assert not result.is_error
    assert bytes_in(tmp_path) == b""
    assert "generationId" in json.dumps(result.structured_content)


async def test_a_record_that_is_removed_under_way_is_not_told_as_nothing_sent(tmp_path: Path) -> None:
    """What was sent may have been made."""
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
    assert result.is_error
    assert "may have been made and paid for" in text_of(result)
    assert "Nothing was sent" not in text_of(result)


async def test_a_ledger_that_fails_after_the_start_is_not_told_as_nothing_sent(
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
    assert result.is_error
    assert "may have been made and paid for" in text_of(result)
    assert "Nothing was sent" not in text_of(result)
