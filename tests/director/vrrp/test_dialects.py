"""Tests of director.vrrp.player in version 2, over IPv6, and in a group."""

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from director.model.address import Prefix
from director.model.vip import Auth, Router, Vip
from director.vrrp import machine
from director.vrrp.advert import GROUP, GROUP_V6, Method, Secret
from director.vrrp.frames import Datagram
from director.vrrp.player import Player
from director.vrrp.speech import Speech
from tests.director.vrrp.fakes import (
    HELD,
    PEER,
    ROUTER,
    VIPS,
    FakeAddresses,
    FakeAnnouncer,
    Sockets,
    datagram,
)

NOW = 1000.0
DOWN = 0.3609375
SIX = (Vip(Prefix("fe80::100", 64), "eth0"), *VIPS)
IPV6 = msgspec.structs.replace(ROUTER, source="", vips=SIX)


class Scene:
    """Players on one node."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.addresses = FakeAddresses(self.diary)
        self.sockets = Sockets(self.diary)

    def player(self, router: Router) -> Player:
        announcer = FakeAnnouncer(self.diary)
        return Player(router, self.addresses, announcer, open_socket=self.sockets.open)

    def start(self, player: Player, now: float = NOW) -> bool:
        return player.start(self.addresses.links(), now)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.sockets.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "vrrp.secret"
    path.write_text("secret\n")
    path.chmod(0o640)
    return path


def version_2(method: str, secret: Path, **also: object) -> Router:
    auth = Auth(method, str(secret))
    return msgspec.structs.replace(ROUTER, version=2, interval=1.0, auth=auth, **also)


@pytest.mark.parametrize("method", ["pass", "ah"])
def test_adverts_are_proven_as_the_file_says(scene: Scene, secret: Path, method: str) -> None:
    """
    The peer, who knows the secret, takes each of them; with a seal each has its own number.
    """
    scene.sockets.secret = Secret(Method[method.upper()], b"secret")
    player = scene.player(version_2(method, secret, peers=(PEER, "192.0.2.3")))
    assert scene.start(player)

    player.turn(player.deadline)
    player.turn(player.deadline)

    numbers = scene.sockets.last.sequences
    assert [where for where, _ in scene.sockets.last.sent] == [PEER, "192.0.2.3"] * (
        len(numbers) // 2
    )
    assert len(set(numbers)) == (len(numbers) if method == "ah" else 1)
    assert numbers == sorted(numbers)


def test_a_secret_is_read_anew_whenever_a_router_starts(scene: Scene, secret: Path) -> None:
    """
    One that is open to others is a fault, and the router starts by itself once it is mended.
    """
    secret.chmod(0o644)
    player = scene.player(version_2("pass", secret))

    assert not scene.start(player)
    assert player.role().role == "fault"
    assert f"chmod 0640 {secret}" in player.role().reason
    assert scene.sockets.opened == []

    secret.chmod(0o640)
    assert scene.start(player)
    secret.unlink()
    player.stop("eth0 is down", NOW, fault=True)
    assert not scene.start(player)
    assert "No such file" in player.role().reason


def test_over_ipv6_it_sends_from_what_the_interface_has(scene: Scene) -> None:
    """
    It waits for the link-local address, in fault; its own echo is known by it.
    """
    player = scene.player(IPV6)
    assert not scene.start(player)
    assert player.role().reason == "eth0 has no link-local address to send from"

    scene.addresses.link_locals = {2: "fe80::a"}
    assert scene.start(player)
    player.turn(NOW + DOWN)

    (destination, advert) = scene.sockets.last.sent[0]
    assert (scene.sockets.last.source, destination) == ("fe80::a", GROUP_V6)
    assert advert.addresses == ("fe80::100",)
    assert player.rules.source == "fe80::a"
    scene.sockets.last.deliver(over_ipv6(200, "fe80::a"), over_ipv6(200, "2001:db8::b"))
    player.turn(NOW + DOWN + 0.01)
    assert player.refused == {"own-source": 1, "not-link-local": 1}
    assert player.state.hold


def over_ipv6(priority: int, source: str) -> Datagram:
    speech = Speech(msgspec.structs.replace(IPV6, source=source))
    packet = speech.packet(priority, GROUP_V6)
    came = datagram(priority)
    return msgspec.structs.replace(
        came, source=source, destination=GROUP_V6, payload=packet, declared=None
    )


def test_what_is_odd_is_heeded_and_said(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """
    An active that names another list is active all the same; a word a minute tells of it.
    """
    player = scene.player(ROUTER)
    assert scene.start(player)

    with caplog.at_level(logging.WARNING):
        for tick in range(20):
            scene.sockets.last.deliver(datagram(200))
            player.turn(NOW + tick / 10)

    assert player.role().peer == PEER
    assert [record.getMessage() for record in caplog.records] == [
        "web: adverts heeded that differ from ours: it names other addresses 1"
    ]


class Group:
    """Two players of one group on one node, web on eth0 and mail too, with other VIPs."""

    def __init__(self, scene: Scene) -> None:
        self.web = scene.player(msgspec.structs.replace(ROUTER, group="edge", vips=VIPS[:1]))
        self.mail = scene.player(
            msgspec.structs.replace(ROUTER, name="mail", vrid=52, group="edge", vips=VIPS[1:])
        )
        for player in self.both:
            player.join(self.both)
            assert scene.start(player)
        self.web_hears, self.mail_hears = (one.deliver for one in scene.sockets.opened)

    @property
    def both(self) -> tuple[Player, Player]:
        return self.web, self.mail

    def roles(self) -> list[str]:
        return [player.role().role for player in self.both]


def test_a_group_takes_over_in_one_turn(scene: Scene) -> None:
    """
    The first that is due takes all that are, in the machine's order.
    """
    group = Group(scene)
    scene.diary.clear()

    group.web.turn(NOW + DOWN)

    assert group.roles() == ["active", "active"]
    assert scene.diary == ["send 100", "hold", "announce", "send 100", "hold", "announce"]
    assert group.mail.role().reason == "web: nobody else is active"


def test_who_hears_an_active_keeps_the_group_back(scene: Scene) -> None:
    """
    One wire is silent, on the other the active is heard: none takes.
    """
    group = Group(scene)

    for tick in range(1, 20):
        now = NOW + tick / 10
        group.mail_hears(datagram(200, vrid=52))
        for player in group.both:
            player.turn(now)

    assert group.roles() == ["backup", "backup"]


def test_a_member_that_yields_takes_the_others_with_it(scene: Scene) -> None:
    """
    One hears a stronger active and yields: the others hand over, and hold until they hear theirs.
    """
    group = Group(scene)
    group.web.turn(NOW + DOWN)
    scene.diary.clear()

    group.web_hears(datagram(200))
    group.web.turn(NOW + 0.4)

    assert scene.diary == ["hear", "release", "send 100", "send 0"]
    assert isinstance(group.mail.state, machine.Leaving)
    assert set(scene.addresses.there) == {HELD[1]}
    group.mail_hears(datagram(200, vrid=52))
    group.mail.turn(NOW + 0.41)
    assert group.roles() == ["backup", "backup"]
    assert scene.addresses.there == {}


def test_a_fault_of_a_member_is_that_of_the_group(scene: Scene) -> None:
    """
    All resign and drop; a stop for any other reason is the member's own.
    """
    group = Group(scene)
    group.web.turn(NOW + DOWN)
    group.web.stop("the file changed", NOW + 0.4)
    assert [type(one.state) for one in group.both] == [machine.Off, machine.Active]

    assert scene.start(group.web, NOW + 0.4)
    group.web.turn(NOW + 0.4 + DOWN)
    group.web.stop("eth0 is down", NOW + 0.9, fault=True)

    assert [type(one.state) for one in group.both] == [machine.Off, machine.Off]
    assert scene.addresses.there == {}


def test_multicast_and_unicast_are_not_mixed(scene: Scene) -> None:
    """
    A peer that speaks to us alone is refused where we play for the group, and the other way round.
    """
    told = scene.player(msgspec.structs.replace(ROUTER, peers=(PEER,)))
    for player, destination in ((scene.player(ROUTER), "192.0.2.1"), (told, GROUP)):
        assert scene.start(player)
        scene.sockets.last.deliver(datagram(200, destination=destination))
        player.turn(NOW + 0.1)
        assert player.refused == {"wrong-kind": 1}


def test_an_advert_behind_many_bad_ones_is_no_silence(scene: Scene) -> None:
    """
    At the deadline of one who listens a thousand bad adverts lie before the active's: it is heard.
    """
    player = scene.player(ROUTER)
    assert scene.start(player)

    scene.sockets.last.deliver(*[datagram(200, ttl=1)] * 1000, datagram(200))
    player.turn(NOW + DOWN)

    assert player.role().role == "backup"


def test_a_speaker_reads_some_and_speaks(scene: Scene) -> None:
    """
    A thousand bad adverts do not keep an active router from its own: it reads 64 of them first.
    """
    player = scene.player(ROUTER)
    assert scene.start(player)
    player.turn(NOW + DOWN)
    scene.diary.clear()

    scene.sockets.last.deliver(*[datagram(200, ttl=1)] * 1000)
    player.turn(NOW + DOWN + 0.1)

    assert scene.diary == ["hear"] * 64 + ["send 100"]
