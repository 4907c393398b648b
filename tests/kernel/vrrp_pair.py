# Two directors' vrrp processes in two network namespaces on one wire, with a kernel under them. Times
# are real here, so every bound is what the RFC says plus SLACK for a machine on one shared CPU.
"""A pair of vrrp processes for real, and keepalived's frames."""

import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec

from director.kernel.addresses import Addresses, Held
from director.model.address import Family, Prefix
from director.model.vip import Auth, Failback, Router, Vip
from director.vrrp.rules import active_down
from director.wire.messages import Snapshot

IP, IPVSADM = "/usr/sbin/ip", "/usr/sbin/ipvsadm"
CLONE_NEWNET = 0x40000000
SLACK = 0.1
LEASE = 2.0
VIPS = tuple(Vip(Prefix(f"10.9.0.{last}", 24), "eth0") for last in (100, 101))
IPV6_VIPS = (Vip(Prefix("fe80::100", 64), "eth0"), Vip(Prefix("2001:db8::100", 64), "eth0"))
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
        self.vips = VIPS
        with Namespace(name):
            self.addresses = Addresses()
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.bind(("eth0", 3))
        self.index = self.addresses.links()["eth0"].index
        self.mac = self.addresses.links()["eth0"].mac
        self.packed = socket.inet_aton(address)

    def start(self, *routers: Router, strangers: tuple[Vip, ...] = ()) -> None:
        self.vips = routers[0].vips
        snapshot = Snapshot(self.name, "digest", routers, strangers)
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

    def wait(self) -> None:
        """Until it has ended."""
        assert self.process is not None
        self.process.wait()

    def holds(self) -> bool:
        """All VIPs."""
        return all(self._there())

    def holds_any(self) -> bool:
        return any(self._there())

    def _there(self) -> list[bool]:
        links, there = self.addresses.links(), self.addresses.all()
        places = [(links.get(vip.interface), vip.prefix) for vip in self.vips]
        return [link is not None and Held(link.index, prefix) in there for link, prefix in places]

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
        self.connect(one, two)
        self.nodes = []
        for name, last in ((one, 1), (two, 2)):
            inside = ("-n", name)
            mac = f"02:00:00:00:00:0{'0ab'[last]}"
            ip(*inside, "link", "set", "eth0", "address", mac, "up")
            ip(*inside, "addr", "add", f"10.9.0.{last}/24", "dev", "eth0")
            ip(*inside, "addr", "add", f"fd00::{last}/64", "dev", "eth0", "nodad")
            ip("netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=1")
            # A table stands: nobody has to wait for an engine.
            subprocess.run(
                [IP, "netns", "exec", name, IPVSADM, "-A", "-t", "10.9.0.100:80"], check=True
            )
            self.nodes.append(Node(name, f"10.9.0.{last}", folder))
        self.router = router
        self.interval = router.interval

    def connect(self, one: str, two: str) -> None:
        """Make both namespaces, and their eth0 on one wire."""
        ip("link", "add", "eth0", "netns", netns(one), "type", "veth", "peer", "name", "eth0", "netns", netns(two))  # fmt: skip

    def start(self) -> None:
        """Start those that do not run; return with one active and both having listened."""
        for node in self.nodes:
            if node.process is None or node.process.poll() is not None:
                node.start(self.router_of(node))
        within(20, lambda: all("backup" in node.said() for node in self.nodes))
        settling = 2 * self.takes_over_within(self.nodes[1]) + 5
        within(settling, lambda: [node.holds() for node in self.nodes].count(True) == 1)
        within(5, lambda: [node.holds_any() for node in self.nodes].count(True) == 1)

    def router_of(self, node: Node) -> Router:
        other = self.nodes[node is self.nodes[0]]
        own, peer = node.address, other.address
        if self.router.family is Family.IPV6:
            own, peer = (one.replace("10.9.0.", "fd00::") for one in (own, peer))
        return msgspec.structs.replace(
            self.router,
            source=own if self.router.source else "",
            priority=self.router.priority - (node is self.nodes[1]),
            peers=(peer,) if self.router.peers else (),
        )

    def roles(self) -> tuple[Node, Node]:
        """The active one and the other."""
        one, two = self.nodes
        return (one, two) if one.holds() else (two, one)

    def takes_over_within(self, node: Node) -> float:
        """Seconds after the last advert of the other."""
        router = self.router_of(node)
        return active_down(router.priority, router.interval, router.version) + SLACK

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


def over_ipv6(interval: float, *, unicast: bool = False) -> Router:
    return msgspec.structs.replace(
        a_router(interval, unicast=unicast),
        source="fd00::1" if unicast else "",
        vips=IPV6_VIPS,
        peers=("fd00::2",) if unicast else (),
    )


def secret_of(folder: Path, method: str, word: str = "secret") -> Auth:
    """Written anew, readable as it has to be."""
    path = folder / f"{word}.{method}"
    path.write_text(f"{word}\n")
    path.chmod(0o640)
    return Auth(method, str(path))


def golden(case: str, kind: str, priority: int | None) -> bytes:
    """The frame that keepalived sent."""
    keys = ("case", "kind", "priority")
    found = (one for one in GOLDEN if tuple(map(one.get, keys)) == (case, kind, priority))
    return bytes.fromhex(next(found)["frame_hex"])


def without_id(frame: bytes) -> bytes:
    """What is the kernel's to choose: the IP identification, and with it the header's checksum;
    the flow label of IPv6.
    """
    if frame[12:14] == b"\x86\xdd":
        return frame[:15] + bytes([frame[15] & 0xF0]) + bytes(2) + frame[18:]
    if frame[12:14] != b"\x08\x00":
        return frame
    return frame[:18] + bytes(2) + frame[20:24] + bytes(2) + frame[26:]


def arrive(wire: socket.socket, frames: set[bytes]) -> None:
    """Wait until each has come."""
    missing = set(map(without_id, frames))

    def none_is_missing() -> bool:
        while select.select([wire], [], [], 0)[0]:
            missing.discard(without_id(wire.recv(2048)))
        return not missing

    within(10, none_is_missing)
