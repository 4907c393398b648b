"""Tests of director.vrrp.version2."""

import pytest

from director.vrrp.advert import NO_SECRET, Advert, Method, Reason, Secret, Terms
from director.vrrp.version2 import bad_interval, bad_method, encode

VIPS = ("10.9.0.100", "10.9.0.101")
ADVERT = Advert(vrid=51, priority=100, interval=1.0, addresses=VIPS, version=2)
PASS = Secret(Method.PASS, b"secret")
V2 = bytes.fromhex("21336402000165ee0a0900640a0900650000000000000000")
V2_PASS = bytes.fromhex("21336402010128a20a0900640a0900657365637265740000")
V2_AH = bytes.fromhex("21336402020163ee0a0900640a0900650000000000000000")


@pytest.mark.parametrize(
    ("secret", "pdu"),
    [(NO_SECRET, V2), (PASS, V2_PASS), (Secret(Method.AH, b"secret"), V2_AH)],
    ids=["none", "password", "seal"],
)
def test_encode(secret: Secret, pdu: bytes) -> None:
    """
    3768-5.1: as captured from keepalived, with each method.
    """
    assert encode(ADVERT, secret) == pdu


@pytest.mark.parametrize("interval", [0.0, 0.5, 1.5, 256.0])
def test_an_interval_that_does_not_fit_is_a_bug(interval: float) -> None:
    """
    Whole seconds in a byte.
    """
    advert = Advert(vrid=51, priority=100, interval=interval, addresses=VIPS, version=2)

    with pytest.raises(AssertionError):
        encode(advert, NO_SECRET)


METHODS = {
    "none":                 (V2,                       NO_SECRET,                     None),
    "password":             (V2_PASS,                  PASS,                          None),
    "seal, checked outside": (V2_AH,                   Secret(Method.AH, b""),        None),
    "wrong password":       (V2_PASS,                  Secret(Method.PASS, b"x"),     Reason.BAD_PASSWORD),
    "a password, unasked":  (V2_PASS,                  NO_SECRET,                     Reason.WRONG_AUTH),
    "none, where asked":    (V2,                       PASS,                          Reason.WRONG_AUTH),
    "no known method":      (V2[:4] + b"\3" + V2[5:],  NO_SECRET,                     Reason.UNKNOWN_AUTH),
}  # fmt: skip


@pytest.mark.parametrize(("pdu", "secret", "reason"), METHODS.values(), ids=METHODS)
def test_bad_method(pdu: bytes, secret: Secret, reason: Reason | None) -> None:
    """
    Known, equal, and right.
    """
    assert bad_method(pdu, Terms(version=2, secret=secret)) is reason


@pytest.mark.parametrize(("ours", "reason"), [(1.0, None), (2.0, Reason.WRONG_INTERVAL)])
def test_bad_interval(ours: float, reason: Reason | None) -> None:
    """
    3768-7.1: equal or dropped.
    """
    assert bad_interval(V2, Terms(version=2, interval=ours)) is reason
