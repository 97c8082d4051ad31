"""What was measured, as medians of rounds, and as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

BESIDE = "thin"
"""The server that the others are divided by."""


@dataclass(frozen=True)
class Measured:
    """One server under one load in one round."""

    column: str
    tool: str
    callers: int
    round: int
    calls: int
    calls_a_second: float
    median_ms: float
    p95_ms: float
    cpu_ms_a_call: float | None
    """Of the server's process, and of no other."""


@dataclass(frozen=True)
class Summary:
    """One server under one load: the medians of all rounds."""

    column: str
    tool: str
    callers: int
    calls_a_second: float
    times_thin: float | None
    """The median of what each round gave, divided by `thin` in the same round; with the least and the most."""
    times_thin_range: tuple[float, float] | None
    median_ms: float
    p95_ms: float
    cpu_ms_a_call: float | None


@dataclass(frozen=True)
class Memory:
    """What a server's process held after so many calls."""

    column: str
    calls: int
    resident_bytes: int


def summarised(measured: Sequence[Measured]) -> list[Summary]:
    """A summary of each server under each load, in the order in which they came first."""
    found = []
    for column, tool, callers in dict.fromkeys((one.column, one.tool, one.callers) for one in measured):
        load = [one for one in measured if (one.tool, one.callers) == (tool, callers)]
        rounds = [one for one in load if one.column == column]
        beside = {one.round: one.calls_a_second for one in load if one.column == BESIDE}
        ratios = [one.calls_a_second / beside[one.round] for one in rounds if one.round in beside]
        used = [one.cpu_ms_a_call for one in rounds if one.cpu_ms_a_call is not None]
        found.append(
            Summary(
                column,
                tool,
                callers,
                median(one.calls_a_second for one in rounds),
                median(ratios) if ratios else None,
                (min(ratios), max(ratios)) if ratios else None,
                median(one.median_ms for one in rounds),
                median(one.p95_ms for one in rounds),
                median(used) if used else None,
            )
        )
    return found


def speed_table(summaries: Iterable[Summary]) -> str:
    """Calls a second and latencies, a row for each load and server."""
    rows = [
        (
            one.tool,
            f"{one.callers}",
            one.column,
            f"{one.calls_a_second:.0f}",
            _ratio(one),
            f"{one.median_ms:.1f}",
            f"{one.p95_ms:.1f}",
            "" if one.cpu_ms_a_call is None else f"{one.cpu_ms_a_call:.2f}",
        )
        for one in sorted(summaries, key=lambda one: (one.tool, one.callers))
    ]
    heads = ("tool", "callers", "server", "calls a second", f"x {BESIDE}", "median ms", "p95 ms", "CPU ms a call")
    return table(heads, rows)


def memory_table(memory: Sequence[Memory]) -> str:
    """Resident memory, a row for each count of calls."""
    columns = list(dict.fromkeys(one.column for one in memory))
    held = {(one.column, one.calls): f"{one.resident_bytes / 2**20:.1f}" for one in memory}
    counts = sorted({one.calls for one in memory})
    rows = [(f"{calls}", *(held.get((column, calls), "") for column in columns)) for calls in counts]
    return table(("after calls", *(f"{column}, MiB" for column in columns)), rows)


def _ratio(one: Summary) -> str:
    if one.times_thin is None or one.times_thin_range is None:
        return ""
    least, most = one.times_thin_range
    return f"{one.times_thin:.2f}" + (f" ({least:.2f} to {most:.2f})" if one.column != BESIDE else "")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
