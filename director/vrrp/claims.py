# Who else says that a VIP is his: ARP with it as the sender, a neighbour advertisement about it.
#
# Rules of this room:
# 1. Bytes in, values out; what makes no sense is None.
# 2. A question about an address is one that no neighbour learns from: an ARP probe (RFC 5227
#    section 2.1.1: sender 0.0.0.0), the solicitation of duplicate detection (RFC 4862: from ::).
"""Claims to an address on the wire, and the questions that bring them about."""

import struct

import msgspec

from director.vrrp.frames import (
    ALL_NODES_MAC,
    BROADCAST,
    HOP_LIMIT,
    address_text,
    gratuitous_arp,
    neighbour_advertisement,
    ones_sum,
    packed,
)

ARP, IPV6 = 0x0806, 0x86DD
ICMPV6, SOLICITATION, ADVERTISEMENT = 58, 135, 136
SENDER_MAC_AT, SENDER_AT = 22, 28  # in an ARP frame
NEXT_AT, TYPE_AT, TARGET_AT = 20, 54, 62  # in a frame of IPv6 and ICMPv6, no extensions between
SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")
UNSPECIFIED = bytes(16)


class Claim(msgspec.Struct, frozen=True):
    """The machine with this MAC says that it has the address."""

    address: str
    mac: bytes

    @property
    def who(self) -> str:
        """The MAC as `ip neighbour` spells it."""
        return self.mac.hex(":")


def claim_of(frame: bytes) -> Claim | None:
    """What a frame claims: an ARP's sender, an advertisement's target. None for any other."""
    (ethertype,) = struct.unpack_from("!H", frame, 12) if len(frame) >= 14 else (0,)
    if ethertype == ARP and len(frame) >= SENDER_AT + 4:
        mac = frame[SENDER_MAC_AT : SENDER_MAC_AT + 6]
        return Claim(address_text(frame[SENDER_AT : SENDER_AT + 4]), mac)
    if ethertype != IPV6 or len(frame) < TARGET_AT + 16:
        return None
    if frame[NEXT_AT] != ICMPV6 or frame[TYPE_AT] != ADVERTISEMENT:
        return None
    return Claim(address_text(frame[TARGET_AT : TARGET_AT + 16]), frame[6:12])


def answer(mac: bytes, claim: Claim) -> bytes:
    """What tells the claimant, and nobody else, that `mac` holds the address.

    To his MAC alone: an announcement to all would have the two fight over every neighbour's cache.
    """
    if ":" in claim.address:
        return claim.mac + neighbour_advertisement(mac, claim.address, routes=False)[6:]
    return claim.mac + gratuitous_arp(mac, claim.address)[6:]


def question(mac: bytes, address: str) -> bytes:
    """A frame from `mac` that whoever has the address answers, and nobody else."""
    asked = packed(address)
    if len(asked) == 4:
        ethernet = BROADCAST + mac + struct.pack("!H", ARP)
        head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
        return ethernet + head + mac + bytes(4) + bytes(6) + asked
    node = SOLICITED_NODE + asked[-3:]
    body = bytes(4) + asked
    head = struct.pack("!BB", SOLICITATION, 0)
    length = len(head) + 2 + len(body)
    pseudo = UNSPECIFIED + node + struct.pack("!II", length, ICMPV6)
    checksum = 0xFFFF - ones_sum(pseudo + head + body)
    ethernet = ALL_NODES_MAC[:2] + node[-4:] + mac + struct.pack("!H", IPV6)
    header = struct.pack("!IHBB", 6 << 28, length, ICMPV6, HOP_LIMIT) + UNSPECIFIED + node
    return ethernet + header + head + struct.pack("!H", checksum) + body
