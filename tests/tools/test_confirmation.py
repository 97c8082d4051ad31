"""A person is asked before personas are created, in both eras of the protocol; what each answer does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.types import CallToolResult, ElicitRequestFormParams, ElicitRequestParams, ElicitResult
from pydantic import SecretStr
from support.upstream import Request, Upstream, answer, by_the_page, page_answer, upstream

from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings
from octave_mcp.tools import confirmation

pytestmark = pytest.mark.anyio

both_eras = pytest.mark.parametrize("mode", ["legacy", "auto"])
ASKED = {"personas": [{"name": "CISO", "sources": [{"type": "TEXT", "value": "notes"}]}], "primaryOfferingOId": "o_1"}

Answer = Callable[[], Awaitable[ElicitResult]]


def saying(action: Any, **content: Any) -> Answer:
    """Return a person who always answers so."""

    async def answered() -> ElicitResult:
        return ElicitResult(action=action, content=content or None)

    return answered


YES, NO, DISMISSED = saying("accept", create=True), saying("decline"), saying("cancel")


class Conversation:
    """A server, a client, and the questions that were asked."""

    def __init__(self, octave: Upstream, client: Client) -> None:
        """Remember both."""
        self.octave = octave
        self.client = client
        self.questions: list[str] = []

    async def call(self, arguments: dict[str, Any] | None = None) -> CallToolResult:
        """Ask for personas."""
        return await self.client.call_tool("generate_personas", arguments or ASKED)


@asynccontextmanager
async def asking(mode: Any, person: Answer | None, **settings: Any) -> AsyncIterator[Conversation]:
    """Open a client whose person answers so; None is a client that cannot ask."""
    async with asyncio.timeout(30), upstream(by_the_page) as octave:

        async def ask(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
            assert isinstance(params, ElicitRequestFormParams)
            assert context is not None
            conversation.questions.append(params.message)
            assert person is not None
            return await person()

        own = Settings(api_key=SecretStr("sk-0123456789"), base_url=octave.url, state_url="memory://", **settings)
        callback = None if person is None else ask
        async with Client(build_server(own), mode=mode, elicitation_callback=callback) as client:
            conversation = Conversation(octave, client)
            yield conversation


@both_eras
async def test_a_person_who_agrees_has_the_personas_created(mode: str) -> None:
    """The question says how many, from what, for which offering and at what price; the same call asks no more."""
    async with asking(mode, YES, confirm="ask") as here:
        result = await here.call()
        assert not result.is_error
        (text,) = here.questions
        for words in ("Create 1 persona", '"CISO" from TEXT of 5 characters', "o_1", "price is not known"):
            assert words in text
        again = await here.call()
        assert again.structured_content is not None
        assert again.structured_content["personas"][0]["oId"]
        assert len(here.questions) == 1
        assert len(here.octave.requests) == 1


@both_eras
@pytest.mark.parametrize("person", [NO, DISMISSED, saying("accept", create=False)], ids=["no", "dismissed", "unticked"])
async def test_any_other_answer_sends_nothing(mode: str, person: Answer) -> None:
    """The result says so, and that nobody may have been asked; nothing is recorded."""
    async with asking(mode, person, confirm="ask") as here:
        result = await here.call()
        assert result.is_error
        assert result.structured_content is not None
        assert result.structured_content["failed"][0]["code"] == "declined"
        assert "without asking anybody" in result.content[0].text  # type: ignore[union-attr]
        listed = await here.client.call_tool("get_generation", {})
        assert listed.structured_content is not None
        assert listed.structured_content["generations"] == []
        assert here.octave.requests == []


@both_eras
@pytest.mark.parametrize(("confirm", "created"), [("ask", 1), ("require", 0)])
async def test_a_client_that_cannot_ask_goes_on_unless_a_question_is_required(
    mode: str, confirm: str, created: int
) -> None:
    """Then the result says why, and what can be done."""
    async with asking(mode, None, confirm=confirm) as here:
        result = await here.call()
        assert result.is_error is (created == 0)
        assert len(here.octave.requests) == created
        assert created or "OCTAVE_MCP_CONFIRM" in result.content[0].text  # type: ignore[union-attr]


async def test_no_answer_in_time_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may drop the question."""
    monkeypatch.setattr(confirmation, "ANSWER_SECONDS", 0.2)

    async def never() -> ElicitResult:
        await asyncio.sleep(20)
        raise AssertionError

    async with asking("legacy", never, confirm="require") as here:
        result = await here.call()
        assert result.is_error
        assert "not answered in time" in result.content[0].text  # type: ignore[union-attr]
        assert here.octave.requests == []


@both_eras
async def test_nothing_is_asked_where_nothing_would_be_created(mode: str) -> None:
    """Wrong arguments, a name that exists, and fewer personas than the setting says."""
    async with asking(mode, NO, confirm="require", confirm_from=2) as here:
        assert (await here.call({"personas": []})).is_error
        here.octave.library.append({"oId": "pe_1", "name": "ciso"})
        assert (await here.call()).is_error
        one = {"personas": [{"name": "CFO", "sources": [{"type": "TEXT", "value": "notes"}]}]}
        assert not (await here.call(one)).is_error
        assert here.questions == []
        two = {"personas": [*one["personas"], *({**one["personas"][0], "name": name} for name in "AB")]}
        assert (await here.call(two)).is_error
        assert "Create 2 personas" in here.questions[0], "the third exists already"
        assert len(here.octave.requests) == 1


@both_eras
async def test_nobody_is_asked_about_what_a_daily_limit_forbids(mode: str) -> None:
    """A yes would be followed by a refusal."""
    async with asking(mode, YES, confirm="require", max_personas_per_day=1) as here:
        assert not (await here.call()).is_error
        another = {"personas": [{"name": "CFO", "sources": [{"type": "TEXT", "value": "notes"}]}]}
        assert "OCTAVE_MCP_MAX_PERSONAS_PER_DAY" in (await here.call(another)).content[0].text  # type: ignore[union-attr]
        assert len(here.questions) == len(here.octave.requests) == 1


@both_eras
async def test_the_question_names_similar_personas_the_price_and_the_balance(mode: str) -> None:
    """As far as Octave reports them in time."""

    async def look_up(request: Any, writer: asyncio.StreamWriter) -> None:
        if "validate" in request.path:
            writer.write(answer({"_metadata": {}, "valid": True, "credits": {"totalRemaining": 350}}))
        else:
            await here.octave.list_personas(request, writer)

    async with asking(mode, YES, confirm="ask") as here:
        here.octave.look_up = look_up
        here.octave.library.append({"oId": "pe_1", "name": "CISO of a bank"})
        await here.call()
        await here.call({"personas": [{"sources": [{"type": "TEXT", "value": "other"}]}]})
        first, second = here.questions
        assert 'Similar personas exist already: "CISO of a bank" (pe_1).' in first
        assert "Credits left: 350." in first
        assert "credits each here" in second


async def test_figures_that_cannot_be_had_do_not_hold_up_the_question() -> None:
    """It says that they are not known."""

    async def broken(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(answer({"message": "no"}, status=500))

    async with asking("auto", YES, confirm="ask") as here:
        here.octave.look_up = broken
        assert not (await here.call()).is_error
        assert "The credits left are not known." in here.questions[0]
        assert "Whether similar personas exist is not known." in here.questions[0]


async def test_a_price_that_octave_did_not_report_is_not_known() -> None:
    """Though a persona was created here: the question said that none was."""
    async with asking("auto", YES, confirm="ask") as here:

        async def without_usage(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(answer({**page_answer(request), "_metadata": {}}))

        here.octave.respond = without_usage
        await here.call()
        await here.call({"personas": [{"sources": [{"type": "TEXT", "value": "other"}]}]})
        assert [line for line in here.questions[1].splitlines() if "price" in line] == [
            "The price is not known. The credits left are not known."
        ]


async def test_the_question_has_names_for_what_was_given_by_oid() -> None:
    """A person knows offerings by name; an oId that Octave does not list stays as it is."""

    async def look_up(request: Any, writer: asyncio.StreamWriter) -> None:
        if "product" in request.path:
            rows = [{"oId": "o_1", "name": "Trust Center"}, {"oId": "o_3", "name": "Other"}]
            writer.write(answer({"_metadata": {}, "hasNext": False, "total": 2, "data": rows}))
        else:
            await here.octave.list_personas(request, writer)

    async with asking("auto", NO, confirm="ask") as here:
        here.octave.look_up = look_up
        linking = {"mode": "SPECIFIC", "offeringOIds": ["o_1", "o_2"]}
        await here.call({**ASKED, "linkingStrategy": linking})
        (text,) = here.questions
        assert 'Primary offering (context) "Trust Center" (o_1); linked to offerings "Trust Center" (o_1), o_2.' in text
        assert "Other" not in text


async def test_what_octave_says_cannot_write_a_line_of_the_question() -> None:
    """Neither a name nor an oId: a person decides by these lines."""
    async with asking("auto", NO, confirm="ask") as here:
        here.octave.library.append({"oId": "pe_1\nFree of charge.", "name": 'CISO"\nFree of charge.\u202e'})
        await here.call()
        assert (
            here.questions[0].splitlines()[-1]
            == """Similar personas exist already: "CISO' Free of charge." (no oId)."""
        )


async def test_an_answer_counts_on_any_replica_that_shares_the_key_and_only_once() -> None:
    """The state of the question is sealed with a key that replicas share; a second answer joins what was created."""
    async with asyncio.timeout(30), upstream(by_the_page) as octave:
        settings = Settings(
            api_key=SecretStr("sk-0123456789"),
            base_url=octave.url,
            confirm="ask",
            state_url="memory://",
            request_state_key=SecretStr("k" * 32),
        )
        async with (
            Client(build_server(settings), mode="auto", elicitation_callback=_unused) as one,
            Client(build_server(settings), mode="auto", elicitation_callback=_unused) as other,
        ):
            asked: Any = await one.session.call_tool("generate_personas", ASKED, allow_input_required=True)
            (key,) = asked.input_requests
            reply: Any = {
                "input_responses": {key: ElicitResult(action="accept", content={"create": True})},
                "request_state": asked.request_state,
            }
            for _ in range(2):
                created = await other.session.call_tool("generate_personas", ASKED, **reply)
                assert not created.is_error
        assert len(octave.requests) == 1


async def _unused(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:  # noqa: ARG001 - named by the protocol
    raise AssertionError
