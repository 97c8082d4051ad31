"""The extension Tasks, on the wire of 2026-07-28: what becomes a task, and what a task answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.calls import KEY, asking, losing
from support.http import post, result_in, serving, until
from support.modern import TASKS, ask, error_in
from support.services import Held
from support.upstream import Respond, Upstream, by_the_page, timestamp, upstream

from octave_mcp.ledger.records import LedgerError
from octave_mcp.ledger.sqlite import SqliteDatabase
from octave_mcp.tools import generation

pytestmark = pytest.mark.anyio

AGREED = {"action": "accept", "content": {"create": True}}
METHODS = ("tasks/get", "tasks/update", "tasks/cancel")


@asynccontextmanager
async def served(respond: Respond, **settings: Any) -> AsyncIterator[tuple[str, Upstream]]:
    """Serve over HTTP, in front of an upstream that answers so."""
    async with asyncio.timeout(40), upstream(respond) as octave:
        own: dict[str, Any] = {"api_key": KEY} if "caller_keys" not in settings else {}
        async with serving(base_url=octave.url, shutdown_seconds=0, **own, **settings) as url:
            yield url, octave


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call becomes a task almost at once."""
    monkeypatch.setattr(generation, "SECONDS_BEFORE_TASK", 0.05)


soon = pytest.mark.usefixtures("_soon")


async def call(url: str, *names: str, tool: str = "generate_personas", **options: Any) -> dict[str, Any]:
    """Call a tool, and return its result or the task."""
    arguments = options.pop("arguments", None) or asking(*names)
    return result_in(await ask(url, "tools/call", {"name": tool, "arguments": arguments}, **options))


async def get(url: str, task: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Ask for a task."""
    return result_in(await ask(url, "tasks/get", {"taskId": task["taskId"]}, **headers))


async def completed(url: str, task: dict[str, Any]) -> dict[str, Any]:
    """Ask for a task until it is completed."""
    while (found := await get(url, task))["status"] == "working":  # noqa: ASYNC110 - another program's, with no event
        await asyncio.sleep(0.02)
    return found


def statuses(task: dict[str, Any]) -> str:
    """Return the status of the tool's result in a completed task."""
    status: str = task["result"]["structuredContent"]["status"]
    return status


@soon
async def test_a_generation_that_is_not_ready_at_once_is_a_task_until_it_is() -> None:
    """Its id is the generation's; its result is the tool's, the same each time."""
    held = Held()
    async with served(held) as (url, octave):
        task = await call(url, "A", "B")
        assert task["resultType"] == "task"
        assert task["status"] == "working"
        assert task["statusMessage"] == "0 of 2 ready"
        assert task["ttlMs"] == 7 * 24 * 3600 * 1000
        assert task["pollIntervalMs"] >= 1000
        assert datetime.fromisoformat(task["createdAt"]) <= datetime.fromisoformat(task["lastUpdatedAt"])
        working = await get(url, task)
        assert working["resultType"] == "complete"
        assert (working["status"], "result" in working) == ("working", False)
        assert result_in(await ask(url, "tasks/update", {"taskId": task["taskId"], "inputResponses": {}})).keys() <= {
            "resultType",
            "_meta",
        }
        held.let_go("A", "B")
        done = await completed(url, task)
        assert done["statusMessage"] == "2 of 2 ready"
        assert done["result"] == (await get(url, task))["result"]
        again = await call(url, tool="get_generation", arguments={"generationId": task["taskId"]})
        assert again["structuredContent"] == done["result"]["structuredContent"]
        assert again["content"] == done["result"]["content"]
        assert len(octave.requests) == 2


async def test_what_is_ready_at_once_or_refused_stays_an_ordinary_result() -> None:
    """So does what an earlier call has created."""
    async with served(by_the_page, max_personas_per_call=1) as (url, octave):
        for _ in range(2):
            created = await call(url, "A")
            assert created["resultType"] == "complete"
            assert created["structuredContent"]["status"] == "complete"
        assert (await call(url, "A", "B"))["isError"]
        assert len(octave.requests) == 1


@soon
@pytest.mark.parametrize("capabilities", [{}, {"extensions": {}}, {"tasks": {}}, {"elicitation": {}}])
async def test_a_request_that_does_not_declare_the_extension_sees_no_difference(capabilities: Any) -> None:
    """Whatever others declare: it has the pending result, and an error for each method."""
    held = Held()
    async with served(held, wait_seconds=0.3) as (url, _):
        task = await call(url, "A")
        pending = await call(url, "A", capabilities=capabilities)
        assert pending["resultType"] == "complete"
        assert pending["structuredContent"]["status"] == "pending"
        for method in METHODS:
            response = await ask(url, method, {"taskId": task["taskId"]}, capabilities=capabilities)
            assert response.status_code == 400
            error = error_in(response)
            assert error["code"] == -32021
            assert error["data"]["requiredCapabilities"]["extensions"] == TASKS["extensions"]


@soon
async def test_the_era_before_has_no_tasks() -> None:
    """Neither as a result nor as a method."""
    held = Held()
    async with served(held, wait_seconds=0.3) as (url, _):
        pending = result_in(await post(url, "tools/call", {"name": "generate_personas", "arguments": asking("A")}))
        assert pending["structuredContent"]["status"] == "pending"
        task = {"taskId": pending["structuredContent"]["generationId"]}
        for method in METHODS:
            assert '"code":-32601' in (await post(url, method, task)).text


async def test_the_server_says_that_it_has_the_extension() -> None:
    """In its answer to `server/discover`, without settings."""
    async with served(by_the_page) as (url, _):
        found = result_in(await ask(url, "server/discover", {}))
        assert found["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"] == {}


@soon
async def test_a_task_is_its_callers_own() -> None:
    """For another key, as for an id that never was, there is none."""
    held = Held()
    async with served(held, caller_keys=True) as (url, octave):
        mine, theirs = {"x_octave_api_key": "sk-mine-0123456789"}, {"x_octave_api_key": "sk-theirs-0123456789"}
        task = await call(url, "A", **mine)
        for method in METHODS:
            for key, task_id in ((theirs, task["taskId"]), (mine, "gen_none"), (mine, "")):
                response = await ask(url, method, {"taskId": task_id}, **key)
                assert (response.status_code, error_in(response)["code"]) == (400, -32602)
            refused = error_in(await ask(url, method, {"taskId": task["taskId"]}))
            assert (refused["code"], "X-Octave-Api-Key" in refused["message"]) == (-32603, True)
        assert (await get(url, task, **mine))["status"] == "working"
        held.let_go("A")
        await until(lambda: octave.requests)


@pytest.mark.parametrize("method", METHODS)
async def test_the_header_by_which_proxies_route_names_the_task(method: str) -> None:
    """Another name is an error, as for the protocol's own methods."""
    async with served(by_the_page) as (url, _):
        response = await ask(url, method, {"taskId": "gen_one"}, mcp_name="gen_other")
        assert (response.status_code, error_in(response)["code"]) == (400, -32020)


@soon
async def test_cancelling_sends_nothing_more_of_what_only_this_call_asked_for(tmp_path: Path) -> None:
    """From whichever replica; what was sent is finished, and the result says what was not sent."""
    held = Held()
    async with asyncio.timeout(40), upstream(held) as octave:
        own: dict[str, Any] = {"state_url": f"sqlite:///{tmp_path}/ledger", "concurrency": 1, "api_key": KEY}
        own |= {"base_url": octave.url, "shutdown_seconds": 0}
        async with serving(**own) as one, serving(**own) as other:
            task = await call(one, "A", "B", "C")
            joined = await call(one, "C")
            await until(lambda: octave.requests)
            await ask(other, "tasks/cancel", {"taskId": task["taskId"]})
            held.let_go("A", "B", "C")
            done = await completed(other, task)
            assert statuses(done) == "partial"
            assert done["statusMessage"] == "2 of 3 ready, 1 failed"
            assert done["result"]["structuredContent"]["failed"][0]["personas"].find("B") >= 0
            assert statuses(await completed(one, joined)) == "complete"
        assert [asked["name"] for asked in octave.asked] == ["A", "C"]


@soon
async def test_a_lost_answer_keeps_its_task_working_until_it_is_settled() -> None:
    """The task's own requests have Octave's list searched."""
    async with served(losing("A")) as (url, octave):
        task = await call(url, "A")
        assert task["resultType"] == "task"
        assert (await get(url, task))["status"] == "working"
        octave.library.append({"oId": "pe_1", "name": "A", "createdAt": timestamp()})
        done = await completed(url, task)
        assert done["result"]["structuredContent"]["personas"][0]["oId"] == "pe_1"
        assert len(octave.requests) == 1


@soon
async def test_a_person_is_asked_before_there_is_a_task() -> None:
    """The question is a result of the call; the answer makes the task, and no makes none."""
    held, capabilities = Held(), {**TASKS, "elicitation": {"form": {}}}
    async with served(held, confirm="require") as (url, octave):
        asked = await call(url, "A", capabilities=capabilities)
        assert asked["resultType"] == "input_required"
        (key,) = asked["inputRequests"]
        for answer, kind in (({"action": "decline"}, "complete"), (AGREED, "task")):
            assert octave.requests == []
            again = {"inputResponses": {key: answer}, "requestState": asked["requestState"]}
            params = {"name": "generate_personas", "arguments": asking("A"), **again}
            result = result_in(await ask(url, "tools/call", params, capabilities=capabilities))
            assert result["resultType"] == kind
        held.let_go("A")
        assert statuses(await completed(url, result)) == "complete"


@soon
async def test_what_the_ledger_cannot_keep_is_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call has its ordinary result; a task that cannot be read is an error that says what to do."""

    async def fail(*_: Any, **__: Any) -> None:
        raise LedgerError("The ledger cannot be used: the disk is full.")

    held = Held()
    async with served(held) as (url, _):
        task = await call(url, "A")
        with monkeypatch.context() as broken:  # no real disk fails between two commits when a test wants it
            broken.setattr(SqliteDatabase, "sync", fail)
            assert (await call(url, "A"))["structuredContent"]["status"] == "pending"
        with monkeypatch.context() as broken:
            broken.setattr(SqliteDatabase, "run", fail)
            for method in METHODS:
                error = error_in(await ask(url, method, {"taskId": task["taskId"]}))
                assert (error["code"], "disk is full" in error["message"]) == (-32603, True)
