"""Seeded rounds of the team's server with everything going wrong, replicas killed among it; see `team`.

SOAK_SEED repeats a run's rounds; SOAK_ROUNDS says how many there are, as in `test_counting`: a twentieth.
"""

import os
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from support.proxy import needs_nginx
from support.redis_server import needs_redis, redis_server

from soak.team import team, team_round

pytestmark = [pytest.mark.anyio, needs_redis, needs_nginx]

SEED = int(os.environ.get("SOAK_SEED") or time.time_ns() % 10**9)
ROUNDS = max(4, int(os.environ.get("SOAK_ROUNDS") or 150) // 20)
BATCH = 8
"""Rounds in one test, which has to end well before the limit for all tests."""


@pytest.mark.parametrize("first", range(0, ROUNDS, BATCH))
async def test_what_replicas_bought_is_recorded_once_and_told_to_its_own_tenant(first: int, tmp_path: Path) -> None:
    """Whatever is killed: nothing is bought twice, nothing paid for is lost, and nothing is told to another."""
    total = Counter[str]()
    found = []
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as redis:
        async with team(f"{redis.url}/0", tmp_path) as playing:
            for number in range(first, min(first + BATCH, ROUNDS)):
                problems, tally = await team_round(playing, random.Random(f"{SEED} team {number}"), number)
                total.update(tally)
                found += [f"SOAK_SEED={SEED}, team round {number}: {problem}" for problem in problems]
    print(f"SOAK_SEED={SEED}, team rounds from {first}: {dict(total)}")  # noqa: T201 - shown where the test fails
    assert not found, "\n".join(found)
