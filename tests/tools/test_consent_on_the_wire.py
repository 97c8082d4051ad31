"""Answers to the question before spending, as they are on the wire: unreadable, late, changed, and for another call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult, ErrorData
from support.calls import KEY, asking, settings, structured, text_of
from support.http import post, result_in, said, serving
from support.modern import ask, error_in
from support.upstream import Request, Upstream, by_the_page, upstream

from octave_mcp.server.app import build_server

pytestmark = pytest.mark.anyio

FORM: dict[str, Any] = {"elicitation": {"form": {}}}
YES: dict[str, Any] = {"action": "accept", "content": {"create": True}}
NO: dict[str, Any] = {"action": "decline"}


@asynccontextmanager
async def asked_by(**more: Any) -> AsyncIterator[tuple[str, Upstream]]:
    """Serve over HTTP a server that asks, in front of an upstream."""
    own = {"api_key": KEY, "confirm": "ask", **more}
    async with asyncio.timeout(40), upstream(by_the_page) as octave, serving(base_url=octave.url, **own) as url:
        yield url, octave


async def call(url: str, arguments: dict[str, Any], *, capabilities: Any = FORM, **answered: Any) -> Any:
    """Ask for personas, perhaps with an answer, and return the response."""
    params = {"name": "generate_personas", "arguments": arguments, **answered}
    return await ask(url, "tools/call", params, capabilities=capabilities)


async def question(url: str, arguments: dict[str, Any]) -> tuple[str, str]:
    """Return the state of the question that this call meets, and its words."""
    result = result_in(await call(url, arguments))
    assert result["resultType"] == "input_required"
    return result["requestState"], result["inputRequests"]["spend"]["params"]["message"]


UNREADABLE: list[Any] = [
    {"action": "accept"},
    {"action": "accept", "content": {}},
    {"action": "accept", "content": {"Create": True}},
    {"action": "accept", "content": {"create": 3}},
    {"action": "accept", "content": {"create": ["x"]}},
]


@pytest.mark.parametrize("answer", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_an_answer_that_cannot_be_read_sends_nothing_and_says_so(answer: Any) -> None:
    """In the tool's own words, with a code, and without names of the program's functions."""
    async with asked_by() as (url, octave):
        state, _ = await question(url, asking("A"))
        result = result_in(await call(url, asking("A"), inputResponses={"spend": answer}, requestState=state))
        assert result["structuredContent"]["failed"][0]["code"] == "declined"
        assert "cannot be read" in said(result)
        assert "Nothing was sent" in said(result)
        assert octave.requests == []


NO_ANSWERS: list[Any] = [
    None,
    "accept",
    {},
    {"action": "yes", "content": {"create": True}},
    {"action": "accept", "content": "yes"},
    {"action": "accept", "content": {"create": {}}},
]


@pytest.mark.parametrize("answer", NO_ANSWERS, ids=range(len(NO_ANSWERS)))
async def test_what_is_no_answer_at_all_is_an_error_that_says_that_nothing_was_sent(answer: Any) -> None:
    """The SDK rejects it before the tool is called, and said only that parameters are invalid."""
    async with asked_by() as (url, octave):
        state, _ = await question(url, asking("A"))
        error = error_in(await call(url, asking("A"), inputResponses={"spend": answer}, requestState=state))
        assert error["code"] == -32602
        assert "cannot be read. Nothing was sent" in error["message"]
        other = error_in(await ask(url, "tools/call", {"name": "generate_personas", "arguments": []}))
        assert "cannot be read" not in other["message"]
        assert octave.requests == []


@pytest.mark.parametrize("answer", UNREADABLE, ids=range(len(UNREADABLE)))
async def test_the_older_era_has_the_same_form_and_reads_answers_alike(answer: Any) -> None:
    """The form is that of the protocol and no more: a client may show what else it has to a person."""
    forms: list[Any] = []

    async def reply(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001
        forms.append(params.model_dump(mode="json", by_alias=True, exclude_none=True)["requestedSchema"])
        return ElicitResult.model_validate(answer)

    async with asked_by() as (url, octave):
        asked = result_in(await call(url, asking("A")))
        own = settings(octave.url, confirm="require", state_url="memory://")
        async with Client(build_server(own), mode="legacy", elicitation_callback=reply) as client:
            assert "cannot be read" in text_of(await client.call_tool("generate_personas", asking("A")))
        assert forms == [asked["inputRequests"]["spend"]["params"]["requestedSchema"]]
        assert forms[0].keys() == {"type", "properties", "required"}
        assert octave.requests == []


@pytest.mark.parametrize("refusal", [ErrorData(code=-32601, message="no such method"), ErrorData(code=-1, message="x")])
async def test_a_client_that_answers_with_an_error_has_the_tools_answer(refusal: ErrorData) -> None:
    """Before 2026-07-28 the question is a request, which a client may reject: that is no error of this call."""

    async def reject(context: ClientRequestContext, params: ElicitRequestParams) -> ErrorData:  # noqa: ARG001
        return refusal

    async with asyncio.timeout(30), upstream(by_the_page) as octave:
        server = build_server(settings(octave.url, confirm="require", state_url="memory://"))
        async with Client(server, mode="legacy", elicitation_callback=reject) as client:
            result = await client.call_tool("generate_personas", asking("A"))
        assert structured(result)["failed"][0]["code"] == "declined"
        assert "cannot be read" in text_of(result)
        assert octave.requests == []


@pytest.mark.parametrize(("answer", "created"), [(YES, 1), (NO, 0)], ids=["yes", "no"])
async def test_an_answer_counts_though_the_figures_changed_meanwhile(answer: Any, created: int) -> None:
    """Similar personas and credits change at any time; a person who answered is not asked the same again."""
    async with asked_by() as (url, octave):
        state, _ = await question(url, asking("CISO"))
        octave.library.append({"oId": "pe_1", "name": "CISO of a bank"})
        result = result_in(await call(url, asking("CISO"), inputResponses={"spend": answer}, requestState=state))
        assert result["resultType"] == "complete"
        assert len(octave.requests) == created


@pytest.mark.parametrize("capabilities", [FORM, {}])
async def test_a_no_is_a_no_whatever_else_is_so(capabilities: Any) -> None:
    """Without a state, from a request that declares nothing, and if fewer would be created than are asked about."""
    async with asked_by(confirm_from=2) as (url, octave):
        await question(url, asking("A", "B"))
        octave.library.append({"oId": "pe_1", "name": "A"})
        again = call(url, asking("A", "B"), capabilities=capabilities, inputResponses={"spend": NO})
        assert "answered with no" in said(result_in(await again))
        assert octave.requests == []


async def test_a_yes_covers_what_was_asked_about_and_no_more() -> None:
    """If more would be created now than then, the person is asked about it; if less, not."""
    async with asked_by() as (url, octave):
        octave.library.append({"oId": "pe_1", "name": "B"})
        state, words = await question(url, asking("A", "B"))
        assert "Create 1 persona in" in words
        octave.library.clear()
        yes = {"inputResponses": {"spend": YES}}
        more = result_in(await call(url, asking("A", "B"), requestState=state, **yes))
        assert "Create 2 personas in" in more["inputRequests"]["spend"]["params"]["message"]
        assert octave.requests == []
        octave.library.append({"oId": "pe_2", "name": "A"})
        result = result_in(await call(url, asking("A", "B"), requestState=more["requestState"], **yes))
        assert [asked["name"] for asked in octave.asked] == ["B"]
        assert result["structuredContent"]["status"] == "partial"


async def test_a_yes_does_not_cover_a_file_that_was_changed_since(tmp_path: Path) -> None:
    """The person agreed to what the file said then. In the older era it is read once, before the question."""
    file = tmp_path / "notes.md"
    file.write_text("Short.", encoding="utf-8")
    wanted = {"personas": [{"name": "A", "sources": [{"type": "URL", "value": "file:notes.md"}]}]}
    async with asked_by(folders=(tmp_path,)) as (url, octave):
        state, words = await question(url, wanted)
        assert "TEXT of 6 characters" in words
        file.write_text("Much longer than before.", encoding="utf-8")
        again = result_in(await call(url, wanted, inputResponses={"spend": YES}, requestState=state))
        assert "TEXT of 24 characters" in again["inputRequests"]["spend"]["params"]["message"]
        assert octave.requests == []

        async def agree(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001
            file.write_text("Changed while the person was reading.", encoding="utf-8")
            return ElicitResult.model_validate(YES)

        own = settings(octave.url, confirm="ask", folders=(tmp_path,), wait_seconds=20, state_url="memory://")
        async with Client(build_server(own), mode="legacy", elicitation_callback=agree) as client:
            assert not (await client.call_tool("generate_personas", wanted)).is_error
        assert octave.asked[0]["sources"] == [{"type": "TEXT", "value": "Much longer than before."}]


async def test_what_the_question_left_out_as_existing_is_not_sent_if_octave_fails_then() -> None:
    """The name check of the question holds for the call: else a failing list would send what nobody agreed to."""
    async with asked_by() as (url, octave):
        octave.library.append({"oId": "pe_1", "name": "B"})
        searched = 0

        async def once(request: Request, writer: asyncio.StreamWriter) -> None:
            nonlocal searched
            searched += request.query.get("text", "").lower() == "b"
            if searched > 2:  # once for the question, and once for the call with its answer
                writer.transport.abort()
            else:
                await octave.list_personas(request, writer)

        octave.look_up = once
        state, _ = await question(url, asking("A", "B"))
        result = result_in(await call(url, asking("A", "B"), inputResponses={"spend": YES}, requestState=state))
        assert [asked["name"] for asked in octave.asked] == ["A"]
        assert result["structuredContent"]["failed"][0]["code"] == "name_exists"


async def test_a_state_that_is_not_accepted_is_an_error_that_says_what_to_do() -> None:
    """Of another call, tampered with, or of another server: nothing is sent, and the model learns it."""
    async with asked_by() as (url, octave), asked_by() as (other, _):
        state, _ = await question(url, asking("A"))
        foreign, _ = await question(other, asking("A"))
        for arguments, sent in ((asking("B"), state), (asking("A"), state[:-6] + "AAAAAA"), (asking("A"), foreign)):
            error = error_in(await call(url, arguments, inputResponses={"spend": YES}, requestState=sent))
            assert (error["code"], error["data"]["reason"]) == (-32602, "invalid_request_state")
            assert "Nothing was sent" in error["message"]
            assert "Make the call again" in error["message"]
        assert octave.requests == []


async def test_the_question_names_every_persona() -> None:
    """Also if there are too many for the sources of each."""
    async with asked_by() as (url, _):
        names = [f"Persona {number}" for number in range(7)]
        _, words = await question(url, asking(*names))
        assert all(f'"{name}"' in words for name in names)
        assert "Sources: 7 TEXT" in words
        _, words = await question(url, {"personas": [{"sources": [{"type": "TEXT", "value": "notes"}]}]})
        assert "One without a name from TEXT of 5 characters" in words, "a person does not count from 0 in brackets"


@pytest.mark.parametrize(("confirm", "created"), [("ask", 1), ("require", 0)])
async def test_the_older_era_over_stateless_http_has_no_way_to_ask(confirm: str, created: int) -> None:
    """A request there declares nothing, and no request can go to the client: as for a client that cannot ask."""
    async with asked_by(confirm=confirm) as (url, octave):
        params = {"name": "generate_personas", "arguments": asking("A")}
        result = result_in(await post(url, "tools/call", params))
        assert bool(result.get("isError")) is (created == 0)
        is_told = "cannot ask through this client" in said(result)  # which may well declare that it can
        assert is_told is (created == 0)
        assert len(octave.requests) == created
