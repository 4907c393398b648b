# One pair on a lab of its own, with its clients. Both pairs of a run stand side by side, and while
# one has its event the other is idle: its clients are stopped (SIGSTOP) and its directors only send
# their adverts. So machines boot anew only after a power cut.
"""Where an event is played: lab, pair, clients."""

import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.keepalived import Keepalived
from bench.sides import Node, Ours, director_text, holds_vip, known_ports, table_whole
from bench.trial import SINGLE, YOUNG, PeerName
from director.cli.up import LIVED_WELL
from director.config.load import check_text
from director.drill.clients import HeldConnections, Kept, Requests
from director.drill.machines import Machine
from director.drill.places import eventually
from director.drill.servers import hold_vip, start_servers
from director.drill.spec import pair_spec
from director.drill.stage import ECHO_PORT, VIP
from director.drill.topology import Lab, mac_of

WIRE = Path(__file__).with_name("wire.py")
HOME, AWAY = "lb1", "lb2"  # the one that every event finds active, and its successor
PRIORITIES = {HOME: 150, AWAY: 100}
SETTLED_WITHIN = 60.0
KNOWN_WITHIN = 40.0
KNOWN_EVERY = 1.0
WIN_BACK_WITHIN, WIN_BACK_TRIES = 5.0, 5
EVERY, TIMEOUT = 0.002, 0.5  # of new connections
WARM = 200  # answers before an event
WARM_SECONDS = 1.0  # and the age of the oldest of the young connections


class Habit(msgspec.Struct, frozen=True):
    """A group of connections: how many, a byte how often, how old they are before an event.

    Quiet ones are left alone, so that their bytes come as seldom as it says, but for the one by
    which they prove after each event that they live, and those by which a machine that returned is
    told of them.
    """

    count: int
    every: float
    age: float = YOUNG
    quiet: bool = False


HABITS = (Habit(5, 0.01), Habit(10, 5.0), Habit(10, 30.0, age=31.0, quiet=True))
YOUNG_ONES, YOUNG_EVERY, YOUNG_PACE = 120, 0.5, 0.05


class Established(HeldConnections):
    """Connections that last, and when they were opened."""

    def __init__(self, lab: Lab, habit: Habit) -> None:
        super().__init__(lab["client"], VIP, ECHO_PORT, count=habit.count, every=habit.every)
        self.habit = habit
        self.wait_until_open()
        self.opened_at = time.monotonic()

    def survive(self, since: float, timeout: float) -> Kept:
        """Which go on after `since`: each is made to send, and waited for."""
        self.poke()
        return self.kept(since, timeout)


class Wire:
    """When each node was heard on the front wire."""

    def __init__(self, lab: Lab) -> None:
        port = lab.port(HOME, "front")
        self._job = port.place.start([sys.executable, "-I", "-S", str(WIRE), port.bridge])
        self._macs = {name: mac_of(name, lab.spec, 0) for name in PRIORITIES}

    def adverts(self, name: str, since: float = 0.0) -> list[float]:
        """The instants of a node's adverts, of the last ones at least."""
        rows = [line.split() for line in self._job.text.splitlines(keepends=True)]
        found = [float(row[0]) for row in rows if row[1:] == [self._macs[name], "advert"]]
        return [at for at in found if at >= since]


class Clients(msgspec.Struct):
    """Who comes while an event happens: new requests, and new connections that then last."""

    requests: Requests
    young: HeldConnections


class Arena:
    """A pair of one peer's. `ready` before each event, `rest` after it."""

    def __init__(self, peer: PeerName, interval: float, lab: Lab, nodes: Mapping[str, Node]):
        self.peer = peer
        self.interval = interval
        self.lab = lab
        self.wire = Wire(lab)
        self.home, self.away = nodes[HOME], nodes[AWAY]
        (router,) = check_text(director_text(interval), node=HOME).config.routers
        self.lease = router.lease
        self.held: dict[Habit, Established] = {}
        self.lost_between = 0
        # What puts right what an event did, once the machines have power.
        self.mend: Callable[[], None] = lambda: None
        # Not before then is the death of a process another one, not the same again.
        self.well_at: dict[str, float] = {}

    @property
    def down(self) -> float:
        """Seconds of silence after which the successor takes over."""
        return 3 * self.interval + (256 - PRIORITIES[AWAY]) * self.interval / 256

    @property
    def second_chance(self) -> bool:
        """Can its kernels save half-open handshakes from a move?"""
        return self.lab.engine != "uml"

    def plays(self, event: str) -> bool:
        """Has this peer what the event is about?"""
        return not event.startswith(SINGLE) or event.removeprefix(SINGLE) in self.home.roles

    def note_death(self, role: str) -> None:
        """A process was killed: `mature` waits until the next one counts as having lived well."""
        self.well_at[f"{SINGLE}{role}"] = time.monotonic() + LIVED_WELL + 1.0

    def rest(self) -> None:
        """Stop the clients' time."""
        self._to_the_loud(signal.SIGSTOP)

    def _to_the_loud(self, number: int) -> None:
        for habit, group in self.held.items():
            if not habit.quiet:
                group.job.signal(number)

    def begin_mending(self) -> None:
        """Give power to machines that have none; `restore` waits for them."""
        for node in (self.home, self.away):
            if not node.place.alive:
                node.place.boot()

    def restore(self) -> None:
        """Put right what an event did; `ready` waits until that has shown."""
        mend, self.mend = self.mend, lambda: None
        mend()
        self._to_the_loud(signal.SIGCONT)

    def ready(self) -> None:
        """Until all is as it was: HOME active, both tables whole, connections open."""
        eventually(self._whole, SETTLED_WITHIN, f"{self.peer} settled")
        if not self._home_alone():
            eventually(self._home_knows, KNOWN_WITHIN, f"{HOME} knows every connection")
        for _ in range(WIN_BACK_TRIES):
            if self._home_alone():
                break
            self.home.win_back(self.away)
            self._wait_for_home()
        eventually(self._home_alone, SETTLED_WITHIN, f"{self.peer} settled, {HOME} active")
        for habit, group in list(self.held.items()):
            if habit.quiet:
                continue
            if lost := group.survive(time.monotonic(), 2 * self.down + 2.0).lost:
                self.lost_between += len(lost)
                self.let_go(habit)
        for habit in HABITS:
            if habit not in self.held:
                self.held[habit] = Established(self.lab, habit)

    def _wait_for_home(self) -> None:
        """Until HOME has won the VIPs back, or has had its time.

        A table that outlives its director looks whole before the next one runs; whoever hands over
        then is answered by nobody, and stays.
        """
        until = time.monotonic() + WIN_BACK_WITHIN + 2 * self.down
        eventually(
            lambda: self._home_alone() or time.monotonic() > until, SETTLED_WITHIN, "a hand-over"
        )

    def _whole(self) -> bool:
        """Has one of them the VIP, and both all processes and the whole table?"""
        nodes = (self.home, self.away)
        return (
            sum(holds_vip(node.place) for node in nodes) == 1
            and all(table_whole(node.place) for node in nodes)
            and all(node.child(role) is not None for node in nodes for role in node.roles)
        )

    def _home_alone(self) -> bool:
        return self._whole() and holds_vip(self.home.place)

    def _home_knows(self) -> bool:
        """Has HOME, which may have booted since, been told of all connections?

        A connection is told of when a packet of it comes and it is due (`[sync] refresh`).
        """
        open_ones: set[int] = set()
        for group in self.held.values():
            group.poke()
            open_ones |= group.ports()
        if open_ones <= known_ports(self.home.place):
            return True
        self.wait_out(KNOWN_EVERY)
        return False

    def mature(self, event: str) -> None:
        """Until the youngest connection is of age, and the clients run."""
        self._to_the_loud(signal.SIGCONT)
        until = max(group.opened_at + habit.age for habit, group in self.held.items())
        until = max(until, time.monotonic() + 1.0, self.well_at.get(event, 0.0))
        self.wait_out(until - time.monotonic())

    def take_lost(self) -> int:
        """Old connections lost since the last event, but not in it; counts anew from here."""
        lost, self.lost_between = self.lost_between, 0
        return lost

    def let_go(self, *habits: Habit) -> None:
        """Close connections: all, or some groups."""
        for habit in habits or tuple(self.held):
            group = self.held.pop(habit)
            group.job.signal(signal.SIGCONT)
            group.stop()

    @contextmanager
    def client(self) -> Iterator[Clients]:
        """New connections at full pace, which have begun to be answered."""
        place = self.lab["client"]
        young = HeldConnections(
            *(place, VIP, ECHO_PORT), count=YOUNG_ONES, every=YOUNG_EVERY, pace=YOUNG_PACE
        )
        requests = Requests(place, VIP, every=EVERY, timeout=TIMEOUT)
        try:
            requests.wait_for(WARM)
            self.wait_out(WARM_SECONDS)
            yield Clients(requests, young)
        finally:
            requests.stop()
            young.stop()

    def wait_for_phase(self, share: float) -> None:
        """Until so much of an interval has gone by since an advert of HOME."""
        last = self.wire.adverts(HOME)[-1]
        now = time.monotonic()
        ahead = (last + share * self.interval - now) % self.interval
        select.select([], [], [], ahead)

    def wait_out(self, seconds: float) -> None:
        """Let time pass: a window to count in."""
        until = time.monotonic() + seconds
        eventually(lambda: time.monotonic() >= until, seconds + 5.0, "the end of a window")


@contextmanager
def set_up(peer: PeerName, interval: float, folder: Path) -> Iterator[Arena]:
    """A lab with that peer's pair on it; it is not settled yet."""
    folder.mkdir()
    with Lab(pair_spec(), folder) as lab:
        start_servers([lab[name] for name in ("web1", "web2", "web3", "app1")])
        for name in ("web1", "web2", "web3"):
            hold_vip(lab[name], VIP)
        nodes = {name: node_of(peer, lab.machines[name], interval) for name in PRIORITIES}
        for node in nodes.values():
            node.start()
        arena = Arena(peer, interval, lab, nodes)
        yield arena
        arena.let_go()


def node_of(peer: PeerName, machine: Machine, interval: float) -> Node:
    """One node of that peer's pair."""
    text = director_text(interval, failback="never")
    if peer == "director":
        return Ours(machine, text)
    return Keepalived(machine, text, PRIORITIES[machine.name], interval)
