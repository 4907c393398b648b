# Announcements, a slice at a time: a thousand VIPs three times over are 3,000 system calls, and an
# advert that is due in between must not wait for them (measured: docs/performance.md).
"""Frames that wait to be sent."""

from collections import deque
from collections.abc import Sequence

from director.kernel.addresses import Link
from director.vrrp.socket import Announcer

SLICE = 64  # frames a turn

Frames = Sequence[tuple[Link, bytes]]


class Burst:
    """The announcements of one virtual router that are still to be sent."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._waiting: deque[tuple[Link, bytes]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def load(self, frames: Frames, times: int) -> None:
        """Forget what waits; these are next, all of them once, then again."""
        self._waiting.clear()
        for _ in range(times):
            self._waiting.extend(frames)

    def send(self) -> None:
        """One slice."""
        for _ in range(min(SLICE, len(self._waiting))):
            link, frame = self._waiting.popleft()
            self._announcer.send(link, frame)

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting.clear()
