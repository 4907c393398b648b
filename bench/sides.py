# What is compared: this project and keepalived, behind one interface. Whether a node holds the VIP,
# and whether its table is whole, is asked of the kernel, in the same way for both. Nothing of ours
# runs in the machines beside what is compared: each question is a file that process 1 copies.
"""The nodes that are compared, and what their kernels show."""

import itertools
import signal
from collections.abc import Callable, Sequence
from typing import Protocol

from director.drill.machines import Machine
from director.drill.pair import CONFIG, CONFIG_PATH, DIRECTOR
from director.drill.places import DrillError, Job
from director.drill.stage import ECHO_PORT, VIP

SERVERS, SERVICES = 3, 2
REAL_SERVERS = "0A0008"  # 10.0.8.0/24, as the kernel writes it


class Node(Protocol):
    """One director of a pair, whoever's it is. `roles` names its processes but the first."""

    place: Machine
    roles: tuple[str, ...]

    @property
    def job(self) -> Job:
        """Its first process."""

    def start(self) -> None:
        """Start it; returns at once."""

    def start_behind(self) -> None:
        """Start it as a backup that stays one until `win_back`."""

    def terminate(self) -> None:
        """SIGTERM, as systemd stops it."""

    def give_away(self) -> None:
        """Let the peer be active, by command."""

    def win_back(self, peer: "Node") -> None:
        """Be active in place of `peer`, by command."""

    def child(self, role: str) -> int | None:
        """The process that has that role now; None while there is none."""

    def owns(self, words: Sequence[str]) -> bool:
        """Is this the argument vector of one of its processes?"""


class Ours:
    """`director up` in one machine, without the drills' watcher: it would cost time."""

    roles: tuple[str, ...] = ("vrrp", "engine", "checks")

    def __init__(self, place: Machine, text: str) -> None:
        self.place = place
        self._text = text
        self._job: Job | None = None

    @property
    def job(self) -> Job:
        """The supervisor."""
        assert self._job is not None
        return self._job

    def start(self) -> None:
        """Start it; returns at once."""
        self.place.write(CONFIG_PATH, self._text)
        self._job = self.place.start([*DIRECTOR, "up"], name="up")

    def start_behind(self) -> None:
        """Start it: by `failback` it leaves the successor alone."""
        self.start()

    def terminate(self) -> None:
        """SIGTERM, as systemd stops it."""
        self.job.signal(signal.SIGTERM)

    def give_away(self) -> None:
        """`director failover`."""
        self.place.run([*DIRECTOR, "failover"])

    def win_back(self, peer: Node) -> None:
        """`director failover` over there."""
        peer.give_away()

    def child(self, role: str) -> int | None:
        """By its command line: `-m director vrrp`, `-m checks`."""
        return find_child(self, "cmdline", lambda said: role in said.split("\0")[1:4])

    def owns(self, words: Sequence[str]) -> bool:
        """Is this the argument vector of a process of ours?"""
        return list(words[1:2]) == ["-m"] and words[2:3] in (["director"], ["checks"])


def director_text(interval: float, *, failback: str = "now") -> str:
    """pair.toml with another advert interval; the stronger node takes over when it comes."""
    text = CONFIG.read_text().replace('interval = "100ms"', f'interval = "{interval * 1000:g}ms"')
    return text.replace('when = "never"', f'when = "{failback}"')


def holds_vip(machine: Machine) -> bool:
    """Is the VIP a local address there?"""
    lines = machine.read("/proc/net/fib_trie").splitlines()
    return any(
        line.endswith(f"-- {VIP}") and "host LOCAL" in after
        for line, after in itertools.pairwise(lines)
    )


def table_whole(machine: Machine) -> bool:
    """Is every DR destination there, with a weight?"""
    rows = [line.split() for line in machine.read("/proc/net/ip_vs").splitlines()]
    there = [row for row in rows if row[:1] == ["->"] and row[1].startswith(REAL_SERVERS)]
    served = [row for row in there if row[2] == "Route" and row[3] != "0"]
    return len(served) == SERVERS * SERVICES


def pids_of(node: Node) -> list[int]:
    """Every process of a node."""
    lines = node.place.run(["ps", "-ww", "-eo", "pid=,args="]).stdout.splitlines()
    rows = [line.split() for line in lines]
    return [int(row[0]) for row in rows if node.owns(row[1:])]


def find_child(node: Node, file: str, ours: Callable[[str], bool]) -> int | None:
    """The first child of a node's first process whose file in /proc says that it is that one."""
    try:
        parent = node.job.pid
        for pid in node.place.read(f"/proc/{parent}/task/{parent}/children").split():
            if ours(node.place.read(f"/proc/{pid}/{file}")):
                return int(pid)
    except DrillError:  # it has ended since
        return None
    return None


def known_ports(machine: Machine) -> set[int]:
    """The client ports of established connections to the echo servers in a director's table.

    By grep(1) there: the whole table is megabytes after a few events.
    """
    pattern = f" {ECHO_PORT:04X} .* ESTABLISHED"
    found = machine.run(["grep", pattern, "/proc/net/ip_vs_conn"], check=False).stdout
    return {int(line.split()[2], 16) for line in found.splitlines()}
