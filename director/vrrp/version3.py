"""The PDU of version 3: eight bytes of header, and addresses of one family.

Source: RFC 9568 section 5.1.
"""

import struct

from director.vrrp.advert import ADVERTISEMENT, Advert
from director.vrrp.checksum import filled, pseudo_header
from director.vrrp.frames import packed

VERSION = 3
HEADER = struct.Struct("!BBBBHH")  # version and type, VRID, priority, count, interval, checksum
CENTISECONDS = 0x0FFF  # the four bits above are reserved: ignored (section 5.2.6)


def encode(advert: Advert, source: str, destination: str, checksum: str) -> bytes:
    """The PDU. `checksum` is `pseudo` or `plain`; over IPv6 there is no plain one."""
    assert checksum in ("pseudo", "plain")
    addresses = b"".join(packed(address) for address in advert.addresses)
    assert len(addresses) == advert.family.bits // 8 * len(advert.addresses)
    assert len(packed(source)) == advert.family.bits // 8
    head = HEADER.pack(
        VERSION << 4 | ADVERTISEMENT,
        advert.vrid,
        advert.priority,
        len(advert.addresses),
        centiseconds(advert.interval),
        0,
    )
    pdu = head + addresses
    if checksum == "plain" and ":" not in source:
        return filled(pdu)
    return filled(pdu, pseudo_header(source, destination, len(pdu)))


def centiseconds(interval: float) -> int:
    """How the wire counts an interval: 0.2 s is 20."""
    count = round(100 * interval)
    assert 1 <= count <= CENTISECONDS
    return count


def interval_of(pdu: bytes) -> float:
    """Seconds; 0 when the sender named none."""
    (field,) = struct.unpack_from("!H", pdu, 4)
    return float(field & CENTISECONDS) / 100
