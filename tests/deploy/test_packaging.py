"""What `packaging/` ships, as far as it can be shown without a Docker engine: nginx and install steps are real."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from octave_mcp.http.settings import HttpSettings
from octave_mcp.settings import Settings, setting_name

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "deploy"
GUIDE = (PACKAGING / "README.md").read_text(encoding="utf-8")
DOCKERFILE = (PACKAGING / "Dockerfile").read_text(encoding="utf-8")


# --- The guide --------------------------------------------------------------------------------------------------------


def test_the_guides_table_has_every_setting_of_http() -> None:
    """Names, defaults and words."""
    rows = re.findall(r"^\| `(OCTAVE_\w+)` \|(?: `([^`]*)`)? \| (.*) \|$", GUIDE, re.MULTILINE)
    code = {
        setting_name(name): ("" if field.default is None else str(field.default), field.description)
        for name, field in HttpSettings.model_fields.items()
        if name not in Settings.model_fields
    }
    assert {name: (default, words) for name, default, words in rows} == {
        name: (default.lower() if default in {"True", "False"} else default, words)
        for name, (default, words) in code.items()
    }


def test_the_guides_links_and_quotes_are_so() -> None:
    """What it says is answered is what the code answers."""
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", GUIDE):
        assert link.startswith("https://") or (PACKAGING / link).exists(), link
    said = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "octave_mcp").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    table = GUIDE.split("## When something goes wrong")[1]
    quotes = [quote for quote in re.findall(r"\*([^*]+)\*", table) if quote != "insufficient_scope"]
    assert len(quotes) >= 5
    assert [quote for quote in quotes if quote not in said] == []
    names = {setting_name(name) for name in HttpSettings.model_fields}
    assert set(re.findall(r"OCTAVE_[A-Z_]+[A-Z]", GUIDE)) <= names


# --- Locks ------------------------------------------------------------------------------------------------------------


def locked(path: Path) -> dict[str, str]:
    """The version of each package of a lock, each of which has hashes."""
    entries = re.split(r"\n(?=[a-z0-9])", path.read_text(encoding="utf-8"))
    found = {}
    for entry in entries:
        if match := re.match(r"([a-z0-9.-]+)==([^\s;\\]+)", entry):
            assert "--hash=sha256:" in entry
            found[match[1]] = match[2]
    return found


def test_the_images_locks_are_parts_of_the_projects() -> None:
    """What is tested is what runs; nothing of it is for development; no registry is named."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    image, whole = locked(PACKAGING / "requirements.lock"), locked(ROOT / "requirements.lock")
    assert {name: whole[name] for name in image} == image
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *extras["redis"], *extras["otel"]]
    names = {re.match(r"[a-zA-Z0-9-]+", one)[0].lower() for one in wanted}  # type: ignore[index]
    assert names <= set(image)
    assert not {"pytest", "mypy", "ruff", "hypothesis", "coverage"} & set(image)
    assert "hatchling" in locked(PACKAGING / "build.lock")
    for lock in ("requirements.lock", "build.lock"):
        assert "://" not in (PACKAGING / lock).read_text(encoding="utf-8")


# --- The Dockerfile ---------------------------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, in their order."""
    lines = re.sub(r"\\\n", " ", DOCKERFILE).splitlines()
    words = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, rest in words]


def test_the_image_is_small_confined_and_pinned() -> None:
    """Nobody is root in it, nothing floats, and no shell stands between signals and the server."""
    found = instructions()
    bases = [rest.split()[0] for name, rest in found if name == "FROM"]
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    (user,) = [rest for name, rest in found if name == "USER"]
    assert int(user.split(":")[0]) > 0
    for name, rest in found:
        if name in {"CMD", "ENTRYPOINT"}:
            assert json.loads(rest)
        if name == "RUN" and "-r packaging" in rest:
            assert "--require-hashes" in rest
        assert name not in {"ADD", "ARG"}
    assert any(name == "HEALTHCHECK" and "/healthz" in rest for name, rest in found)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored, "what is not named is not in the context"


# --- Compose ----------------------------------------------------------------------------------------------------------


def test_compose_confines_what_it_starts() -> None:
    """Read-only, without capabilities, with a bounded end; and only the proxy is reached from outside."""
    compose: dict[str, Any] = yaml.safe_load((PACKAGING / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    replicas = [service for name, service in services.items() if name.startswith("app")]
    assert set(services) == {"proxy", "app1", "app2", "app3", "redis"}
    for name, service in services.items():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert int(service["user"].split(":")[0]) > 0
        assert "healthcheck" in service
        assert "mem_limit" in service
        assert ("ports" in service) is (name == "proxy")
    assert services["proxy"]["ports"] == ["127.0.0.1:${HTTP_PORT:-8080}:8080"]
    settings = {setting_name(name) for name in HttpSettings.model_fields}
    for replica in replicas:
        assert set(replica["environment"]) <= settings
        assert int(replica["stop_grace_period"].removesuffix("s")) > 30
        assert "/readyz" in str(replica["healthcheck"]["test"])
    command = " ".join(services["redis"]["command"])
    for needed in ("--appendonly yes", "--appendfsync always", "--maxmemory-policy noeviction", "--requirepass"):
        assert needed in command
    assert compose["networks"]["store"]["internal"] is True
    assert services["redis"]["networks"] == ["store"]


@pytest.mark.skipif(
    shutil.which("docker") is None
    or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0,
    reason="there is no docker compose",
)
def test_compose_says_so_too(tmp_path: Path) -> None:
    """It reads the files, and asks for what has to be set."""
    files = ["-f", str(PACKAGING / "compose.yaml"), "-f", str(PACKAGING / "compose.tls.yaml")]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = ["docker", "compose", "--env-file", "/dev/null", *files, "config"]
    refused = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    own = {"REDIS_PASSWORD": "x" * 32, "PUBLIC_HOST": "personas.example.com"}
    told = subprocess.run(command, env=env | own, capture_output=True, text=True, check=True).stdout
    assert "personas.example.com" in told
