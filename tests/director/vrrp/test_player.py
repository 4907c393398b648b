# We are priority 100 at 0.1 s from 192.0.2.1 and preempt at once; active_down is 0.3609375 s, the
# lease 2 s and so the refresh every 0.5 s.
"""Tests of director.vrrp.player, vips and tally: a router played on fakes."""

import errno
import logging
from collections.abc import Iterator

import msgspec
import pytest

from director.kernel.addresses import Held, Link
from director.model.address import Prefix
from director.model.vip import Router, Vip
from director.vrrp import machine
from director.vrrp.advert import GROUP
from director.vrrp.player import Player
from tests.director.vrrp.fakes import (
    ETH0,
    HELD,
    MAC,
    OTHER,
    PEER,
    ROUTER,
    US,
    VIPS,
    FakeAddresses,
    FakeAnnouncer,
    FakeSocket,
    Sockets,
    datagram,
)

NOW = 1000.0
DOWN = 0.3609375


class Scene:
    """A player and what it plays on."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.addresses = FakeAddresses(self.diary)
        self.announcer = FakeAnnouncer(self.diary)
        self.sockets = Sockets(self.diary)

    def player(self, router: Router = ROUTER, *, start: bool = True) -> Player:
        player = Player(router, self.addresses, self.announcer, open_socket=self.sockets.open)
        if start:
            assert player.start(self.addresses.links(), NOW)
        return player

    def active(self, router: Router = ROUTER) -> Player:
        """A player that has just taken over at NOW."""
        player = Player(router, self.addresses, self.announcer, open_socket=self.sockets.open)
        assert player.start(self.addresses.links(), NOW - DOWN)
        player.turn(player.deadline)
        assert isinstance(player.state, machine.Active)
        self.diary.clear()
        return player

    @property
    def socket(self) -> FakeSocket:
        return self.sockets.last


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.sockets.close()


def seconds(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


def test_a_takeover_is_done_in_the_machines_order(scene: Scene) -> None:
    """
    Silence for active_down: the advert first, then the VIPs, then their announcement.
    """
    player = scene.player()
    assert player.deadline == seconds(NOW + DOWN)

    player.turn(NOW + DOWN)

    assert scene.diary == ["send 100", "hold", "announce"]
    assert set(scene.addresses.there) == set(HELD)
    assert (player.role().role, player.role().reason) == ("active", "nobody else is active")


def test_a_burst_is_three_frames_a_vip_interleaved(scene: Scene) -> None:
    """
    The last VIP's first frame does not wait for the first VIP's third.
    """
    scene.active()

    one, two = (frame for _, frame in scene.announcer.frames[:2])
    assert [frame for _, frame in scene.announcer.frames] == [one, two] * 3
    assert one[28:32] == bytes([192, 0, 2, 100])
    assert two[28:32] == bytes([192, 0, 2, 101])
    assert {device for device, _ in scene.announcer.frames} == {"eth0"}


def test_what_waits_is_heard_before_a_deadline_counts(scene: Scene) -> None:
    """
    The deadline has passed and a stronger advert lies in the socket: it is no silence.
    """
    player = scene.player()
    scene.socket.deliver(datagram(200))

    player.turn(NOW + DOWN + 0.01)

    assert scene.diary == ["hear"]
    assert player.role().role == "backup"


def test_a_sleeper_does_not_put_back_what_it_lost(scene: Scene) -> None:
    """
    After three seconds of sleep both deadlines have passed: the machine is asked first, and the
    VIPs are dropped and not refreshed.
    """
    player = scene.active()

    player.turn(NOW + 3)

    assert scene.diary == ["release"]
    assert scene.addresses.there == {}
    assert player.role().reason == "slept too long: a peer may have taken over"


def test_a_lease_is_refreshed_four_times_in_its_length(scene: Scene) -> None:
    """
    Every 0.5 s of a lease of 2 s, for as long as it is active.
    """
    player = scene.active()
    held_at = []

    while player.deadline < NOW + 2.05:
        at = player.deadline
        scene.diary.clear()
        player.turn(at)
        if "hold" in scene.diary:
            held_at.append(round(at - NOW, 3))

    assert held_at == [0.5, 1.0, 1.5, 2.0]


def test_without_a_lease_nothing_is_refreshed(scene: Scene) -> None:
    """
    lease = "off": held once; the deadlines are the machine's alone.
    """
    player = scene.active(msgspec.structs.replace(ROUTER, lease=0.0))

    while player.deadline < NOW + 3:
        assert player.deadline == player.state.deadline
        player.turn(player.deadline)

    assert "hold" not in scene.diary
    assert scene.addresses.there == dict.fromkeys(HELD, 0.0)


def test_without_a_lease_what_was_refused_is_tried_again(scene: Scene) -> None:
    """
    One that the kernel refused is held a second later, when it may be, and then it is left alone.
    """
    scene.addresses.refuse = {HELD[1]: errno.ENOBUFS}
    player = scene.active(msgspec.structs.replace(ROUTER, lease=0.0))
    scene.addresses.refuse = {}

    while player.deadline < NOW + 3:
        player.turn(player.deadline)

    assert scene.diary.count("hold") == 1
    assert set(scene.addresses.there) == set(HELD)


@pytest.mark.parametrize("priority", [1, 200], ids=["weaker", "stronger"])
def test_vips_found_at_start_are_kept_until_somebody_is_heard(scene: Scene, priority: int) -> None:
    """
    From a life before: refreshed while listening, silent, and dropped when anybody is active.
    """
    scene.addresses.there = {HELD[0]: 1.0}
    player = scene.player()

    player.turn(player.deadline)

    assert scene.diary == ["hold"]
    assert player.role().role == "backup"
    scene.socket.deliver(datagram(priority))
    player.turn(NOW + 0.05)
    assert scene.diary == ["hold", "hear", "release"]
    assert scene.addresses.there == {}


def test_vips_found_at_start_are_active_again_when_nobody_is(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An interval and a half of silence: active, and `since` is that moment and not the start.
    """
    scene.addresses.there = dict.fromkeys(HELD, 1.0)
    monkeypatch.setattr("director.vrrp.standing.time.time", lambda: 7.0)
    player = scene.player()
    monkeypatch.setattr("director.vrrp.standing.time.time", lambda: 8.0)

    player.turn(NOW)
    player.turn(NOW + 0.15)

    assert scene.diary == ["hold", "send 100", "hold", "announce"]
    assert (player.role().role, player.role().since) == ("active", 8.0)


def test_a_weaker_rival_is_answered_by_few_bursts(scene: Scene) -> None:
    """
    A hundred of its adverts in a second: each is answered with an advert; the VIPs are announced
    at most every half second (the machine asks for a hundred bursts).
    """
    player = scene.active()
    scene.announcer.frames.clear()

    for tick in range(100):
        scene.socket.deliver(datagram(1))
        player.turn(NOW + tick / 100)
        if player.deadline < NOW + tick / 100:
            player.turn(NOW + tick / 100)

    assert len(scene.socket.sent) >= 100
    assert len(scene.announcer.frames) <= 2 * 3 * len(VIPS)


def test_the_word_after_the_rivals_last_is_ours(scene: Scene) -> None:
    """
    A burst that was put off comes when the last one is half a second old.
    """
    player = scene.active()
    scene.announcer.frames.clear()
    scene.socket.deliver(datagram(1))

    player.turn(NOW + 0.02)
    early = len(scene.announcer.frames)
    while player.deadline < NOW + 0.6:
        player.turn(player.deadline)

    assert (early, len(scene.announcer.frames)) == (0, 3 * len(VIPS))


def test_a_takeover_announces_whatever_was_announced_before(scene: Scene) -> None:
    """
    Active, yielded, and active again within half a second: both takeovers announce at once.
    """
    player = scene.active()
    scene.socket.deliver(datagram(200))
    player.turn(NOW + 0.01)
    scene.socket.deliver(datagram(0))
    player.turn(NOW + 0.02)
    scene.announcer.frames.clear()

    player.turn(player.deadline)

    assert player.state.hold
    assert player.state.deadline < NOW + 0.5
    assert len(scene.announcer.frames) == 3 * len(VIPS)


def test_who_hands_over_does_not_announce_any_more(scene: Scene) -> None:
    """
    A burst that was put off is forgotten with the resignation: the successor's word counts.
    """
    player = scene.active()
    scene.socket.deliver(datagram(1))
    player.turn(NOW + 0.02)
    scene.announcer.frames.clear()

    player.leave(NOW + 0.03, patience=2.0, stopping=True)
    while player.deadline < NOW + 1:
        player.turn(player.deadline)

    assert player.state.hold
    assert scene.announcer.frames == []


def test_each_unicast_peer_gets_the_advert(scene: Scene) -> None:
    """
    One advert a peer, and its checksum covers that peer's address.
    """
    scene.active(msgspec.structs.replace(ROUTER, peers=(PEER, OTHER)))

    assert [destination for destination, _ in scene.socket.sent] == [PEER, OTHER]


def test_multicast_goes_to_the_group(scene: Scene) -> None:
    """
    Once, with the advertised VIPs.
    """
    scene.active()

    ((destination, advert),) = scene.socket.sent
    assert destination == GROUP
    assert advert.addresses == ("192.0.2.100", "192.0.2.101")


def test_an_advert_that_cannot_be_sent_is_no_end(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """
    It is said once a minute with how many there were, and the VIPs stay.
    """
    player = scene.active()
    scene.socket.code = errno.EMSGSIZE

    with caplog.at_level(logging.WARNING):
        while player.deadline < NOW + 61:
            player.turn(player.deadline)

    said = [r.getMessage().rsplit(maxsplit=1) for r in caplog.records]
    assert [what for what, _ in said] == [
        "web: adverts not sent: to 224.0.0.18: Message too long"
    ] * 2
    assert [int(count) for _, count in said] == [1, pytest.approx(600, abs=2)]
    assert set(scene.addresses.there) == set(HELD)


def test_refused_adverts_are_counted_and_seldom_logged(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """
    By reason; the first is logged, and a minute later how many came since.
    """
    player = scene.player()
    far, own = datagram(200, ttl=64), datagram(200, US)

    with caplog.at_level(logging.WARNING):
        for tick in range(601):
            scene.socket.deliver(far)
            player.turn(NOW + tick / 10)
        scene.socket.deliver(own)
        player.turn(NOW + 60.2)

    assert player.refused == {"bad-ttl": 601, "own-source": 1}
    assert [r.getMessage() for r in caplog.records] == [
        "web: adverts refused: bad-ttl 1",
        "web: adverts refused: bad-ttl 600",
    ]


def test_another_virtual_routers_adverts_are_not_our_business(scene: Scene) -> None:
    """
    Neither heard nor counted, right or wrong.
    """
    player = scene.player()
    scene.socket.deliver(datagram(200, vrid=52), datagram(200, vrid=52, ttl=1))

    player.turn(NOW + 0.1)

    assert (player.refused, player.role().peer) == ({}, "")
    assert player.deadline == seconds(NOW + DOWN)


def test_lateness_is_that_of_the_worst_deadline(scene: Scene) -> None:
    """
    An early call is not late; a refresh counts like an advert.
    """
    player = scene.player()
    player.turn(NOW + 0.1)
    first = player.punctuality.take_worst()
    player.turn(NOW + DOWN + 0.02)

    assert (first, player.punctuality.take_worst()) == (0.0, seconds(0.02))


def test_a_vip_that_cannot_be_held_is_logged_once_and_tried_again(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Each refresh tries; a word at the first refusal and one when it is held after all, which is
    announced.
    """
    scene.addresses.refuse = {HELD[1]: errno.EINVAL}
    with caplog.at_level(logging.INFO):
        player = scene.active()
        while player.deadline < NOW + 1.9:
            player.turn(player.deadline)
        scene.addresses.refuse = {}
        scene.announcer.frames.clear()
        while player.deadline < NOW + 2.5:
            player.turn(player.deadline)

    said = [r.getMessage() for r in caplog.records if "hold" in r.getMessage()]
    assert said == [
        "web: cannot hold 192.0.2.101/24 on eth0: Invalid argument",
        "web: holds 192.0.2.101/24 after all",
    ]
    assert set(scene.addresses.there) == set(HELD)
    assert len(scene.announcer.frames) == 3 * len(VIPS)


UNFIT = {
    "missing": ({}, "there is no interface eth0"),
    "down": ({"eth0": msgspec.structs.replace(ETH0, up=False)}, "eth0 is down"),
}


@pytest.mark.parametrize(("links", "reason"), UNFIT.values(), ids=UNFIT)
def test_without_its_interface_a_router_is_in_fault(
    scene: Scene, links: dict[str, Link], reason: str
) -> None:
    """
    It does not start, says why, and starts once the interface is there.
    """
    player = scene.player(start=False)
    before = player.role().role

    assert not player.start(links, NOW)
    assert (before, player.role().role, player.role().reason) == ("off", "fault", reason)
    assert not player.playing

    assert player.start(scene.addresses.links(), NOW)
    assert (player.role().role, player.role().reason) == ("backup", "started")


def test_an_interface_of_a_vip_that_is_missing_is_a_fault(scene: Scene) -> None:
    """
    Not the router's own interface, but one that is to hold a VIP.
    """
    inside = Vip(Prefix("10.0.0.1", 24), "eth1")
    player = scene.player(msgspec.structs.replace(ROUTER, vips=(*VIPS, inside)), start=False)

    assert not player.start(scene.addresses.links(), NOW)
    assert player.role().reason == "there is no interface eth1"


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENODEV])
def test_a_socket_that_cannot_be_opened_is_a_fault(scene: Scene, code: int) -> None:
    """
    The interface went away while we looked, or a right is lacking: tried again, no crash.
    """
    scene.sockets.refuse = code
    player = scene.player(start=False)

    assert not player.start(scene.addresses.links(), NOW)
    assert player.role().role == "fault"


def test_addresses_that_cannot_be_read_are_a_fault(scene: Scene) -> None:
    """
    The kernel's list changed under each attempt to read it: tried again, no crash.
    """
    player = scene.player(start=False)
    links = scene.addresses.links()
    scene.addresses.torn = True

    assert not player.start(links, NOW)
    assert (player.role().role, scene.sockets.opened) == ("fault", [])


def test_an_interface_that_was_made_anew_does_not_fit_any_more(scene: Scene) -> None:
    """
    The same name with another index: the socket is bound to the old one.
    """
    player = scene.player()
    anew = {"eth0": msgspec.structs.replace(ETH0, index=7)}

    assert player.unfit(scene.addresses.links()) == ""
    assert player.unfit(anew) == "eth0 was made anew"

    player.stop("eth0 was made anew", NOW, fault=True)
    assert player.start(anew, NOW)
    player.turn(NOW + DOWN)
    assert Held(7, VIPS[0].prefix) in scene.addresses.there


def test_announcements_bear_the_mac_that_the_interface_has_now(scene: Scene) -> None:
    """
    It may be changed while we play.
    """
    player = scene.active()
    mac = bytes.fromhex("020000000099")
    scene.announcer.frames.clear()

    player.look({"eth0": msgspec.structs.replace(ETH0, mac=mac)}, NOW)
    assert player.deadline == NOW
    player.turn(NOW)

    assert {frame[6:12] for _, frame in scene.announcer.frames} == {mac}
    assert mac != MAC


def test_what_has_no_ethernet_address_is_not_announced(scene: Scene) -> None:
    """
    A tunnel or a loopback: held, no frames.
    """
    scene.addresses.found = {"eth0": msgspec.structs.replace(ETH0, mac=b"")}

    scene.active()

    assert scene.announcer.frames == []
    assert set(scene.addresses.there) == set(HELD)


def test_stopping_an_active_router_resigns_then_drops_then_closes(scene: Scene) -> None:
    """
    In this order; in fault it shows as such.
    """
    player = scene.active()

    player.stop("eth0 is down", NOW, fault=True)

    assert scene.diary == ["send 0", "release", "close"]
    assert (player.role().role, player.role().reason) == ("fault", "eth0 is down")
    assert (player.playing, player.fileno) == (False, -1)
    player.turn(NOW + 10)
    assert scene.diary == ["send 0", "release", "close"]


LEAVINGS = {
    "the peer takes over": (True, datagram(90), "off", f"{PEER} is active at 90"),
    "nobody comes, stopping": (True, None, "off", "stopped; nobody took over in time"),
    "nobody comes, staying": (False, None, "active", "nobody took over"),
}


@pytest.mark.parametrize(("stopping", "answer", "role", "reason"), LEAVINGS.values(), ids=LEAVINGS)
def test_a_hand_over_says_how_it_ended(
    scene: Scene, stopping: bool, answer: object, role: str, reason: str
) -> None:
    """
    Resigned, VIPs still held and refreshed; then the role and the reason of the end.
    """
    player = scene.active()

    player.leave(NOW + 0.01, patience=0.9, stopping=stopping)

    assert scene.diary == ["send 0"]
    assert (player.role().role, player.role().reason) == ("active", "hands over")
    if answer is not None:
        scene.socket.deliver(datagram(90))
        player.turn(NOW + 0.02)
    else:
        while isinstance(player.state, machine.Leaving):
            player.turn(player.deadline)
    assert (player.role().role, player.role().reason) == (role, reason)
    assert bool(scene.addresses.there) == (role == "active")


def test_who_holds_nothing_stops_at_once(scene: Scene) -> None:
    """
    A listening router: off, and nothing is sent.
    """
    player = scene.player()

    player.leave(NOW + 0.01, patience=0.9, stopping=True)

    assert (player.role().role, player.role().reason) == ("off", "stopped")
    assert scene.diary == []


def test_the_peer_is_whom_we_heard_last(scene: Scene) -> None:
    """
    Gone with its resignation; a role that did not change is the same object.
    """
    player = scene.player()
    seen = []
    for advert in (datagram(200), datagram(200), datagram(0)):
        scene.socket.deliver(advert)
        player.turn(NOW + 0.01)
        seen.append(player.role())

    assert [role.peer for role in seen] == [PEER, PEER, ""]
    assert seen[0] is seen[1]


def test_a_vip_that_cannot_be_released_is_said(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """
    With the kernel's word.
    """
    player = scene.active()
    scene.addresses.refuse = {HELD[0]: errno.EPERM}

    player.stop("stopped", NOW)

    assert "web: cannot release 192.0.2.100/24: Operation not permitted" in caplog.text


def test_ipv6_vips_are_announced_by_neighbour_advertisements(scene: Scene) -> None:
    """
    Beside the IPv4 ones, on their own interface.
    """
    six = Vip(Prefix("2001:db8::100", 64), "eth0", advertise=False)

    scene.active(msgspec.structs.replace(ROUTER, vips=(VIPS[0], six)))

    kinds = [frame[12:14].hex() for _, frame in scene.announcer.frames]
    assert kinds == ["0806", "86dd"] * 3
