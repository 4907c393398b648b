"""Everything that a drill plays on: network, real servers, directors, clients."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from director.drill.clients import HeldConnections, Requests, Tally
from director.drill.engines import EngineName
from director.drill.pair import Node, Pair
from director.drill.places import eventually
from director.drill.servers import RealServer, hold_vip, start_servers
from director.drill.spec import pair_spec
from director.drill.topology import Lab

VIP = "192.0.2.10"
ECHO_PORT = 7000
BUSY_EVERY, SLOW_EVERY = 0.01, 5.0
HELD = 10
ADVERTS = 0.1  # of pair.toml, in machines as fast as ours
SETTLED_WITHIN = 40.0


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a step did to clients. `faults` are what it should not have done."""

    name: str
    seconds: float
    sent: int
    lost: int
    gap_ms: float
    kept: int
    held: int
    notes: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


class Stage:
    """A lab on which the pair runs and clients are at work. `on_tick` is called while it waits."""

    def __init__(self, lab: Lab, servers: dict[str, RealServer], pair: Pair) -> None:
        self.lab = lab
        self.servers = servers
        self.pair = pair
        self.client = lab["client"]
        self.requests = Requests(self.client, VIP)
        self.held: list[HeldConnections] = []
        self.step = ""
        self.on_tick: Callable[[], None] = lambda: None

    @property
    def adverts(self) -> float:
        """Seconds from one advert to the next."""
        return ADVERTS * self.lab.slower

    def hold(self, count: int, every: float) -> HeldConnections:
        """Open connections that stay."""
        held = HeldConnections(self.client, VIP, ECHO_PORT, count=count, every=every)
        held.wait_until_open()
        return held

    def wait_for(self, what: str, true: Callable[[], bool], within: float) -> float:
        """Seconds until it was true. Raises DrillError."""
        began = time.monotonic()

        def look() -> bool:
            self.on_tick()
            return true()

        eventually(look, within, what)
        return time.monotonic() - began

    def go_on(self, seconds: float) -> None:
        """Let the clients work for a while: a window to count in, not a wait for something."""
        until = time.monotonic() + seconds
        self.wait_for("the end of a window", lambda: time.monotonic() >= until, seconds + 5)

    def window(self, since: float) -> Tally:
        """What became of the requests that began since then."""
        return self.requests.between(since, time.monotonic())

    def settle(self) -> None:
        """Until one director is active and both know and program everything."""
        within = SETTLED_WITHIN * self.lab.slower
        self.wait_for("both directors settled", self.pair.settled, within)

    def pid_of(self, node: Node, role: str) -> int | None:
        """The pid of one of a director's processes; None when there is none."""
        for pid, words in self._processes(node):
            if role in words[2:4]:
                return pid
        return None

    def sizes(self, node: Node) -> dict[str, float]:
        """MiB of each of a director's processes, shared pages in proportion (PSS)."""
        sizes = {}
        for pid, words in self._processes(node):
            rollup = node.place.read(f"/proc/{pid}/smaps_rollup")
            pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
            sizes[words[3] if words[2] == "director" else words[2]] = int(pss.split()[1]) / 1024
        return sizes

    def _processes(self, node: Node) -> list[tuple[int, list[str]]]:
        """pid and argument vector (python -m MODULE VERB ...) of a director's processes."""
        lines = node.place.run(["ps", "-ww", "-eo", "pid=,args="]).stdout.splitlines()
        split = [line.split() for line in lines]
        ours = ("director", "checks")
        return [
            (int(words[0]), words[1:])
            for words in split
            if len(words) > 4 and words[2] == "-m" and words[3] in ours
        ]

    def active(self) -> Node:
        """The director that is active."""
        return eventually(self.pair.active, 5.0, "one active director")

    def other(self, node: Node) -> Node:
        """Its peer."""
        return next(one for one in self.pair.nodes.values() if one is not node)


@contextmanager
def set_stage(
    folder: Path, config: str | None = None, *, engine: EngineName = "uml"
) -> Iterator[Stage]:
    """Network, real servers, both directors and a steady client; settled when it is yielded."""
    with Lab(pair_spec(), folder, engine=engine) as lab:
        places = [lab[name] for name in ("web1", "web2", "web3", "app1")]
        pair = Pair(lab, config)
        pair.start()
        servers = start_servers(places)
        for name in ("web1", "web2", "web3"):
            hold_vip(lab[name], VIP)
        eventually(pair.settled, SETTLED_WITHIN * lab.slower, "both directors settled")
        yield Stage(lab, servers, pair)
