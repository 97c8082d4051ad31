"""The agents of `examples/`, unchanged, with a scripted model: what the model is shown, and what is created."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from support.command import environment, finished
from support.library import Library
from support.npm import MODULES, node
from support.records import record
from support.scripted_model import scripted_model
from support.server_target import TRANSPORTS, server_target
from support.upstream import HoldsTheSlow, Upstream, by_the_page, upstream

from clients.assistant import TASK, Assistant

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

VENV = Path(__file__).parent / ".venv"
EXAMPLES = Path(__file__).parents[2] / "examples"

AGENTS = {
    "agent_pydantic_ai.py": "openai-chat:scripted",
    "agent_langchain.py": "openai:scripted",
    "agent_openai.py": "scripted",
}
"""The name by which each is given the scripted model."""


def python() -> str:
    """Return the Python that has the frameworks. Skips the test if it was not made."""
    if not (VENV / "ready").exists():
        pytest.skip("the agent frameworks are not installed")
    return str(VENV / "bin" / "python")


def on_path(octave: Upstream | None = None, **settings: str) -> dict[str, str]:
    """Return an environment in which `octave-personas-mcp` is found."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return environment(octave, **settings) | {"PATH": path}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("program", AGENTS)
async def test_an_agent_takes_a_model_from_a_misspelt_field_to_a_record_in_full(
    program: str, transport: str, tmp_path: Path
) -> None:
    """The model sees what to correct, what to collect and each oId, whichever half of a result it is shown."""
    assistant, holding = Assistant(), HoldsTheSlow()

    def says(request: dict[str, Any]) -> str | dict[str, Any]:
        said = assistant.answers(request)
        if assistant.shown and "pending" in assistant.shown[-1]:
            holding.go.set()
        return said

    async with upstream(holding) as octave, scripted_model(says) as model:
        octave.look_up = Library(personas=[record(number * 10) for number in range(2)])
        state = {"OCTAVE_MCP_STATE_URL": f"sqlite:///{tmp_path}/ledger", "OCTAVE_MCP_WAIT_SECONDS": "1"}
        env = on_path(octave, **state, OPENAI_BASE_URL=f"{model.url}/v1", OPENAI_API_KEY="none")
        async with server_target(transport, env) as server:
            url = server if transport == "http" else ()
            ran = await finished(python(), program, AGENTS[program], TASK, *url, env=env, cwd=EXAMPLES)
    assert (ran.code, ran.out.strip().splitlines()[-1]) == (0, "Done."), ran.err
    assert_named(assistant.tools)
    refused, pending, collected, read = assistant.shown
    assert "personas[0].sourcs: unknown argument; did you mean sources?" in refused
    assert "nothing was charged" in refused
    assert "get_generation" in pending
    made = [record(number * 10) for number in range(2)]
    assert all(one["oId"] in collected for one in made)
    (in_full,) = [one for one in made if one["oId"] in read]  # whichever of the two came second
    assert all(item in read for item in in_full["data"]["painPoints"])
    assert sorted(asked["name"] for asked in octave.asked) == ["quick", "slow"]


def assert_named(tools: dict[str, Any]) -> None:
    """The framework gives its model every tool, with the arguments as they were published."""
    assert list(tools) == [
        *("generate_personas", "get_generation", "get_persona", "list_personas", "list_library", "check_workspace")
    ]
    persona = tools["generate_personas"]["properties"]["personas"]["items"]["properties"]
    assert {"name", "sources"} <= set(persona)
    assert persona["sources"]["items"]["properties"]["type"]["enum"] == ["TEXT", "URL", "RESOURCE"]
    assert tools["get_persona"]["required"] == ["oId"]


@pytest.mark.parametrize("program", AGENTS)
async def test_a_model_that_cannot_be_used_is_told_in_a_line(program: str) -> None:
    """No traceback, and nothing is created."""
    env = on_path()
    env.pop("OPENAI_API_KEY", None)
    ran = await finished(python(), program, AGENTS[program], TASK, env=env, cwd=EXAMPLES)
    assert "Traceback" not in ran.out + ran.err
    assert "OPENAI_API_KEY" in ran.out + ran.err
    usage = await finished(python(), program, env=env, cwd=EXAMPLES)
    assert (usage.code, usage.err) == (1, f"Usage: python {program} MODEL TASK [URL]\n")


async def test_the_typescript_example_builds_and_reads(tmp_path: Path) -> None:
    """It is copied to where the packages are, as Node looks for them beside a program."""
    command = node()
    (tmp_path / "client.mjs").write_bytes((EXAMPLES / "client.mjs").read_bytes())
    alone = await finished(command, "client.mjs", env=on_path(), cwd=tmp_path)
    assert (alone.code, alone.err.count("\n")) == (1, 1)
    assert "npm install @modelcontextprotocol/client" in alone.err
    (tmp_path / "node_modules").symlink_to(MODULES)
    made = await finished(command, "client.mjs", env=on_path(), cwd=tmp_path)
    assert made.code == 0, made.err
    assert "CISO (pe_" in made.out
    assert "painPoints: [" in made.out
    async with upstream(by_the_page) as octave:
        env = on_path(octave, OCTAVE_MCP_MAX_PERSONAS_PER_CALL="1")
        refused = await finished(command, "client.mjs", env=env, cwd=tmp_path)
    assert (refused.code, octave.requests) == (1, [])
    assert "OCTAVE_MCP_MAX_PERSONAS_PER_CALL" in refused.err
