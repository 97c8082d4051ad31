"""What the probes over stdio share: columns, turns, a folder, and how a server and an upstream are started."""

import random
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.caller import Era
from bench.compare import ANY_NAME, FLOOR, RECORDING
from bench.conversation import OLDEST_ERA, Conversation, conversation
from bench.processes import Column, octave, octave_settings


@dataclass(frozen=True)
class Run:
    """One run."""

    folder: Path
    columns: list[Column]

    @property
    def wrappers(self) -> list[Column]:
        """Return those that have Octave's tools, without variants that differ only in what is timed elsewhere."""
        return [one for one in self.columns if one.name not in {ANY_NAME, FLOOR, RECORDING}]

    @property
    def starting(self) -> list[Column]:
        """Return those whose start differs."""
        return [one for one in self.columns if one.name not in {ANY_NAME, RECORDING}]

    def turn(self, columns: list[Column], number: int) -> list[Column]:
        """The columns in the order of that round."""
        return random.Random(number).sample(columns, len(columns))

    def turns(self, columns: list[Column], rounds: int) -> Iterator[tuple[int, Column]]:
        """Every column once a round, each round in another order."""
        for number in range(rounds):
            yield from ((number, one) for one in self.turn(columns, number))

    def upstream(self, *options: str) -> AbstractAsyncContextManager[int]:
        """An upstream until the block ends; its port."""
        return octave(self.folder / "octave.log", *options)

    def serving(
        self, column: Column, port: int, era: Era = OLDEST_ERA, settings: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[Conversation]:
        """A server until the block ends, at the upstream of that port."""
        log = self.folder / f"{column.name}.log"
        return conversation(column, {**octave_settings(port), **(settings or {})}, log, era)
