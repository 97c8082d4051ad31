"""Seeded rounds of everything going wrong at once, after which what was bought, recorded and told must agree.

SOAK_SEED repeats a run's rounds; SOAK_ROUNDS is how many of them are in this process, and a fortieth are of real ones.
"""

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from octave_mcp.generation import service, sqlite_operations
from soak.counting import LEASE_SECONDS, in_process_round, process_round

pytestmark = pytest.mark.anyio

SEED = int(os.environ.get("SOAK_SEED") or time.time_ns() % 10**9)
ROUNDS = int(os.environ.get("SOAK_ROUNDS") or 150)
PROCESS_ROUNDS = max(4, ROUNDS // 40)
BATCH = 50
"""Rounds in one test, which has to end well before the limit for all tests."""
AT_ONCE = 5


@pytest.mark.parametrize("first", range(0, ROUNDS, BATCH))
async def test_what_was_bought_is_recorded_once_and_told(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is lost on the way, given up or started anew: nothing is bought twice, and nothing paid for is lost."""
    for module in (sqlite_operations, service):
        monkeypatch.setattr(module, "LEASE_SECONDS", LEASE_SECONDS)
    free, total = asyncio.Semaphore(AT_ONCE), Counter[str]()

    async def play(number: int) -> list[str]:
        async with free:
            problems, tally = await in_process_round(random.Random(f"{SEED} {number}"), tmp_path / f"{number}")
        total.update(tally)
        return [f"SOAK_SEED={SEED}, round {number}: {problem}" for problem in problems]

    numbers = range(first, min(first + BATCH, ROUNDS))
    found = [problem for problems in await asyncio.gather(*map(play, numbers)) for problem in problems]
    print(f"SOAK_SEED={SEED}, rounds {numbers}: {dict(total)}")  # noqa: T201 - shown where the test fails, or with -s
    assert not found, "\n".join(found)
    assert len(numbers) < BATCH or all(total[kind] for kind in ("done", "failed", "unknown", "adopted"))


@pytest.mark.parametrize("number", range(PROCESS_ROUNDS))
async def test_what_killed_servers_bought_is_recorded_once_and_told(number: int, tmp_path: Path) -> None:
    """A process that is killed says nothing at its end, and may be killed at any moment."""
    problems, tally = await process_round(random.Random(f"{SEED} process {number}"), tmp_path / "ledger")
    print(f"SOAK_SEED={SEED}, process round {number}: {dict(tally)}")  # noqa: T201 - shown where the test fails
    assert not problems, "\n".join(f"SOAK_SEED={SEED}, process round {number}: {problem}" for problem in problems)
