# The kernel's own clock is the subject here, so these tests wait for it: they poll with a deadline.
"""Addresses with a lease, and devices."""

import errno
import select
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from director.errors import SystemLacks
from director.kernel import links
from director.kernel.addresses import Addresses, Held, networks
from director.model.address import Prefix

pytestmark = pytest.mark.kernel

DEVICE = "lease0"
VIP = Prefix("192.0.2.30", 32)
VIP6 = Prefix("2001:db8:30::30", 64)
FIXED6 = "2001:db8:30::1/64"
NETWORK6 = "2001:db8:30::/64"
SLACK = 2.0  # seconds: the kernel counts whole seconds and looks now and then


@pytest.fixture
def addresses() -> Iterator[Addresses]:
    """With a dummy device that is up."""
    links.ensure_dummy(DEVICE)
    found = Addresses()
    yield found
    found.close()
    links.remove_link(DEVICE)


def index(addresses: Addresses) -> int:
    return addresses.links()[DEVICE].index


def ip(*arguments: str) -> str:
    done = subprocess.run(["/usr/sbin/ip", *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def seconds_until(condition: Callable[[], bool], within: float) -> float:
    """How long it took; fails when it takes longer."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < within, "not in time"
        select.select([], [], [], 0.02)
    return time.monotonic() - start


@pytest.mark.parametrize("prefix", [VIP, VIP6], ids=str)
def test_a_lease_that_nobody_refreshes_ends_by_itself(addresses: Addresses, prefix: Prefix) -> None:
    """
    A VIP with a lease of 1 s is there at once, and gone within the lease and a bit.
    """
    vip = Held(index(addresses), prefix)

    assert addresses.hold([vip], 1.0) == {}
    assert 0 < addresses.all()[vip] <= 1

    took = seconds_until(lambda: vip not in addresses.all(), 1 + SLACK)
    assert took > 0.5


def test_a_lease_that_is_refreshed_goes_on(addresses: Addresses) -> None:
    """
    Refreshed four times a lease, two VIPs stand for twice the lease without a gap, then end.
    """
    here = index(addresses)
    vips = [Held(here, VIP), Held(here, VIP6)]
    end = time.monotonic() + 4.0

    while time.monotonic() < end:
        assert addresses.hold(vips, 2.0) == {}
        again = time.monotonic() + 0.5
        while time.monotonic() < again:
            assert set(vips) <= addresses.all().keys()
            select.select([], [], [], 0.05)

    seconds_until(lambda: not set(vips) & addresses.all().keys(), 2 + SLACK)


def test_a_lease_of_0_is_for_ever(addresses: Addresses) -> None:
    """
    Held without a lease it reads back as 0; given one, and back, likewise.
    """
    vip = Held(index(addresses), VIP)

    addresses.hold([vip], 0)
    first = addresses.all()[vip]
    addresses.hold([vip], 60)
    second = addresses.all()[vip]
    addresses.hold([vip], 0)

    assert (first, addresses.all()[vip]) == (0.0, 0.0)
    assert 58 <= second <= 60


def test_release_may_be_asked_twice(addresses: Addresses) -> None:
    """
    A VIP that is not there, or whose device is not there, is released.
    """
    here = index(addresses)
    vips = [Held(here, VIP), Held(here, VIP6), Held(99_999, VIP)]
    addresses.hold(vips[:2], 0)

    assert addresses.release(vips) == {}
    assert addresses.release(vips) == {}

    assert not set(vips) & addresses.all().keys()


def test_what_cannot_be_held_does_not_stop_the_rest(addresses: Addresses) -> None:
    """
    In a batch with a device that is not there the others are held, and that one is named.
    """
    vips = [Held(index(addresses), Prefix(f"192.0.2.{n}", 32)) for n in range(1, 200)]
    missing = Held(99_999, VIP)

    assert addresses.hold([*vips[:50], missing, *vips[50:]], 0) == {missing: errno.ENODEV}

    assert set(vips) <= addresses.all().keys()


def test_an_ipv6_vip_is_usable_at_once_and_never_our_own_source(addresses: Addresses) -> None:
    """
    No duplicate address detection (not tentative), and deprecated from the start.
    """
    addresses.hold([Held(index(addresses), VIP6)], 60)

    said = ip("-6", "-o", "address", "show", "dev", DEVICE, "to", "2001:db8:30::30")

    assert "deprecated" in said
    assert "tentative" not in said


def test_a_vip_leaves_the_route_of_the_fixed_address_alone(addresses: Addresses) -> None:
    """
    The network's route gets no expiry from a VIP in it whose lease changes. (Without
    `noprefixroute` it does: the last lines show the trap that this avoids.)
    """
    ip("address", "add", FIXED6, "dev", DEVICE, "nodad")
    route = ("-6", "route", "show", NETWORK6, "dev", DEVICE)
    before = ip(*route)

    addresses.hold([Held(index(addresses), VIP6)], 0)
    addresses.hold([Held(index(addresses), VIP6)], 5)

    assert ip(*route) == before
    assert "expires" not in before

    lease = ("valid_lft", "5", "preferred_lft", "0")
    ip("address", "add", "2001:db8:30::31/64", "dev", DEVICE, "nodad")
    ip("address", "change", "2001:db8:30::31/64", "dev", DEVICE, "nodad", *lease)
    assert "expires" in ip(*route)


def test_links_say_whether_they_are_up(addresses: Addresses) -> None:
    """
    A link has an index, a MAC, and is up or down.
    """
    there = addresses.links()[DEVICE]
    links.ensure_down(DEVICE)
    down = addresses.links()[DEVICE]
    links.ensure_up(DEVICE)

    assert (there.up, down.up, addresses.links()[DEVICE].up) == (True, False, True)
    assert len(there.mac) == 6
    assert addresses.links()["lo"].index == 1


def test_networks_are_sorted_by_device(addresses: Addresses) -> None:
    """
    The prefixes that each device has.
    """
    addresses.hold([Held(index(addresses), VIP)], 0)

    found = networks(addresses.all(), addresses.links())

    assert VIP in found[DEVICE]
    assert VIP not in found["lo"]


def test_devices_may_be_asked_for_twice(addresses: Addresses) -> None:
    """
    Ensuring and removing do nothing the second time.
    """
    links.ensure_dummy(DEVICE)
    links.tunnel_up("tunl0")
    links.tunnel_up("tunl0")

    assert addresses.links()["tunl0"].up
    links.ensure_down("tunl0")
    links.remove_link("nosuch0")
    links.ensure_down("nosuch0")


def test_a_device_that_is_not_there_cannot_be_raised() -> None:
    """
    The error names the device.
    """
    with pytest.raises(SystemLacks, match="nosuch0"):
        links.ensure_up("nosuch0")
