"""Tests of director.vrrp.veil, and of who raises and lowers it."""

import errno
import logging
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from director.kernel.addresses import LINK_HEAD, Held, Link
from director.kernel.devices import encode_gone, encode_macvlan, encode_manners, encode_up
from director.model.address import Family
from director.vrrp import veil
from director.vrrp.frames import gratuitous_arp
from director.vrrp.player import Player
from tests.director.vrrp.fakes import ETH0, ROUTER, VIPS, FakeAddresses, FakeAnnouncer, Sockets

NOW = 100.0
DEVICE = "vr4-51-eth0"
ROUTER_VEILED = msgspec.structs.replace(
    ROUTER,
    mac="virtual",
    vips=tuple(msgspec.structs.replace(vip, interface=DEVICE) for vip in VIPS),
)
MAC = ROUTER_VEILED.virtual_mac
THERE = Link(7, DEVICE, MAC, up=False)
MADE = [
    encode_macvlan(DEVICE, ETH0.index, MAC),
    encode_manners(7, Family.IPV4),
    encode_manners(7, Family.IPV6),
]


class Kernel(FakeAddresses):
    """Makes the device that it is asked for, and notes when it goes up and down."""

    def __init__(self) -> None:
        super().__init__([])
        self.refuses: dict[bytes, int] = {}
        self.sockets = Sockets(self.diary)

    def request(self, requests: Sequence[bytes]) -> list[int]:
        for one in requests:
            self.requests.append(one)
            if one == MADE[0]:
                self.found[DEVICE] = THERE
            for up in (True, False):
                if one == encode_up(THERE.index, up=up):
                    self.diary.append("up" if up else "down")
        return [self.refuses.get(one, 0) for one in requests]


def test_it_is_made_once_and_quiet() -> None:
    """
    With its manners in both families; who has it already is asked for nothing.
    """
    kernel = Kernel()

    made = [veil.ensure(ROUTER_VEILED, kernel.links(), kernel) for _ in range(2)]

    assert made == [True, False]
    assert kernel.requests == MADE


def test_a_host_without_ipv6_has_it_too() -> None:
    """
    Nothing else is forgiven.
    """
    kernel = Kernel()
    kernel.refuses = {MADE[2]: errno.EAFNOSUPPORT}
    assert veil.ensure(ROUTER_VEILED, kernel.links(), kernel)

    for request in MADE[:2]:
        kernel = Kernel()
        kernel.refuses = {request: errno.EPERM}
        with pytest.raises(OSError, match="not permitted"):
            veil.ensure(ROUTER_VEILED, kernel.links(), kernel)


def test_without_a_virtual_mac_nothing_is_asked() -> None:
    """
    Nor without the interface that it would be on.
    """
    kernel = Kernel()

    assert not veil.ensure(ROUTER, kernel.links(), kernel)
    assert not veil.ensure(ROUTER_VEILED, {}, kernel)
    veil.remove(ROUTER, kernel.links(), kernel)
    assert kernel.requests == []


def test_one_of_another_mac_is_made_anew_and_a_stranger_is_not() -> None:
    """
    A device that only has the name is somebody else's: that is a fault, and it stays.
    """
    kernel = Kernel()
    other = msgspec.structs.replace(THERE, mac=bytes.fromhex("00005e000234"))
    veil.ensure(ROUTER_VEILED, {"eth0": ETH0, DEVICE: other}, kernel)
    assert kernel.requests == [encode_gone(7), *MADE]

    kernel = Kernel()
    stranger = msgspec.structs.replace(THERE, mac=ETH0.mac)
    with pytest.raises(OSError, match="exists"):
        veil.ensure(ROUTER_VEILED, {"eth0": ETH0, DEVICE: stranger}, kernel)
    veil.remove_left([DEVICE], {DEVICE: stranger}, kernel)
    assert kernel.requests == []


def test_it_is_removed_with_its_router_and_with_its_file(caplog: pytest.LogCaptureFixture) -> None:
    """
    What the kernel refuses is said; that it is gone already is no fault.
    """
    kernel = Kernel()
    kernel.refuses = {encode_gone(7): errno.ENODEV}
    veil.remove(ROUTER_VEILED, {DEVICE: THERE}, kernel)
    veil.remove_left([DEVICE, "eth0"], {DEVICE: THERE, "eth0": ETH0}, kernel)
    quiet = caplog.text
    kernel.refuses = {encode_gone(7): errno.EPERM}
    veil.remove(ROUTER_VEILED, {DEVICE: THERE}, kernel)

    assert kernel.requests == [encode_gone(7)] * 3
    assert quiet == ""
    assert f"cannot remove {DEVICE}: Operation not permitted" in caplog.text


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """One in which players are closed in the end."""
    kernel = Kernel()
    yield kernel
    kernel.sockets.close()


def a_player(kernel: Kernel) -> tuple[Player, FakeAnnouncer]:
    kernel.found[DEVICE] = THERE
    announcer = FakeAnnouncer(kernel.diary)
    player = Player(ROUTER_VEILED, kernel, announcer, open_socket=kernel.sockets.open)
    player.start(kernel.links(), NOW)
    return player, announcer


def test_it_is_up_exactly_while_the_vips_are_held(kernel: Kernel) -> None:
    """
    Up before the first advert, which tells the switch; down before the VIPs go. A backup that starts
    lowers what a life before has left.
    """
    player, announcer = a_player(kernel)
    assert kernel.diary == ["down"]

    for _ in range(3):
        player.turn(player.deadline)
    player.stop("the file changed", player.deadline)

    assert kernel.diary.count("up") == 1
    assert kernel.diary.index("up") < kernel.diary.index("send 100") < kernel.diary.index("hold")
    assert kernel.diary[-3:] == ["down", "release", "close"]
    assert "send 0" in kernel.diary
    assert (DEVICE, gratuitous_arp(MAC, "192.0.2.100")) in announcer.frames


def test_who_adopts_has_it_up(kernel: Kernel) -> None:
    """
    Whatever was done to it while nobody played.
    """
    kernel.there = {Held(7, vip.prefix): 1.0 for vip in VIPS}

    a_player(kernel)

    assert "up" in kernel.diary
    assert "down" not in kernel.diary


def test_it_is_raised_again_when_somebody_lowers_it(
    kernel: Kernel, caplog: pytest.LogCaptureFixture
) -> None:
    """
    While the VIPs are held, and then alone; what the kernel refuses is said.
    """
    player, _ = a_player(kernel)
    player.look(kernel.links(), NOW)
    player.turn(player.deadline)
    kernel.diary.clear()
    kernel.refuses = {encode_up(7, up=True): errno.ENETDOWN}
    with caplog.at_level(logging.WARNING):
        player.look(kernel.links(), NOW + 10.1)

    assert kernel.diary == ["up"]
    assert f"cannot raise {DEVICE}: Network is down" in caplog.text


def test_the_head_of_a_request_names_the_device() -> None:
    """
    By its index, with the one flag that changes (struct ifinfomsg).
    """
    size = LINK_HEAD.size

    assert LINK_HEAD.unpack(encode_up(7, up=True)[-size:]) == (0, 0, 7, 1, 1)
    assert LINK_HEAD.unpack(encode_up(7, up=False)[-size:]) == (0, 0, 7, 0, 1)
