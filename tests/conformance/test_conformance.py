"""The protocol's own conformance suite against the server over HTTP; `ledger.toml` says what does not apply, and why.

The suite and a Node recent enough for it are npm packages (`support/npm.py`).
"""

import asyncio
import json
import os
import re
import tomllib
from asyncio.subprocess import PIPE, STDOUT
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.http import process
from support.npm import node, script

HERE = Path(__file__).parent
RUN_SECONDS = 80.0
"""For all runs of the suite, which take a quarter of it."""

LISTED = re.compile(r"^\s+- (\S+) \[(.+)\]$", re.MULTILINE)
DATED = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
"""Where the suite puts what came of a scenario."""

SCHEMA = "wire-schema-valid"
"""The check of every scenario that the server's messages fit the schema of the protocol's version."""


@dataclass
class Outcome:
    """What came of a scenario's checks, in all versions of the protocol: their names."""

    passed: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Met:
    """What the suite has, and what came of it."""

    scenarios: dict[str, frozenset[str]]
    """Each, with the protocol's versions that it is for."""

    ran: dict[str, frozenset[str]]
    """By version, and by "" for all at once; the scenarios that left a result."""

    outcomes: dict[str, Outcome]
    said: str


@pytest.fixture(scope="module")
def suite() -> tuple[str, str]:
    """The suite's command."""
    return node(), script("@modelcontextprotocol/conformance", "dist/index.js")


@pytest.fixture(scope="module")
def met(suite: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Met:
    """All that the suite has for servers, run."""
    return asyncio.run(_meet(suite, tmp_path_factory.mktemp("conformance")))


async def _meet(suite: tuple[str, str], folder: Path) -> Met:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OCTAVE_", "OTEL_"))}
    listing = await _suite(suite, "list", "--server", env=env)
    scenarios = {name: frozenset(versions.split(",")) for name, versions in LISTED.findall(listing)}
    versions = sorted({version for of_one in scenarios.values() for version in of_one if version[0].isdecimal()})
    state = {"OCTAVE_MCP_STATE_URL": "memory://", "PYTHONUNBUFFERED": "1", "HOME": str(folder)}
    async with asyncio.timeout(RUN_SECONDS), process(env | state, "--sandbox") as server:
        said = [
            await _suite(
                suite,
                *("server", "--url", server.url, "--suite", "all", "--output-dir", str(folder / f"at-{version}")),
                *(("--spec-version", version) if version else ()),
                env=env,
            )
            for version in (*versions, "")  # those for an extension run only where no version is named
        ]
    ran: dict[str, frozenset[str]] = {}
    outcomes: dict[str, Outcome] = defaultdict(Outcome)
    for version in (*versions, ""):
        results = dict(_results(folder / f"at-{version}"))
        ran[version] = frozenset(results)
        for name, checks in results.items():
            outcomes[name].passed |= {check["id"] for check in checks if check["status"] == "SUCCESS"}
            outcomes[name].failed |= {check["id"] for check in checks if check["status"] == "FAILURE"}
    return Met(scenarios, ran, outcomes, "\n".join(said))


def _results(folder: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for one in folder.glob("*/checks.json"):
        named = DATED.fullmatch(one.parent.name)
        assert named, one.parent.name
        yield named[1], json.loads(one.read_text(encoding="utf-8"))


async def _suite(suite: tuple[str, str], *arguments: str, env: dict[str, str]) -> str:
    """What a run of the suite says. Its code tells of failed scenarios, which are looked at one by one instead."""
    running = await asyncio.create_subprocess_exec(*suite, *arguments, stdout=PIPE, stderr=STDOUT, env=env)
    try:
        said, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    return said.decode(errors="replace")


def ledger() -> dict[str, Any]:
    """What is to become of each scenario."""
    return tomllib.loads((HERE / "ledger.toml").read_text(encoding="utf-8"))


def of(kind: str) -> list[str]:
    """The scenarios of one kind of excuse."""
    return [name for group in ledger()[kind] for name in group["scenarios"]]


def test_the_ledger_knows_each_scenario_once(met: Met) -> None:
    """A new one of the suite is looked at by a person, and one that is gone leaves the ledger."""
    known = [*ledger()["passes"]["scenarios"], *ledger()["passes_but_for"]]
    known += [name for kind in ("fails", "skips", "passes_on_nothing") for name in of(kind)]
    assert sorted(known) == sorted(met.scenarios), met.said


def test_each_scenario_ran_in_each_version_it_is_for(met: Met) -> None:
    """A run that broke off proves nothing."""
    assert len(met.ran) > 1
    for version, names in met.ran.items():
        wanted = {name for name, versions in met.scenarios.items() if not version or version in versions}
        assert names == wanted, met.said


def test_what_applies_passes(met: Met) -> None:
    """In every version, and on some evidence."""
    for name in ledger()["passes"]["scenarios"]:
        assert not met.outcomes[name].failed, name
        assert met.outcomes[name].passed - {SCHEMA}, name
    for name, but_for in ledger()["passes_but_for"].items():
        assert met.outcomes[name].failed == set(but_for["checks"]), name
        assert met.outcomes[name].passed - {SCHEMA} - met.outcomes[name].failed, name


def test_no_excuse_is_stale(met: Met) -> None:
    """What is excused still fails, skips, or passes on nothing."""
    assert not [name for name in of("fails") if not met.outcomes[name].failed]
    assert not [name for name in of("skips") if met.outcomes[name].failed or met.outcomes[name].passed - {SCHEMA}]
    assert not [name for name in of("passes_on_nothing") if met.outcomes[name].failed]
    assert all(group["why"] for kind in ("fails", "skips", "passes_on_nothing") for group in ledger()[kind])


def test_every_message_fits_the_schema_of_its_version(met: Met) -> None:
    """Where a scenario does not apply, too: what the server says in answer is the protocol's all the same."""
    assert not [name for name, outcome in met.outcomes.items() if SCHEMA in outcome.failed]
    assert [name for name, outcome in met.outcomes.items() if SCHEMA in outcome.passed]
