"""Tests of director.kernel.addresses: what is sent, and what is read."""

import struct
from contextlib import suppress
from ipaddress import ip_address

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
    decode_address,
    decode_link,
    decode_link_local,
    encode_hold,
    networks,
)
from director.kernel.netlink import Garbled, attribute, text
from director.model.address import Prefix

VIP = Held(3, Prefix("192.0.2.10", 32))
VIP6 = Held(3, Prefix("2001:db8::10", 128))

HOLDS = {
    "IPv4: preferred as long as valid; no prefix route": (
        *(VIP, 1.2),
        (
            "44000000 14000105 00000000 00000000 02200000 03000000 08000200c000020a 08000100c000020a"
            "08000800 00020000 14000600 02000000 02000000 00000000 00000000"
        ),
    ),
    "IPv6: never preferred; no duplicate address detection": (
        *(VIP6, 0),
        (
            "5c000000 14000105 00000000 00000000 0a800000 03000000"
            "14000200 20010db8000000000000000000000010 14000100 20010db8000000000000000000000010"
            "08000800 02020000 14000600 00000000 ffffffff 00000000 00000000"
        ),
    ),
}


@pytest.mark.parametrize(("held", "lease", "data"), HOLDS.values(), ids=HOLDS)
def test_a_hold_is_encoded_byte_for_byte(held: Held, lease: float, data: str) -> None:
    """
    RTM_NEWADDR with CREATE and REPLACE; leases are rounded up, 0 is for ever (little-endian).
    """
    assert encode_hold(held, lease) == bytes.fromhex(data)


def answer(family: int, address: bytes, valid: int, *, kind: int = 2) -> memoryview:
    head = ADDRESS_HEAD.pack(family, 32, 0, 0, 3)
    lifetimes = attribute(6, LIFETIMES.pack(0, valid, 0, 0))
    return memoryview(head + attribute(kind, address) + lifetimes)


def test_an_address_is_read() -> None:
    """
    With the seconds that are left; for ever is 0; IPv6 has it in ADDRESS alone.
    """
    four, six = bytes([192, 0, 2, 10]), bytes(15) + b"\x01"

    assert decode_address(answer(2, four, 5)) == (VIP, 5.0)
    assert decode_address(answer(2, four, 0xFFFFFFFF)) == (VIP, 0.0)
    assert decode_address(answer(10, six, 5, kind=1)) == (Held(3, Prefix("::1", 32)), 5.0)
    assert decode_address(answer(7, four, 5)) is None


def test_a_link_is_read() -> None:
    """
    Up is IFF_UP and carrier; a device that says nothing of carrier has it; no MAC is empty.
    """
    head = LINK_HEAD.pack(0, 0, 3, 1, 0)
    name, mac = text(3, "eth0.5"), attribute(1, b"\2\0\0\0\0\1")

    got = decode_link(memoryview(head + name + mac))
    cut = decode_link(memoryview(head + name + attribute(33, b"\0")))
    down = decode_link(memoryview(LINK_HEAD.pack(0, 0, 3, 0, 0) + name + attribute(33, b"\1")))

    assert got == Link(3, "eth0.5", b"\2\0\0\0\0\1", up=True)
    assert (cut.up, down.up, down.mac) == (False, False, b"")


@given(
    family=st.sampled_from([2, 10, 7]), body=st.binary(max_size=80), head=st.sampled_from([8, 16])
)
def test_garbage_is_garbled_and_nothing_else(family: int, body: bytes, head: int) -> None:
    """
    Random bytes behind a true head, or bare, are read or raise Garbled.
    """
    for data in (body, bytes([family]) + bytes(head - 1) + body):
        with suppress(Garbled):
            decode_address(memoryview(data))
        with suppress(Garbled):
            decode_link(memoryview(data))


def test_networks_leave_out_devices_that_went_away() -> None:
    """
    An address whose device is not among the links is nobody's.
    """
    there = {"eth0": Link(3, "eth0", b"", up=True)}

    assert networks([VIP, Held(9, VIP.prefix)], there) == {"eth0": [VIP.prefix]}


def test_this_kernel_is_read() -> None:
    """
    Loopback has its index here, and reading needs no rights.
    """
    addresses = Addresses()

    there = addresses.links()
    held = addresses.all()
    addresses.close()
    addresses.close()

    assert there["lo"].index == 1
    assert all(isinstance(left, float) for left in held.values())


LINK_LOCALS = {
    # address, scope, flags, device: the address, if it is one to send from
    "usable": ("fe80::a", 253, 0x80, 3, "fe80::a"),
    "on another device": ("fe80::a", 253, 0x80, 4, ""),
    "global": ("2001:db8::a", 0, 0x80, 3, ""),
    "one of our VIPs, deprecated": ("fe80::10", 253, 0xA2, 3, ""),
    "tentative": ("fe80::a", 253, 0xC0, 3, ""),
    "somebody else's": ("fe80::a", 253, 0x88, 3, ""),
}


@pytest.mark.parametrize(
    ("address", "scope", "flags", "index", "want"), LINK_LOCALS.values(), ids=LINK_LOCALS
)
def test_which_link_local_to_send_from(
    address: str, scope: int, flags: int, index: int, want: str
) -> None:
    """
    By its flags, of which an attribute has all and the head the first eight.
    """
    packed = ip_address(address).packed
    lifetimes = attribute(6, LIFETIMES.pack(0, 0xFFFFFFFF, 0, 0))
    rest = attribute(1, packed) + lifetimes
    in_head = ADDRESS_HEAD.pack(10, 64, flags & 0xFF, scope, index) + rest
    long = (
        ADDRESS_HEAD.pack(10, 64, 0, scope, index) + rest + attribute(8, struct.pack("=I", flags))
    )

    assert decode_link_local(memoryview(in_head), 3) == want
    assert decode_link_local(memoryview(long), 3) == want
