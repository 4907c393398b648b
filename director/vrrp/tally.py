"""Counts what goes wrong again and again, and seldom says so."""

import logging
from collections import Counter

SAY_EVERY = 60.0  # seconds: RFC 9568 asks that logs of what strangers send be limited in rate

log = logging.getLogger("director.vrrp")


class Tally:
    """Counters by reason. The first is logged at once, the next a minute later with how many."""

    def __init__(self, what: str) -> None:
        self.counts: Counter[str] = Counter()
        self._what = what
        self._unsaid: Counter[str] = Counter()
        self._say_at = -float("inf")

    def add(self, reason: str, now: float) -> None:
        """Count one; `now` in seconds of the caller's one clock."""
        self.counts[reason] += 1
        self._unsaid[reason] += 1
        if now < self._say_at:
            return
        self._say_at = now + SAY_EVERY
        said = ", ".join(f"{reason} {count}" for reason, count in sorted(self._unsaid.items()))
        log.warning("%s: %s", self._what, said)
        self._unsaid.clear()
