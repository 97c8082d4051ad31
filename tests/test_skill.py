"""The skill and the plugin: each tool, argument and field that they name exists, and the steps run in the sandbox."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from support.calls import refusing, settings
from support.library import Library
from support.records import record
from support.upstream import by_the_page, upstream

from octave_mcp import __version__
from octave_mcp.octave.models import QualifyingQuestion
from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings, setting_name

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parent.parent
SKILL = (ROOT / "skills" / "octave-personas" / "SKILL.md").read_text(encoding="utf-8")
AUDIT = SKILL.partition("## Audit")[2]
PLUGIN: dict[str, Any] = json.loads((ROOT / ".claude-plugin" / "plugin.json").read_text(encoding="utf-8"))
MARKETPLACE: dict[str, Any] = json.loads((ROOT / ".claude-plugin" / "marketplace.json").read_text(encoding="utf-8"))

MAX_WORDS = 900
"""Words of the skill: a model reads all of it each time."""

MIN_DESCRIPTION = 50
"""Characters that the audit asks of a description."""


def calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the calls that a text names: a tool and its arguments."""
    found = re.findall(r"`(\w+) (\{.*?\})`", text, re.DOTALL)
    return [(tool, json.loads(" ".join(arguments.split()))) for tool, arguments in found]


def example() -> dict[str, Any]:
    """Return the arguments of the example of `generate_personas`."""
    (block,) = re.findall(r"```json\n(.*?)```", SKILL, re.DOTALL)
    found: dict[str, Any] = json.loads(block)
    return found


def names_in(schema: dict[str, Any]) -> set[str]:
    """Return all names of properties and values in a schema."""
    names = set(schema.get("enum", ()))
    for name, inner in schema.get("properties", {}).items():
        names |= {name, *names_in(inner)}
    return names | (names_in(schema["items"]) if "items" in schema else set())


async def test_every_tool_argument_and_field_that_it_names_exists() -> None:
    """Those in calls, and every other word in code."""
    async with Client(build_server(Settings(sandbox=True))) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {tool for tool, _ in calls(SKILL)} | {"generate_personas"} == set(tools)
    for tool, arguments in calls(SKILL):
        assert set(arguments) <= set(tools[tool].input_schema.get("properties", {})), tool
    known = {"OID", "GENERATION_ID", *tools, *QualifyingQuestion.model_fields}
    for one in tools.values():
        known |= names_in(one.input_schema) | names_in(one.output_schema or {})
    assert set(re.findall(r"`(\w+)`", SKILL)) - known == set()
    assert {"playbooks", "brand_voices", "RESOURCE", "ALL", "SPECIFIC"} <= known


async def test_its_steps_run_in_the_sandbox() -> None:
    """In its order, with ids from earlier results."""
    async with Client(build_server(Settings(sandbox=True))) as client:
        created: Any = (await client.call_tool("generate_personas", example())).structured_content
        assert created["status"] == "complete"
        ids = {"OID": created["personas"][0]["oId"], "GENERATION_ID": created["generationId"]}
        for tool, arguments in calls(SKILL):
            given = {
                name: ids.get(value, value) if isinstance(value, str) else value for name, value in arguments.items()
            }
            result = await client.call_tool(tool, given)
            assert not result.is_error, (tool, given, result.content)
        again: Any = (await client.call_tool("generate_personas", example())).structured_content
        assert again["personas"][0]["oId"] == ids["OID"]


@pytest.mark.parametrize(("again", "sent"), [(["", "B"], 4), (["B"], 3)], ids=["for all", "for no others"])
async def test_after_a_correction_only_what_failed_is_asked_for(again: list[str], sent: int) -> None:
    """A shared field that was corrected makes each persona of the call another request, and it is charged again."""
    assert "call again for the personas that failed, and for no others" in SKILL

    def asking(playbook: str, names: list[str]) -> dict[str, Any]:
        source = {"type": "TEXT", "value": "notes"}
        wanted = [{**({"name": name} if name else {}), "sources": [source]} for name in names]
        return {"personas": wanted, "playbookOId": playbook}

    async with upstream(refusing("B")) as octave:
        own = settings(octave.url, state_url="memory://", wait_seconds=20)
        async with Client(build_server(own)) as client:
            await client.call_tool("generate_personas", asking("pb_wrong", ["", "B"]))
            octave.respond = by_the_page
            await client.call_tool("generate_personas", asking("pb_right", again))
        assert len(octave.requests) == sent


async def audited(client: Client) -> dict[str, list[str]]:
    """Audit all personas as the skill says, by the fields that it names."""
    (listing, first), (reading, _) = calls(AUDIT)
    rows: list[Any] = []
    total = 1
    while len(rows) < total:
        page: Any = (await client.call_tool(listing, {**first, "offset": len(rows)})).structured_content
        total, rows = page["total"], rows + page["personas"]
    full: list[Any] = [(await client.call_tool(reading, {"oId": row["oId"]})).structured_content for row in rows]
    (sections,) = re.findall(r"\*\*Empty sections:\*\* one of (.*?) is missing", AUDIT, re.DOTALL)
    findings = {}
    for one in full:
        questions = one.get("qualifyingQuestions", [])
        checks = {
            "Empty sections": not all(one.get(name) for name in re.findall(r"`(\w+)`", sections)),
            "Short description": len(one.get("description", "")) < MIN_DESCRIPTION,
            "No disqualifying question": not any(asked["fitType"] == "BAD" for asked in questions),
            "One weight for all": len({asked["weight"] for asked in questions}) == 1,
            "Near-duplicate": any(
                other is not one and set(one["commonJobTitles"]) & set(other["commonJobTitles"]) for other in full
            ),
        }
        findings[one["name"]] = [name for name, is_found in checks.items() if is_found]
    return findings


async def test_the_audit_finds_nothing_in_the_sandbox_and_each_flaw_where_it_is() -> None:
    """What it looks at is in the records that the tools return."""
    assert f"fewer than {MIN_DESCRIPTION} characters" in AUDIT
    async with Client(build_server(Settings(sandbox=True))) as client:
        assert await audited(client) == {
            "VP of Sales": [],
            "Chief Information Security Officer": [],
            "Head of Customer Success": [],
        }
    good, flawed = record(0), record(1)
    good |= {"name": "good", "description": "x" * MIN_DESCRIPTION}
    question = {"question": "Is there a budget?", "fitType": "GOOD", "weight": "HIGH", "rationale": "Money."}
    flawed |= {"name": "flawed", "description": "Short.", "qualifyingQuestions": [question] * 3}
    flawed["data"] = {**flawed["data"], "keyConcerns": [], "commonJobTitles": good["data"]["commonJobTitles"]}
    async with upstream(by_the_page) as octave:
        octave.look_up = Library(personas=[good, flawed])
        async with Client(build_server(settings(octave.url, state_url="memory://"))) as client:
            found = await audited(client)
    every = re.findall(r"- \*\*(.*?):?\*\*", AUDIT)
    assert found["flawed"] == [name.rstrip(":") for name in every]
    assert found["good"] == ["Near-duplicate"]


def test_the_skill_is_short() -> None:
    """It is read by a model in every conversation that is about personas."""
    assert len(SKILL.split()) <= MAX_WORDS


def test_the_plugin_installs_this_server_with_settings_that_exist() -> None:
    """From the plugin's own folder, so that the server and the skill are of one version."""
    assert PLUGIN["version"] == __version__
    (server,) = PLUGIN["mcpServers"].values()
    assert [server["command"], *server["args"]] == ["uvx", "--from", "${CLAUDE_PLUGIN_ROOT}", "octave-personas-mcp"]
    options = PLUGIN["userConfig"]
    assert server["env"] == {setting_name(name): f"${{user_config.{name}}}" for name in options}
    assert [name for name, option in options.items() if option.get("sensitive")] == ["api_key"]
    (entry,) = MARKETPLACE["plugins"]
    assert (entry["name"], entry["source"], entry["description"]) == (PLUGIN["name"], "./", PLUGIN["description"])


def test_the_linter_of_skills_and_plugins_finds_nothing(tmp_path: Path) -> None:
    """Not even a warning."""
    for pattern in ("README.md", "skills/*/*", ".claude-plugin/*"):
        for source in ROOT.glob(pattern):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    command = [sys.executable, "-m", "skillsaw", "lint", "--strict", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
