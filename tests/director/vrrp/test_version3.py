"""Tests of director.vrrp.version3."""

import pytest

from director.model.address import Family
from director.vrrp.advert import GROUP, Advert
from director.vrrp.version3 import centiseconds, encode, interval_of

US = "10.9.0.1"
ADVERT = Advert(vrid=51, priority=100, interval=0.2, addresses=("10.9.0.100", "10.9.0.101"))
SIX = Advert(
    vrid=51,
    priority=150,
    interval=0.5,
    addresses=("fe80::100", "2001:db8::100"),
    family=Family.IPV6,
)
V6 = "3133960200320d26fe80000000000000000000000000010020010db8000000000000000000000100"


@pytest.mark.parametrize(("checksum", "total"), [("pseudo", "6b3e"), ("plain", "55db")])
def test_over_ipv4(checksum: str, total: str) -> None:
    """
    5.1: the captured PDU, with the checksum that was asked for.
    """
    pdu = encode(ADVERT, US, GROUP, checksum)

    assert pdu.hex() == f"313364020014{total}0a0900640a090065"


@pytest.mark.parametrize("checksum", ["pseudo", "plain"])
def test_over_ipv6(checksum: str) -> None:
    """
    5.2.8: over IPv6 there is one checksum, whatever was asked for.
    """
    assert encode(SIX, "fe80::ff:fe00:a", "ff02::12", checksum).hex() == V6


@pytest.mark.parametrize(
    ("advert", "source", "checksum"),
    [
        pytest.param(ADVERT, US, "none", id="checksum"),
        pytest.param(SIX, US, "pseudo", id="source"),
        pytest.param(
            Advert(vrid=1, priority=1, interval=1.0, addresses=("::1",)), US, "plain", id="address"
        ),
    ],
)
def test_what_does_not_fit_is_a_bug(advert: Advert, source: str, checksum: str) -> None:
    """
    The file's loader keeps it away.
    """
    with pytest.raises(AssertionError):
        encode(advert, source, GROUP, checksum)


@pytest.mark.parametrize(
    ("interval", "wire"), [(0.01, 1), (0.1, 10), (0.2, 20), (1.0, 100), (40.95, 4095)]
)
def test_5_2_7_centiseconds(interval: float, wire: int) -> None:
    """
    Seconds become hundredths, to the nearest, and back.
    """
    assert centiseconds(interval) == wire
    assert interval_of(b"\x31\x33\x64\x02" + wire.to_bytes(2, "big")) == interval


def test_5_2_6_reserved_bits_are_ignored() -> None:
    """
    Bits above the interval are not a part of it.
    """
    assert interval_of(bytes.fromhex("31336402f014")) == 0.2


@pytest.mark.parametrize("interval", [0.0, 0.004, 40.96])
def test_an_interval_that_does_not_fit_is_a_bug(interval: float) -> None:
    """
    The file's loader keeps intervals within 12 bits; here it is asserted.
    """
    with pytest.raises(AssertionError):
        centiseconds(interval)
