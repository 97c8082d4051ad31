"""FastMCP's client, which takes tasks, over stdio and over HTTP with two replicas on one ledger."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.command import environment
from support.program import TESTS, run_client
from support.server_target import TRANSPORTS, server_target
from support.upstream import Request, answer, page_answer, upstream

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

FOLDER = TESTS / "clients" / "tasks"


async def slowly(request: Request, writer: asyncio.StreamWriter) -> None:
    """Answer when a call has long become a task."""
    await asyncio.sleep(2.5)
    writer.write(answer(page_answer(request)))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_client_follows_its_task_to_the_result(transport: str, tmp_path: Path) -> None:
    """A task that one replica began another answers for, and cancels. Each persona is asked for once."""
    if not (FOLDER / ".venv" / "ready").exists():
        pytest.skip("FastMCP's client is not installed")
    async with upstream(slowly) as octave, AsyncExitStack() as stack:
        env = environment(octave, OCTAVE_MCP_STATE_URL=f"sqlite:///{tmp_path}/ledger", OCTAVE_MCP_CONCURRENCY="8")
        count = 2 if transport == "http" else 1
        targets = [await stack.enter_async_context(server_target(transport, env)) for _ in range(count)]
        program = (str(FOLDER / ".venv" / "bin" / "python"), str(FOLDER / "with_fastmcp.py"))
        began, whole, followed, cancelled = await run_client(*program, *sum(targets, ()), env=env)
    assert began["task"].startswith("gen_")
    assert (began["status"], began["words"]) == ("working", "0 of 2 ready")
    for result, names in ((whole["whole"], ["B", "C"]), (followed["result"], ["A", "B"])):
        assert result["status"] == "complete"
        assert [persona["name"] for persona in result["personas"]] == names
    assert followed["result"]["generationId"] == began["task"]
    assert cancelled["cancelled"] == "completed", "its result says what was created"
    assert sorted(asked["name"] for asked in octave.asked) == ["A", "B", "C", "D"]
