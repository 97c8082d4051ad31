"""Events of items: publish a change, and wake only the calls that wait for one of the changed items."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import anyio


class Subscription:
    """An event that is set when one of the items changes; until `narrow` is called, when any item changes."""

    def __init__(self) -> None:
        """Subscribe to all items."""
        self.event = anyio.Event()
        self.items: frozenset[str] | None = None

    def narrow(self, items: Collection[str]) -> None:
        """Subscribe to these items only. A change that was published before still counts."""
        self.items = frozenset(items)


class ItemEvents:
    """The changes of one tenant's items in this process."""

    def __init__(self) -> None:
        """Begin without subscriptions."""
        self._subscriptions: set[Subscription] = set()

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """Subscribe until the end of the block."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, *items: str) -> None:
        """Report that these items changed; without items, that any may have."""
        for subscription in self._subscriptions:
            if not items or subscription.items is None or not subscription.items.isdisjoint(items):
                subscription.event.set()
