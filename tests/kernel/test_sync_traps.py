# Three traps of the kernel's sync with the defaults that it comes with, and what our profile does
# to each (director/model/profile.py). Sources: ip_vs_sync.c, ip_vs_sync_conn_needed and
# ip_vs_sync_conn.
#
# Time is pressed: connections live 10 s and not 900 when they are silent, and the profile's refresh
# period is 2 s and not 10. A packet a second then is what one in 90 s is in production.
"""What the standby does not know, and the connections that a failover cuts therefore."""

import time
from collections.abc import Iterator

import pytest

from director.model.ops import SetSysctl
from tests.kernel.sync_scene import (
    LAG,
    PERSISTENT,
    PLAIN,
    Director,
    Flow,
    Scene,
    every,
    our_sysctls,
    scene,
)
from tests.kernel.vrrp_pair import within

pytestmark = pytest.mark.kernel

LIFE = 10.0
KERNELS: tuple[SetSysctl, ...] = ()
OURS = our_sysctls(refresh=2.0)
SETTINGS = [pytest.param(KERNELS, False, id="kernel's"), pytest.param(OURS, True, id="ours")]


@pytest.fixture
def wires() -> Iterator[Scene]:
    with scene(f"t{time.monotonic_ns() % 10000}") as made:
        yield made


def pair(wires: Scene, sysctls: tuple[SetSysctl, ...]) -> tuple[Director, Director]:
    """Two that serve; the first one has the VIP."""
    one, two = wires.director("a", "1"), wires.director("b", "2")
    for director in (one, two):
        director.serve(PLAIN, sysctls, tcp=LIFE)
    wires.move(one)
    return one, two


def known_flow(wires: Scene, standby: Director) -> Flow:
    """One that both know: its third packet was reported."""
    flow = wires.connect()
    assert flow.say()
    within(LAG, lambda: standby.knows(flow.port))
    return flow


@pytest.mark.full
@pytest.mark.parametrize(("sysctls", "kept"), SETTINGS)
def test_a_slow_flow_survives_a_failover(
    wires: Scene, sysctls: tuple[SetSysctl, ...], kept: bool
) -> None:
    """
    The kernel reports an established flow once in 50 packets: one that sends more seldom than
    every 18 s (900/50) expires on the standby while it lives, and a failover resets it. With a
    refresh period and a threshold of "0 0" it is reported by time.
    """
    active, standby = pair(wires, sysctls)
    flow = known_flow(wires, standby)

    took = every(1.0, flow.say, lambda: not standby.knows(flow.port), 2 * LIFE)

    assert active.knows(flow.port)
    assert (took == 2 * LIFE) is kept
    assert took >= LIFE - 1
    wires.move(standby, active)
    assert flow.say() is kept


@pytest.mark.full
@pytest.mark.parametrize(("sysctls", "kept"), SETTINGS)
def test_a_flow_survives_the_way_back(
    wires: Scene, sysctls: tuple[SetSysctl, ...], kept: bool
) -> None:
    """
    An entry that came by sync starts at the threshold: whoever took over reports it after 50 more
    packets, so that a peer that comes back empty does not know it, and the way back resets it. With
    a refresh period its first packet is reported.
    """
    active, standby = pair(wires, sysctls)
    flow = known_flow(wires, standby)
    wires.move(standby, active)
    fresh = wires.director("f", "3")
    fresh.serve(PLAIN, sysctls, tcp=LIFE)

    for _ in range(45):
        assert flow.say()
    # What is reported later has come: so has all that was reported by then.
    known_flow(wires, fresh)

    assert fresh.knows(flow.port) is kept
    wires.move(fresh, standby)
    assert flow.say() is kept


PACKETS = 300


@pytest.mark.full
@pytest.mark.parametrize(("sysctls", "kept"), SETTINGS)
def test_a_persistent_client_is_no_flood(
    wires: Scene, sysctls: tuple[SetSysctl, ...], kept: bool
) -> None:
    """
    After each packet of a persistent client the kernel reports its template, which no threshold
    keeps back; the refresh period does.
    """
    active = wires.director("a", "1")
    active.serve(PERSISTENT, sysctls)
    wires.move(active)
    records = wires.records()
    flow = wires.connect()

    for _ in range(PACKETS):
        assert flow.say()
    count = records.listen(LAG)

    print(f"{count} records of {PACKETS} packets")
    assert count <= 8 if kept else count >= PACKETS
