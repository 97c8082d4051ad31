"""The throttle: how long it waits before a refused request is sent again, and when it gives up."""

import asyncio
import math

import pytest
from support.moved_clock import MovedClock, settle

from octave_mcp.generation import throttle
from octave_mcp.octave import errors

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("error", "pauses"),
    [
        (errors.Unreachable("Gone."), [0.75, 1.5, None]),
        (errors.Busy("Busy.", retry_after=None), [3, 6, 12, 24, None]),
        (errors.Busy("Busy.", retry_after=7), [7, 7, 7, 7, None]),
        (errors.Busy("Busy.", retry_after=0), [0, 0, 0, 0, None]),
        (errors.Busy("Busy.", retry_after=121), [None]),
        (errors.Busy("Busy.", retry_after=math.inf), [None]),
    ],
)
async def test_pauses_are_as_octave_asked_or_grow_and_come_to_an_end(
    monkeypatch: pytest.MonkeyPatch, error: errors.Refused, pauses: list[float | None]
) -> None:
    """None is the end: the person is told instead of kept waiting."""
    monkeypatch.setattr(throttle, "UNREACHABLE_PAUSE_SECONDS", 0.5)
    monkeypatch.setattr(throttle, "BUSY_PAUSE_SECONDS", 2.0)
    clock = MovedClock()
    one = throttle.Throttle(1, clock, chance=lambda: 0.5)
    for tries, expected in enumerate(pauses, 1):
        pausing = asyncio.create_task(one.pause(error, tries))
        await settle()
        if expected:
            assert list(clock.waiting.values()) == [clock.time + expected]
            await clock.move(expected)
        assert await pausing == (expected is not None)
