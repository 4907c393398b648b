# How late things were: our own timers, and adverts, ours and the peer's.
#
# An advert is late when the last one is two intervals old or more: one more, and a peer would come
# near to taking over. A count in the last hour is what an operator can act on; the histogram is for
# whoever draws curves.
"""Lateness of timers and adverts. Time is a parameter, in seconds."""

from bisect import bisect_left
from collections import deque

BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # and what is above the last
LATE = 2.0  # intervals
HOUR = 3600.0
REMEMBERED_MAX = 1000


class Punctuality:
    """That of one virtual router."""

    def __init__(self) -> None:
        self.histogram = [0] * (len(BOUNDS) + 1)
        self._worst = 0.0
        self._last: tuple[str, float] | None = None
        self._late: deque[tuple[float, float]] = deque(maxlen=REMEMBERED_MAX)

    def turned(self, late: float) -> None:
        """A timer fired, so many seconds after it was due."""
        self.histogram[bisect_left(BOUNDS, late)] += 1
        self._worst = max(self._worst, late)

    def take_worst(self) -> float:
        """The latest timer since this was last asked."""
        worst, self._worst = self._worst, 0.0
        return worst

    def advert(self, source: str, interval: float, now: float) -> bool:
        """An advert went out, or came from the one that is active; was it late?"""
        last, self._last = self._last, (source, now)
        if last is None or last[0] != source or now - last[1] < LATE * interval:
            return False
        self._late.append((now, now - last[1]))
        return True

    def start_over(self) -> None:
        """Another speaks from now on: the next advert is not measured against the last."""
        self._last = None

    def late(self, now: float) -> tuple[int, float]:
        """How many adverts were late in the last hour, and the longest gap, in seconds."""
        while self._late and self._late[0][0] < now - HOUR:
            self._late.popleft()
        return len(self._late), max((gap for _, gap in self._late), default=0.0)
