"""The MCPB bundle: built and validated by the bundler, and started as a desktop program starts it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult
from support.bundle import MANIFEST, ROOT, bundle, mcpb, project
from support.distributions import uv, uv_path
from support.npm import MODULES, node

from octave_mcp import __version__
from octave_mcp.server.app import build_server
from octave_mcp.settings import Settings, load_settings, setting_name

pytestmark = pytest.mark.anyio

ASKING = {"personas": [{"name": "CISO", "sources": [{"type": "TEXT", "value": "A bank's CISO fears audits."}]}]}

CONFIGURED = f"""
import {{ getMcpConfigForManifest }} from {json.dumps((MODULES / "@anthropic-ai/mcpb/dist/index.js").as_uri())};
const [manifest, extensionPath, userConfig] = process.argv.slice(1).map((word) => JSON.parse(word));
const given = {{ manifest, extensionPath, systemDirs: {{}}, userConfig, pathSeparator: "/" }};
console.log(JSON.stringify(await getMcpConfigForManifest(given)));
"""


def configured(folder: Path, **given: Any) -> dict[str, Any]:
    """What a host makes of the manifest with what a user gave: by the function that the bundler has for hosts."""
    words = [json.dumps(one) for one in (MANIFEST, str(folder), given)]
    command = [node(), "--input-type=module", "--eval", CONFIGURED, "--", *words]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8", timeout=60)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


async def test_the_manifest_tells_what_the_server_has() -> None:
    """Hosts show it before anything runs."""
    assert MANIFEST["version"] == __version__
    async with Client(build_server(Settings(sandbox=True))) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
    assert [tool["name"] for tool in MANIFEST["tools"]] == tools


def test_what_a_user_can_set_are_settings_with_their_own_defaults() -> None:
    """Left alone it is as everywhere else; the key alone is kept secret, and the sandbox needs none."""
    options, env = MANIFEST["user_config"], MANIFEST["server"]["mcp_config"]["env"]
    assert env == {setting_name(name): f"${{user_config.{name}}}" for name in options}
    for name, option in options.items():
        default = Settings.model_fields[name].get_default()
        assert option["default"] == ("" if name == "api_key" else default)
        assert option.get("sensitive", False) is (name == "api_key")
        assert option["required"] is False


@pytest.mark.parametrize(
    ("given", "key"),
    [({}, None), ({"api_key": ""}, None), ({"api_key": "sk-1"}, "sk-1"), ({"sandbox": True}, None)],
)
def test_what_is_left_empty_is_not_set(
    given: dict[str, Any], key: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host leaves the placeholder of a setting that has neither value nor default, so each has a default."""
    for name, value in configured(tmp_path, **given)["env"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.api_key and settings.api_key.get_secret_value()) == key
    assert settings.sandbox is given.get("sandbox", False)
    assert settings.max_personas_per_call == 25


def test_what_the_host_installs_is_what_is_tested() -> None:
    """In the versions of the lock; `mcp` stands for all."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    (pin,) = [line.strip(' ",') for line in project().splitlines() if line.strip().startswith('"mcp==')]
    assert f"\n{pin} \\\n" in lock


async def test_the_bundle_starts_as_its_manifest_says(tmp_path: Path) -> None:
    """Packed, unpacked, installed, started: it builds a persona out of made-up data, and says when it lacks a key."""
    unpacked = tmp_path / "an extension"
    mcpb("unpack", bundle(tmp_path / "dist"), unpacked)
    assert json.loads((unpacked / "manifest.json").read_text(encoding="utf-8")) == MANIFEST
    assert (unpacked / MANIFEST["server"]["entry_point"]).exists()
    uv("sync", "--directory", unpacked)
    env = {"PATH": f"{uv_path().parent}{os.pathsep}{os.defpath}", "UV_OFFLINE": "1", "UV_PYTHON": sys.executable}
    env |= {"OCTAVE_MCP_STATE_URL": "memory://"}

    async def answered(**given: Any) -> CallToolResult:
        config = configured(unpacked, **given)
        server = StdioServerParameters(command=config["command"], args=config["args"], env=env | config["env"])
        async with Client(server, mode="legacy") as client:
            return await client.call_tool("generate_personas", ASKING)

    made = await answered(sandbox=True)
    assert (made.structured_content or {})["status"] == "complete"
    refused = await answered(api_key="")
    assert refused.is_error
    assert "No Octave API key is set" in str(refused.content)
