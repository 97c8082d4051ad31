"""What results of this server named to a caller lately, so that a later one neither repeats nor contradicts it.

It is kept in memory, for one key, and nothing depends on it but words.
"""

from collections import OrderedDict
from collections.abc import Iterable

__all__ = ["Seen"]

MAX_OIDS = 2000
"""oIds that are remembered; the oldest are forgotten first."""

MAX_GENERATIONS = 100
"""Generations whose shown personas are remembered."""


class Seen:
    """The oIds that results named, and the personas that results of a generation showed."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._oids: OrderedDict[str, None] = OrderedDict()
        self._generations: OrderedDict[str, frozenset[str]] = OrderedDict()

    def name(self, oids: Iterable[str | None]) -> None:
        """Remember oIds that a result names."""
        self._oids.update(dict.fromkeys(filter(None, oids)))
        while len(self._oids) > MAX_OIDS:
            self._oids.popitem(last=False)

    def named(self, oids: Iterable[str | None]) -> bool:
        """Return whether there are oIds, and results named all of them."""
        given = [oid for oid in oids if oid]
        return bool(given) and all(oid in self._oids for oid in given)

    def show(self, generation_id: str, oids: Iterable[str | None]) -> frozenset[str]:
        """Remember the personas that a result of a generation shows, and return those that an earlier one showed."""
        before = self._generations.pop(generation_id, frozenset())
        shown = frozenset(filter(None, oids))
        self.name(shown)
        self._generations[generation_id] = before | shown
        if len(self._generations) > MAX_GENERATIONS:
            self._generations.popitem(last=False)
        return before
