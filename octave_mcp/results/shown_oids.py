"""The oIds that results showed to a caller lately, so that a later result neither repeats nor contradicts them.

They are kept in memory, for one key, and change nothing but words.
"""

from collections import OrderedDict
from collections.abc import Iterable

MAX_OIDS = 2000
"""oIds that are remembered; the oldest are forgotten first."""

MAX_GENERATIONS = 100
"""Generations whose shown personas are remembered."""


class ShownOids:
    """The oIds in results, and the personas that results of each generation showed."""

    def __init__(self) -> None:
        """Begin with none."""
        self._oids: OrderedDict[str, None] = OrderedDict()
        self._by_generation: OrderedDict[str, frozenset[str]] = OrderedDict()

    def add(self, oids: Iterable[str | None]) -> None:
        """Remember oIds that a result shows."""
        self._oids.update(dict.fromkeys(filter(None, oids)))
        while len(self._oids) > MAX_OIDS:
            self._oids.popitem(last=False)

    def has_all(self, oids: Iterable[str | None]) -> bool:
        """Return whether results showed every given oId; False if none is given."""
        given = [oid for oid in oids if oid]
        return bool(given) and all(oid in self._oids for oid in given)

    def add_personas(self, generation_id: str, oids: Iterable[str | None]) -> frozenset[str]:
        """Remember the personas that a result of a generation shows, and return those that an earlier one showed."""
        before = self._by_generation.pop(generation_id, frozenset())
        shown = frozenset(filter(None, oids))
        self.add(shown)
        self._by_generation[generation_id] = before | shown
        if len(self._by_generation) > MAX_GENERATIONS:
            self._by_generation.popitem(last=False)
        return before
