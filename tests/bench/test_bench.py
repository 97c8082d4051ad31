"""The benchmark over stdio: its probes once, and what is made of their numbers. No test asserts a time."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bench.caller import GENERATE, Era
from bench.compare import ANY_NAME, FLOOR, OURS, RECORDING, THIN, Goal, Measure, Sample, compared, value
from bench.conversation import MODERN_ERA, OLDEST_ERA
from bench.costs import AFTERWARDS, RESULTS, TOOLS, TWICE, duplicates, memory, tokens
from bench.processes import PLAIN, chat_columns
from bench.readme import BEGIN, END, put
from bench.run import Run
from bench.times import RATE, TEN, WARM, WARM_ANY_NAME, calls_a_second, ten_personas, warm_call

pytestmark = pytest.mark.anyio

Build = Callable[..., Run]


@pytest.fixture
def run_of(tmp_path: Path) -> Build:
    """Return what makes a run of the columns with these names."""
    every = chat_columns((PLAIN, "-m", "octave_mcp"), tmp_path)
    return lambda *names: Run(tmp_path, [one for one in every if one.name in names])


async def everything(samples: AsyncIterator[Sample]) -> list[Sample]:
    """What a probe finds."""
    return [one async for one in samples]


@pytest.mark.parametrize("era", [OLDEST_ERA, MODERN_ERA])
async def test_a_start_ends_with_the_tools_in_either_revision(run_of: Build, era: Era) -> None:
    """A start is timed up to the tools, so tools have to be what comes."""
    ours = run_of(OURS)
    async with ours.serving(ours.columns[0], port=9, era=era) as server:
        assert "generate_personas" in [tool["name"] for tool in await server.open()]


async def test_warm_calls_and_many_at_once_are_timed_beside_the_floor(run_of: Build) -> None:
    """The floor is a sum of parts that come from two places, and its call is not the others' call."""
    both = run_of(OURS, FLOOR)
    warm = await everything(warm_call(both, rounds=1, calls=2))
    rate = await everything(calls_a_second(both, rounds=1, calls=20))
    for measure, samples in [*((measure, warm) for measure in WARM.values()), (RATE, rate)]:
        assert all((value(samples, measure, column) or 0) > 0 for column in (OURS, FLOOR)), measure


async def test_ours_that_does_not_look_for_names_has_rows_of_its_own(run_of: Build) -> None:
    """It stands in the column of ours, beside the same values of the others."""
    found = await everything(warm_call(run_of(OURS, ANY_NAME, RECORDING, FLOOR), rounds=1, calls=2))
    for column in (OURS, RECORDING, FLOOR):
        assert value(found, WARM_ANY_NAME, column)
    assert value(found, WARM_ANY_NAME, RECORDING) == value(found, WARM[GENERATE], RECORDING)
    assert value(found, WARM[GENERATE], ANY_NAME) is None


async def test_a_thin_wrapper_creates_twice_what_ours_creates_once(run_of: Build) -> None:
    """The count is of what reached the upstream, and 0 has to mean that nothing came twice."""
    found = await everything(duplicates(run_of(OURS, THIN), patience=0.25))
    assert value(found, TWICE, OURS) == 0
    assert value(found, TWICE, THIN) == 2


async def test_tokens_are_counted_of_tools_and_of_results_of_each_size(run_of: Build) -> None:
    """A result that lacked a channel, or a size that was refused, would look cheap."""
    found = await everything(tokens(run_of(OURS, THIN)))
    assert (value(found, TOOLS, OURS) or 0) > (value(found, TOOLS, THIN) or 0) > 100
    for count, measure in RESULTS.items():
        ours, thin, alone = (value(found, measure, column) or 0 for column in (OURS, THIN, FLOOR))
        assert 0 < ours < thin, count
        assert alone < thin, count
        assert 800 * count < alone < 1200 * count


async def test_memory_and_ten_slow_personas_are_measured(run_of: Build) -> None:
    """Both start servers of their own, with an upstream of its own kind."""
    alone = run_of(OURS)
    held = await everything(memory(alone, rounds=1, calls=2))
    slow = await everything(ten_personas(alone, rounds=1, seconds_a_persona=0.05))
    assert (value(held, AFTERWARDS, OURS) or 0) > 10
    assert (value(slow, TEN, OURS) or 0) > 0.05


def test_a_ratio_divides_values_of_the_same_round() -> None:
    """What else the machine does in one round must touch both sides, or a ratio says nothing."""
    measure = Measure("size", (Goal(0.5, THIN), Goal(0.6, THIN, at_least=True), Goal(9), Goal(1.0, FLOOR)))
    pairs = enumerate([(1, 2), (10, 20), (3, 6)])
    samples = [
        Sample(measure, column, number, size)
        for number, sizes in pairs
        for column, size in zip((OURS, THIN), sizes, strict=True)
    ]
    told = "at most 0.5 of (a): met; at least 0.6 of (a): MISSED; at most 9: met; at most 1 of (c): not measured"
    assert compared(samples).splitlines()[-1] == f"| size | 3 | 6 |  |  |  | 0.50 |  |  |  | {told} |"
    assert compared(samples, goals=False).splitlines()[-1] == "| size | 3 | 6 |  |  |  | 0.50 |  |  |  |"


def test_the_table_replaces_what_stands_between_the_markers(tmp_path: Path) -> None:
    """Whatever else the document says is not the benchmark's to touch."""
    document = tmp_path / "README.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for text in ("new", "newer"):
        put(text, document)
        assert document.read_text() == f"before\n{BEGIN}\n{text}\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_document_without_one_pair_of_markers_is_left_alone(tmp_path: Path, text: str) -> None:
    """With a marker missing, the rest of the document would be what is replaced."""
    document = tmp_path / "README.md"
    document.write_text(text)
    with pytest.raises(ValueError, match="README"):
        put("new", document)
    assert document.read_text() == text
