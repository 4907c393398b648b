# Two directors and a client on a switch (a bridge in a namespace of its own), which learns MACs as
# any switch does.
"""The virtual MAC, for real: one MAC that moves, and neighbours that need not know of it."""

import select
import signal
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from director.model.vip import Router
from tests.kernel.vrrp_pair import (
    IP,
    SLACK,
    Namespace,
    Node,
    Pair,
    a_router,
    arrive,
    golden,
    ip,
    netns,
    over_ipv6,
    within,
)

pytestmark = pytest.mark.kernel

BUSY = 0.4
MAC = "00:00:5e:00:01:33"


def veiled(router: Router) -> Router:
    """With a virtual MAC, and its VIPs where they then are."""
    router = msgspec.structs.replace(router, mac="virtual")
    vips = tuple(msgspec.structs.replace(vip, interface=router.device) for vip in router.vips)
    return msgspec.structs.replace(router, vips=vips)


class Switched(Pair):
    """A pair and a client on one switch."""

    def __init__(self, folder: Path, router: Router) -> None:
        self.switch, self.client = (f"{folder.name[-8:]}{side}" for side in "sc")
        netns(self.switch)
        ip("-n", self.switch, "link", "add", "name", "br0", "type", "bridge")
        ip("-n", self.switch, "link", "set", "br0", "up")
        super().__init__(folder, veiled(router))
        self.plug(netns(self.client), "port-c")
        ip("-n", self.client, "link", "set", "eth0", "up")
        ip("-n", self.client, "addr", "add", "10.9.0.77/24", "dev", "eth0")
        with Namespace(self.client):
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.bind(("eth0", 3))

    def connect(self, one: str, two: str) -> None:
        for name in (one, two):
            self.plug(netns(name), f"port-{name[-1]}")

    def plug(self, name: str, port: str) -> None:
        ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", port, "netns", self.switch)  # fmt: skip
        ip("-n", self.switch, "link", "set", port, "master", "br0", "up")

    def port_of(self, mac: str) -> str:
        """Where the switch sends frames for a MAC; empty where it does not know."""
        asked = ["/usr/sbin/bridge", "-n", self.switch, "fdb", "show", "br", "br0"]
        lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        found = [line.split() for line in lines.splitlines() if line.startswith(mac)]
        return found[0][2] if found else ""

    def answered(self) -> bool:
        """Does the first VIP answer the client, which asks once?"""
        ping = [IP, "netns", "exec", self.client, "ping", "-nqc1", "-W1", "10.9.0.100"]
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0

    def forget(self) -> None:
        """The client knows no neighbour any more."""
        ip("-n", self.client, "neigh", "flush", "all")

    def neighbour(self) -> str:
        """The first VIP, as the client knows it."""
        asked = [IP, "-n", self.client, "neigh", "show", "10.9.0.100"]
        return subprocess.run(asked, capture_output=True, text=True, check=True).stdout

    def close(self) -> None:
        self.wire.close()
        super().close()
        for name in (self.switch, self.client):
            ip("netns", "del", name)


def frames(wire: socket.socket) -> list[bytes]:
    """All that has come since it was last asked."""
    found = []
    while select.select([wire], [], [], 0)[0]:
        found.append(wire.recv(2048))
    return found


def killed(node: Node) -> None:
    """And gone, so that another can start."""
    node.signal(signal.SIGKILL)
    assert node.process is not None
    node.process.wait(5)


def device_up(node: Node, router: Router) -> bool:
    link = node.addresses.links().get(router.device)
    return link is not None and link.up


def test_the_mac_moves_and_no_neighbour_has_to_learn(tmp_path: Path) -> None:
    """
    A client with a permanent entry for the virtual MAC is answered before and after a takeover, by
    SIGKILL and by SIGTERM; the switch sends the MAC to who is active, and the device is up there
    alone. Who asks by ARP is told the virtual MAC and no other.
    """
    pair = Switched(tmp_path, a_router(0.1))
    ports = {node.name: f"port-{node.name[-1]}" for node in pair.nodes}
    try:
        pair.start()
        ip("-n", pair.client, "neigh", "add", "10.9.0.100", "lladdr", MAC, "nud", "permanent", "dev", "eth0")  # fmt: skip
        first, second = pair.roles()
        assert pair.answered()
        assert pair.port_of(MAC) == ports[first.name]
        assert (device_up(first, pair.router), device_up(second, pair.router)) == (True, False)

        first.signal(signal.SIGKILL)
        within(pair.takes_over_within(second) + BUSY, second.holds)
        assert pair.answered()
        assert pair.port_of(MAC) == ports[second.name]
        within(5, lambda: not first.holds_any())
        pair.start()
        assert not device_up(first, pair.router)

        second.signal(signal.SIGTERM)
        within(pair.router.interval + 5 * SLACK + BUSY, lambda: not second.holds_any())
        assert pair.answered()
        assert pair.port_of(MAC) == ports[first.name]
        assert second.process is not None
        second.process.wait(5)
        assert pair.router.device not in second.addresses.links()

        ip("-n", pair.client, "neigh", "del", "10.9.0.100", "dev", "eth0")
        frames(pair.wire)
        for _ in range(3):
            pair.forget()
            assert pair.answered()
            assert MAC in pair.neighbour()
        claims = {
            frame[22:28].hex(":")
            for frame in frames(pair.wire)
            if frame[12:14] == b"\x08\x06" and frame[28:32] == socket.inet_aton("10.9.0.100")
        }
        assert claims == {MAC}
    finally:
        pair.close()


def test_version_2_is_keepalived_s_with_use_vmac(tmp_path: Path) -> None:
    """
    Adverts and gratuitous ARP, byte for byte, before a hand-over and after it: the frames of the two
    nodes differ in the source address alone.
    """
    router = msgspec.structs.replace(a_router(1.0), version=2, lease=5.0)
    pair = Switched(tmp_path, router)
    try:
        pair.nodes[0].start(pair.router)
        arrive(pair.wire, {golden("vmac", "advert", 100), golden("vmac", "garp", None)})
        pair.nodes[0].signal(signal.SIGTERM)
        arrive(pair.wire, {golden("vmac", "advert", 0)})
    finally:
        pair.close()


def test_two_active_ones_hear_each_other_with_one_mac(tmp_path: Path) -> None:
    """
    Both came up while the switch was cut: when it is whole again the weaker yields at once.
    """
    pair = Switched(tmp_path, a_router(0.1))
    one, two = pair.nodes
    try:
        ip("-n", pair.switch, "link", "set", "port-b", "nomaster")
        for node in pair.nodes:
            node.start(pair.router_of(node))
        within(20, lambda: one.holds() and two.holds())
        ip("-n", pair.switch, "link", "set", "port-b", "master", "br0")
        within(3, lambda: one.holds() and not two.holds_any())
        within(3, lambda: pair.port_of(MAC) == "port-a")
        assert "puts back" not in one.said() + two.said()
    finally:
        pair.close()


def test_over_ipv6(tmp_path: Path) -> None:
    """
    The same, with the MAC of the other family; the device sends nothing of its own.
    """
    pair = Switched(tmp_path, over_ipv6(0.1))
    mac = "00:00:5e:00:02:33"
    try:
        pair.start()
        first, second = pair.roles()
        assert pair.port_of(mac) == f"port-{first.name[-1]}"
        first.signal(signal.SIGTERM)
        within(pair.router.interval + 5 * SLACK + BUSY, lambda: not first.holds_any())
        assert second.holds()
        assert pair.port_of(mac) == f"port-{second.name[-1]}"
        spoken = [frame for frame in frames(pair.wire) if frame[6:12].hex(":") == mac]
        own = [frame for frame in spoken if frame[22:24] == b"\xfe\x80" and frame[20] == 58 and frame[54] != 136]  # fmt: skip
        assert own == []
    finally:
        pair.close()


def test_a_process_that_starts_again_adopts_the_device_and_a_new_file_removes_it(
    tmp_path: Path,
) -> None:
    """
    After a SIGKILL the VIPs stay where they are. After another the file says nothing of a virtual
    MAC any more: the VIPs are on the interface, and the device is gone.
    """
    long = msgspec.structs.replace(a_router(0.1), lease=30.0)  # a start takes seconds here
    pair = Switched(tmp_path, long)
    one = pair.nodes[0]
    try:
        one.start(pair.router)
        within(10, one.holds)
        device = one.addresses.links()[pair.router.device]
        killed(one)
        one.start(pair.router)
        gaps = 0

        def adopted() -> bool:
            nonlocal gaps
            gaps += not one.holds()
            return "to active" in one.said()

        within(10, adopted)
        assert gaps == 0
        assert one.addresses.links()[device.name].index == device.index
        assert pair.answered()

        killed(one)
        one.start(long, strangers=pair.router.vips)
        within(10, one.holds)
        assert device.name not in one.addresses.links()
        pair.forget()
        assert pair.answered()
        assert MAC not in pair.neighbour()
    finally:
        pair.close()
