# The kernel's side of a program is tested in tests/kernel/test_vrrp_socket.py; here it runs on a
# machine of four instructions, so that any packet can be tried.
"""Tests of director.vrrp.filter."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Family
from director.vrrp.filter import of_others, of_router
from director.vrrp.frames import ipv4_header
from director.vrrp.packet import vrid_of
from tests.director.vrrp.fakes import PEER, US, datagram


def passes(program: bytes, packet: bytes) -> bool:
    """As the kernel runs it (Documentation/networking/filter.rst): a load beyond the end drops."""
    instructions = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = index = 0
    try:
        while True:
            code, if_true, if_false, operand = instructions[at]
            at += 1
            match code:
                case 0xB1:
                    index = 4 * (packet[operand] & 0x0F)
                case 0x50:
                    accumulator = packet[index + operand]
                case 0x30:
                    accumulator = packet[operand]
                case 0x15:
                    at += if_true if accumulator == operand else if_false
                case 0x06:
                    return bool(operand)
                case _:
                    raise AssertionError(f"code {code:#x}")
    except IndexError:
        return False


@given(vrid=st.integers(1, 255), payload=st.binary(max_size=64), options=st.integers(0, 10))
def test_ipv4_is_looked_into_behind_its_header(vrid: int, payload: bytes, options: int) -> None:
    """
    However long the header is; and behind the authentication header where there is one.
    """
    header = ipv4_header(US, PEER, 112, len(payload), identification=1)
    packet = bytes([0x45 + options]) + header[1:] + bytes(4 * options) + payload

    plain, sealed = (of_router(vrid, Family.IPV4, sealed=sealed) for sealed in (False, True))

    assert passes(plain, packet) == (payload[1:2] == bytes([vrid]))
    assert passes(sealed, packet) == (payload[25:26] == bytes([vrid]))


@given(vrid=st.integers(1, 255), payload=st.binary(max_size=64))
def test_ipv6_comes_without_its_header(vrid: int, payload: bytes) -> None:
    """
    The first byte is the PDU's.
    """
    assert passes(of_router(vrid, Family.IPV6), payload) == (payload[1:2] == bytes([vrid]))


@given(
    vrids=st.sets(st.integers(1, 255), min_size=1),
    payload=st.binary(max_size=64),
    family=st.sampled_from(Family),
)
def test_others_are_all_but_ours(vrids: set[int], payload: bytes, family: Family) -> None:
    """
    What is too short to name a virtual router is nobody's.
    """
    header = ipv4_header(US, PEER, 112, len(payload), identification=1)
    packet = header + payload if family is Family.IPV4 else payload

    assert passes(of_others(vrids, family), packet) == (
        len(payload) > 1 and payload[1] not in vrids
    )


def test_a_node_may_play_every_virtual_router() -> None:
    """
    A jump reaches 255 instructions.
    """
    program = of_others(range(1, 256), Family.IPV6)

    assert [vrid for vrid in range(256) if passes(program, bytes([0x31, vrid]))] == [0]


@pytest.mark.parametrize("vrid", [51, 52])
def test_the_filter_and_the_reader_agree(vrid: int) -> None:
    """
    On whose advert it is.
    """
    advert = datagram(100, vrid=vrid)
    packet = ipv4_header(US, PEER, 112, len(advert.payload), identification=1) + advert.payload

    assert passes(of_router(51, Family.IPV4), packet) == (vrid_of(advert) == 51)
