"""The vrrp process for real: takeover, hand-over, leases, frames."""

import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from director.vrrp.mute import LINGER
from director.vrrp.rules import skew
from tests.kernel.vrrp_pair import (
    LEASE,
    SLACK,
    VIPS,
    Node,
    Pair,
    a_router,
    arrive,
    golden,
    over_ipv6,
    secret_of,
    within,
)

pytestmark = pytest.mark.kernel

KERNEL_LOOKS = 1.0  # seconds: how late the kernel may find that a lease has ended
ARP, ANSWER = b"\x08\x06", b"\x00\x02"
ARP_QUESTION = bytes.fromhex("08060001080006040001")


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


def test_our_frames_are_keepaliveds(tmp_path: Path) -> None:
    """
    Advert, gratuitous ARP and resignation of both versions, multicast and unicast, byte for byte.
    """
    pair = Pair(tmp_path, a_router(0.2))
    one, two = pair.nodes
    told = msgspec.structs.replace(a_router(0.2), name="told", peers=(two.address,))
    older = msgspec.structs.replace(a_router(1.0), name="older", version=2)
    proven = msgspec.structs.replace(older, name="proven", auth=secret_of(tmp_path, "pass"))
    cases = ("v3", "v3uni", "v2", "v2pass")
    try:
        one.start(pair.router, told, older, proven)
        arrive(two.wire, {golden("v3", "garp", None), *(golden(c, "advert", 100) for c in cases)})
        one.signal(signal.SIGTERM)
        arrive(two.wire, {golden(case, "advert", 0) for case in cases})
    finally:
        pair.close()


def test_our_frames_over_ipv6_are_keepaliveds(tmp_path: Path) -> None:
    """
    From the link-local address that the interface has (it is waited for), flow label aside.
    """
    pair = Pair(tmp_path, over_ipv6(0.5))
    one, two = pair.nodes
    try:
        one.start(msgspec.structs.replace(pair.router, priority=150))
        arrive(two.wire, {golden("v6", "advert", 150)})
        one.signal(signal.SIGTERM)
        arrive(two.wire, {golden("v6", "advert", 0)})
    finally:
        pair.close()
