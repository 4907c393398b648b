"""What is kept of VIPs that were given up."""

import errno
import logging
from collections.abc import Iterable, Mapping

import pytest

from director.kernel.addresses import Held
from director.model.address import Prefix
from director.model.vip import Vip
from director.vrrp.mute import LINGER, Mute
from tests.director.vrrp.fakes import MUTE, FakeAddresses

V4 = Vip(Prefix("192.0.2.100", 24), "eth0.5")
V6 = Vip(Prefix("2001:db8::100", 64), "eth0.5")
ALL, OWN = "net.ipv4.conf.all.arp_ignore", "net.ipv4.conf.eth0/5.arp_ignore"


def mute_on(addresses: FakeAddresses, **sysctls: str) -> Mute:
    named = {ALL: sysctls.get("every", "0"), OWN: sysctls.get("own", "0")}

    def read(names: Iterable[str]) -> Mapping[str, str]:
        return {name: named[name] for name in names}

    return Mute("web", addresses, read)


@pytest.fixture
def addresses() -> FakeAddresses:
    return FakeAddresses([])


@pytest.mark.parametrize("sysctls", [{"own": "1"}, {"every": "2"}, {"own": "8", "every": "1"}])
def test_they_linger_as_hosts_on_the_dummy(
    addresses: FakeAddresses, sysctls: dict[str, str]
) -> None:
    """Whatever their length was: /32 and /128, and the kernel ends it."""
    mute_on(addresses, **sysctls).keep([V4, V6])

    assert addresses.there == {
        Held(MUTE, Prefix("192.0.2.100", 32)): LINGER,
        Held(MUTE, Prefix("2001:db8::100", 128)): LINGER,
    }


@pytest.mark.parametrize("sysctls", [{}, {"own": "3"}, {"every": "3", "own": "1"}])
def test_what_would_be_answered_for_does_not_linger(
    addresses: FakeAddresses, sysctls: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Two nodes that answer ARP for one address are worse than none; neighbours are quiet as is."""
    mute_on(addresses, **sysctls).keep([V4, V6])

    assert [held.prefix.address for held in addresses.there] == ["2001:db8::100"]
    assert "mend: sysctl net.ipv4.conf.eth0/5.arp_ignore=1" in caplog.text


def test_without_a_dummy_they_are_released_plainly(
    addresses: FakeAddresses, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, with the mend, and it stops nobody."""
    caplog.set_level(logging.WARNING)
    addresses.mute = None
    mute = mute_on(addresses, own="1")

    mute.prepare()
    mute.keep([V4])
    mute.keep([V4])

    assert addresses.there == {}
    assert caplog.text.count("mend: modprobe dummy") == 1


def test_a_refusal_is_said(addresses: FakeAddresses, caplog: pytest.LogCaptureFixture) -> None:
    """One VIP that the dummy does not take keeps the others from nothing."""
    addresses.refuse = {Held(MUTE, Prefix("192.0.2.100", 32)): errno.ENOBUFS}

    mute_on(addresses, own="1").keep([V4, V6])

    assert [held.prefix.address for held in addresses.there] == ["2001:db8::100"]
    assert "192.0.2.100/32" in caplog.text
