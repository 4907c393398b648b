# Bytes around the advert: what a raw socket hands us, and what moves a VIP on the segment.
#
# Rules of this room:
# 1. Bytes in, bytes out. Nothing here opens a socket or knows an interface.
# 2. Frames are whole, from the Ethernet header on and without FCS: what AF_PACKET sends.
# 3. What comes from the wire never raises; it is parsed or it is None.
"""Frames of a VIP: gratuitous ARP, unsolicited neighbour advertisement, the IPv4 header."""

import ipaddress
import struct
from functools import lru_cache

import msgspec

BROADCAST = b"\xff" * 6
ALL_NODES = "ff02::1"
ALL_NODES_MAC = bytes.fromhex("333300000001")
HOP_LIMIT = 255
INTERNETWORK_CONTROL = 0xC0  # the type of service that adverts have

_ETHERTYPE_ARP = 0x0806
_ETHERTYPE_IPV6 = 0x86DD
_ARP_REQUEST = 1
_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_TARGET_LINK_ADDRESS = b"\x02\x01"  # option 2, one unit of 8 bytes
_ROUTER = 0x8000_0000
_OVERRIDE = 0x2000_0000


class Datagram(msgspec.Struct, frozen=True, kw_only=True):
    """A packet as a raw socket delivers it, header taken off.

    `payload` is all that was received after the header, Ethernet padding included; `declared` is
    how long the header says that it is, in bytes (total length less the header's own; None where
    the socket does not tell, as over IPv6). `header` is the IPv4 one: its seal covers it.
    """

    source: str
    destination: str
    ttl: int
    protocol: int
    payload: bytes
    declared: int | None = None
    header: bytes = b""


def parse_ipv4(packet: bytes) -> Datagram | None:
    """The header's fields and what follows it; None for what is no IPv4 packet.

    A raw IPv4 socket always delivers the header, and its options with it (raw(7)).

    Source: RFC 791 section 3.1.
    """
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return None
    header = 4 * (packet[0] & 0x0F)
    (total,) = struct.unpack_from("!H", packet, 2)
    if header < 20 or len(packet) < header or total < header:
        return None
    return Datagram(
        source=address_text(packet[12:16]),
        destination=address_text(packet[16:20]),
        ttl=packet[8],
        protocol=packet[9],
        declared=total - header,
        payload=packet[header:],
        header=packet[:header],
    )


def ipv4_header(
    source: str,
    destination: str,
    protocol: int,
    length: int,
    *,
    identification: int,
    ttl: int = HOP_LIMIT,
    tos: int = INTERNETWORK_CONTROL,
) -> bytes:
    """The 20 bytes before `length` bytes of payload. An identification of 0 the kernel replaces.

    Source: RFC 791 section 3.1; RFC 9568 section 5.1.1 for TTL and TOS.
    """
    assert 1 <= identification <= 0xFFFF
    ends = packed(source) + packed(destination)
    front = struct.pack("!BBHHHBB", 0x45, tos, 20 + length, identification, 0, ttl, protocol)
    return front + struct.pack("!H", 0xFFFF - ones_sum(front + ends)) + ends


def gratuitous_arp(mac: bytes, address: str) -> bytes:
    """The ARP request by which `mac` (6 bytes) claims an IPv4 `address`: 42 bytes, to everybody.

    A request about itself and not a reply, since some stacks ignore replies they never asked for.
    The target MAC is broadcast and not zero: keepalived sends it so (golden frames).

    Source: RFC 9568 section 6.4.2 (gratuitous ARP at takeover), RFC 5944 section 4.6.
    """
    claimed = packed(address)
    return (
        BROADCAST
        + mac
        + struct.pack("!HHHBBH", _ETHERTYPE_ARP, 1, 0x0800, 6, 4, _ARP_REQUEST)
        + (mac + claimed)
        + (BROADCAST + claimed)
    )


def neighbour_advertisement(mac: bytes, address: str, *, routes: bool) -> bytes:
    """The unsolicited advertisement by which `mac` (6 bytes) claims an IPv6 `address`: 86 bytes.

    To all nodes, from the address itself. `routes`: the interface forwards IPv6, so the Router
    flag must stand, or hosts drop us from their default routers (RFC 4861 section 7.2.5).

    Source: RFC 4861 section 4.4 and 7.2.6.
    """
    claimed, everybody = packed(address), packed(ALL_NODES)
    flags = _OVERRIDE | (_ROUTER if routes else 0)
    head = struct.pack("!BB", _NEIGHBOUR_ADVERTISEMENT, 0)
    body = struct.pack("!I", flags) + claimed + _TARGET_LINK_ADDRESS + mac
    length = len(head) + 2 + len(body)
    pseudo = claimed + everybody + struct.pack("!II", length, _ICMPV6)
    checksum = 0xFFFF - ones_sum(pseudo + head + body)
    ethernet = ALL_NODES_MAC + mac + struct.pack("!H", _ETHERTYPE_IPV6)
    header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, HOP_LIMIT) + claimed + everybody
    return ethernet + header + head + struct.pack("!H", checksum) + body


def ones_sum(data: bytes) -> int:
    """The 16-bit ones' complement sum; 0xFFFF over data whose checksum is right.

    Odd data counts as if a zero byte followed.

    Source: RFC 1071.
    """
    if len(data) % 2:
        data += b"\x00"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@lru_cache(maxsize=4096)
def packed(address: str) -> bytes:
    """The bytes of an address, 4 or 16. Raises ValueError for what is no address."""
    return ipaddress.ip_address(address).packed


@lru_cache(maxsize=4096)
def address_text(data: bytes) -> str:
    """The canonical text of an address of 4 or 16 bytes."""
    return str(ipaddress.ip_address(data))
