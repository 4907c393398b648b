# Who serves a virtual service: its real servers, those in reserve too, the sorry server, or all of
# them whatever their checks say.
#
# Rules of this room:
# 1. One virtual service is judged alone: a real server may be up at one port and down at another.
# 2. Counted are real servers, not weights. One in maintenance or drained is not there: an operator
#    took it out, and whoever is left has to be enough.
# 3. "Unknown" is not "down": while a destination waits for its first verdict, and for PATIENCE at
#    most, nothing changes. At the start of an engine the kernel's weights are what there was.
# 4. What one judgement leaves to the next is a Course, so that hysteresis and ramps need no clock
#    and no second writer.
"""Quorum, reserve, sorry server, panic, slow start."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from director.model.address import Endpoint
from director.model.check import Health
from director.model.pool import Role, Service
from director.policy.weight import Turn

PATIENCE = 10.0  # seconds that a first verdict may take
STEPS = 20  # of a ramp: each costs a message for each destination that climbs

Serving = Literal["real", "sorry", "panic", "none"]


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A destination as this room sees it. `quiesced`: by an operator."""

    endpoint: Endpoint
    server: str
    role: Role
    health: Health
    quiesced: bool = False


class Course(msgspec.Struct, frozen=True, gc=False):
    """How a virtual service was judged, for whoever judges it next.

    `serving` is None while nothing was decided since the engine began. `climbing`: since when those
    are serving whose ramp is not at its end.
    """

    serving: Serving | None = None
    met: bool = True
    with_reserve: bool = False
    unknown_since: float | None = None
    out: frozenset[Endpoint] = frozenset()
    climbing: dict[Endpoint, float] = {}


def judge_serving(service: Service, pool: Iterable[Judged], before: Course, now: float) -> Course:
    """The course from now on. `pool` has all destinations of one virtual service."""
    pool = tuple(pool)
    before = _climb(service, pool, before, now)
    there = [one for one in pool if one.role != "sorry" and not one.quiesced]
    since = None
    if any(one.health == "unknown" for one in there):
        since = now if before.unknown_since is None else before.unknown_since
    before = msgspec.structs.replace(before, unknown_since=since)
    if since is not None and now < since + PATIENCE:
        return before
    total, up = _count(there), _count(one for one in there if one.health == "up")
    first = _count(one for one in there if one.role == "real" and one.health == "up")
    met = not _lacks(up, service, lacked=not before.met)
    serving: Serving = "real" if up else "none"
    if not met and any(_sorry_is_up(one) for one in pool):
        serving = "sorry"
    elif service.panic_below is not None and up < service.panic_below * total:
        serving = "panic"
    return msgspec.structs.replace(
        before,
        serving=serving,
        met=met,
        with_reserve=_lacks(first, service, lacked=before.with_reserve),
    )


def turn_of(service: Service, one: Judged, course: Course) -> Turn:
    """May it serve?"""
    if course.serving is None:
        # What stood before us may be a sorry server's, or panic's, and is not ours to end yet.
        held = one.role != "real" or (service.panic_below is not None and one.health == "down")
        return "keeps" if held else "serves"
    if course.serving == "panic":
        return "panic"
    if (course.serving == "sorry") != (one.role == "sorry"):
        return "waits"
    return "waits" if one.role == "backup" and not course.with_reserve else "serves"


def ramp_of(service: Service, endpoint: Endpoint, course: Course, now: float) -> float:
    """How much of its weight it has climbed to: a share of one."""
    if (since := course.climbing.get(endpoint)) is None:
        return 1.0
    return (1 + int(STEPS * (now - since) / service.slow_start)) / STEPS


def due_at(service: Service, course: Course, now: float) -> float:
    """When time alone would change the course, or a ramp."""
    step = service.slow_start / STEPS
    instants = [
        since + step * (int((now - since) / step) + 1) for since in course.climbing.values()
    ]
    if course.unknown_since is not None:
        instants.append(course.unknown_since + PATIENCE)
    return min((at for at in instants if at > now), default=float("inf"))


def _climb(service: Service, pool: tuple[Judged, ...], before: Course, now: float) -> Course:
    """Who comes back begins at the foot of the ramp; who is there at the start does not."""
    out = frozenset(one.endpoint for one in pool if one.quiesced or one.health == "down")
    climbing: dict[Endpoint, float] = {}
    if service.slow_start:
        for one in pool:
            since = now if one.endpoint in before.out else before.climbing.get(one.endpoint)
            if since is not None and one.endpoint not in out and now < since + service.slow_start:
                climbing[one.endpoint] = since
    return msgspec.structs.replace(before, out=out, climbing=climbing)


def _count(pool: Iterable[Judged]) -> int:
    return len({one.server for one in pool})


def _sorry_is_up(one: Judged) -> bool:
    return one.role == "sorry" and one.health == "up" and not one.quiesced


def _lacks(count: int, service: Service, *, lacked: bool) -> bool:
    """Are that many too few? Who lacked needs `hysteresis` more, who did not may lose as many."""
    return count < service.quorum + (service.hysteresis if lacked else -service.hysteresis)
