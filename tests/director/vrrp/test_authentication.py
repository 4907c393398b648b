"""Tests of director.vrrp.authentication."""

import pytest

from director.vrrp.advert import NO_SECRET, Method, Reason, Secret
from director.vrrp.authentication import (
    bad_password,
    bad_seal,
    next_sequence,
    password_field,
    seal,
    unseal,
)

US, PEER, GROUP = "10.9.0.1", "10.9.0.2", "224.0.0.18"
AH = Secret(Method.AH, b"secret")
PDU = bytes.fromhex("21336402020163ee0a0900640a0900650000000000000000")
# keepalived's v2ah: the whole packet, as captured
GOLDEN = bytes.fromhex(
    "45c0004400010000ff33d0a90a090001e0000012700400000a0900010000000121132a59b416a2dc57aef21d"
    "21336402020163ee0a0900640a0900650000000000000000"
)
FIELDS = {
    "a password, padded": (Secret(Method.PASS, b"secret"), b"secret\0\0"),
    "a password, cut": (Secret(Method.PASS, b"longer secret"), b"longer s"),
    "no password": (NO_SECRET, b"\0" * 8),
    "a seal's key is not sent": (AH, b"\0" * 8),
}


@pytest.mark.parametrize(("secret", "field"), FIELDS.values(), ids=FIELDS)
def test_password_field(secret: Secret, field: bytes) -> None:
    """
    Eight bytes, always.
    """
    assert password_field(secret) == field


@pytest.mark.parametrize(
    ("field", "reason"),
    [(b"secret\0\0", None), (b"Secret\0\0", Reason.BAD_PASSWORD), (b"", Reason.BAD_PASSWORD)],
)
def test_bad_password(field: bytes, reason: Reason | None) -> None:
    """
    Every bit and the case count.
    """
    assert bad_password(field, Secret(Method.PASS, b"secret")) is reason


def sealed(destination: str) -> bytes:
    return seal(PDU, source=US, destination=destination, secret=AH, sequence=1, identification=1)


def test_seal_is_keepalived_s() -> None:
    """
    The golden packet, byte for byte.
    """
    assert sealed(GROUP) == GOLDEN


def outcome(packet: bytes, *, sequence: int = 0, source: str = US) -> Reason | None:
    found = unseal(packet[20:])
    assert found is not None
    assert found.pdu == PDU
    return bad_seal(found, PDU, header=packet[:20], source=source, secret=AH, sequence=sequence)


@pytest.mark.parametrize("destination", [GROUP, PEER])
def test_a_seal_holds(destination: str) -> None:
    """
    What we seal is ours, until its number was seen, or from another address.
    """
    packet = sealed(destination)

    assert outcome(packet) is None
    assert outcome(packet, sequence=1) is Reason.REPLAYED
    assert outcome(packet, source=PEER) is Reason.WRONG_SPI


@pytest.mark.parametrize(
    ("destination", "at", "reason"),
    [
        (GROUP, 1, None),
        (GROUP, 6, None),
        (GROUP, 10, None),
        (GROUP, 8, Reason.BAD_DIGEST),
        (PEER, 8, None),
        (GROUP, 5, Reason.BAD_DIGEST),
        (GROUP, 22, Reason.BAD_DIGEST),
        (GROUP, 33, Reason.BAD_DIGEST),
    ],
    ids=["TOS", "fragment", "sum", "TTL", "TTL, unicast", "identification", "reserved", "digest"],
)
def test_what_may_change_on_the_way(destination: str, at: int, reason: Reason | None) -> None:
    """
    Routers change some fields; the TTL only where there are routers. All else is covered.
    """
    packet = bytearray(sealed(destination))
    packet[at] ^= 1

    assert outcome(bytes(packet)) is reason


@pytest.mark.parametrize(
    "payload", [GOLDEN[20:43], b"\x06" + GOLDEN[21:], b"\x70\x05" + GOLDEN[22:]]
)
def test_no_seal(payload: bytes) -> None:
    """
    Too short, around something else, of another length.
    """
    assert unseal(payload) is None


@pytest.mark.parametrize(
    ("sent", "heard", "following"),
    [(0, 0, 1), (7, 3, 8), (7, 90, 91), (4294967295, 0, 4294967295)],
)
def test_next_sequence(sent: int, heard: int, following: int) -> None:
    """
    Above what anybody sent, and never around.
    """
    assert next_sequence(sent, heard) == following
