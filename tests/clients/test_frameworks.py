"""Agent frameworks in front of the server, with a scripted model: what the model is shown, and what is bought."""

from pathlib import Path
from typing import Any

import pytest
from support.command import environment
from support.library import Library
from support.program import told
from support.reached import TRANSPORTS, reached
from support.records import record
from support.upstream import HoldsTheSlow, upstream

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

VENV = Path(__file__).parent / ".venv"


def python() -> str:
    """The Python that has the frameworks. Skips the test where it was not made."""
    if not (VENV / "ready").exists():
        pytest.skip("the agent frameworks are not installed")
    return str(VENV / "bin" / "python")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("framework", ["pydantic_ai", "langchain", "openai_agents"])
async def test_a_framework_takes_a_model_from_a_misspelt_field_to_a_record_in_full(
    framework: str, transport: str, tmp_path: Path
) -> None:
    """The model sees what to correct, what to collect and each oId, whichever half of a result it is shown."""
    command = (python(), "-m", f"clients.with_{framework}")
    holding = HoldsTheSlow()

    def hear(line: dict[str, Any]) -> None:
        if "pending" in line.get("shown", ""):
            holding.go.set()

    async with upstream(holding) as octave:
        octave.look_up = Library(personas=[record(number * 10) for number in range(2)])
        state = {"OCTAVE_MCP_STATE_URL": f"sqlite:///{tmp_path}/ledger", "OCTAVE_MCP_WAIT_SECONDS": "1"}
        env = environment(octave, **state)
        async with reached(transport, env) as server:
            first, *middle, last = await told(*command, *server, env=env, hear=hear)
    assert_named(first["tools"])
    refused, pending, collected, read = (line["shown"] for line in middle)
    assert "personas[0].sourcs: unknown argument; did you mean sources?" in refused
    assert "nothing was charged" in refused
    assert "get_generation" in pending
    made = [record(number * 10) for number in range(2)]
    assert all(one["oId"] in collected for one in made)
    (in_full,) = [one for one in made if one["oId"] in read]  # whichever of the two came second
    assert all(item in read for item in in_full["data"]["painPoints"])
    assert last == {"answer": "Done."}
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
