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
from typing import Literal

from bench.keepalived import Keepalived
from bench.sides import Node, Ours, director_text, holds_vip, table_whole
from director.drill.clients import HeldConnections, Kept, Requests
from director.drill.machines import Machine
from director.drill.places import eventually
from director.drill.servers import hold_vip, start_servers
from director.drill.spec import pair_spec
from director.drill.stage import ECHO_PORT, VIP
from director.drill.topology import Lab, mac_of

WIRE = Path(__file__).with_name("wire.py")
PeerName = Literal["director", "keepalived"]
HOME, AWAY = "lb1", "lb2"  # the one that every event finds active, and its successor
PRIORITIES = {HOME: 150, AWAY: 100}
SETTLED_WITHIN = 60.0
MATURE = 5.0
BUSY, SLOW = (5, 0.01), (10, 5.0)  # held connections: how many, and a byte every so many seconds
EVERY, TIMEOUT = 0.002, 0.5  # of new connections
WARM = 200  # answers before an event


class Established(HeldConnections):
    """Connections that last, and when they were opened."""

    def __init__(self, lab: Lab, count: int, every: float) -> None:
        super().__init__(lab["client"], VIP, ECHO_PORT, count=count, every=every)
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


class Arena:
    """A pair of one peer's. `ready` before each event, `rest` after it."""

    def __init__(self, peer: PeerName, interval: float, lab: Lab, nodes: Mapping[str, Node]):
        self.peer = peer
        self.interval = interval
        self.lab = lab
        self.wire = Wire(lab)
        self.home, self.away = nodes[HOME], nodes[AWAY]
        self.held: list[Established] = []
        self.lost_between = 0
        # What puts right what an event did, once the machines have power.
        self.mend: Callable[[], None] = lambda: None

    @property
    def down(self) -> float:
        """Seconds of silence after which the successor takes over."""
        return 3 * self.interval + (256 - PRIORITIES[AWAY]) * self.interval / 256

    def rest(self) -> None:
        """Stop the clients' time."""
        for group in self.held:
            group.job.signal(signal.SIGSTOP)

    def begin_mending(self) -> None:
        """Give power to machines that have none; `restore` waits for them."""
        for node in (self.home, self.away):
            if not node.place.alive:
                node.place.boot()

    def restore(self) -> None:
        """Put right what an event did; `ready` waits until that has shown."""
        mend, self.mend = self.mend, lambda: None
        mend()

    def ready(self) -> None:
        """Until all is as it was: HOME active, both tables whole, connections open."""
        eventually(self.settled, SETTLED_WITHIN, f"{self.peer} settled, {HOME} active")
        for group in self.held:
            group.job.signal(signal.SIGCONT)
        if self.held and any(
            group.survive(time.monotonic(), 2 * self.down + 2.0).lost for group in self.held
        ):
            self.lost_between += 1
            self.let_go()
        if not self.held:
            self.held = [Established(self.lab, *BUSY), Established(self.lab, *SLOW)]

    def settled(self) -> bool:
        """As `ready` says, but for the connections."""
        home, away = self.home.place, self.away.place
        return (
            holds_vip(home)
            and not holds_vip(away)
            and all(table_whole(machine) for machine in (home, away))
        )

    def mature(self) -> None:
        """Until the youngest connection is MATURE, and the clients run."""
        for group in self.held:
            group.job.signal(signal.SIGCONT)
        until = max(group.opened_at for group in self.held) + MATURE
        eventually(lambda: time.monotonic() >= until, MATURE + 5.0, "mature connections")

    def let_go(self) -> None:
        """Close the connections."""
        for group in self.held:
            group.job.signal(signal.SIGCONT)
            group.stop()
        self.held = []

    @contextmanager
    def client(self) -> Iterator[Requests]:
        """New connections at full pace, which have begun to be answered."""
        requests = Requests(self.lab["client"], VIP, every=EVERY, timeout=TIMEOUT)
        try:
            requests.wait_for(WARM)
            yield requests
        finally:
            requests.stop()

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
    text = director_text(interval)
    if peer == "director":
        return Ours(machine, text)
    return Keepalived(machine, text, PRIORITIES[machine.name], interval)
