# When each target is probed next.
#
# Rules of this room:
# 1. The schedule is absolute: the next instant is the last *planned* one plus the interval, never
#    the end of a probe plus the interval. Late starts do not add up.
# 2. A target is either waiting or running. Whoever took it with `due` owes a `done` (or `remove`),
#    so no target is ever probed twice at once.
# 3. A probe that outlasts its interval is followed at once by one more, not by all that it missed.
#
# A heap with lazy deletion: an entry counts only while its number is the one its key waits for.
# Dead entries are swept when they outnumber the live ones, so every verb costs O(log n).
"""The timetable of probes; time is a parameter."""

import heapq
from zlib import crc32

import msgspec

SPREAD_MAX = 1.0
SWEEP_FROM = 64


class Due(msgspec.Struct, frozen=True):
    """A target to probe now, and how many seconds late that is."""

    key: str
    lateness: float


class _Entry(msgspec.Struct):
    """One target. `at` is the planned instant, `number` its entry in the heap (0: running)."""

    at: float
    number: int


class Timetable:
    """Which target is probed at which instant (seconds of the caller's clock)."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, key: str, interval: float, now: float) -> None:
        """A new target: first probe at once, spread by its key so that not all start together.

        The same key always has the same offset within the smaller of `interval` and SPREAD_MAX.
        """
        assert key not in self._entries
        assert interval > 0
        at = now + spread(key) * min(interval, SPREAD_MAX)
        self._entries[key] = _Entry(at, 0)
        self._wait(key, at)

    def remove(self, key: str) -> None:
        """Forget a target, waiting or running."""
        del self._entries[key]
        self._sweep()

    def due(self, now: float, limit: int) -> list[Due]:
        """At most `limit` targets whose instant has come, the longest waiting first.

        They are running from here on: each is owed a `done`.
        """
        found: list[Due] = []
        while len(found) < limit:
            ready = self.next_at()
            if ready is None or ready > now:
                break
            _, _, key = heapq.heappop(self._heap)
            self._entries[key].number = 0
            found.append(Due(key, now - ready))
        return found

    def done(self, key: str, interval: float, now: float) -> None:
        """The probe of a running target ended; plan the next, `interval` after the last plan."""
        assert interval > 0
        entry = self._entries[key]
        assert entry.number == 0
        entry.at += interval
        missed = int((now - entry.at) / interval)
        if missed > 0:
            entry.at += missed * interval
        # It cannot have started before the last one ended; that much is no lateness of ours.
        self._wait(key, max(entry.at, now))

    def next_at(self) -> float | None:
        """When `due` will next have something; None while nothing waits."""
        while self._heap:
            ready, number, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is not None and entry.number == number:
                return ready
            heapq.heappop(self._heap)
        return None

    def _wait(self, key: str, ready: float) -> None:
        self._numbers += 1
        self._entries[key].number = self._numbers
        heapq.heappush(self._heap, (ready, self._numbers, key))

    def _sweep(self) -> None:
        if len(self._heap) <= 2 * len(self._entries) + SWEEP_FROM:
            return
        self._heap = [
            line
            for line in self._heap
            if (entry := self._entries.get(line[2])) is not None and entry.number == line[1]
        ]
        heapq.heapify(self._heap)


def spread(key: str) -> float:
    """A share in [0, 1) that only the key decides (Python's own hash differs by process)."""
    return crc32(key.encode()) / 2**32
