# The VRRP advert: eight bytes of header and a list of addresses.
#
# Rules of this room:
# 1. `decode` answers with a value for any bytes at all. Strangers write what it reads.
# 2. The checks run in one fixed order (facts VRRP.md section 4: keepalived's), so that a packet
#    that is wrong twice is always counted under the same reason.
# 3. Nothing here knows which virtual router it is for; the process looks that up by VRID.
#
# One checksum, three readings (golden frames: the same PDU sums to 55db, 6b3e and 4146):
# RFC 9568 section 5.2.8 sums the PDU alone over IPv4; keepalived sums a pseudo-header with the
# destination it really sends to; keepalived before 1.3.6 put the multicast group there even in
# unicast. A checksum guards against noise, not against people, so we take any of the three and
# say which it was; what we send is configured.
#
# Only version 3 over IPv4 so far. Other versions and families are refused by name.
"""VRRP adverts: encode, and decode with a reason for every refusal."""

import struct
from collections.abc import Collection
from enum import Enum

import msgspec

from director.model.address import Family, family_of
from director.vrrp.frames import address_text, ones_sum, packed

GROUP = "224.0.0.18"
PROTOCOL = 112
TTL = 255
RESIGNING = 0  # the priority of one who stops being active (RFC 9568 section 5.2.4)
INTERVAL_MAX = 40.95  # seconds: 12 bits of centiseconds

_ADVERTISEMENT = 1
_HEADER = struct.Struct("!BBBBHH")  # version and type, VRID, priority, count, interval, checksum
_IP_HEADER = 20
_ETHERNET_LEAST = 46  # an Ethernet payload is padded to this
_AUTH_DATA = 8  # version 2 always carries it


class Checksum(Enum):
    """What a checksum covered, beside the PDU."""

    PSEUDO = "pseudo"
    PSEUDO_GROUP = "pseudo-group"
    PLAIN = "plain"


class Reason(Enum):
    """Why an advert was refused: a counter's name and a log's word."""

    TOO_SHORT = "too-short"
    BAD_LENGTH = "bad-length"
    BAD_TTL = "bad-ttl"
    WRONG_VERSION = "wrong-version"
    WRONG_FAMILY = "wrong-family"
    WRONG_TYPE = "wrong-type"
    WRONG_TOTAL = "wrong-total"
    BAD_CHECKSUM = "bad-checksum"
    WRONG_KIND = "wrong-kind"
    NO_ADDRESSES = "no-addresses"
    NO_INTERVAL = "no-interval"
    NOT_A_PEER = "not-a-peer"


class Advert(msgspec.Struct, frozen=True, kw_only=True):
    """What an active router says. `interval` in seconds, 0.01 to 40.95; priority 0 resigns."""

    vrid: int
    priority: int
    interval: float
    addresses: tuple[str, ...]
    family: Family = Family.IPV4


class Heard(msgspec.Struct, frozen=True):
    """An advert that passed, and which of the checksums it bore."""

    advert: Advert
    checksum: Checksum


class Rejected(msgspec.Struct, frozen=True):
    """An advert that did not pass: count it, and otherwise act as if it had not come."""

    reason: Reason


def encode(advert: Advert, *, source: str, destination: str, checksum: str = "pseudo") -> bytes:
    """The PDU of an advert: 8 bytes and 4 for each address. No IP header: the kernel writes it.

    `checksum` is `pseudo` (as keepalived: needs the real destination) or `plain` (RFC 9568).

    Source: RFC 9568 section 5.1, 5.2.
    """
    assert advert.family is Family.IPV4
    assert checksum in ("pseudo", "plain")
    addresses = b"".join(packed(address) for address in advert.addresses)
    assert len(addresses) == 4 * len(advert.addresses)

    def pdu(total: int) -> bytes:
        return _HEADER.pack(
            3 << 4 | _ADVERTISEMENT,
            advert.vrid,
            advert.priority,
            len(advert.addresses),
            centiseconds(advert.interval),
            total,
        )

    bare = pdu(0) + addresses
    covered = bare if checksum == "plain" else _pseudo(source, destination, len(bare)) + bare
    return pdu(0xFFFF - ones_sum(covered)) + addresses


def centiseconds(interval: float) -> int:
    """How the wire counts an interval: 0.2 s is 20."""
    count = round(100 * interval)
    assert 1 <= count <= 0xFFF
    return count


def decode(
    payload: bytes,
    *,
    source: str,
    destination: str,
    ttl: int,
    declared: int | None = None,
    peers: Collection[str] = (),
) -> Heard | Rejected:
    """An advert, or why it is none.

    `payload` is what followed the IP header and `declared` how long that header says it is
    (frames.Datagram; None: not known). `peers` are the addresses adverts may come from when we
    play unicast; empty is multicast. Unicast crosses routers, so there the TTL says nothing
    (RFC 9568 section 7.1 wants 255) and the list of peers guards in its place.
    """
    reason = (
        _bad_length(payload, family_of(source))
        or _bad_ttl(ttl, peers)
        or _bad_head(payload, family_of(source), declared)
    )
    if reason is not None:
        return Rejected(reason)
    _, vrid, priority, count, field, _ = _HEADER.unpack_from(payload)
    pdu = payload[: _length(3, count, Family.IPV4)]
    checksum = _checksum(pdu, source, destination)
    if checksum is None:
        return Rejected(Reason.BAD_CHECKSUM)
    interval = field & 0xFFF  # the four bits above are reserved: ignored (section 5.2.6)
    reason = _bad_content(count, interval, destination, peers) or _bad_source(source, peers)
    if reason is not None:
        return Rejected(reason)
    addresses = tuple(address_text(pdu[at : at + 4]) for at in range(8, len(pdu), 4))
    advert = Advert(vrid=vrid, priority=priority, interval=interval / 100, addresses=addresses)
    return Heard(advert, checksum)


def _length(version: int, count: int, family: Family) -> int:
    """How many bytes a PDU has that names `count` addresses."""
    return 8 + count * family.bits // 8 + (_AUTH_DATA if version == 2 else 0)


def _bad_length(payload: bytes, family: Family) -> Reason | None:
    """The PDU is as long as its count says, or padded to the least that Ethernet carries.

    Padding keeps the whole a multiple of four and two bytes (46 bytes, or 42 with a VLAN tag).
    A version that we do not know has a length that we do not know.
    """
    if len(payload) < _HEADER.size:
        return Reason.TOO_SHORT
    version, count = payload[0] >> 4, payload[3]
    if version not in (2, 3):
        return None
    surplus = len(payload) - _length(version, count, family)
    if surplus == 0:
        return None
    padded = _IP_HEADER + len(payload)
    if surplus > 0 and padded <= _ETHERNET_LEAST and surplus % 4 == 2:
        return None
    return Reason.BAD_LENGTH


def _bad_ttl(ttl: int, peers: Collection[str]) -> Reason | None:
    return Reason.BAD_TTL if not peers and ttl != TTL else None


def _bad_head(payload: bytes, family: Family, declared: int | None) -> Reason | None:
    version, kind = payload[0] >> 4, payload[0] & 0x0F
    if version != 3:
        return Reason.WRONG_VERSION
    if family is not Family.IPV4:
        return Reason.WRONG_FAMILY
    if kind != _ADVERTISEMENT:
        return Reason.WRONG_TYPE
    if declared is not None and declared != _length(version, payload[3], family):
        return Reason.WRONG_TOTAL
    return None


def _checksum(pdu: bytes, source: str, destination: str) -> Checksum | None:
    """What the checksum covers, or None when it is wrong whatever it covers."""
    if ones_sum(_pseudo(source, destination, len(pdu)) + pdu) == 0xFFFF:
        return Checksum.PSEUDO
    if ones_sum(_pseudo(source, GROUP, len(pdu)) + pdu) == 0xFFFF:
        return Checksum.PSEUDO_GROUP
    return Checksum.PLAIN if ones_sum(pdu) == 0xFFFF else None


def _pseudo(source: str, destination: str, length: int) -> bytes:
    """The pseudo-header of UDP and TCP over IPv4 (RFC 793 section 3.1), for protocol 112."""
    return packed(source) + packed(destination) + struct.pack("!HH", PROTOCOL, length)


def _bad_content(
    count: int, interval: int, destination: str, peers: Collection[str]
) -> Reason | None:
    if (destination == GROUP) == bool(peers):
        return Reason.WRONG_KIND
    if count == 0:  # RFC 9568 section 5.2.5: MUST be ignored
        return Reason.NO_ADDRESSES
    # The RFC names no least interval. Zero would have every backup take over at once.
    return Reason.NO_INTERVAL if interval == 0 else None


def _bad_source(source: str, peers: Collection[str]) -> Reason | None:
    return Reason.NOT_A_PEER if peers and source not in peers else None
