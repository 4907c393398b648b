"""kernel/watch: what the kernel tells of links and addresses."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.kernel.addresses import (
    ADDRESS_HEAD,
    LIFETIMES,
    LINK_HEAD,
    Addresses,
    Held,
    Link,
)
from director.kernel.netlink import HEADER, ROUTE, attribute, text
from director.kernel.watch import (
    AddressGone,
    AddressIs,
    LinkGone,
    LinkIs,
    Lost,
    Watch,
    decode,
    silence,
)
from director.model.address import Prefix
from tests.director.kernel.test_bpf import passes

OURS, OTHERS = 0x01020304, 0
VIP = Held(3, Prefix("192.0.2.10", 32))
ETH0 = Link(3, "eth0", b"\2\0\0\0\0\1", up=True)
BRIDGE = 7  # AF_BRIDGE


def message(kind: int, body: bytes, asker: int = OTHERS) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, 0, 0, asker) + body


def link(family: int = 0) -> bytes:
    head = bytes([family]) + LINK_HEAD.pack(0, 0, ETH0.index, 1, 0)[1:]
    return head + text(3, ETH0.name) + attribute(1, ETH0.mac)


def address(family: int = 2, packed: bytes = bytes([192, 0, 2, 10]), flags: int = 0) -> bytes:
    head = ADDRESS_HEAD.pack(family, 32 if family == 2 else 128, flags, 0, 3)
    lifetimes = attribute(6, LIFETIMES.pack(0, 5, 0, 0))
    return head + attribute(1, packed) + lifetimes


SAID = {
    "a link that changed": (message(16, link()), [LinkIs(ETH0)]),
    "a link that is gone": (message(17, link()), [LinkGone(3)]),
    "a bridge tells that a port left it": (message(17, link(BRIDGE)), []),
    "an address somebody changed": (message(20, address()), [AddressIs(VIP, 5.0)]),
    "an address that is gone": (message(21, address()), [AddressGone(VIP)]),
    "an address of another family": (message(20, address(BRIDGE)), []),
    "something else": (message(24, b"route"), []),
    "two at once": (message(17, link()) + message(21, address()), [LinkGone(3), AddressGone(VIP)]),
    "garbage": (message(16, b"\0"), [Lost()]),
    "an empty link": (message(17, b""), []),
    "half a header": (b"\1\2\3", [Lost()]),
}


@pytest.mark.parametrize(("data", "events"), SAID.values(), ids=SAID)
def test_what_the_kernel_says_is_understood(data: bytes, events: list[object]) -> None:
    """Each message is an event, none, or (what makes no sense) a reason to read all anew."""
    assert decode(memoryview(data)) == events


@given(st.binary(max_size=200))
def test_nothing_that_comes_raises(data: bytes) -> None:
    """Random bytes are events or Lost."""
    decode(memoryview(data))
    decode(memoryview(message(16, data)))
    decode(memoryview(message(20, data)))


FILTERED = {
    "our own refresh": (message(20, address(), OURS), False),
    "somebody else's": (message(20, address(), 99), True),
    "the kernel's": (message(20, address(), OTHERS), True),
    "our own removal": (message(21, address(), OURS), True),
    "a link": (message(16, link(), OURS), True),
    "an IPv6 VIP as we hold it": (message(20, address(10, bytes(16), 0x22)), False),
    "an IPv6 VIP whose lease somebody took away": (message(20, address(10, bytes(16), 0x02)), True),
    "a fixed IPv6 address": (message(20, address(10, bytes(16), 0x80)), True),
    "an IPv6 VIP that is gone": (message(21, address(10, bytes(16), 0x22)), True),
}


@pytest.mark.parametrize(("data", "there"), FILTERED.values(), ids=FILTERED)
def test_our_own_refreshes_do_not_wake_us(data: bytes, there: bool) -> None:
    """NEWADDR on our own request is dropped in the kernel; whatever may be news is not."""
    assert passes(silence(OURS), data) is there


def test_an_address_is_looked_up() -> None:
    """127.0.0.1 and ::1 are this node's; 192.0.2.1 and a foreign link-local are not."""
    addresses = Addresses()

    assert addresses.is_local("127.0.0.1", 1)
    assert not addresses.is_local("192.0.2.1", 1)
    assert not addresses.is_local("fe80::1:2:3:4", 1)
    addresses.close()


def test_events_of_others_are_not_believed() -> None:
    """Any process may send to a netlink socket; what is not the kernel's is skipped."""
    watch = Watch(OURS)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, ROUTE) as stranger:
        stranger.sendto(message(17, link()), (watch._socket.getsockname()[0], 0))

    assert watch.read() == []
    watch.close()
    watch.close()
