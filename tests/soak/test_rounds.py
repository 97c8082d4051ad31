"""Seeded rounds of everything going wrong at once, after which what was accepted, recorded and reported must agree.

SOAK_SEED repeats a run's rounds. SOAK_ROUNDS is how many there are in this process; a twenty-fifth as many kill
real ones. Every other round has its ledger in PostgreSQL, with a network that fails.
"""

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from support.postgres import PostgresServer
from support.short_times import shorten

from soak.rounds import TIMES, in_process_round, process_round

pytestmark = pytest.mark.anyio

SEED = int(os.environ.get("SOAK_SEED") or time.time_ns() % 10**9)
ROUNDS = int(os.environ.get("SOAK_ROUNDS") or 50)
PROCESS_ROUNDS = max(4, ROUNDS // 25)
BATCH = 50
"""Rounds in one test, which has to end well before the limit for all tests."""
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, ROUNDS, BATCH))
async def test_each_request_is_accepted_once_at_most(
    first: int, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is lost, given up, repeated, edited or started anew: what is reported is what happened."""
    shorten(monkeypatch.setattr, **TIMES)
    numbers = range(first, min(first + BATCH, ROUNDS))
    folders = {number: tmp_path / f"{number}" for number in numbers}
    for folder in folders.values():
        folder.mkdir()
    free, total = asyncio.Semaphore(AT_ONCE), Counter[str]()

    async def play(number: int) -> list[str]:
        async with free:
            chance = random.Random(f"{SEED} {number}")
            problems, tally = await in_process_round(chance, folders[number], postgres if number % 2 else None)
        total.update(tally)
        return [f"SOAK_SEED={SEED}, round {number}: {problem}" for problem in problems]

    found = [problem for problems in await asyncio.gather(*map(play, numbers)) for problem in problems]
    print(f"SOAK_SEED={SEED}, rounds {numbers}: {dict(total)}")  # noqa: T201 - shown if the test fails, or with -s
    assert not found, "\n".join(found)
    assert len(numbers) < BATCH or all(total[kind] for kind in ("created", "failed", "unknown", "found"))


@pytest.mark.parametrize("number", range(PROCESS_ROUNDS))
async def test_killed_servers_have_each_request_accepted_once_at_most(
    number: int, postgres: PostgresServer, tmp_path: Path
) -> None:
    """A process that is killed says nothing at its end, and may be killed at any moment."""
    chance = random.Random(f"{SEED} process {number}")
    problems, tally = await process_round(chance, tmp_path, postgres if number % 2 else None)
    print(f"SOAK_SEED={SEED}, process round {number}: {dict(tally)}")  # noqa: T201 - shown if the test fails
    assert not problems, "\n".join(f"SOAK_SEED={SEED}, process round {number}: {problem}" for problem in problems)
