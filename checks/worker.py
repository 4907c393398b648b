# A check worker: probes what the engine lists and tells what it found.
#
# Rules of this room:
# 1. The engine may come and go; probing never stops for it. Whoever connects again gets Hello and
#    the whole state.
# 2. The world's faults are outcomes. Anything that a probe raises is a bug of ours and ends the
#    process through the task group: its supervisor starts a fresh one, which goes on from the
#    standings that the engine hands it.
# 3. One driver task sleeps until the timetable's next instant. A running probe is an attempt on the
#    lane, or a task where its kind needs one. The number of probes in flight is bounded, and the
#    lateness that a full house causes is told in every beat.
# 4. The driver wakes once every GRAIN at most: a turn of the loop costs more than a probe's start.
"""The worker: timetable, probes and the link to the engine in one asyncio loop."""

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from checks.attempt import Attempt
from checks.lane import Lane
from checks.link import Link, connect
from checks.outcome import Outcome
from checks.probes import Prober, open_prober
from checks.probes.on_lane import LaneProber
from checks.roster import Roster
from checks.timetable import Timetable
from director.model.check import Target
from director.wire.messages import (
    BEAT_EVERY,
    LEVELS_EVERY,
    Beat,
    Hello,
    Message,
    Targets,
    Transition,
)

IN_FLIGHT_MAX = 4000
BATCH = 64  # probes started in one turn of the loop; the rest wait for the next turn
GRAIN = 0.01  # probes may start this much late, so that those of 10 ms start together
RETRY_MIN = 0.1
RETRY_MAX = 2.0

log = logging.getLogger("checks")


class Worker:
    """Everything one worker process does.

    `_open` makes the prober for a type of check; tests put their own there, as into `_timetable`.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        *,
        room: int = IN_FLIGHT_MAX,
        keep_max: int = IN_FLIGHT_MAX,
        _open: Callable[[type], Prober] = open_prober,
        _timetable: Timetable | None = None,
    ) -> None:
        assert room > 0
        self._path = path
        self._name = name
        self._room = room
        self._keep_max = keep_max
        self._open = _open
        self._roster = Roster()
        self._timetable = Timetable() if _timetable is None else _timetable
        self._probers: dict[type, Prober] = {}
        self._running: dict[str, Attempt | asyncio.Task[None]] = {}
        self._tasks = asyncio.TaskGroup()
        self._wake = asyncio.Event()
        self._asleep_until: float | None = None
        self._lateness = 0.0
        self._lane: Lane  # made by `run`, inside the loop
        self._crowded = False
        self._uncounted: Counter[str] = Counter()
        self._link: Link | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Probe until `stop` is set. Raises (an exception group) only for bugs of ours."""
        self._lane = Lane(self._keep_max)
        try:
            async with self._tasks:
                forever = (
                    self._tasks.create_task(self._lane.run()),
                    self._tasks.create_task(self._drive()),
                    self._tasks.create_task(self._keep_link()),
                )
                await stop.wait()
                for task in (*forever, *self._running.values()):
                    task.cancel()
        finally:
            await self._lane.close()
            for prober in self._probers.values():
                await prober.close()

    # Probing.

    async def _drive(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            now = clock()
            free = self._room - len(self._running)
            for due in self._timetable.due(now, min(free, BATCH)):
                self._lateness = max(self._lateness, due.lateness)
                self._running[due.key] = self._begin(self._roster.target(due.key))
            full = len(self._running) >= self._room
            self._crowded |= full
            self._asleep_until = None if full else self._timetable.next_at()
            if self._asleep_until is not None and self._asleep_until > now:
                self._asleep_until = max(self._asleep_until, now + GRAIN)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._asleep_until):
                    await self._wake.wait()

    def _begin(self, target: Target) -> Attempt | asyncio.Task[None]:
        prober = self._probers[type(target.check)]
        if isinstance(prober, LaneProber) and (talk := prober.talk(target)) is not None:
            return self._lane.start(target, talk, self._ended)
        return self._tasks.create_task(self._probe(prober, target))

    async def _probe(self, prober: Prober, target: Target) -> None:
        outcome = await prober.probe(target)
        # A target that left the list while its probe ended is nobody's business any more.
        if self._running.get(target.key) is asyncio.current_task():
            del self._running[target.key]
            self._learn(target.key, outcome)

    def _ended(self, attempt: Attempt, outcome: Outcome) -> None:
        del self._running[attempt.target.key]
        self._learn(attempt.target.key, outcome)

    def _learn(self, key: str, outcome: Outcome) -> None:
        if outcome.ours:
            self._uncounted[outcome.text] += 1
        standing = self._roster.learn(key, outcome, time.time())
        now = asyncio.get_running_loop().time()
        self._timetable.done(key, self._roster.interval(key), now)
        self._rouse()
        if standing is not None:
            assert self._roster.epoch is not None
            self._say(Transition(self._roster.epoch, standing))
        if self._roster.settled():
            self._say(self._roster.levels())

    def _rouse(self) -> None:
        """Wake the driver if it sleeps past the next instant, or sleeps for want of room."""
        next_at = self._timetable.next_at()
        if next_at is not None and (
            self._asleep_until is None or next_at < self._asleep_until - GRAIN
        ):
            self._wake.set()

    # The engine.

    async def _keep_link(self) -> None:
        wait = RETRY_MIN
        while True:
            link = await connect(self._path)
            if link is not None and await self._converse(link):
                wait = RETRY_MIN
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_MAX)

    async def _converse(self, link: Link) -> bool:
        """Talk until the engine goes away. Did it say anything?"""
        heard = False
        self._link = link
        self._say(Hello(role="checks", name=self._name, pid=os.getpid()))
        if self._roster.epoch is not None:
            self._say(self._roster.levels())
        ticking = self._tasks.create_task(self._tick())
        try:
            while (messages := await link.hear()) is not None:
                for message in messages:
                    if not isinstance(message, Targets):
                        log.warning("the engine sent %s, not targets", type(message).__name__)
                        return heard
                    heard = True
                    self._take(message)
        finally:
            ticking.cancel()
            self._link = None
            await link.close()
        log.warning("the engine went away; %d targets are probed on", len(self._roster))
        return heard

    def _take(self, message: Targets) -> None:
        change = self._roster.take(message)
        for key in change.gone:
            self._timetable.remove(key)
            self._lane.forget(key)
            if key in self._running:
                self._running.pop(key).cancel()
        now = asyncio.get_running_loop().time()
        for kind in {type(target.check) for target in message.targets} - self._probers.keys():
            self._probers[kind] = self._open(kind)
        for target in change.fresh:
            self._timetable.add(target.key, self._roster.interval(target.key), now)
        self._rouse()
        if self._roster.settled():
            self._say(self._roster.levels())
        log.info(
            "list %d: %d targets, %d new, %d gone",
            message.epoch,
            len(self._roster),
            len(change.fresh),
            len(change.gone),
        )

    async def _tick(self) -> None:
        clock = asyncio.get_running_loop().time
        beat_at = clock()
        levels_at = beat_at + LEVELS_EVERY
        while True:
            now = clock()
            self._say(Beat(self._worst_lateness(now, beat_at)))
            if now >= levels_at:
                levels_at = now + LEVELS_EVERY
                self._say_levels()
            beat_at = max(beat_at + BEAT_EVERY, now)
            await asyncio.sleep(beat_at - clock())

    def _worst_lateness(self, now: float, beat_at: float) -> float:
        """Since the last call: late beats, late starts, and starts still waiting for room."""
        waiting_since = self._timetable.next_at()
        waiting = 0.0 if waiting_since is None else now - waiting_since
        worst = max(self._lateness, now - beat_at, waiting)
        self._lateness = 0.0
        return worst

    def _say_levels(self) -> None:
        if self._roster.epoch is not None:
            self._say(self._roster.levels())
        for text, count in self._uncounted.items():
            log.warning("%d probes came to nothing here and were not counted: %s", count, text)
        self._uncounted.clear()
        if self._crowded:
            log.warning(
                "%d probes were in flight, as many as there is room for, and others had to wait: "
                "raise LimitNOFILE, shorten timeouts, or start one more worker",
                self._room,
            )
            self._crowded = False

    def _say(self, message: Message) -> None:
        if self._link is not None:
            self._link.say(message)
