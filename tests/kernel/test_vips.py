# One director's vrrp process in a namespace, its cable in another, a kernel under both. Times are
# real; bounds are far above what is measured (docs/performance.md) and far below what a poll needs.
"""VIPs for real: what becomes of them when links and addresses change."""

import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from director.kernel.addresses import Held
from director.kernel.watch import AddressGone, AddressIs, Event, Watch
from director.model.address import parse_prefix
from director.model.vip import DUMMY, Route, Router, RouteRule, Vip
from tests.kernel.vrrp_pair import (
    IP,
    LEASE,
    SLACK,
    VIPS,
    Namespace,
    Node,
    Pair,
    a_router,
    ip,
    netns,
    within,
)

pytestmark = pytest.mark.kernel

AT_ONCE = 0.05  # seconds
RUNS = 5


class Director:
    """A node at `eth0`, and the other end of its cable, `peer`, in a namespace of its own."""

    def __init__(self, folder: Path) -> None:
        self.name, self.other = (f"{folder.name[-8:]}{side}" for side in "xy")
        netns(self.name)
        netns(self.other)
        self.plug()
        self.address()
        self.node = Node(self.name, "10.9.0.1", folder)
        with Namespace(self.name):
            self.watch = Watch(0)
        self.heard: list[tuple[Event, float]] = []
        # A table stands: nobody has to wait for an engine.
        table = [IP, "netns", "exec", self.name, "/usr/sbin/ipvsadm", "-A", "-t", "10.9.0.100:80"]
        subprocess.run(table, check=True)

    def plug(self) -> None:
        """A cable, anew."""
        ends = ("eth0", "netns", self.name, "type", "veth", "peer", "name", "peer")
        ip("link", "add", *ends, "netns", self.other)
        ip("-n", self.other, "link", "set", "peer", "up")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def address(self, verb: str = "add") -> None:
        ip("-n", self.name, "addr", verb, "10.9.0.1/32", "dev", "eth0")

    def start(self, router: Router) -> None:
        self.node.start(router)
        try:
            within(20, self.node.holds)
        finally:
            print(self.node.said())

    def cable(self, state: str) -> float:
        """`up` or `down`; when that was done."""
        ip("-n", self.other, "link", "set", "peer", state)
        return time.monotonic()

    def hear(self, wanted: Callable[[Event], bool], seconds: float = 5.0) -> float:
        """When the kernel told of it."""
        end = time.monotonic() + seconds
        while True:
            while self.heard:
                event, at = self.heard.pop(0)
                if wanted(event):
                    return at
            left = end - time.monotonic()
            assert select.select([self.watch.fileno], [], [], max(0, left))[0], "not in time"
            at = time.monotonic()
            self.heard += [(event, at) for event in self.watch.read()]

    def forget(self) -> None:
        """What was told until now."""
        self.heard.clear()
        while self.watch.read():
            pass

    def close(self) -> None:
        self.watch.close()
        self.node.close()
        for name in (self.name, self.other):
            ip("netns", "del", name)


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    found = Director(tmp_path)
    yield found
    found.close()


@pytest.fixture
def active(director: Director) -> Director:
    director.start(msgspec.structs.replace(a_router(0.1), lease=40.0))
    return director


def pause(seconds: float) -> None:
    """Let the kernel's own clocks go on."""
    end = time.monotonic() + seconds
    within(seconds + 1, lambda: time.monotonic() > end)


def say(what: str, figures: list[float]) -> None:
    """For docs/performance.md: run with -rP."""
    low, middle, high = min(figures), sorted(figures)[len(figures) // 2], max(figures)
    print(f"{what}: {low * 1000:.1f} / {middle * 1000:.1f} / {high * 1000:.1f} ms")


def test_a_lost_carrier_releases_the_vips_at_once(active: Director) -> None:
    """
    The cable is pulled: they are gone long before a peer could have taken them; plugged in again
    they come back.
    """
    figures = []
    for _ in range(RUNS):
        # The kernel tells of carriers once a second at most, and may have one round to go (see
        # kernel/watch.py): without this the figure is the kernel's 0.3 to 0.4 s.
        pause(2.5)
        cut_at = active.cable("down")
        figures.append(within(1, lambda: not active.node.holds_any()) - cut_at)
        assert "eth0 is down" in active.node.said()
        active.cable("up")
        within(5, active.node.holds)

    say("carrier lost, VIPs released", figures)
    assert max(figures) < AT_ONCE


def test_a_vip_that_is_deleted_or_changed_is_put_back_at_once(active: Director) -> None:
    """
    The lease is 40 s, a quarter of it 10: only the event brings it back within milliseconds.
    """
    vip = Held(active.node.index, VIPS[1].prefix)
    deleted, changed = [], []
    for _ in range(RUNS):
        pause(0.1)
        active.forget()
        ip("-n", active.name, "addr", "del", str(vip.prefix), "dev", "eth0")
        gone_at = active.hear(lambda event: event == AddressGone(vip))
        deleted.append(within(1, active.node.holds) - gone_at)
        pause(0.1)
        active.forget()
        ip("-n", active.name, "addr", "change", str(vip.prefix), "dev", "eth0")
        at = active.hear(lambda event: event == AddressIs(vip, 0.0))
        changed.append(active.hear(lambda event: event == AddressIs(vip, 40.0)) - at)

    say("VIP deleted, put back", deleted)
    say("VIP made for ever, lease put back", changed)
    assert max(deleted) < AT_ONCE
    assert max(changed) < AT_ONCE


def test_an_interface_that_comes_later_starts_its_router(director: Director) -> None:
    """
    Missing at start: fault. It appears, goes, is made anew: played again each time, and at once.
    """
    ip("-n", director.name, "link", "del", "eth0")
    director.node.start(a_router(0.02))
    within(20, lambda: "there is no interface eth0" in director.node.said())

    def said(what: str, times: int) -> bool:
        return director.node.said().count(what) == times

    for times in (1, 2):
        director.plug()
        director.address()
        within(1, partial(said, "off to backup", times))
        ip("-n", director.name, "link", "del", "eth0")
        within(1, partial(said, "to off", times))


def test_a_fixed_address_that_vanishes_is_a_fault(active: Director) -> None:
    """
    The VIPs are released, with the reason; when the address is back they are taken again.
    """
    active.address("del")
    at = time.monotonic()

    gone_at = within(1, lambda: not active.node.holds_any())
    assert gone_at - at < AT_ONCE
    assert "the fixed address 10.9.0.1 is not on this node" in active.node.said()
    active.address()
    within(2, active.node.holds)


def test_another_mac_is_announced_at_once(active: Director) -> None:
    """
    Neighbours that know the old one would lose us until they ask again.
    """
    mac = bytes.fromhex("0200000000ee")
    pause(0.6)

    ip("-n", active.name, "link", "set", "eth0", "address", mac.hex(":"))

    def heard() -> bool:
        while select.select([active.node.wire], [], [], 0)[0]:
            frame = active.node.wire.recv(2048)
            if frame[6:14] == mac + b"\x08\x06":
                return True
        return False

    within(1, heard)


def test_refreshes_of_our_own_do_not_wake_us(active: Director) -> None:
    """
    A watch that is told our port hears nothing of 200 refreshes, both families; another does.
    """
    with Namespace(active.name):
        deaf = Watch(active.node.addresses.port)
    index = active.node.index
    vips = [Held(index, parse_prefix(text)) for text in ("10.9.0.200", "2001:db8::200")]
    active.forget()

    for _ in range(100):
        active.node.addresses.hold(vips, LEASE)

    # The kernel itself tells that a link-local address is no longer tentative, to both of them.
    def refreshes(watch: Watch) -> int:
        return sum(isinstance(event, AddressIs) and event.held in vips for event in watch.read())

    assert refreshes(deaf) == 0
    assert refreshes(active.watch) >= 100
    deaf.close()


def adverts(node: Node, other: Node, *, arrive: bool) -> None:
    """Unicast adverts of `node` reach the other one, or go to a MAC that nobody has. ARP passes."""
    mac = other.mac.hex(":") if arrive else "02:00:00:00:00:99"
    ip("-n", node.name, "neigh", "replace", other.address, "lladdr", mac, "nud", "permanent", "dev", "eth0")  # fmt: skip


def alarms(node: Node) -> list[str]:
    return [line.split("two are active: ")[1] for line in node.said().splitlines() if "two are active" in line]  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    found = Pair(tmp_path, a_router(0.1, unicast=True))
    yield found
    found.close()


def test_a_split_is_seen_from_both_sides_and_healed_in_one_advert(pair: Pair) -> None:
    """
    Adverts are lost both ways, ARP is not: both are active, and each tells of the other's MAC.
    When adverts pass again one yields within one of them.
    """
    pair.start()
    one, two = pair.nodes
    active, backup = pair.roles()

    adverts(one, two, arrive=False)
    adverts(two, one, arrive=False)
    both_at = within(5, backup.holds)
    assert active.holds()
    seen_at = within(5, lambda: all(alarms(node) for node in pair.nodes))
    assert two.mac.hex(":") in alarms(one)[0]
    assert one.mac.hex(":") in alarms(two)[0]

    adverts(one, two, arrive=True)
    adverts(two, one, arrive=True)
    healed_at = time.monotonic()
    one_at = within(2, lambda: [node.holds_any() for node in pair.nodes].count(True) == 1)

    say("both active, seen by both", [seen_at - both_at])
    say("healed, one yields (adverts each 100 ms)", [one_at - healed_at])
    assert one_at - healed_at < pair.interval + SLACK


def test_one_who_hears_the_other_alone_names_him(pair: Pair) -> None:
    """
    Only the weaker one's adverts arrive: the stronger one is told, and holds on.
    """
    pair.start()
    strong, weak = pair.nodes
    weak_first = pair.roles()[0] is weak
    if weak_first:
        weak.signal(signal.SIGTERM)
        within(5, strong.holds)
        weak.wait()  # while it is still about to end nobody would start it again
        pair.start()

    adverts(strong, weak, arrive=False)

    # The log is limited in rate: its first line is by the advert or by the announcement after it.
    names = (f"{weak.address} is active too", weak.mac.hex(":"))
    within(5, lambda: any(name in alarm for alarm in alarms(strong) for name in names))
    assert weak.holds()
    assert strong.holds()


def routes_of(director: Director, table: str) -> str:
    """What is in a table of the node, both families."""
    said = ""
    for family in ("-4", "-6"):
        asked = [IP, "-n", director.name, family, "route", "show", "table", table]
        said += subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return said


def rules_of(director: Director) -> str:
    asked = [IP, "-n", director.name, "rule", "show"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout


MOVING = msgspec.structs.replace(
    a_router(0.1),
    vips=(
        *VIPS,
        # Of its own network: addresses of one network must have one scope (devinet.c).
        Vip(parse_prefix("10.9.0.102"), "eth0", label="eth0:web", scope=253),
        Vip(parse_prefix("2001:db8:9::10"), "eth0"),
    ),
    routes=(
        Route(to=parse_prefix("203.0.113.0/24"), via="10.9.0.2", table=100),
        Route(to=parse_prefix("198.51.100.0/24"), interface="eth0", source="10.9.0.101"),
        Route(to=parse_prefix("2001:db8:a::/48"), interface="eth0", table=100, metric=7),
    ),
    rules=(RouteRule(source=parse_prefix("10.9.0.100"), table=100, priority=1000),),
)


@pytest.mark.full  # it waits for kernel timers
def test_labels_routes_and_rules_move_along(director: Director) -> None:
    """
    They are there with the VIPs. After a SIGKILL the kernel ends the route that has a VIP as its
    source and the IPv6 one; the rest goes when vrrp starts again and is not active.
    """
    ip("-n", director.name, "route", "add", "10.9.0.0/24", "dev", "eth0")
    director.start(MOVING)
    said = ["ip", "-n", director.name, "-4", "address", "show", "dev", "eth0"]
    shown = subprocess.run(said, capture_output=True, text=True, check=True).stdout
    assert "10.9.0.102/32 scope link dynamic noprefixroute eth0:web" in shown
    fenced = "198.51.100.0/24 dev eth0 proto 112 scope link src 10.9.0.101"
    held = ("203.0.113.0/24 via 10.9.0.2", "2001:db8:a::/48 dev eth0")
    assert all(one in routes_of(director, "100") for one in held)
    assert fenced in routes_of(director, "main")
    assert "from 10.9.0.100 lookup 100" in rules_of(director)
    ip("-n", director.name, "route", "del", "203.0.113.0/24", "table", "100")
    within(LEASE, lambda: held[0] in routes_of(director, "100"))

    assert director.node.process is not None
    director.node.signal(signal.SIGKILL)
    director.node.process.wait(5)
    within(LEASE + 2.0, lambda: not director.node.holds_any())
    within(30, lambda: "2001:db8:a::" not in routes_of(director, "100"))
    assert fenced not in routes_of(director, "main")
    assert held[0] in routes_of(director, "100")
    director.node.start(MOVING)
    within(20, lambda: "off to backup" in director.node.said())
    assert "100" not in rules_of(director)
    assert routes_of(director, "100") == ""

    within(5, director.node.holds)
    within(5, lambda: held[0] in routes_of(director, "100"))
    director.node.signal(signal.SIGTERM)
    within(5, lambda: not director.node.holds_any())
    assert "lookup 100" not in rules_of(director)
    assert routes_of(director, "100") == ""


def test_in_mode_dummy_vips_are_on_a_dummy(director: Director) -> None:
    """
    The device is made, held like any other, and nothing of it is on the interface.
    """
    vips = tuple(msgspec.structs.replace(vip, interface=DUMMY) for vip in VIPS)
    director.node.start(msgspec.structs.replace(a_router(0.1), vips=vips, mode="dummy"))

    def held() -> bool:
        links = director.node.addresses.links()
        there = director.node.addresses.all()
        return DUMMY in links and Held(links[DUMMY].index, VIPS[1].prefix) in there

    within(20, held)
    there = director.node.addresses.all()
    assert not any(Held(director.node.index, vip.prefix) in there for vip in VIPS)
    ip("-n", director.name, "link", "del", DUMMY)
    within(5, held)


def test_what_the_file_no_longer_names_is_removed_at_start(director: Director) -> None:
    """
    A VIP without a lease that an older file had; an operator's address beside it stays.
    """
    # As the engine sets it: the first address of a network would take the others along.
    ip("netns", "exec", director.name, "sysctl", "-qw", "net.ipv4.conf.all.promote_secondaries=1")
    old, operators = "10.9.0.102/24", "10.9.0.103/24"
    for one in (old, operators):
        ip("-n", director.name, "addr", "add", one, "dev", "eth0")
    stranger = Vip(parse_prefix(old), "eth0")
    router = msgspec.structs.replace(a_router(0.1), lease=0.0)
    director.node.start(router, strangers=(stranger,))

    within(20, director.node.holds)
    there = {str(held.prefix) for held in director.node.addresses.all()}
    assert (old in there, operators in there) == (False, True)
