"""The PDU of version 2: eight bytes of header, IPv4 addresses, eight bytes of authentication.

Source: RFC 3768 section 5.1; RFC 2338 section 5.3.6 for what RFC 3768 took out.
"""

import struct

from director.vrrp.advert import ADVERTISEMENT, Advert, Method, Reason, Secret, Terms
from director.vrrp.authentication import bad_password, password_field
from director.vrrp.checksum import filled
from director.vrrp.frames import packed

VERSION = 2
HEADER = struct.Struct("!BBBBBBH")  # version and type, VRID, priority, count, auth, interval, sum
AUTHENTICATION = 8  # bytes: always there
SECONDS_MAX = 255
_METHODS = {method.value: method for method in Method}


def encode(advert: Advert, secret: Secret) -> bytes:
    """The PDU. Its checksum covers all of it, the password too, and no pseudo-header."""
    seconds = round(advert.interval)
    assert seconds == advert.interval
    assert 1 <= seconds <= SECONDS_MAX
    addresses = b"".join(packed(address) for address in advert.addresses)
    assert len(addresses) == 4 * len(advert.addresses)
    head = HEADER.pack(
        VERSION << 4 | ADVERTISEMENT,
        advert.vrid,
        advert.priority,
        len(advert.addresses),
        secret.method.value,
        seconds,
        0,
    )
    return filled(head + addresses + password_field(secret))


def bad_method(pdu: bytes, terms: Terms) -> Reason | None:
    """Is its proof of a kind that we know, ours, and (a password) right?"""
    method = _METHODS.get(pdu[4])
    if method is None:
        return Reason.UNKNOWN_AUTH
    if method is not terms.secret.method:
        return Reason.WRONG_AUTH
    if method is Method.PASS:
        return bad_password(pdu[-AUTHENTICATION:], terms.secret)
    return None


def bad_interval(pdu: bytes, terms: Terms) -> Reason | None:
    """RFC 3768 section 7.1: an interval that is not ours MUST be dropped."""
    return None if pdu[5] == terms.interval else Reason.WRONG_INTERVAL
