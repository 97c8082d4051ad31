"""The TypeScript SDK's clients: of its first major, and of its second in both eras of the protocol."""

import asyncio

import pytest
from support.command import environment
from support.records import record
from support.typescript import Met, meets

from clients.conftest import Early

pytestmark = [pytest.mark.anyio, pytest.mark.clients]


def assert_bought_once_and_read(met: Met) -> None:
    """One POST, and its persona in full."""
    assert met.posts == 1
    (tools,), (read,) = met.all("tools"), met.all("read")
    assert len(tools) == 6
    assert read["painPoints"] == record(0)["data"]["painPoints"]


@pytest.mark.parametrize(
    ("sdk", "transport"), [("1", "http"), ("2 legacy", "stdio"), ("2 modern", "stdio"), ("2 modern", "http")]
)
async def test_a_client_lists_generates_collects_and_reads(sdk: str, transport: str) -> None:
    """It checks each result against the published schema by itself."""
    met = await meets(environment(OCTAVE_MCP_WAIT_SECONDS="1"), sdk, transport=transport, takes=2.5)
    assert_bought_once_and_read(met)
    assert met.all("status")[0] == "pending"
    assert met.all("status")[-1] == "complete"


@pytest.mark.parametrize(("sdk", "transport"), [("1", "stdio"), ("2 legacy", "http"), ("2 modern", "http")])
async def test_a_client_that_gave_up_and_calls_again_is_handed_what_it_missed(sdk: str, transport: str) -> None:
    """As hosts do after their own time is over: the second call joins the first."""
    met = await meets(environment(), sdk, transport=transport, takes=3, patience=1500)
    assert_bought_once_and_read(met)
    assert met.all("gaveUp") == [True]
    assert met.all("status")[0] == "complete"


async def test_progress_keeps_a_client_that_listens(early: Early) -> None:
    """Its own time for a request is over before the persona is made, but begins anew with each thing that it hears."""
    met = await asyncio.wrap_future(early["that listens"])
    assert_bought_once_and_read(met)
    assert met.all("status")[0] == "complete"
    assert met.all("progress")[0] == "0 of 1 ready"


async def test_a_generation_that_takes_longer_than_the_clients_minute_ends_well(early: Early) -> None:
    """With every default: the server's wait is over first, and what was pending is collected, bought once."""
    met = await asyncio.wrap_future(early["with its defaults"])
    assert_bought_once_and_read(met)
    assert met.all("status")[:2] == ["pending", "complete"]
