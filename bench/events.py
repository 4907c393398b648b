# What happens to a pair, the same for both peers. An event finds HOME active; the window in which
# the client's answers are counted starts a little before it and ends when the successor has had
# its time and a second more.
"""The events, and what the client saw of each."""

import functools
import itertools
import time
from collections.abc import Callable

import msgspec

from bench.arena import AWAY, HOME, Arena, Clients
from bench.sides import holds_vip, pids_of
from bench.trial import SINGLE, Trial, half_open
from director.drill import faults
from director.drill.clients import Kept, Lost, Requests

BEFORE = 0.1  # seconds of the window before the event
AFTER = 1.0  # and after the time that a successor may take
NETWORKS = ("front", "servers", "ha")
WATCH_MORE = 1.0  # SIGKILL to all is watched beyond the lease, to see that it is kept
LOOK_EVERY = 0.02
REPLACED_WITHIN = 10.0  # SIGKILL to one; a look costs three files of the machine
CHILD_LOOK_EVERY = 0.1


class Watched(msgspec.Struct):
    """What was seen after SIGKILL; instants, or None while it was not seen."""

    peer_at: float | None = None
    gone_at: float | None = None
    bare: bool = False
    replaced_at: float | None = None
    moved: bool = False


def power_cut(arena: Arena) -> float:
    """SIGKILL to the active director's kernel."""
    machine = arena.home.place

    def mend() -> None:
        machine.wait()
        arena.home.start_behind()

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
        arena.home.start_behind()

    arena.mend = mend
    return at


def switch(arena: Arena) -> float:
    """`director failover`; for keepalived a lower priority and SIGHUP."""
    at = time.monotonic()
    arena.home.give_away()
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
    arena.mend = arena.home.start_behind
    return at


def kill_one(arena: Arena, role: str) -> float:
    """SIGKILL to the process of the active director that has that role."""
    pid = arena.home.child(role)
    assert pid is not None
    at = time.monotonic()
    arena.home.place.run(["kill", "-KILL", str(pid)])
    arena.note_death(role)

    def mend() -> None:
        if arena.home.job.poll() is not None:  # the first process may have ended with it
            arena.home.start_behind()

    arena.mend = mend
    return at


EVENTS: dict[str, Callable[[Arena], float]] = {
    "power": power_cut,
    "link": link_cut,
    "stop": clean_stop,
    "switch": switch,
    "kill": kill_all,
    **{
        f"{SINGLE}{role}": functools.partial(kill_one, role=role)
        for role in ("vrrp", "engine", "checks")
    },
}


def play(name: str, arena: Arena, phase: float) -> Trial:
    """One event on an arena that is ready and mature. Raises DrillError.

    It begins when `phase` of an interval has gone by since an advert: how long nobody takes over
    depends on that, by up to an interval, so repeats are spread evenly and are the same for both.
    """
    began = time.monotonic()
    role = name.removeprefix(SINGLE) if name.startswith(SINGLE) else None
    before = arena.home.child(role) if role else None
    with arena.client() as clients:
        arena.wait_for_phase(phase)
        at = EVENTS[name](arena)
        seen = Watched()
        if name == "kill":
            seen = watch_vip(arena, at, arena.lease + WATCH_MORE)
        elif role:
            seen = watch_child(arena, at, role, before)
        arena.wait_out(AFTER if name == "kill" else arena.down + AFTER)
        until = time.monotonic()
        seen.moved = holds_vip(arena.away.place)
        return _trial(name, arena, clients, seen, (began, at, until))


def _trial(
    name: str, arena: Arena, clients: Clients, seen: Watched, instants: tuple[float, float, float]
) -> Trial:
    began, at, until = instants
    lost_between = arena.take_lost()
    patience = 2 * arena.down + 4.0
    kept = _kept(arena, until, patience)
    clients.young.poke()
    young = clients.young.kept(until, patience, opened_before=at)
    tally = clients.requests.between(at - BEFORE, until)
    return Trial(
        event=name,
        interval=arena.interval,
        peer=arena.peer,
        down=arena.down,
        lease=arena.lease,
        gap_ms=tally.gap_ms,
        takeover_ms=_takeover_ms(arena, at),
        late_ms=_late_ms(arena, began, at),
        failed=tally.failed,
        half_open=half_open(name, tally.failures, second_chance=arena.second_chance),
        failures=tally.failures,
        held=kept.alive + len(kept.lost),
        lost=len(kept.lost),
        lost_why=tuple(sorted({f"{one.why} after {one.age:.0f} s" for one in kept.lost})),
        lost_between=lost_between,
        young=young.alive + len(young.lost),
        young_lost=len(young.lost),
        gone_ms=_ms(seen.gone_at, at),
        bare=seen.bare,
        failed_after=_failed_after(seen, clients.requests, until),
        replaced_ms=_ms(seen.replaced_at, at),
        moved=seen.moved,
    )


def _kept(arena: Arena, since: float, patience: float) -> Kept:
    """What became of the old connections; groups that lost some are closed, to be opened anew."""
    alive = 0
    lost: list[Lost] = []
    for habit, group in list(arena.held.items()):
        kept = group.survive(since, patience)
        alive += kept.alive
        lost += kept.lost
        if kept.lost:
            arena.let_go(habit)
    return Kept(alive, tuple(lost))


def watch_child(arena: Arena, since: float, role: str, before: int | None) -> Watched:
    """Until another process has the role, or time is over."""
    seen = Watched()
    while seen.replaced_at is None and time.monotonic() < since + REPLACED_WITHIN:
        if arena.home.child(role) not in (None, before):
            seen.replaced_at = time.monotonic()
        arena.wait_out(CHILD_LOOK_EVERY)
    return seen


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


def _ms(instant: float | None, since: float) -> float | None:
    return None if instant is None else round((instant - since) * 1000, 1)


def _failed_after(watched: Watched, requests: Requests, until: float) -> int:
    if watched.peer_at is None:
        return 0
    return requests.between(watched.peer_at, until).failed


def _plug(arena: Arena, words: str) -> None:
    """Take the cables of HOME out of their bridges in one go (`nomaster`), or put them back."""
    ports = [arena.lab.port(HOME, network) for network in NETWORKS]
    where = [f" {port.bridge}" if words == "master" else "" for port in ports]
    ports[0].place.ip(
        [f"link set {port.name} {words}{to}" for port, to in zip(ports, where, strict=True)]
    )
