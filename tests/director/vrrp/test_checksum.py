# The sums are those of captured frames; 55db is the same PDU without a pseudo-header.
"""Tests of director.vrrp.checksum."""

import pytest

from director.vrrp.advert import GROUP, Checksum
from director.vrrp.checksum import filled, of_version_3, plain, pseudo_header

US, PEER = "10.9.0.1", "10.9.0.2"
SIX = ("fe80::ff:fe00:a", "ff02::12")
BARE = bytes.fromhex("31336402001400000a0900640a090065")
V6 = "3133960200320d26fe80000000000000000000000000010020010db8000000000000000000000100"


def summed(total: str) -> bytes:
    return BARE[:6] + bytes.fromhex(total) + BARE[8:]


SUMS = {
    # what it covers              sum     source, destination  found
    "pseudo, multicast":        ("6b3e", (US, GROUP),          Checksum.PSEUDO),
    "pseudo, unicast":          ("4146", (US, PEER),           Checksum.PSEUDO),
    "pseudo-group, unicast":    ("6b3e", (US, PEER),           Checksum.PSEUDO_GROUP),
    "plain":                    ("55db", (US, PEER),           Checksum.PLAIN),
    "noise":                    ("55dc", (US, PEER),           None),
    "plain over IPv6":          ("55db", SIX,                  None),
}  # fmt: skip


@pytest.mark.parametrize(("total", "ends", "found"), SUMS.values(), ids=SUMS)
def test_of_version_3(total: str, ends: tuple[str, str], found: Checksum | None) -> None:
    """
    Each reading is known by what makes it right.
    """
    assert of_version_3(summed(total), *ends) is found


def test_over_ipv6() -> None:
    """
    The captured IPv6 advert sums with the pseudo-header of RFC 8200.
    """
    assert of_version_3(bytes.fromhex(V6), *SIX) is Checksum.PSEUDO
    assert len(pseudo_header(*SIX, 40)) == 40


@pytest.mark.parametrize(("total", "found"), [("55db", Checksum.PLAIN), ("6b3e", None)])
def test_plain(total: str, found: Checksum | None) -> None:
    """
    Version 2 has one reading.
    """
    assert plain(summed(total)) is found


def test_filled() -> None:
    """
    The sum is put where it belongs, over all that it covers.
    """
    assert filled(BARE) == summed("55db")
    assert filled(BARE, pseudo_header(US, PEER, 16)) == summed("4146")
