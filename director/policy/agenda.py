"""Which service is due when, so that only the earliest is ever looked at."""

from heapq import heapify, heappop, heappush

from director.policy.desired import NEVER

SPARE = 64  # outdated entries that are kept, beside as many as there are good ones


class Agenda:
    """One instant a name. Putting and taking cost the logarithm of what is in it."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[
            tuple[float, str]
        ] = []  # may hold outdated entries: `_at` has the last word

    def put(self, name: str, at: float) -> None:
        """`name` is due at `at` and at no other instant; NEVER takes it off."""
        if self._at.get(name, NEVER) == at:
            return
        if at == NEVER:
            del self._at[name]
            return
        self._at[name] = at
        heappush(self._heap, (at, name))
        if len(self._heap) > 2 * len(self._at) + SPARE:
            self._heap = [(at, name) for name, at in self._at.items()]
            heapify(self._heap)

    def next_at(self) -> float:
        """The earliest instant; NEVER when there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else NEVER

    def take(self, now: float) -> set[str]:
        """Everything that is due; it is off the agenda."""
        due = set()
        while self.next_at() <= now:
            _, name = heappop(self._heap)
            del self._at[name]
            due.add(name)
        return due
