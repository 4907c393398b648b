"""Version 2, its authentication, IPv6 and groups, for real."""

import signal
import time
from functools import partial
from pathlib import Path

import msgspec
import pytest

from director.model.address import Prefix
from director.model.vip import Router, Vip
from director.vrrp.frames import parse_ipv4
from tests.kernel.vrrp_pair import (
    SLACK,
    Node,
    Pair,
    a_router,
    ip,
    over_ipv6,
    secret_of,
    within,
)

pytestmark = pytest.mark.kernel

VERSION_2 = msgspec.structs.replace(a_router(1.0), version=2, lease=5.0)
BUSY = 0.4  # seconds: what is timed closely is timed in test_vrrp_process
full = pytest.mark.full  # adverts of whole seconds: each of these takes some ten
KINDS = [
    pytest.param("v2 pass", marks=full),
    pytest.param("v2 ah", marks=full),
    pytest.param("v2 ah unicast", marks=full),
    "v6",
    "v6 unicast",
]


def router_of(kind: str, folder: Path) -> Router:
    words = kind.split()
    if words[0] == "v6":
        return over_ipv6(0.1, unicast="unicast" in words)
    peers = ("10.9.0.2",) if "unicast" in words else ()
    return msgspec.structs.replace(VERSION_2, auth=secret_of(folder, words[1]), peers=peers)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_hands_over_and_takes_over(tmp_path: Path, kind: str) -> None:
    """
    One is active, the other listens and refuses nothing; SIGTERM moves the VIPs within the skew,
    with no moment in which nobody has them, and SIGKILL within active_down.
    """
    pair = Pair(tmp_path, router_of(kind, tmp_path))
    try:
        pair.start()
        first, second = pair.roles()
        gaps = 0

        def handed_over() -> bool:
            nonlocal gaps
            gaps += not first.holds() and not second.holds()
            return second.holds() and not first.holds_any()

        first.signal(signal.SIGTERM)
        within(pair.router.interval + 5 * SLACK, handed_over)
        assert first.process is not None
        assert first.process.wait(5) == 0
        pair.start()
        second.signal(signal.SIGKILL)
        within(pair.takes_over_within(first) + BUSY, first.holds)

        assert gaps == 0
        assert [node.said() for node in pair.nodes if "refused" in node.said()] == []
    finally:
        pair.close()


def test_a_pair_that_proves_itself_in_two_ways_is_told_so(tmp_path: Path) -> None:
    """
    One seals its adverts, the other adds a password: both count what they refuse, and say it.
    """
    pair = Pair(tmp_path, VERSION_2)
    one, two = pair.nodes
    try:
        for node, method in ((one, "ah"), (two, "pass")):
            auth = secret_of(tmp_path, method)
            node.start(msgspec.structs.replace(pair.router_of(node), auth=auth))
        within(20, lambda: "adverts refused: ah-missing" in one.said())
        within(20, lambda: "adverts refused: ah-unexpected" in two.said())
    finally:
        pair.close()


@full
def test_what_was_recorded_cannot_be_played_back(tmp_path: Path) -> None:
    """
    The active's last sealed advert, sent again after its death, keeps nobody from taking over.
    """
    pair = Pair(tmp_path, router_of("v2 ah", tmp_path))
    try:
        pair.start()
        active, heir = pair.roles()
        heard: list[bytes] = []

        def recorded() -> bool:
            frame = heir.wire.recv(2048)
            datagram = parse_ipv4(frame[14:]) if frame[12:14] == b"\x08\x00" else None
            if datagram and (datagram.source, datagram.protocol) == (active.address, 51):
                heard.append(frame)
            return len(heard) >= 2

        heir.wire.settimeout(5)
        within(10, recorded)
        active.signal(signal.SIGKILL)

        def taken_in_spite_of_it() -> bool:
            active.wire.send(heard[-1])
            return heir.holds()

        within(pair.takes_over_within(heir) + BUSY, taken_in_spite_of_it)
        assert "adverts refused: replayed" in heir.said()
    finally:
        pair.close()


def test_a_secret_that_others_can_read_is_a_fault_until_it_is_closed(tmp_path: Path) -> None:
    """
    The router does not start, says why, and starts by itself once it is mended.
    """
    auth = secret_of(tmp_path, "pass", "orchid")
    secret = Path(auth.secret_file)
    secret.chmod(0o644)
    pair = Pair(tmp_path, msgspec.structs.replace(VERSION_2, auth=auth))
    one = pair.nodes[0]
    try:
        one.start(pair.router)
        within(10, lambda: f"{secret} can be read by others: chmod 0640 {secret}" in one.said())
        assert "off to backup" not in one.said()
        secret.chmod(0o640)
        within(2, lambda: "off to backup" in one.said())
    finally:
        pair.close()
    assert "orchid" not in one.said().replace(auth.secret_file, "")


def grouped(pair: Pair, node: Node) -> tuple[Router, Router]:
    """Two routers of one group, on two wires."""
    front = msgspec.structs.replace(pair.router_of(node), group="edge")
    back = msgspec.structs.replace(
        front,
        name="mail",
        vrid=52,
        interface="eth1",
        source=node.address.replace("10.9.0", "10.8.0"),
        vips=(Vip(Prefix("10.8.0.100", 24), "eth1"),),
    )
    return front, back


def test_a_fault_of_one_wire_moves_the_whole_group(tmp_path: Path) -> None:
    """
    The second wire joins nobody: there the weaker hears silence, and waits all the same, since the
    group's first router is heard. When the active loses its second wire both routers are the
    other's, and stay there, though the first wire is whole.
    """
    pair = Pair(tmp_path, a_router(0.1))
    one, two = pair.nodes
    try:
        for node in pair.nodes:
            address = node.address.replace("10.9.0", "10.8.0")
            ip("-n", node.name, "link", "add", "eth1", "type", "dummy")
            ip("-n", node.name, "addr", "add", f"{address}/24", "dev", "eth1")
            ip("-n", node.name, "link", "set", "eth1", "up")
        one.start(*grouped(pair, one))
        within(10, lambda: roles_of(one) == (True, True))
        two.start(*grouped(pair, two))
        within(10, lambda: two.said().count("off to backup") == 2)
        assert unmoved(pair, 1.0)

        ip("-n", one.name, "link", "set", "eth1", "down")

        within(2, lambda: roles_of(one) == (False, False) and roles_of(two) == (True, True))
        assert unmoved(pair, 1.0)
    finally:
        pair.close()


def unmoved(pair: Pair, seconds: float) -> bool:
    """Have all VIPs stayed where they are?"""
    before = [roles_of(node) for node in pair.nodes]
    until = time.monotonic() + seconds
    moved = False

    def look() -> bool:
        nonlocal moved
        moved = moved or [roles_of(node) for node in pair.nodes] != before
        return time.monotonic() > until

    within(seconds + 1, look)
    return not moved


def says(node: Node, words: str) -> bool:
    return words in node.said()


def roles_of(node: Node) -> tuple[bool, bool]:
    """Does it hold the first router's VIPs, and the second's? Those that linger, mute, are gone."""
    links = node.addresses.links()
    there = {(held.index, held.prefix.address) for held in node.addresses.all()}
    return (
        (links["eth0"].index, "10.9.0.100") in there,
        (links["eth1"].index, "10.8.0.100") in there,
    )


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_a_wrong_vrid_moves_nothing_and_is_told_on_both_sides(tmp_path: Path, family: str) -> None:
    """
    Two nodes of one pair that play their VIPs under two VRIDs: each is active, and says why.
    """
    router = a_router(0.1) if family == "IPv4" else over_ipv6(0.1)
    pair = Pair(tmp_path, router)
    try:
        for node, vrid in zip(pair.nodes, (51, 52), strict=True):
            node.start(msgspec.structs.replace(pair.router_of(node), vrid=vrid))
        for node, other in zip(pair.nodes, (52, 51), strict=True):
            saying = partial(says, node, f"name VIPs of ours: VRID {other} with a VIP of web")
            within(20, saying)
            within(2, node.holds)
        assert not any(says(node, "adverts refused") for node in pair.nodes)
    finally:
        pair.close()
