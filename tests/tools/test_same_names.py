"""A persona of the very same name: what exists already, in Octave or in the ledger, is not created a second time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from support.calls import asking, collect, generate, losing, settings, structured, text_of
from support.upstream import HoldsTheSlow, Respond, Upstream, always, by_the_page, upstream

from octave_mcp.results.failures import NOTHING_SENT
from octave_mcp.server.app import build_server

pytestmark = pytest.mark.anyio


async def test_a_name_that_octave_has_is_not_created_unnoticed() -> None:
    """The result says which exists, since when, and how to go on; the others are created."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url, wait_seconds=5))) as client:
        octave.library.append({"oId": "pe_7", "name": "ciso ", "createdAt": "2026-02-03T10:11:12.000Z"})
        result = await generate(client, "CISO", "CFO")
        (failed,) = structured(result)["failed"]
        assert (failed["personas"], failed["code"], failed["mayExist"]) == ('personas[0] "CISO"', "name_exists", False)
        assert failed["retry"] == "after_change"
        for words in (
            '"CISO" (pe_7, created 2026-02-03T10:11:12)',
            NOTHING_SENT,
            "change it in Octave",
            "another name",
        ):
            assert words in failed["problem"]
            assert words in text_of(result)
    assert [one["name"] for one in octave.asked] == ["CFO"]


async def test_a_list_that_cannot_be_searched_for_the_name_holds_up_nothing_and_the_result_says_so() -> None:
    """The persona is created all the same."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url, wait_seconds=5))) as client:
        octave.look_up = always(b"<html>", status=502)
        result = await generate(client, "CISO")
    note = 'Octave\'s list could not be searched for a persona of the same name: personas[0] "CISO".'
    assert note in structured(result)["notes"]
    assert note in text_of(result)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("SOC  Analyst Lead", "SOC Analyst Lead"),
        ("Leiterin IT-Sicherheit, Gro\u00dfhandel", "Leiterin IT-Sicherheit, Grosshandel"),
        ("Leiter Bu\u0308ro", "Leiter B\u00fcro"),
        ("Leiter\u00a0B\u00fcro", "LEITER B\u00dcRO"),
        ("\u60c5\u30b7\u30b9\u90e8\u9577", "\u60c5\u30b7\u30b9\u90e8\u9577"),
    ],
)
async def test_a_name_is_found_also_if_octave_searches_letter_by_letter(stored: str, asked: str) -> None:
    """As this upstream does: with other blanks, another Unicode form or another spelling in the name it has."""
    async with serving() as (client, octave):
        octave.library.append({"oId": "pe_7", "name": stored})
        (failed,) = structured(await generate(client, asked))["failed"]
        assert failed["code"] == "name_exists"
        assert "pe_7" in failed["problem"]
        assert len(octave.looked_up) == 1
    assert octave.asked == []


async def test_a_name_is_found_also_if_many_names_have_its_longest_word() -> None:
    """Then the list is searched for the whole name too."""
    async with serving() as (client, octave):
        octave.library += [{"oId": f"pe_{n}", "name": f"Procurement Lead, plant {n}"} for n in range(120)]
        octave.library.append({"oId": "pe_it", "name": "IT Procurement"})
        (failed,) = structured(await generate(client, "IT Procurement"))["failed"]
    assert "pe_it" in failed["problem"]


def differently(name: str, value: str = "The same material, retyped.") -> dict[str, Any]:
    """Ask for a persona whose text is not that of `generate`."""
    return {"personas": [{"name": name, "sources": [{"type": "TEXT", "value": value}]}]}


async def test_what_was_created_just_now_is_not_created_again_although_the_list_lacks_it() -> None:
    """Lists lag, and this one never has what was created; models retype a text rather than repeat it."""
    async with serving() as (client, octave):
        (created,) = structured(await generate(client, "Fraud Analyst"))["personas"]
        result = await client.call_tool("generate_personas", differently("fraud  analyst"))
        (failed,) = structured(result)["failed"]
        assert (failed["code"], failed["mayExist"]) == ("name_exists", False)
        assert created["oId"] in failed["problem"]
    assert [one["name"] for one in octave.asked] == ["Fraud Analyst"]


async def test_what_an_earlier_call_still_writes_is_not_asked_for_again_in_other_words() -> None:
    """The result names that call, and `get_generation` returns its persona."""
    slow = HoldsTheSlow()
    async with serving(slow, wait_seconds=2) as (client, octave):
        handle = structured(await generate(client, "slow"))["generationId"]
        result = await client.call_tool("generate_personas", differently("slow"))
        (failed,) = structured(result)["failed"]
        assert (failed["code"], failed["retry"]) == ("name_exists", "after_change")
        for words in (f"An earlier call, {handle}, asked for", NOTHING_SENT, "Call get_generation with that"):
            assert words in failed["problem"]
            assert words in text_of(result)
        slow.go.set()
        assert structured(await collect(client, handle), "get_generation")["status"] == "complete"
    assert len(octave.requests) == 1


async def test_what_may_exist_is_not_asked_for_again_in_other_words() -> None:
    """A second persona of the name would make it impossible to find the first."""
    async with serving(losing("Auditor"), wait_seconds=2) as (client, octave):
        handle = structured(await generate(client, "Auditor"))["generationId"]
        (failed,) = structured(await client.call_tool("generate_personas", differently("Auditor")))["failed"]
        assert handle in failed["problem"]
    assert len(octave.requests) == 1


async def test_of_two_calls_at_once_for_one_name_one_creates_it() -> None:
    """Neither waits for the other, and they do not refuse each other."""
    async with serving() as (client, octave):
        calls = (client.call_tool("generate_personas", differently("CFO", f"text {n}")) for n in range(2))
        statuses = {structured(result)["status"] for result in await asyncio.gather(*calls)}
    assert statuses == {"complete", "failed"}
    assert len(octave.requests) == 1


async def test_equal_names_are_allowed_in_one_call_and_where_the_setting_says_so() -> None:
    """Then the person knows of it."""
    async with serving() as (client, octave):
        assert structured(await generate(client, "CFO", "CFO"))["status"] == "complete"
    assert len(octave.requests) == 2
    async with serving(allow_same_name=True) as (client, octave):
        for arguments in (asking("CFO"), differently("CFO")):
            assert structured(await client.call_tool("generate_personas", arguments))["status"] == "complete"
    assert len(octave.requests) == 2


@asynccontextmanager
async def serving(respond: Respond = by_the_page, **configured: Any) -> AsyncIterator[tuple[Client, Upstream]]:
    """A server and its upstream, whose list has only what a test puts there."""
    own = {"wait_seconds": 20, "shutdown_seconds": 0, **configured}
    async with upstream(respond) as octave, Client(build_server(settings(octave.url, **own))) as client:
        yield client, octave


@pytest.mark.parametrize("name", ["a" * 70_000, "\U0001f642" * 6000])
async def test_a_name_that_no_query_can_carry_ends_nothing(name: str) -> None:
    """The HTTP library raised an error that nothing caught: it ended the server, with every request in progress."""
    async with upstream(by_the_page) as octave, Client(build_server(settings(octave.url, wait_seconds=5))) as client:
        assert structured(await generate(client, name))["status"] == "complete"
        assert structured(await generate(client, "CISO"))["status"] == "complete"
