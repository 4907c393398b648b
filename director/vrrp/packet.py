# Adverts in bytes, whichever version: `encode`, and `decode` with a reason for every refusal.
#
# Rules of this room:
# 1. `decode` answers with a value for any bytes at all. Strangers write what it reads.
# 2. The checks run in one fixed order (facts VRRP.md section 4: keepalived's), so that a packet
#    that is wrong twice is always counted under the same reason.
# 3. Nothing here knows which virtual router it is for; the process looks that up by VRID.
"""VRRP adverts to bytes and back."""

from ipaddress import ip_address

from director.model.address import Family, family_of
from director.vrrp import checksum as sums
from director.vrrp import version2, version3
from director.vrrp.advert import (
    ADVERTISEMENT,
    AH_PROTOCOL,
    GROUPS,
    NO_SECRET,
    TTL,
    Advert,
    Checksum,
    Heard,
    Method,
    Reason,
    Rejected,
    Secret,
    Terms,
)
from director.vrrp.authentication import AH_LENGTH, Sealed, bad_seal, unseal
from director.vrrp.frames import Datagram, address_text

_HEAD = 8  # bytes of header, in either version
_IP_HEADER = {Family.IPV4: 20, Family.IPV6: 40}
_ETHERNET_LEAST = 46  # an Ethernet payload is padded to this
_FAMILIES = {2: (Family.IPV4,), 3: (Family.IPV4, Family.IPV6)}


def encode(
    advert: Advert,
    *,
    source: str,
    destination: str,
    checksum: str = "pseudo",
    secret: Secret = NO_SECRET,
) -> bytes:
    """The PDU of an advert. No IP header: the kernel writes it (but see authentication.seal).

    `checksum` is `pseudo` (as keepalived: needs the real destination) or `plain` (RFC 9568);
    version 2 has but one. `secret` is for version 2 alone.
    """
    assert family_of(source) is advert.family
    assert advert.family in _FAMILIES[advert.version]
    if advert.version == version2.VERSION:
        return version2.encode(advert, secret)
    assert secret is NO_SECRET
    return version3.encode(advert, source, destination, checksum)


def vrid_of(datagram: Datagram) -> int | None:
    """For which virtual router it is meant; None when it is too short to say."""
    at = 1 if datagram.protocol != AH_PROTOCOL else AH_LENGTH + 1
    return datagram.payload[at] if len(datagram.payload) > at else None


def decode(datagram: Datagram, terms: Terms, *, sequence: int = 0) -> Heard | Rejected:
    """An advert, or why it is none.

    `sequence` is the last one heard from this source, where adverts are sealed. Unicast crosses
    routers, so there the TTL says nothing (RFC 9568 section 7.1 wants 255) and the list of peers
    guards in its place.
    """
    opened = _open(datagram, terms)
    if isinstance(opened, Reason):
        return Rejected(opened)
    sealed, payload = opened
    around = len(datagram.payload) - len(payload)
    family = family_of(datagram.source)
    reason = _bad_length(payload, family, around) or _bad_outside(payload, datagram, terms)
    if reason is not None:
        return Rejected(reason)
    pdu = payload[: _length(payload[0] >> 4, payload[3], family)]
    reason = _bad_proof(pdu, sealed, datagram, terms, sequence) or _bad_inside(
        pdu, datagram, around
    )
    if reason is not None:
        return Rejected(reason)
    checksum = _checksum(pdu, datagram, terms)
    if checksum is None:
        return Rejected(Reason.BAD_CHECKSUM)
    advert = _advert(pdu, terms, family)
    reason = _bad_content(advert, datagram, terms) or _bad_source(datagram, terms)
    if reason is not None:
        return Rejected(reason)
    return Heard(advert, checksum, sealed.sequence if sealed else 0)


def _open(datagram: Datagram, terms: Terms) -> tuple[Sealed | None, bytes] | Reason:
    """The PDU, out of its authentication header when there has to be one."""
    there = datagram.protocol == AH_PROTOCOL
    wanted = terms.secret.method is Method.AH
    if not there:
        return Reason.AH_MISSING if wanted else (None, datagram.payload)
    if not wanted:
        return Reason.AH_UNEXPECTED
    sealed = unseal(datagram.payload)
    return Reason.BAD_AH if sealed is None else (sealed, sealed.pdu)


def _length(version: int, count: int, family: Family) -> int:
    """How many bytes a PDU has that names `count` addresses."""
    tail = version2.AUTHENTICATION if version == version2.VERSION else 0
    return _HEAD + count * family.bits // 8 + tail


def _bad_length(payload: bytes, family: Family, around: int) -> Reason | None:
    """The PDU is as long as its count says, or padded to the least that Ethernet carries.

    Padding keeps the whole a multiple of four and two bytes (46 bytes, or 42 with a VLAN tag).
    A version that we do not know has a length that we do not know.
    """
    if len(payload) < _HEAD:
        return Reason.TOO_SHORT
    version, count = payload[0] >> 4, payload[3]
    if version not in _FAMILIES:
        return None
    surplus = len(payload) - _length(version, count, family)
    if surplus == 0:
        return None
    padded = _IP_HEADER[family] + around + len(payload)
    if surplus > 0 and padded <= _ETHERNET_LEAST and surplus % 4 == 2:
        return None
    return Reason.BAD_LENGTH


def _bad_outside(payload: bytes, datagram: Datagram, terms: Terms) -> Reason | None:
    if not terms.peers and datagram.ttl != TTL:
        return Reason.BAD_TTL
    if payload[0] >> 4 != terms.version:
        return Reason.WRONG_VERSION
    if family_of(datagram.source) not in _FAMILIES[terms.version]:
        return Reason.WRONG_FAMILY
    return None


def _bad_proof(
    pdu: bytes, sealed: Sealed | None, datagram: Datagram, terms: Terms, sequence: int
) -> Reason | None:
    """Version 2 alone proves something, and insists on its interval."""
    if terms.version != version2.VERSION:
        return None
    reason = version2.bad_method(pdu, terms)
    if reason is None and sealed is not None:
        reason = bad_seal(
            sealed,
            pdu,
            header=datagram.header,
            source=datagram.source,
            secret=terms.secret,
            sequence=sequence,
        )
    return reason or version2.bad_interval(pdu, terms)


def _bad_inside(pdu: bytes, datagram: Datagram, around: int) -> Reason | None:
    if pdu[0] & 0x0F != ADVERTISEMENT:
        return Reason.WRONG_TYPE
    if datagram.declared is not None and datagram.declared != around + len(pdu):
        return Reason.WRONG_TOTAL
    return None


def _checksum(pdu: bytes, datagram: Datagram, terms: Terms) -> Checksum | None:
    if terms.version == version2.VERSION:
        return sums.plain(pdu)
    return sums.of_version_3(pdu, datagram.source, datagram.destination)


def _advert(pdu: bytes, terms: Terms, family: Family) -> Advert:
    size = family.bits // 8
    end = _HEAD + pdu[3] * size
    return Advert(
        vrid=pdu[1],
        priority=pdu[2],
        interval=terms.interval if terms.version == 2 else version3.interval_of(pdu),
        addresses=tuple(address_text(pdu[at : at + size]) for at in range(_HEAD, end, size)),
        family=family,
        version=terms.version,
    )


def _bad_content(advert: Advert, datagram: Datagram, terms: Terms) -> Reason | None:
    if (datagram.destination in GROUPS) == bool(terms.peers):
        return Reason.WRONG_KIND
    if not advert.addresses:  # RFC 9568 section 5.2.5: MUST be ignored
        return Reason.NO_ADDRESSES
    # The RFC names no least interval. Zero would have every backup take over at once.
    return Reason.NO_INTERVAL if advert.interval == 0 else None


def _bad_source(datagram: Datagram, terms: Terms) -> Reason | None:
    if terms.peers:
        return None if datagram.source in terms.peers else Reason.NOT_A_PEER
    link_local = ":" not in datagram.source or ip_address(datagram.source).is_link_local
    return None if link_local else Reason.NOT_LINK_LOCAL
