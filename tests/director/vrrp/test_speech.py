# The peer is a Speech too: what one says the other judges, and in between anything may happen to it.
"""Tests of director.vrrp.speech: what is said, what is heeded, and why not."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Prefix
from director.model.vip import Auth, Router, Vip
from director.vrrp.advert import (
    AH_PROTOCOL,
    GROUP,
    GROUP_V6,
    NO_SECRET,
    PROTOCOL,
    Advert,
    Heard,
    Method,
    Reason,
    Rejected,
    Secret,
)
from director.vrrp.frames import Datagram, ipv4_header, packed, parse_ipv4
from director.vrrp.speech import Speech
from tests.director.vrrp.fakes import PEER, ROUTER, US

WALL = 1_800_000_000.5
WORD = b"secret"
SECRETS = {
    "pass": Secret(Method.PASS, WORD),
    "ah": Secret(Method.AH, WORD),
    "": NO_SECRET,
}
VERSION_2 = msgspec.structs.replace(ROUTER, version=2, interval=1.0)
SIX = (Vip(Prefix("fe80::100", 64), "eth0"), *ROUTER.vips)
ROUTERS = {
    "v3": ROUTER,
    "v3 unicast": msgspec.structs.replace(ROUTER, peers=(PEER,)),
    "v3 plain": msgspec.structs.replace(ROUTER, checksum="plain"),
    "v2": VERSION_2,
    "v2 pass": msgspec.structs.replace(VERSION_2, auth=Auth("pass", "/s")),
    "v2 ah": msgspec.structs.replace(VERSION_2, auth=Auth("ah", "/s")),
    "v6": msgspec.structs.replace(ROUTER, source="", vips=SIX),
}
every_dialect = pytest.mark.parametrize("router", ROUTERS.values(), ids=ROUTERS)


def speaker(
    router: Router, source: str = PEER, *, peers: tuple[str, ...] = (US,), wall: float = WALL
) -> Speech:
    """One who plays this router."""
    if router.family.bits == 128:
        source = "fe80::b" if source == PEER else "fe80::a"
    router = msgspec.structs.replace(router, source=source, peers=router.peers and peers)
    speech = Speech(router)
    speech.begin(source, SECRETS[router.auth.method if router.auth else ""], wall)
    return speech


def us(router: Router) -> Speech:
    return speaker(router, US, peers=(PEER,))


def arrived(router: Router, packet: bytes, source: str = PEER) -> Datagram:
    """What a socket makes of what was sent; anything may have become of it."""
    if router.family.bits == 128:
        source = "fe80::b" if source == PEER else "fe80::a"
        return Datagram(
            source=source, destination=GROUP_V6, ttl=255, protocol=PROTOCOL, payload=packet
        )
    if not router.sealed:
        there = US if router.peers else GROUP
        header = ipv4_header(source, there, PROTOCOL, len(packet), identification=1)
        packet = header + packet
    datagram = parse_ipv4(packet)
    assert datagram is not None
    return datagram


def destination_of(router: Router) -> str:
    return (GROUP_V6 if router.family.bits == 128 else GROUP) if not router.peers else US


@every_dialect
def test_what_one_says_the_other_heeds(router: Router) -> None:
    """
    In every version, and nothing in it is odd: both are told by one file.
    """
    heard = us(router).judge(arrived(router, speaker(router).packet(90, destination_of(router))))

    assert isinstance(heard, Heard)
    assert (heard.advert.priority, heard.advert.vrid) == (90, 51)
    assert heard.advert.addresses == router.advertised
    assert us(router).differs(heard.advert) == ""


@every_dialect
def test_our_own_source_is_somebody_elses_fault(router: Router) -> None:
    """
    Our adverts are not looped back: who sends from our address is another node, and is refused.
    """
    packet = us(router).packet(90, destination_of(router))
    refused = {Rejected(Reason.OWN_SOURCE), Rejected(Reason.NOT_A_PEER)}

    assert us(router).judge(arrived(router, packet, US)) in refused


@every_dialect
def test_another_virtual_router_is_not_our_business(router: Router) -> None:
    """
    Neither heeded nor refused; what is too short to name one is none of ours either.
    """
    other = speaker(msgspec.structs.replace(router, vrid=52))
    datagram = arrived(router, other.packet(90, destination_of(router)))
    at_vrid = 24 if router.sealed else 0

    assert us(router).judge(datagram) is None
    short = msgspec.structs.replace(datagram, payload=datagram.payload[: at_vrid + 1])
    assert us(router).judge(short) is None


ODD = {
    "other addresses": (Advert(vrid=51, priority=1, interval=0.1, addresses=(US,)), "addresses"),
    "another interval": (
        Advert(vrid=51, priority=1, interval=0.2, addresses=ROUTER.advertised),
        "interval",
    ),
    "another order": (
        Advert(vrid=51, priority=1, interval=0.1, addresses=ROUTER.advertised[::-1]),
        "",
    ),
}


@pytest.mark.parametrize(("advert", "what"), ODD.values(), ids=ODD)
def test_what_is_heeded_and_odd(advert: Advert, what: str) -> None:
    """
    Said, since keepalived 2.2.7 would drop ours for it; the order of the addresses is nobody's.
    """
    differs = us(ROUTER).differs(advert)

    assert (what in differs, bool(differs)) == (True, bool(what))


SEALED = ROUTERS["v2 ah"]


def test_a_sealed_advert_is_heard_once() -> None:
    """
    Played back it is refused, whatever came in between, and also after we have begun anew.
    """
    speech, peer = us(SEALED), speaker(SEALED)
    old, new = (arrived(SEALED, peer.packet(90, GROUP)) for _ in range(2))
    heard = [speech.judge(one) for one in (old, new, old, new)]
    speech.begin(US, SECRETS["ah"], WALL)
    heard.append(speech.judge(old))

    assert [isinstance(one, Heard) for one in heard] == [True, True, False, False, False]
    assert heard[2:] == [Rejected(Reason.REPLAYED)] * 3


def test_a_peer_that_restarts_is_heard_again() -> None:
    """
    It counts on from the wall clock, or from what it hears of us if that is ahead of its clock.
    """
    speech, peer = us(SEALED), speaker(SEALED)
    for _ in range(5):
        assert isinstance(speech.judge(arrived(SEALED, peer.packet(90, GROUP))), Heard)

    later = speaker(SEALED, wall=WALL + 6)
    lost = speaker(SEALED, wall=0.0)  # no clock of its own, but it listens first
    lost.judge(arrived(SEALED, us_after(10).packet(90, GROUP), US))

    assert isinstance(speech.judge(arrived(SEALED, later.packet(90, GROUP))), Heard)
    assert isinstance(speech.judge(arrived(SEALED, lost.packet(90, GROUP))), Heard)


def us_after(seconds: float) -> Speech:
    return speaker(SEALED, US, peers=(PEER,), wall=WALL + seconds)


def test_identifications_are_never_zero() -> None:
    """
    The kernel would put another in, and the seal would not fit any more.
    """
    speech = us(SEALED)
    last = [speech.packet(90, GROUP)[4:6] for _ in range(0x10000)]

    assert bytes(2) not in last
    assert last[0] == last[-1] == b"\0\1"


MUTATIONS = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 99), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(0, 99), st.just(0)),
    st.tuples(st.just("grow"), st.integers(1, 40), st.integers(0, 255)),
)


def mutated(data: bytes, how: tuple[str, int, int]) -> bytes:
    kind, where, value = how
    if kind == "cut":
        return data[: where % len(data)]
    if kind == "grow":
        return data + bytes([value]) * where
    at = where % len(data)
    return data[:at] + bytes([data[at] ^ value]) + data[at + 1 :]


@pytest.mark.parametrize("name", ROUTERS)
@given(changes=st.lists(MUTATIONS, max_size=4), priority=st.integers(0, 255))
def test_whatever_becomes_of_an_advert_it_is_judged(
    name: str, changes: list[tuple[str, int, int]], priority: int
) -> None:
    """
    Bytes changed, cut off or added: it is refused with a reason, or what is heard is what was
    said. (Checksums do not see everything: two changes may cancel out, so only one is held to that.)
    """
    router = ROUTERS[name]
    whole = arrived(router, speaker(router).packet(priority, destination_of(router)))
    payload = whole.payload
    for change in changes:
        payload = mutated(payload, change) if payload else payload
    judged = us(router).judge(msgspec.structs.replace(whole, payload=payload))

    if isinstance(judged, Heard):
        assert judged.advert.addresses
        assert judged.advert.interval > 0
        assert judged.advert.version == router.version
        unharmed = payload == whole.payload
        if len(changes) <= 1 and not unharmed:
            assert payload.startswith(whole.payload), "only padding may be ignored"
        if len(changes) <= 1:
            assert (judged.advert.priority, judged.advert.vrid) == (priority, 51)


@given(
    payload=st.binary(max_size=80),
    ttl=st.sampled_from([255, 254, 0]),
    protocol=st.sampled_from([PROTOCOL, AH_PROTOCOL]),
    name=st.sampled_from(sorted(ROUTERS)),
)
def test_noise_is_never_heeded(payload: bytes, ttl: int, protocol: int, name: str) -> None:
    """
    Bytes that nobody meant: with our VRID in its place, refused for a reason.
    """
    router = ROUTERS[name]
    at = 25 if protocol == AH_PROTOCOL else 1
    if len(payload) > at:
        payload = payload[:at] + bytes([51]) + payload[at + 1 :]
    six = router.family.bits == 128
    datagram = Datagram(
        source="fe80::b" if six else PEER,
        destination=destination_of(router),
        ttl=ttl,
        protocol=protocol,
        payload=payload,
        header=b"" if six else bytes(12) + packed(PEER) + packed(GROUP),
    )

    judged = us(router).judge(datagram)

    assert judged is None if len(payload) <= at else isinstance(judged, Rejected | Heard)
