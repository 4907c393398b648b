# What happens to a pair, the same for both peers. An event finds HOME active; the window in which
# the client's answers are counted starts a little before it and ends when the successor has had
# its time and a second more.
"""The events, and what the client saw of each."""

import itertools
import time
from collections.abc import Callable

import msgspec

from bench.arena import AWAY, HOME, Arena, PeerName
from bench.sides import holds_vip, pids_of
from director.drill import faults
from director.drill.clients import Requests

BEFORE = 0.1  # seconds of the window before the event
AFTER = 1.0  # and after the time that a successor may take
NETWORKS = ("front", "servers", "ha")
# What SIGKILL is watched for: the kernel's lease, and some time to see that it is kept.
LEASES = {1.0: 5.0}
LEASE = 2.0
WATCH_MORE = 1.0
LOOK_EVERY = 0.02


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One event of one peer.

    `gap_ms` is the longest time without an answer; `failed` counts new connections, `lost` those
    that had lasted at least 5 s. `takeover_ms` is the time from the last advert of HOME before the
    event to the first one of its successor (None: it sent none); `late_ms` is by how much the
    latest advert of HOME was late while the clients were at work and up to the event.

    Of SIGKILL alone: `gone_ms` is when the VIP had left the dead node (None: not within the lease
    and WATCH_MORE), `bare` whether nobody held it at some time, `failed_after` the new connections
    that failed once the successor held it.
    """

    event: str
    interval: float
    peer: PeerName
    down: float
    gap_ms: float
    takeover_ms: float | None = None
    late_ms: float = 0.0
    failed: int
    failures: dict[str, int]
    lost: int
    lost_why: tuple[str, ...]
    gone_ms: float | None = None
    bare: bool = False
    failed_after: int = 0


class Watched(msgspec.Struct):
    """What was seen of the VIP after SIGKILL; instants, or None while it was not seen."""

    peer_at: float | None = None
    gone_at: float | None = None
    bare: bool = False


def power_cut(arena: Arena) -> float:
    """SIGKILL to the active director's kernel."""
    machine = arena.home.place

    def mend() -> None:
        machine.wait()
        arena.home.start()

    arena.mend = mend
    return faults.cut_power(machine)


def link_cut(arena: Arena) -> float:
    """All cables of the active director are cut at the bridge: it sees its carrier all the time."""
    _plug(arena, "nomaster")
    arena.mend = lambda: _plug(arena, "master")
    return time.monotonic()


def clean_stop(arena: Arena) -> float:
    """SIGTERM to the active director, as systemd stops it."""
    at = time.monotonic()
    arena.home.terminate()

    def mend() -> None:
        arena.home.job.wait()
        arena.home.start()

    arena.mend = mend
    return at


def switch(arena: Arena) -> float:
    """`director failover`; for keepalived a lower priority and SIGHUP."""
    at = time.monotonic()
    arena.home.give_away()

    def mend() -> None:
        arena.home.take_back()
        if arena.peer == "director":
            arena.away.give_away()

    arena.mend = mend
    return at


def kill_all(arena: Arena) -> float:
    """SIGKILL to all processes of the active director; its kernel goes on.

    They are stopped first: keepalived's children hear of their parent's death by SIGTERM, and one
    of them would get as far as a clean stop.
    """
    pids = [str(pid) for pid in pids_of(arena.home)]
    assert len(pids) >= 3
    arena.home.place.run(["kill", "-STOP", *pids])
    at = time.monotonic()
    arena.home.place.run(["kill", "-KILL", *pids])
    arena.mend = arena.home.start
    return at


EVENTS: dict[str, Callable[[Arena], float]] = {
    "power": power_cut,
    "link": link_cut,
    "stop": clean_stop,
    "switch": switch,
    "kill": kill_all,
}


def play(name: str, arena: Arena, phase: float) -> Trial:
    """One event on an arena that is ready and mature. Raises DrillError.

    It begins when `phase` of an interval has gone by since an advert: how long nobody takes over
    depends on that, by up to an interval, so repeats are spread evenly and are the same for both.
    """
    watched, began = None, time.monotonic()
    with arena.client() as requests:
        arena.wait_for_phase(phase)
        at = EVENTS[name](arena)
        if name == "kill":
            watched = watch_vip(arena, at, LEASES.get(arena.interval, LEASE) + WATCH_MORE)
        arena.wait_out(AFTER if watched else arena.down + AFTER)
        until = time.monotonic()
        kept = [group.survive(until, 2 * arena.down + 4.0) for group in arena.held]
        tally = requests.between(at - BEFORE, until)
        lost = [one for group in kept for one in group.lost]
        return Trial(
            event=name,
            interval=arena.interval,
            peer=arena.peer,
            down=arena.down,
            gap_ms=tally.gap_ms,
            takeover_ms=_takeover_ms(arena, at),
            late_ms=_late_ms(arena, began, at),
            failed=tally.failed,
            failures=tally.failures,
            lost=len(lost),
            lost_why=tuple(sorted({one.why for one in lost})),
            gone_ms=_gone_ms(watched, at),
            bare=watched is not None and watched.bare,
            failed_after=_failed_after(watched, requests, until),
        )


def watch_vip(arena: Arena, since: float, seconds: float) -> Watched:
    """Look at both nodes' addresses until the VIP has left the dead one, or time is over.

    The dead node is asked first: it never takes the VIP back, so that a successor which has none
    after that has proved that nobody held it.
    """
    seen = Watched()
    while seen.gone_at is None and time.monotonic() < since + seconds:
        there = holds_vip(arena.home.place)
        looked_at = time.monotonic()
        if holds_vip(arena.away.place):
            seen.peer_at = seen.peer_at or time.monotonic()
        elif not there:
            seen.bare = True
        if not there:
            seen.gone_at = looked_at
        arena.wait_out(LOOK_EVERY)
    return seen


def _takeover_ms(arena: Arena, at: float) -> float | None:
    last = [one for one in arena.wire.adverts(HOME) if one <= at]
    first = arena.wire.adverts(AWAY, last[-1] if last else at)
    return round((first[0] - last[-1]) * 1000, 1) if last and first else None


def _late_ms(arena: Arena, since: float, at: float) -> float:
    instants = [*(one for one in arena.wire.adverts(HOME, since) if one <= at), at]
    longest = max((b - a for a, b in itertools.pairwise(instants)), default=0.0)
    return round(max(0.0, longest - arena.interval) * 1000, 1)


def _gone_ms(watched: Watched | None, at: float) -> float | None:
    if watched is None or watched.gone_at is None:
        return None
    return round((watched.gone_at - at) * 1000, 1)


def _failed_after(watched: Watched | None, requests: Requests, until: float) -> int:
    if watched is None or watched.peer_at is None:
        return 0
    return requests.between(watched.peer_at, until).failed


def _plug(arena: Arena, words: str) -> None:
    """Take the cables of HOME out of their bridges in one go (`nomaster`), or put them back."""
    ports = [arena.lab.port(HOME, network) for network in NETWORKS]
    where = [f" {port.bridge}" if words == "master" else "" for port in ports]
    ports[0].place.ip(
        [f"link set {port.name} {words}{to}" for port, to in zip(ports, where, strict=True)]
    )
