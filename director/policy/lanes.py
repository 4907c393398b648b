# Which foreign program runs next.
#
# Rules of this room:
# 1. Jobs of one lane run one at a time and in the order in which they came; lanes run beside each
#    other, PARALLEL jobs at once.
# 2. WAITING_MAX jobs wait. One more, and the oldest waiting one is dropped: who is told late is
#    better told the newest.
# 3. An urgent job waits for its lane alone, and is never dropped for want of room. Whoever asks for
#    one bounds them.
"""Jobs in lanes: ordered, bounded. Pure."""

from collections.abc import Callable

import msgspec

from director.wire.messages import Ran

PARALLEL = 8
WAITING_MAX = 1000


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A program to run, and who hears how it ended. `timeout` in seconds.

    `who` has it run and `object` is what it is about: together they name its lane.
    """

    who: str
    object: str
    argv: tuple[str, ...]
    stdin: str
    timeout: float
    done: Callable[[Ran], None]
    urgent: bool = False
    quiet: bool = False  # not worth a word in the log when it went well

    @property
    def lane(self) -> tuple[str, str]:
        """Jobs of one lane run one after the other."""
        return self.who, self.object


class Lanes:
    """What waits and what is under way, by number."""

    def __init__(self) -> None:
        self._waiting: list[Job] = []
        self._under_way: dict[int, Job] = {}
        self._number = 0

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def add(self, job: Job) -> Job | None:
        """Let a job wait; the one that had to go for it."""
        gone: Job | None = None
        if not job.urgent and sum(not one.urgent for one in self._waiting) >= WAITING_MAX:
            gone = next(one for one in self._waiting if not one.urgent)
            self._waiting.remove(gone)
        self._waiting.append(job)
        return gone

    def start(self) -> list[tuple[int, Job]]:
        """The jobs that may run now, each with its number; they are under way from here on."""
        busy = {job.lane for job in self._under_way.values()}
        room = PARALLEL - sum(not job.urgent for job in self._under_way.values())
        started: list[tuple[int, Job]] = []
        left: list[Job] = []
        for job in self._waiting:
            if job.lane in busy or not (job.urgent or room > 0):
                left.append(job)
            else:
                self._number += 1
                room -= not job.urgent
                started.append((self._number, job))
            busy.add(job.lane)  # what comes later in a lane does not overtake
        self._waiting = left
        self._under_way.update(started)
        return started

    def withdraw(self, lane: tuple[str, str]) -> list[Job]:
        """Take back what waits in a lane."""
        taken = [job for job in self._waiting if job.lane == lane]
        self._waiting = [job for job in self._waiting if job.lane != lane]
        return taken

    def under_way(self, lane: tuple[str, str]) -> int | None:
        """The number of the job of a lane that runs now."""
        return next((number for number, job in self._under_way.items() if job.lane == lane), None)

    def end(self, number: int) -> Job | None:
        """The job has ended; None when there is no such job."""
        return self._under_way.pop(number, None)

    def lose(self) -> list[tuple[int, Job]]:
        """Nobody runs anything any more: what was under way. What waits goes on waiting."""
        lost = list(self._under_way.items())
        self._under_way.clear()
        return lost
