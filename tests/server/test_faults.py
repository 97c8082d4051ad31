"""Every fault that has been seen on such a wire, through the tool: one table, in `support.faults`."""

import asyncio
import json
import sqlite3
import tracemalloc
from pathlib import Path

import pytest
from mcp import Client
from pydantic import SecretStr
from support.calls import KEY, asking, collect, structured, text_of
from support.faults import CASES, Case
from support.upstream import Request, by_the_page, timestamp, upstream

from octave_mcp.octave import client as client_module
from octave_mcp.octave import response_body
from octave_mcp.results.failures import MAY_EXIST
from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings

pytestmark = pytest.mark.anyio

STATES = {"done": "created", "rejected": "failed", "refused": "failed", "unknown": "unknown"}


def settings(url: str, ledger: Path, wait_seconds: float) -> Settings:
    """A server's, with its ledger in a file."""
    return Settings(
        base_url=url,
        api_key=SecretStr(KEY),
        state_url=f"sqlite:///{ledger}",
        shutdown_seconds=1,
        wait_seconds=wait_seconds,
    )


IMPATIENT = {"app": None, "deadline_seconds": 1.5}
"""What a client is made with, in place of minutes."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_fault_becomes_what_it_must(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class, its POSTs, the model's text, memory, another call at the same time, and the same call once more."""
    monkeypatch.setattr(client_module.OctaveClient.__init__, "__kwdefaults__", IMPATIENT)
    faulty: list[Request] = []

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.json["personas"][0]["name"] == "fault":
            faulty.append(request)
            await case.respond(request, writer)
        else:
            await by_the_page(request, writer)

    ledger = tmp_path / "ledger"
    window = 0.3 if case.becomes == "unknown" else 5  # a call waits its whole window for an unknown outcome
    tracemalloc.start()
    async with (
        upstream(respond) as octave,
        Client(build_server(settings(octave.url, ledger, wait_seconds=window))) as client,
    ):
        result, other = await asyncio.gather(
            client.call_tool("generate_personas", asking("fault")),
            client.call_tool("generate_personas", asking("other")),
        )
        while structured(result)["status"] == "pending":
            result = await collect(client, structured(result)["generationId"])
        if structured(other)["status"] == "pending":
            other = await collect(client, structured(other)["generationId"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    text, content = text_of(result), structured(result)
    assert len(faulty) == case.posts
    assert content["status"] == ("complete" if case.becomes == "done" else "failed"), text
    assert result.is_error == (case.becomes != "done")
    for word in case.words:
        assert word in text
        assert word in json.dumps(content, ensure_ascii=False)
    assert (MAY_EXIST in text) == (case.becomes == "unknown")
    assert "try again" not in text.lower()
    assert KEY not in text
    assert not other.is_error
    assert peak < 10 * response_body.MAX_ANSWER_BYTES
    with sqlite3.connect(ledger) as rows:
        states = dict(rows.execute("SELECT name, state FROM items").fetchall())
    rows.close()
    assert states == {"fault": STATES[case.becomes], "other": "created"}


@pytest.mark.parametrize("case", [case for case in CASES if case.becomes == "unknown"], ids=lambda case: case.name)
async def test_what_may_have_been_created_is_found_in_octaves_list(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it was made all the same: one POST, and the persona is there as if nothing had happened."""
    monkeypatch.setattr(client_module.OctaveClient.__init__, "__kwdefaults__", IMPATIENT)

    async def respond(request: Request, writer: asyncio.StreamWriter) -> None:
        made = {"oId": "pe_made", "name": "fault", "createdAt": timestamp(), "data": {"painPoints": ["Audits"]}}
        octave.library.append(made)
        await case.respond(request, writer)

    async with (
        upstream(respond) as octave,
        Client(build_server(settings(octave.url, tmp_path / "l", wait_seconds=20))) as client,
    ):
        result = await client.call_tool("generate_personas", asking("fault"))
    assert not result.is_error, text_of(result)
    assert "pe_made" in text_of(result)
    assert "the persona was found in Octave's list" in text_of(result)
    assert len(octave.requests) == 1
