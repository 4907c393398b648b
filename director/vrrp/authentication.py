# Who sends: the two proofs of VRRP version 2, as keepalived still speaks them.
#
# RFC 3768 section 5.3.6 took both out again, for good reason: a password travels in clear, and the
# header proves a key of eight bytes by MD5. They are here so that a pair can be moved from
# keepalived one node at a time, and not to protect anything. Version 3 has none.
#
# AH covers the IP header as sent: its identification too, so whoever seals has to write the header
# himself (IP_HDRINCL). The TTL is covered in multicast and counts as zero in unicast, where routers
# change it (keepalived; golden frame v2ah).
"""Authentication of version 2: a password, or an authentication header."""

import hmac
import struct

import msgspec

from director.vrrp.advert import AH_PROTOCOL, GROUPS, PROTOCOL, Method, Reason, Secret
from director.vrrp.frames import ipv4_header, packed

AH_LENGTH = 24
_FRONT = struct.Struct("!BBH4sI")  # next, length, reserved, SPI, sequence; the digest follows
_LENGTH_FIELD = AH_LENGTH // 4 - 2  # RFC 4302 section 2.2
_NO_DIGEST = b"\0" * 12
_SEQUENCE_MAX = 0xFFFF_FFFF


class Sealed(msgspec.Struct, frozen=True):
    """An authentication header and what follows it, as they came. Nothing is proven yet.

    `front` is the header up to its digest: the reserved bytes are covered as they came.
    """

    front: bytes
    digest: bytes
    pdu: bytes
    spi: bytes
    sequence: int


def password_field(secret: Secret) -> bytes:
    """The eight bytes at the end of a version 2 PDU: zeros unless a password is sent."""
    return secret.key if secret.method is Method.PASS else b"\0" * 8


def bad_password(field: bytes, secret: Secret) -> Reason | None:
    """Compared in constant time."""
    same = hmac.compare_digest(field, secret.key)
    return None if same else Reason.BAD_PASSWORD


def seal(
    pdu: bytes,
    *,
    source: str,
    destination: str,
    secret: Secret,
    sequence: int,
    identification: int,
) -> bytes:
    """The whole IPv4 packet: header, authentication header, PDU.

    Source: RFC 2402 section 2; RFC 2338 section 5.3.6.3; facts VRRP.md section 2.
    """
    header = ipv4_header(
        source, destination, AH_PROTOCOL, AH_LENGTH + len(pdu), identification=identification
    )
    front = _FRONT.pack(PROTOCOL, _LENGTH_FIELD, 0, packed(source), sequence)
    return header + front + _digest(header, front, pdu, secret.key) + pdu


def unseal(payload: bytes) -> Sealed | None:
    """What follows the IP header, taken apart; None for what is no such header."""
    if len(payload) < AH_LENGTH:
        return None
    following, length, _, spi, sequence = _FRONT.unpack_from(payload)
    if following != PROTOCOL or length != _LENGTH_FIELD:
        return None
    front, digest = payload[: _FRONT.size], payload[_FRONT.size : AH_LENGTH]
    return Sealed(front, digest, payload[AH_LENGTH:], spi, sequence)


def bad_seal(
    sealed: Sealed, pdu: bytes, *, header: bytes, source: str, secret: Secret, sequence: int
) -> Reason | None:
    """Is it the source's, newer than `sequence`, and made with our key? `pdu`: without padding."""
    if sealed.spi != packed(source):
        return Reason.WRONG_SPI
    if sealed.sequence <= sequence:
        return Reason.REPLAYED
    digest = _digest(header, sealed.front, pdu, secret.key)
    return None if hmac.compare_digest(digest, sealed.digest) else Reason.BAD_DIGEST


def next_sequence(sent: int, heard: int) -> int:
    """The number of our next advert: above what we sent, and above what anybody sent.

    A node that restarts hears where the count stands, and goes on from there. Who hears nobody
    should begin at the seconds of the wall clock: with whole-second adverts that never falls back.
    After 2^32 - 1 there is none: the key would have to change (RFC 4302 section 2.5).
    """
    return min(max(sent, heard) + 1, _SEQUENCE_MAX)


def _digest(header: bytes, front: bytes, pdu: bytes, key: bytes) -> bytes:
    """The first 96 bits of HMAC-MD5 over the packet, with what may change on the way as zero."""
    still = bytearray(header)
    still[1] = 0  # TOS
    still[6:8] = b"\0\0"  # flags and fragment offset
    if still[16:20] not in [packed(group) for group in GROUPS]:
        still[8] = 0  # TTL
    still[10:12] = b"\0\0"  # header checksum
    covered = bytes(still) + front + _NO_DIGEST + pdu
    return hmac.digest(key, covered, "md5")[:12]
