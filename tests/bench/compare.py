"""What was measured over stdio, column beside column, as medians, as ratios within a round, and as Markdown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.report import table

OURS, THIN, OPENAPI, FLOOR, RECORDING = "ours", "thin", "openapi", "floor", "recording"
COLUMNS = {OURS: OURS, THIN: "(a) thin", OPENAPI: "(b) openapi", FLOOR: "(c) floor", RECORDING: "(d) recording"}
"""How each is headed."""

ANY_NAME = "any name"
"""Ours without the search for a persona of the same name. It has rows of its own, in the column of ours."""

BESIDE = (THIN, OPENAPI, FLOOR, RECORDING)


@dataclass(frozen=True)
class Goal:
    """The most that ours may be, or with `at_least` the least: times another column, or as it stands."""

    bound: float
    times: str | None = None
    at_least: bool = False

    def is_met(self, found: float) -> bool:
        """Return whether a value, or a ratio, is within the bound."""
        return found >= self.bound if self.at_least else found <= self.bound


@dataclass(frozen=True)
class Measure:
    """Something that is measured of each column, and what is wanted of ours."""

    name: str
    goals: tuple[Goal, ...] = ()
    digits: int = 0


@dataclass(frozen=True)
class Sample:
    """One value of one column in one round."""

    measure: Measure
    column: str
    round: int
    value: float


def value(samples: Iterable[Sample], measure: Measure, column: str) -> float | None:
    """The median of all rounds."""
    found = [one.value for one in samples if (one.measure, one.column) == (measure, column)]
    return median(found) if found else None


def ratio(samples: Sequence[Sample], measure: Measure, column: str) -> float | None:
    """The median of what ours is, divided by the column in the same round."""
    rounds = {one.round: one.value for one in samples if (one.measure, one.column) == (measure, column)}
    ours = [one for one in samples if (one.measure, one.column) == (measure, OURS)]
    found = [one.value / rounds[one.round] for one in ours if rounds.get(one.round)]
    return median(found) if found else None


def compared(samples: Sequence[Sample], *, goals: bool = True) -> str:
    """A row for each measure."""
    heads = ["", *COLUMNS.values(), *(f"ours / {COLUMNS[column][:3]}" for column in BESIDE)]
    rows = []
    for measure in dict.fromkeys(one.measure for one in samples):
        values = [_shown(value(samples, measure, column), measure.digits) for column in COLUMNS]
        ratios = [_shown(ratio(samples, measure, column), 2) for column in BESIDE]
        rows.append([measure.name, *values, *ratios])
        if goals:
            rows[-1].append("; ".join(_judged(samples, measure, goal) for goal in measure.goals))
    return table([*heads, "goals"] if goals else heads, rows)


def _judged(samples: Sequence[Sample], measure: Measure, goal: Goal) -> str:
    wanted = f"at {'least' if goal.at_least else 'most'} {goal.bound:g}"
    if goal.times is None:
        found = value(samples, measure, OURS)
    else:
        wanted += f" of {COLUMNS[goal.times][:3]}"
        found = ratio(samples, measure, goal.times)
    if found is None:
        return f"{wanted}: not measured"
    return f"{wanted}: {'met' if goal.is_met(found) else 'MISSED'}"


def _shown(found: float | None, digits: int) -> str:
    return "" if found is None else f"{found:.{digits}f}"
