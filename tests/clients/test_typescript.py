"""The TypeScript SDK's clients: of its first major, and of its second in both eras of the protocol."""

import asyncio

import pytest
from support.command import environment
from support.records import record
from support.typescript import ClientRun, run_typescript_client

from clients.conftest import Early

pytestmark = [pytest.mark.anyio, pytest.mark.clients]


def assert_created_once_and_read(run: ClientRun) -> None:
    """One POST, and its persona in full."""
    assert run.posts == 1
    (tools,), (read,) = run.all("tools"), run.all("read")
    assert len(tools) == 6
    assert read["painPoints"] == record(0)["data"]["painPoints"]


@pytest.mark.parametrize(
    ("sdk", "transport"), [("1", "http"), ("2 legacy", "stdio"), ("2 modern", "stdio"), ("2 modern", "http")]
)
async def test_a_client_lists_generates_collects_and_reads(sdk: str, transport: str) -> None:
    """It checks each result against the published schema by itself."""
    run = await run_typescript_client(environment(OCTAVE_MCP_WAIT_SECONDS="1"), sdk, transport=transport, takes=2.5)
    assert_created_once_and_read(run)
    assert run.all("status")[0] == "pending"
    assert run.all("status")[-1] == "complete"


@pytest.mark.parametrize(("sdk", "transport"), [("1", "stdio"), ("2 legacy", "http"), ("2 modern", "http")])
async def test_a_client_that_gave_up_and_calls_again_receives_what_it_missed(sdk: str, transport: str) -> None:
    """As hosts do after their own time is over: the second call joins the first."""
    run = await run_typescript_client(environment(), sdk, transport=transport, takes=3, patience=1500)
    assert_created_once_and_read(run)
    assert run.all("gaveUp") == [True]
    assert run.all("status")[0] == "complete"


@pytest.mark.parametrize(("sdk", "transport"), [("1", "stdio"), ("2 legacy", "stdio"), ("2 modern", "http")])
async def test_a_person_is_asked_through_the_client(sdk: str, transport: str) -> None:
    """Who agrees has the persona created; who declines has nothing sent, and the call says so."""
    env = environment(OCTAVE_MCP_CONFIRM="require", OCTAVE_MCP_STATE_URL="memory://")
    agreed = await run_typescript_client(env, sdk, transport=transport, takes=0, consents="accept")
    assert_created_once_and_read(agreed)
    declined = await run_typescript_client(env, sdk, transport=transport, takes=0, consents="decline")
    assert declined.posts == 0
    assert declined.all("failed")[0][0]["code"] == "declined"
    for run in (agreed, declined):
        (question,) = run.all("question")
        assert "Create 1 persona" in question


async def test_progress_keeps_a_client_that_listens(early: Early) -> None:
    """Its own time for a request is over before the persona is made, but begins anew with each thing that it hears."""
    run = await asyncio.wrap_future(early["that listens"])
    assert_created_once_and_read(run)
    assert run.all("status")[0] == "complete"
    assert run.all("progress")[0] == "0 of 1 ready"


async def test_a_generation_that_takes_longer_than_the_clients_minute_ends_well(early: Early) -> None:
    """With every default: the server's wait is over first, and what was pending is collected, created once."""
    run = await asyncio.wrap_future(early["with its defaults"])
    assert_created_once_and_read(run)
    assert run.all("status")[:2] == ["pending", "complete"]
