"""Tests of director.vrrp.strays."""

import logging
import socket

import msgspec
import pytest

from director.model.address import Family
from director.vrrp.advert import GROUP, Advert
from director.vrrp.frames import ipv4_header
from director.vrrp.packet import encode
from director.vrrp.strays import Strays
from tests.director.vrrp.fakes import PEER, ROUTER, US

NOW = 100.0


class Wire:
    """One socket for each that is opened; `there` is what can be."""

    def __init__(self) -> None:
        self.there = {"eth0"}
        self.ends: dict[str, tuple[socket.socket, socket.socket]] = {}

    def open(self, device: str, _family: Family, _program: bytes) -> socket.socket:
        if device not in self.there:
            raise OSError
        pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        pair[0].setblocking(False)
        self.ends[device] = pair
        return pair[0]

    def deliver(self, device: str, vrid: int, *addresses: str) -> None:
        advert = Advert(vrid=vrid, priority=100, interval=1.0, addresses=addresses)
        payload = encode(advert, source=PEER, destination=GROUP)
        header = ipv4_header(PEER, US, 112, len(payload), identification=1)
        self.ends[device][1].send(header + payload)

    def close(self) -> None:
        for _, theirs in self.ends.values():
            theirs.close()


def test_they_are_counted_and_one_with_our_vip_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """
    Another pair's are a number; the same VIP under another VRID is a mistake in a file.
    """
    wire = Wire()
    strays = Strays(wire.open)
    strays.play([ROUTER])
    strays.read(NOW)
    with caplog.at_level(logging.WARNING):
        wire.deliver("eth0", 52, "192.0.2.200")
        strays.read(NOW + 1)
        quiet = caplog.text
        wire.deliver("eth0", 53, "192.0.2.201", "192.0.2.100")
        strays.read(NOW + 2)
    strays.close()
    wire.close()

    assert (quiet, strays.count) == ("", 2)
    assert "VRID 53 with a VIP of web 1" in caplog.text


def test_an_interface_that_comes_later_is_listened_to(caplog: pytest.LogCaptureFixture) -> None:
    """
    And nothing is said of its absence, which its router tells.
    """
    wire = Wire()
    strays = Strays(wire.open)
    strays.play([msgspec.structs.replace(ROUTER, interface="eth1")])
    strays.read(NOW)
    wire.there.add("eth1")
    strays.read(NOW + 1)
    wire.deliver("eth1", 52, "192.0.2.200")
    strays.read(NOW + 2)
    strays.close()
    wire.close()

    assert (strays.count, caplog.text) == (1, "")
