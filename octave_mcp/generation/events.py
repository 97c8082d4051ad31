"""Wakes those who wait for some items when one of these changes: all who wait would have much to read for nothing."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import anyio

__all__ = ["Bell"]


class Bell:
    """Of one key's items."""

    def __init__(self) -> None:
        """Nobody listens."""
        self._listening: dict[anyio.Event, frozenset[str] | None] = {}

    @contextmanager
    def heard(self) -> Iterator[anyio.Event]:
        """An event that the next change of anything sets, or of what `only` has named."""
        event = anyio.Event()
        self._listening[event] = None
        try:
            yield event
        finally:
            self._listening.pop(event, None)

    def only(self, event: anyio.Event, items: Collection[str]) -> None:
        """Have the event set by changes of these items. A change of any before counts."""
        self._listening[event] = frozenset(items)

    def ring(self, items: Collection[str] | None = None) -> None:
        """These items changed; or, without them, any may have."""
        for event, wanted in self._listening.items():
            if items is None or wanted is None or not wanted.isdisjoint(items):
                event.set()
