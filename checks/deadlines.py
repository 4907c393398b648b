"""Deadlines of what is under way: one queue for each timeout, oldest first. Pure."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Deadlines(Generic[Item]):
    """Items by when their time is up. Timeouts are few, so every verb is short.

    `now` never goes back: of two items with one timeout, the later added is due later.
    """

    def __init__(self) -> None:
        self._queues: dict[float, OrderedDict[Item, float]] = {}

    def add(self, item: Item, timeout: float, now: float) -> float:
        """Start the time of an item; the instant when it is up."""
        queue = self._queues.get(timeout)
        if queue is None:
            queue = self._queues[timeout] = OrderedDict()
        assert item not in queue
        at = queue[item] = now + timeout
        return at

    def remove(self, item: Item, timeout: float) -> None:
        """It ended in time."""
        queue = self._queues[timeout]
        del queue[item]
        if not queue:
            del self._queues[timeout]

    def first(self) -> float | None:
        """The next instant when somebody's time is up."""
        return min((next(iter(queue.values())) for queue in self._queues.values()), default=None)

    def overdue(self, now: float) -> list[Item]:
        """Those whose time is up, the oldest of each timeout first. Each is still to be removed."""
        found = []
        for queue in self._queues.values():
            for item, at in queue.items():
                if at > now:
                    break
                found.append(item)
        return found
