# The frames of a VIP, byte for byte against what keepalived 2.2.7 was seen to send.
"""Tests of director.vrrp.frames."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.vrrp.frames import (
    Datagram,
    address_text,
    gratuitous_arp,
    ipv4_header,
    neighbour_advertisement,
    ones_sum,
    packed,
    parse_ipv4,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "golden-frames.json").read_text())
MAC = bytes.fromhex("02000000000a")
VIRTUAL_MAC = bytes.fromhex("00005e000133")


def golden(case: str, kind: str) -> bytes:
    """The first captured frame of that case and kind."""
    found = next(row for row in GOLDEN if (row["case"], row["kind"]) == (case, kind))
    return bytes.fromhex(found["frame_hex"])


# v3uni/garp is not in here: it is an ordinary ARP request for the peer, and no claim.
@pytest.mark.parametrize(
    ("case", "mac"),
    [("v2", MAC), ("v2pass", MAC), ("v2ah", MAC), ("v3", MAC), ("vmac", VIRTUAL_MAC)],
)
def test_gratuitous_arp_is_keepalived_s(case: str, mac: bytes) -> None:
    """
    A claim of an IPv4 address is the golden frame, byte for byte.
    """
    assert gratuitous_arp(mac, "10.9.0.100") == golden(case, "garp")


def test_neighbour_advertisement_is_keepalived_s() -> None:
    """
    A claim of an IPv6 address on an interface that does not forward is the golden frame.
    """
    frame = neighbour_advertisement(MAC, "fe80::100", routes=False)

    assert frame == golden("v6", "unsolicited_na")


def test_a_forwarding_interface_says_router() -> None:
    """
    4861 4.4: the Router flag stands beside Override, and the checksum follows it.
    """
    frame = neighbour_advertisement(MAC, "fe80::100", routes=True)

    assert frame[58:62].hex() == "a0000000"
    assert frame[56:58].hex() == "d593"  # 5594 less 8000
    assert frame[:56] + frame[62:] == (
        golden("v6", "unsolicited_na")[:56] + golden("v6", "unsolicited_na")[62:]
    )


def test_the_header_of_a_golden_advert() -> None:
    """
    A raw socket's packet is taken apart into addresses, TTL, protocol and payload.
    """
    packet = golden("v3", "advert")[14:]

    assert parse_ipv4(packet) == Datagram(
        source="10.9.0.1",
        destination="224.0.0.18",
        ttl=255,
        protocol=112,
        declared=16,
        payload=bytes.fromhex("3133640200146b3e0a0900640a090065"),
        header=bytes.fromhex("45c0002400010000ff70d08c0a090001e0000012"),
    )


def test_options_are_skipped_and_padding_is_kept() -> None:
    """
    791 3.1: a header of 24 bytes ends after its options; bytes past the total length remain.
    """
    packet = bytes.fromhex("46c0001c00010000ff7000000a090001e000001294040000")

    found = parse_ipv4(packet + b"\x31\x33\x64\x02" + b"\x00" * 6)

    assert found is not None
    assert found.declared == 4
    assert found.payload == b"\x31\x33\x64\x02" + b"\x00" * 6


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x45" + b"\xff" * 18, id="19 bytes"),
        pytest.param(b"\x65" + b"\xff" * 39, id="version 6"),
        pytest.param(b"\x44" + b"\xff" * 39, id="a header of 16 bytes"),
        pytest.param(b"\x46" + b"\xff" * 19, id="a header longer than the packet"),
        pytest.param(b"\x45\x00\x00\x13" + b"\xff" * 16, id="a total shorter than the header"),
    ],
)
def test_what_is_no_ipv4_packet_is_none(packet: bytes) -> None:
    """
    A header that cannot be is refused without an exception.
    """
    assert parse_ipv4(packet) is None


@given(st.binary(max_size=80))
def test_parse_never_raises(packet: bytes) -> None:
    """
    Whatever the bytes: a datagram whose payload ends the packet, or None.
    """
    found = parse_ipv4(packet)

    assert found is None or packet.endswith(found.payload)


@pytest.mark.parametrize(
    ("data", "total"),
    [
        ("", 0),
        ("0001f203f4f5f6f7", 0xDDF2),  # the worked example of RFC 1071 section 3
        ("0001f203f4f5f6f7220d", 0xFFFF),  # and with its checksum in place
        ("ff", 0xFF00),
        ("ffffffff", 0xFFFF),
    ],
)
def test_ones_sum(data: str, total: int) -> None:
    """
    1071: carries come back in, and odd data is padded with zero.
    """
    assert ones_sum(bytes.fromhex(data)) == total


@pytest.mark.parametrize(
    ("text", "data"), [("10.9.0.1", "0a090001"), ("fe80::100", "fe80" + "00" * 12 + "0100")]
)
def test_addresses_both_ways(text: str, data: str) -> None:
    """
    An address and its bytes are one thing.
    """
    assert packed(text).hex() == data
    assert address_text(bytes.fromhex(data)) == text


@pytest.mark.parametrize(
    ("case", "destination", "protocol", "identification"),
    [("v3", "224.0.0.18", 112, 1), ("v3uni", "10.9.0.2", 112, 1), ("v2ah", "224.0.0.18", 51, 1)],
)
def test_5_1_1_the_header_that_we_write(
    case: str, destination: str, protocol: int, identification: int
) -> None:
    """
    TTL 255, TOS 0xC0, the identification given: as keepalived writes it.
    """
    packet = golden(case, "advert")[14:]

    header = ipv4_header(
        "10.9.0.1", destination, protocol, len(packet) - 20, identification=identification
    )

    assert header == packet[:20]


@pytest.mark.parametrize("identification", [0, 65536])
def test_an_identification_that_the_kernel_replaces_is_a_bug(identification: int) -> None:
    """
    A seal would cover what is not sent.
    """
    with pytest.raises(AssertionError):
        ipv4_header("10.9.0.1", "10.9.0.2", 51, 0, identification=identification)
