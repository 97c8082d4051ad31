"""The benchmark of files as sources. It measures tokens and no time, so its goal is a test."""

from pathlib import Path

import pytest

from bench.files import GOAL, measure

pytestmark = pytest.mark.anyio


async def test_a_file_is_asked_for_in_a_fiftieth_of_the_tokens(tmp_path: Path) -> None:
    """And what reaches Octave is the same, word for word."""
    assert (await measure(tmp_path)).times_fewer >= GOAL
