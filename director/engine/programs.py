# The engine's side of director-exec. While that process is not there, jobs wait; what was under way
# when it went is not run again by itself, for nobody knows how far it came.
"""Foreign programs: asked for here, run elsewhere, and how they ended."""

import logging
import time

from director.link import Link
from director.model.state import ProgramState
from director.policy.lanes import WAITING_MAX, Job, Lanes
from director.policy.report import rfc3339
from director.wire.messages import Cancel, Ran, Run

log = logging.getLogger("director.engine")


class Programs:
    """What runs, and how the last run of each program ended."""

    def __init__(self) -> None:
        self._lanes = Lanes()
        self._link: Link | None = None
        self._states: dict[str, ProgramState] = {}
        self._dropping = False

    def ask(self, job: Job) -> None:
        """Have it run as soon as its lane is free. `job.done` hears how it ended, once."""
        gone = self._lanes.add(job)
        if gone is not None:
            self._drop(gone)
        self._deal()

    def cancel(self, who: str, about: str) -> None:
        """Kill what runs about this object now, and run nothing that waits."""
        for job in self._lanes.withdraw((who, about)):
            job.done(Ran(0, fault="cancelled"))
        number = self._lanes.under_way((who, about))
        if number is not None and self._link is not None:
            self._link.say(Cancel(number))

    def connected(self, link: Link) -> None:
        """The exec process is there."""
        self._link = link
        self._deal()

    def gone(self) -> None:
        """It is not there any more."""
        self._link = None
        for number, job in self._lanes.lose():
            self._end(job, Ran(number, fault="director-exec went away"))

    def hear(self, ran: Ran) -> None:
        """A run has ended."""
        job = self._lanes.end(ran.id)
        if job is not None:
            self._end(job, ran)
            self._deal()

    def states(self) -> tuple[ProgramState, ...]:
        """As `status` shows them."""
        return tuple(self._states[who] for who in sorted(self._states))

    def _deal(self) -> None:
        if self._link is None:
            return
        for number, job in self._lanes.start():
            self._link.say(Run(number, job.argv, job.stdin, job.timeout))
        if not self._lanes.waiting:
            self._dropping = False

    def _end(self, job: Job, ran: Ran) -> None:
        level = logging.WARNING
        if ran.well:
            level = logging.DEBUG if job.quiet else logging.INFO
        log.log(level, "%s, about %s: %s (%.2f s)", job.who, job.object, ran, ran.seconds)
        self._count(job.who, runs=1, failed=not ran.well, last=str(ran))
        job.done(ran)

    def _drop(self, job: Job) -> None:
        if not self._dropping:
            log.warning("%d programs wait to be run: the oldest are dropped", WAITING_MAX)
            self._dropping = True
        self._count(job.who, dropped=1)
        job.done(Ran(0, fault="dropped: too many programs wait"))

    def _count(
        self, who: str, *, runs: int = 0, failed: bool = False, dropped: int = 0, last: str = ""
    ) -> None:
        was = self._states.get(who, ProgramState(who))
        self._states[who] = ProgramState(
            who,
            runs=was.runs + runs,
            failed=was.failed + failed,
            dropped=was.dropped + dropped,
            last=last or was.last,
            last_failed=failed if last else was.last_failed,
            at=rfc3339(time.time()) if last else was.at,
        )
