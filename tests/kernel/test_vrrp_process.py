# Two directors' vrrp processes in two network namespaces on one wire, with a kernel under them. Times
# are real here, so every bound is what the RFC says plus SLACK for a machine on one shared CPU.
"""The vrrp process for real: takeover, hand-over, leases, frames."""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import msgspec
import pytest

from director.kernel.addresses import Addresses, Held
from director.model.address import Prefix
from director.model.vip import Failback, Router, Vip
from director.vrrp.machine import active_down, skew
from director.vrrp.mute import LINGER
from director.wire.messages import Snapshot

pytestmark = pytest.mark.kernel

IP, IPVSADM = "/usr/sbin/ip", "/usr/sbin/ipvsadm"
CLONE_NEWNET = 0x40000000
SLACK = 0.1
LEASE = 2.0
KERNEL_LOOKS = 1.0  # seconds: how late the kernel may find that a lease has ended
VIPS = tuple(Vip(Prefix(f"10.9.0.{last}", 24), "eth0") for last in (100, 101))
ARP, ANSWER = b"\x08\x06", b"\x00\x02"
ARP_QUESTION = bytes.fromhex("08060001080006040001")
GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden-frames.json").read_text())


class Namespace:
    """Within it sockets are opened in another network namespace, where they stay."""

    def __init__(self, name: str) -> None:
        self._there = Path("/run/netns", name)
        self._here = Path("/proc/self/ns/net")

    def __enter__(self) -> Self:
        self._back = os.open(self._here, os.O_RDONLY)
        fd = os.open(self._there, os.O_RDONLY)
        _enter(fd)
        os.close(fd)
        return self

    def __exit__(self, *_: object) -> None:
        _enter(self._back)
        os.close(self._back)


def _enter(fd: int) -> None:
    assert ctypes.CDLL(None).setns(fd, CLONE_NEWNET) == 0


class Node:
    """A namespace with eth0, and the vrrp process in it."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.address = address
        self.runtime = folder / name
        self.runtime.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        with Namespace(name):
            self.addresses = Addresses()
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.bind(("eth0", 3))
        self.index = self.addresses.links()["eth0"].index
        self.mac = self.addresses.links()["eth0"].mac
        self.packed = socket.inet_aton(address)

    def start(self, *routers: Router) -> None:
        snapshot = Snapshot(self.name, "digest", routers)
        (self.runtime / "vrrp.json").write_bytes(msgspec.json.encode(snapshot))
        argv = ["-m", "director", "vrrp", "--runtime", str(self.runtime)]
        with (self.runtime / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [IP, "netns", "exec", self.name, sys.executable, *argv], stderr=log
            )

    def signal(self, number: int) -> float:
        """Send it; when that was."""
        assert self.process is not None
        at = time.monotonic()
        self.process.send_signal(number)
        return at

    def holds(self) -> bool:
        """All VIPs."""
        there = self.addresses.all()
        return all(Held(self.index, vip.prefix) in there for vip in VIPS)

    def holds_any(self) -> bool:
        there = self.addresses.all()
        return any(Held(self.index, vip.prefix) in there for vip in VIPS)

    def local(self, address: str) -> bool:
        """Would a packet for it that comes in here go to LOCAL_IN, where IPVS waits?"""
        asked = [IP, "-n", self.name, "route", "get", address, "from", "10.9.0.77", "iif", "eth0"]
        return "local" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    def said(self) -> str:
        return (self.runtime / "log").read_text()

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.wire.close()
        self.addresses.close()


class Pair:
    """Two of them. `router` is that of the first; the second is 1 weaker."""

    def __init__(self, folder: Path, router: Router) -> None:
        one, two = (f"{folder.name[-8:]}{side}" for side in "ab")
        ip("link", "add", "eth0", "netns", netns(one), "type", "veth", "peer", "name", "eth0", "netns", netns(two))  # fmt: skip
        self.nodes = []
        for name, last in ((one, 1), (two, 2)):
            inside = ("-n", name)
            mac = f"02:00:00:00:00:0{'0ab'[last]}"
            ip(*inside, "link", "set", "eth0", "address", mac, "up")
            ip(*inside, "addr", "add", f"10.9.0.{last}/24", "dev", "eth0")
            ip("netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=1")
            # A table stands: nobody has to wait for an engine.
            subprocess.run(
                [IP, "netns", "exec", name, IPVSADM, "-A", "-t", "10.9.0.100:80"], check=True
            )
            self.nodes.append(Node(name, f"10.9.0.{last}", folder))
        self.router = router
        self.interval = router.interval

    def start(self) -> None:
        """Start those that do not run; return with one active and both listening."""
        for node in self.nodes:
            if node.process is None or node.process.poll() is not None:
                node.start(self.router_of(node))
        within(20, lambda: all("backup" in node.said() for node in self.nodes))
        within(5, lambda: [node.holds() for node in self.nodes].count(True) == 1)
        within(5, lambda: [node.holds_any() for node in self.nodes].count(True) == 1)

    def router_of(self, node: Node) -> Router:
        other = self.nodes[node is self.nodes[0]]
        return msgspec.structs.replace(
            self.router,
            source=node.address,
            priority=self.router.priority - (node is self.nodes[1]),
            peers=(other.address,) if self.router.peers else (),
        )

    def roles(self) -> tuple[Node, Node]:
        """The active one and the other."""
        one, two = self.nodes
        return (one, two) if one.holds() else (two, one)

    def takes_over_within(self, node: Node) -> float:
        """Seconds after the last advert of the other."""
        return active_down(self.router_of(node).priority, self.interval) + SLACK

    def close(self) -> None:
        for node in self.nodes:
            node.close()
            ip("netns", "del", node.name)


def netns(name: str) -> str:
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")
    return name


def ip(*words: str) -> None:
    subprocess.run([IP, *words], check=True)


def within(seconds: float, condition: Callable[[], bool]) -> float:
    """When it held; fails when it did not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.3f} s"
        select.select([], [], [], 0.001)
    return time.monotonic()


def a_router(interval: float, *, unicast: bool = False) -> Router:
    return Router(
        name="web",
        vrid=51,
        interface="eth0",
        source="10.9.0.1",
        priority=100,
        interval=interval,
        vips=VIPS,
        peers=("10.9.0.2",) if unicast else (),
        lease=LEASE,
        failback=Failback(when="never"),
    )


@pytest.fixture(scope="module", params=[0.1, 0.02], ids=["100ms", "20ms"])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair"), a_router(request.param))
    yield pair
    pair.close()


@pytest.fixture
def pair(shared: Pair) -> Pair:
    """Both run and one is active, whatever the test before did."""
    shared.start()
    return shared


at_100_ms = pytest.mark.parametrize("shared", [0.1], indirect=True, ids=["100ms"])


def test_a_killed_one_is_succeeded_and_loses_its_vips(pair: Pair) -> None:
    """
    The other has the VIPs in active_down; the dead one had them until then, and loses them to the
    kernel when its lease ends.
    """
    dead, heir = pair.roles()

    killed_at = dead.signal(signal.SIGKILL)
    within(pair.takes_over_within(heir), heir.holds)

    assert dead.holds()
    gone_at = within(LEASE + KERNEL_LOOKS, lambda: not dead.holds_any())
    assert gone_at - killed_at > LEASE / 2
    assert heir.holds()


def test_a_hand_over_leaves_no_gap(pair: Pair) -> None:
    """
    SIGTERM: the other takes within its skew, some node has the VIPs at each moment, and the one
    that goes does so once the other is there.
    """
    old, heir = pair.roles()
    assert old.process is not None
    gaps = 0

    asked_at = old.signal(signal.SIGTERM)
    while not (heir.holds() and not old.holds_any()):
        # The old one first: it never gets them back, so that both absent in this order is a gap.
        gaps += not old.holds() and not heir.holds()
        assert time.monotonic() < asked_at + 2
        if not heir.holds():
            late = time.monotonic() - asked_at
            assert late < skew(pair.router_of(heir).priority, pair.interval) + SLACK

    assert old.process.wait(1) == 0
    assert gaps == 0


def answers_arp(asker: Node, owner: Node, address: str) -> bool:
    """Does anybody but the asker answer for it? A question about the owner's own address ends."""
    asker.wire.setblocking(False)
    front = b"\xff" * 6 + asker.mac + ARP_QUESTION + asker.mac + asker.packed + b"\0" * 6
    for asked in (address, owner.address):
        asker.wire.send(front + socket.inet_aton(asked))
    while True:
        assert select.select([asker.wire], [], [], 1.0)[0], "no answer at all"
        frame = asker.wire.recv(2048)
        if frame[12:14] == ARP and frame[20:22] == ANSWER and frame[22:28] == owner.mac:
            return frame[28:32] == socket.inet_aton(address)


@at_100_ms
def test_released_vips_linger_mute(pair: Pair) -> None:
    """
    After a hand-over packets for a VIP are still local to the old one, which does not answer ARP
    for it; LINGER seconds later the kernel has taken it away.
    """
    old, heir = pair.roles()
    before = answers_arp(heir, old, VIPS[0].prefix.address)

    asked_at = old.signal(signal.SIGTERM)
    within(2, lambda: heir.holds() and not old.holds_any())

    assert before
    assert old.local(VIPS[0].prefix.address)
    assert not answers_arp(heir, old, VIPS[0].prefix.address)
    gone_at = within(LINGER + 2 * KERNEL_LOOKS, lambda: not old.local(VIPS[0].prefix.address))
    assert gone_at - asked_at > LINGER - KERNEL_LOOKS


@at_100_ms
def test_a_vip_that_somebody_deletes_is_put_back(pair: Pair) -> None:
    """
    Within a quarter of the lease.
    """
    active, _ = pair.roles()

    ip("-n", active.name, "addr", "del", str(VIPS[1].prefix), "dev", "eth0")

    assert not active.holds()
    within(LEASE / 4 + SLACK, active.holds)


@at_100_ms
def test_a_sleeper_lets_go_when_it_wakes(pair: Pair) -> None:
    """
    Stopped for three seconds its VIPs have ended by themselves; it does not take them again, and
    the other goes on.
    """
    sleeper, heir = pair.roles()

    yielded = sleeper.said().count("active to backup")
    slept_at = sleeper.signal(signal.SIGSTOP)
    within(pair.takes_over_within(heir), heir.holds)
    within(LEASE + KERNEL_LOOKS, lambda: not sleeper.holds_any())
    within(3.5, lambda: time.monotonic() > slept_at + 3)
    woken_at = sleeper.signal(signal.SIGCONT)

    within(1, lambda: sleeper.said().count("active to backup") > yielded)
    while time.monotonic() < woken_at + 1:
        assert heir.holds()
        assert not sleeper.holds_any()
        select.select([], [], [], 0.005)


def test_a_short_sleeper_lets_go_when_it_wakes(pair: Pair) -> None:
    """
    Stopped until the other has just taken over, it wakes with its VIPs in place: it drops them.
    """
    sleeper, heir = pair.roles()

    sleeper.signal(signal.SIGSTOP)
    within(pair.takes_over_within(heir), heir.holds)
    assert sleeper.holds()
    sleeper.signal(signal.SIGCONT)

    woken_at = within(SLACK, lambda: not sleeper.holds_any())
    while time.monotonic() < woken_at + 0.5:
        assert heir.holds()
        assert not sleeper.holds_any()
        select.select([], [], [], 0.005)


def golden(case: str, kind: str, priority: int | None) -> bytes:
    """The frame that keepalived sent."""
    keys = ("case", "kind", "priority")
    found = (one for one in GOLDEN if tuple(map(one.get, keys)) == (case, kind, priority))
    return bytes.fromhex(next(found)["frame_hex"])


def without_id(frame: bytes) -> bytes:
    """The IP identification, and with it the header's checksum, are the kernel's to choose."""
    if frame[12:14] != b"\x08\x00":
        return frame
    return frame[:18] + bytes(2) + frame[20:24] + bytes(2) + frame[26:]


def test_our_frames_are_keepaliveds(tmp_path: Path) -> None:
    """
    Advert, gratuitous ARP and resignation, multicast and unicast, byte for byte.
    """
    pair = Pair(tmp_path, a_router(0.2))
    one, two = pair.nodes
    told = msgspec.structs.replace(a_router(0.2), name="told", peers=(two.address,))
    cases = ("v3", "v3uni")
    try:
        one.start(pair.router, told)
        arrive(two.wire, {golden("v3", "garp", None), *(golden(c, "advert", 100) for c in cases)})
        one.signal(signal.SIGTERM)
        arrive(two.wire, {golden(case, "advert", 0) for case in cases})
    finally:
        pair.close()


def arrive(wire: socket.socket, frames: set[bytes]) -> None:
    """Wait until each has come."""
    missing = set(map(without_id, frames))

    def none_is_missing() -> bool:
        while select.select([wire], [], [], 0)[0]:
            missing.discard(without_id(wire.recv(2048)))
        return not missing

    within(10, none_is_missing)
