"""vrrp/vips: how many at a time, and what they are announced with."""

from collections.abc import Iterable, Mapping

import msgspec
import pytest

from director.kernel.addresses import Held
from director.kernel.watch import AddressGone
from director.model.address import Prefix
from director.model.vip import DUMMY, Vip
from director.vrrp import burst, vips
from director.vrrp.vips import BURST, Vips
from tests.director.vrrp.fakes import ETH0, MUTE, ROUTER, FakeAddresses, FakeAnnouncer

COUNT = 1000
MANY = tuple(Vip(Prefix(f"10.1.{n // 250}.{n % 250}", 32), "eth0") for n in range(COUNT))
SIX = Vip(Prefix("2001:db8::10", 128), "eth0")
NOW = 1000.0
ROUTER_FLAG = 0x80


class Scene:
    def __init__(self, there: tuple[Vip, ...] = MANY, forwarding: str = "0") -> None:
        self.diary: list[str] = []
        self.addresses = FakeAddresses(self.diary)
        self.announcer = FakeAnnouncer(self.diary)
        self.forwarding = forwarding
        router = msgspec.structs.replace(ROUTER, vips=there)
        self.vips = Vips(router, self.addresses, self.announcer, self.read)
        self.vips.place({"eth0": ETH0}, NOW)

    def read(self, names: Iterable[str]) -> Mapping[str, str]:
        assert list(names) == ["net.ipv6.conf.eth0.forwarding"]
        return {"net.ipv6.conf.eth0.forwarding": self.forwarding}


def test_a_takeover_of_a_thousand_vips_is_done_in_slices() -> None:
    """
    No turn holds or announces more than a slice, each VIP is announced after it is held, and all
    of them are held, and announced BURST times, without any time passing.
    """
    scene = Scene()
    announcer, addresses, turns = scene.announcer, scene.addresses, 0

    scene.vips.take(NOW)
    scene.vips.announce(NOW)
    while scene.vips.deadline <= NOW:
        held, sent = len(addresses.there), len(announcer.frames)
        scene.vips.turn(NOW)
        turns += 1
        assert len(addresses.there) - held <= vips.SLICE
        assert len(announcer.frames) - sent <= burst.SLICE
        announced = min(len(announcer.frames), COUNT)
        assert announced <= len(addresses.there)

    assert len(addresses.there) == COUNT
    assert len(announcer.frames) == COUNT * BURST
    assert {frame for _, frame in announcer.frames[:COUNT]} == {f for _, f in announcer.frames}
    assert turns <= COUNT * BURST / burst.SLICE + 1


def test_rounds_of_refreshes_begin_a_quarter_of_the_lease_apart() -> None:
    """
    However long one takes: the next begins a quarter after it began.
    """
    scene = Scene()
    scene.vips.adopt(NOW)

    late = NOW
    while scene.vips.deadline <= late:
        scene.vips.turn(late)
        late += 0.001

    assert scene.diary.count("hold") == -(-COUNT // vips.SLICE)
    assert scene.vips.deadline == pytest.approx(NOW + ROUTER.lease / 4)


def test_a_release_ends_what_was_still_to_be_done() -> None:
    """
    Dropped in the middle of a takeover nothing is held or announced any more; taken again all are.
    """
    scene = Scene()
    scene.vips.take(NOW)
    scene.vips.announce(NOW)
    scene.vips.turn(NOW)

    scene.vips.drop()

    assert scene.vips.deadline == float("inf")
    assert not any(held.index == 2 for held in scene.addresses.there)
    scene.vips.take(NOW)
    while scene.vips.deadline <= NOW:
        scene.vips.turn(NOW)
    assert sum(held.index == 2 for held in scene.addresses.there) == COUNT


def test_many_that_were_deleted_are_put_back_in_slices() -> None:
    """
    `ip address flush`: all come back, a slice a turn.
    """
    scene = Scene()
    scene.vips.take(NOW)
    while scene.vips.deadline <= NOW:
        scene.vips.turn(NOW)
    gone = [Held(2, vip.prefix) for vip in MANY]
    scene.addresses.there.clear()

    for held in gone:
        scene.vips.amend(AddressGone(held), NOW)
    while scene.vips.deadline <= NOW:
        before = len(scene.addresses.there)
        scene.vips.turn(NOW)
        assert len(scene.addresses.there) - before <= vips.SLICE

    assert scene.addresses.there.keys() == set(gone)


@pytest.mark.parametrize(("forwarding", "flag"), [("0", 0), ("1", ROUTER_FLAG), ("2", ROUTER_FLAG)])
def test_a_neighbour_advertisement_says_router_where_the_interface_forwards(
    forwarding: str, flag: int
) -> None:
    """
    RFC 4861 section 7.2.5: hosts take the flag at its word.
    """
    scene = Scene((SIX,), forwarding)

    scene.vips.announce(NOW)

    flags = {frame[58] & ROUTER_FLAG for _, frame in scene.announcer.frames}
    assert flags == {flag}


@pytest.mark.parametrize(("mode", "lingers"), [("dummy", False), ("hook", True)])
def test_what_a_command_moves_lingers_at_its_old_place(mode: str, lingers: bool) -> None:
    """Packets come here until the command on the other node has ended; routing goes by the dummy."""
    diary: list[str] = []
    addresses = FakeAddresses(diary)
    there = msgspec.structs.replace(SIX, interface=DUMMY)
    router = msgspec.structs.replace(ROUTER, vips=(there,), mode=mode)
    mine = Vips(router, addresses, FakeAnnouncer(diary), lambda _names: {})
    mine.place({"eth0": ETH0, DUMMY: msgspec.structs.replace(ETH0, index=8, name=DUMMY)}, NOW)
    mine.take(NOW)
    assert set(addresses.there) == {Held(8, SIX.prefix)}

    mine.drop()

    assert set(addresses.there) == ({Held(MUTE, SIX.prefix)} if lingers else set())
