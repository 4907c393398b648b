"""Whom packets are sent to that IPVS does not know."""

import errno

import msgspec
import pytest

from director.model.address import Family, Prefix
from director.model.vip import Vip
from director.vrrp.chance import CHANCE, SHIELD, Chance
from director.vrrp.mute import LINGER
from tests.director.vrrp.fakes import PEER, ROUTER

MAP = f"chance_{ROUTER.vrid}_{b'eth0'.hex()}"
VIPS = {vip.prefix.address: PEER for vip in ROUTER.vips}


class FakeMaps:
    """Maps in memory."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.told: list[tuple[str, dict[str, str], float]] = []
        self.opened: list[tuple[str, str, float, Family]] = []

    def point(
        self, table: str, name: str, targets: dict[str, str], seconds: float, family: Family
    ) -> int:
        assert (table, family) == ("director", Family.IPV4)
        self.told.append((name, targets, seconds))
        return self.code

    def open(self, table: str, name: str, seconds: float, family: Family) -> int:
        self.opened.append((table, name, seconds, family))
        return self.code


def test_every_vip_on_the_adverts_wire_points_to_who_was_active() -> None:
    """Not the gateway of the NAT servers, whose wire has other addresses."""
    gateway = Vip(Prefix("10.0.8.1", 24), "eth1", advertise=False)
    maps = FakeMaps()

    Chance(msgspec.structs.replace(ROUTER, vips=(*ROUTER.vips, gateway)), maps).offer(PEER)

    assert maps.told == [(MAP, VIPS, CHANCE)]


def test_it_ends_before_the_others_linger() -> None:
    """Or a packet that neither knows would go to and fro until its TTL ends."""
    assert CHANCE < LINGER - 0.5


def test_whoever_gives_the_vips_up_sends_nothing_on() -> None:
    """Taken back once; there is nothing to take back from one who was never active."""
    maps = FakeMaps()
    chance = Chance(ROUTER, maps)

    chance.withdraw()
    chance.offer(PEER)
    chance.withdraw()
    chance.withdraw()

    assert maps.told == [(MAP, VIPS, CHANCE), (MAP, {}, CHANCE)]


def test_with_nobody_before_an_older_chance_is_forgotten() -> None:
    """The map says nothing rather than something stale."""
    maps = FakeMaps()

    Chance(ROUTER, maps).offer("")

    assert maps.told == [(MAP, {}, CHANCE)]


@pytest.mark.parametrize(("code", "said"), [(errno.EPERM, 2), (errno.ENOENT, 0)])
def test_a_refusal_stops_nobody(code: int, said: int, caplog: pytest.LogCaptureFixture) -> None:
    """That there is no map the engine says; anything else is said here."""
    Chance(ROUTER, FakeMaps(code)).offer(PEER)

    assert len(caplog.records) == said


def test_who_takes_over_resets_nobody_for_a_moment() -> None:
    """For both families of its VIPs, whoever was active before; and not when it gives them up."""
    maps = FakeMaps()
    vips = (*ROUTER.vips, Vip(Prefix("2001:db8::10", 128), "eth0"))
    chance = Chance(msgspec.structs.replace(ROUTER, vips=vips), maps)

    chance.offer("")
    chance.withdraw()

    assert maps.opened == [("director", "taken", SHIELD, family) for family in Family]


def test_without_nf_tables_nothing_is_asked(caplog: pytest.LogCaptureFixture) -> None:
    """Nor said: the engine has a finding for it."""
    chance = Chance(ROUTER, None)

    chance.offer(PEER)
    chance.withdraw()

    assert caplog.records == []
