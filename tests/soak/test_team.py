"""Seeded rounds of the team's server with everything going wrong, replicas killed among it; see `team`.

SOAK_SEED repeats a run's rounds; SOAK_ROUNDS says how many there are, as in `test_rounds`: a twenty-fifth.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from support.postgres import Database

from soak.team import team, team_round

pytestmark = pytest.mark.anyio

SEED = int(os.environ.get("SOAK_SEED") or time.time_ns() % 10**9)
ROUNDS = max(4, int(os.environ.get("SOAK_ROUNDS") or 50) // 25)
BATCH = 2
"""Rounds in one test, which has to end well before the limit for all tests."""


@pytest.mark.parametrize("first", range(0, ROUNDS, BATCH))
async def test_replicas_have_each_request_accepted_once_at_most(first: int, database: Database, tmp_path: Path) -> None:
    """Whatever is killed: nothing is created twice, nothing paid for is lost, and nothing is shown to another."""
    total = Counter[str]()
    found = []
    async with team(database, tmp_path) as playing:
        for number in range(first, min(first + BATCH, ROUNDS)):
            problems, tally = await team_round(playing, random.Random(f"{SEED} team {number}"), number)
            total.update(tally)
            found += [f"SOAK_SEED={SEED}, team round {number}: {problem}" for problem in problems]
    print(f"SOAK_SEED={SEED}, team rounds from {first}: {dict(total)}")  # noqa: T201 - shown where the test fails
    assert not found, "\n".join(found)
