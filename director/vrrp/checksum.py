# One checksum, three readings (golden frames: the same PDU sums to 55db, 6b3e and 4146).
#
# RFC 9568 section 5.2.8 sums the PDU alone over IPv4; keepalived sums a pseudo-header with the
# destination it really sends to; keepalived before 1.3.6 put the multicast group there even in
# unicast. A checksum guards against noise, not against people, so we take any of the three and
# say which it was; what we send is configured. IPv6 has the pseudo-header of RFC 8200 and no
# other; version 2 has none at all.
"""The checksum of an advert."""

import struct

from director.vrrp.advert import GROUP, PROTOCOL, Checksum
from director.vrrp.frames import ones_sum, packed

AT = 6  # where it stands in a PDU, in either version


def filled(pdu: bytes, pseudo: bytes = b"") -> bytes:
    """The PDU, whose checksum is zero so far, with that of itself and what is put before it."""
    total = 0xFFFF - ones_sum(pseudo + pdu)
    return pdu[:AT] + struct.pack("!H", total) + pdu[AT + 2 :]


def pseudo_header(source: str, destination: str, length: int) -> bytes:
    """That of UDP and TCP, for protocol 112.

    Source: RFC 793 section 3.1 (IPv4), RFC 8200 section 8.1 (IPv6).
    """
    form = "!HH" if ":" not in source else "!II"
    return packed(source) + packed(destination) + struct.pack(form, PROTOCOL, length)


def plain(pdu: bytes) -> Checksum | None:
    """PLAIN, or None when the checksum is wrong without a pseudo-header."""
    return Checksum.PLAIN if ones_sum(pdu) == 0xFFFF else None


def of_version_3(pdu: bytes, source: str, destination: str) -> Checksum | None:
    """What the checksum covers, or None when it is wrong whatever it covers."""
    if ones_sum(pseudo_header(source, destination, len(pdu)) + pdu) == 0xFFFF:
        return Checksum.PSEUDO
    if ":" in source:
        return None
    if ones_sum(pseudo_header(source, GROUP, len(pdu)) + pdu) == 0xFFFF:
        return Checksum.PSEUDO_GROUP
    return plain(pdu)
