# The advert, byte for byte against keepalived 2.2.7 and clause by clause against RFC 9568.
#
# Golden PDUs are taken from whole captured frames; checksums written out here are those frames'.
"""Tests of director.vrrp.advert."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Family
from director.vrrp.advert import (
    GROUP,
    Advert,
    Checksum,
    Heard,
    Reason,
    Rejected,
    centiseconds,
    decode,
    encode,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "golden-frames.json").read_text())
US, PEER = "10.9.0.1", "10.9.0.2"
VIPS = ("10.9.0.100", "10.9.0.101")
ADVERT = Advert(vrid=51, priority=100, interval=0.2, addresses=VIPS)
RESIGNATION = Advert(vrid=51, priority=0, interval=0.2, addresses=VIPS)

PSEUDO = "3133640200146b3e0a0900640a090065"
UNICAST = "31336402001441460a0900640a090065"
PLAIN = "31336402001455db0a0900640a090065"


def golden(case: str, priority: int) -> bytes:
    """The IP packet of the captured advert."""
    found = next(row for row in GOLDEN if (row["case"], row.get("priority")) == (case, priority))
    return bytes.fromhex(found["frame_hex"])[14:]


def read(
    pdu: str | bytes,
    *,
    source: str = US,
    destination: str = GROUP,
    ttl: int = 255,
    declared: int | None = None,
    peers: tuple[str, ...] = (),
) -> Heard | Rejected:
    payload = bytes.fromhex(pdu) if isinstance(pdu, str) else pdu
    return decode(
        payload,
        source=source,
        destination=destination,
        ttl=ttl,
        declared=declared,
        peers=peers,
    )


@pytest.mark.parametrize(
    ("case", "destination", "advert"),
    [
        ("v3", GROUP, ADVERT),
        ("v3", GROUP, RESIGNATION),
        ("v3uni", PEER, ADVERT),
        ("v3uni", PEER, RESIGNATION),
    ],
)
def test_golden(case: str, destination: str, advert: Advert) -> None:
    """
    What keepalived sends is what we send, and what we read.
    """
    pdu = golden(case, advert.priority)[20:]
    peers = () if destination == GROUP else (US,)

    assert encode(advert, source=US, destination=destination) == pdu
    assert read(pdu, destination=destination, declared=16, peers=peers) == Heard(
        advert, Checksum.PSEUDO
    )


def test_plain_is_rfc_9568() -> None:
    """
    5.2.8: without a pseudo-header the same advert sums to 55db, wherever it goes.
    """
    for destination in (GROUP, PEER):
        pdu = encode(ADVERT, source=US, destination=destination, checksum="plain")
        assert pdu.hex() == PLAIN


CHECKSUMS = {
    "pseudo, multicast": (PSEUDO, GROUP, (), Checksum.PSEUDO),
    "plain, multicast": (PLAIN, GROUP, (), Checksum.PLAIN),
    "pseudo, unicast": (UNICAST, PEER, (US,), Checksum.PSEUDO),
    "pseudo with the group, unicast": (PSEUDO, PEER, (US,), Checksum.PSEUDO_GROUP),
    "plain, unicast": (PLAIN, PEER, (US,), Checksum.PLAIN),
}


@pytest.mark.parametrize(("pdu", "to", "peers", "form"), CHECKSUMS.values(), ids=CHECKSUMS)
def test_5_2_8_three_checksums(pdu: str, to: str, peers: tuple[str, ...], form: Checksum) -> None:
    """
    Each of the three readings of the RFCs is accepted, and named.
    """
    assert read(pdu, destination=to, peers=peers) == Heard(ADVERT, form)


# A table of what is wrong, in the order in which it is looked for.
REJECTED = {
    "nothing": ("", {}, Reason.TOO_SHORT),
    "7 bytes": ("31336402001455", {}, Reason.TOO_SHORT),
    "7.1 shorter than its count": (PSEUDO[:-2], {}, Reason.BAD_LENGTH),
    "7.1 longer by an address": (PSEUDO + "0a090066", {}, Reason.BAD_LENGTH),
    "one stray byte": (PSEUDO + "00", {}, Reason.BAD_LENGTH),
    "padding beyond 46": (PSEUDO + "00" * 14, {}, Reason.BAD_LENGTH),
    "version 2, length of version 3": ("21" + PSEUDO[2:], {}, Reason.BAD_LENGTH),
    "7.1 TTL 254": (PSEUDO, {"ttl": 254}, Reason.BAD_TTL),
    "length before TTL": (PSEUDO + "00", {"ttl": 254}, Reason.BAD_LENGTH),
    "7.1 version 2": ("21" + PSEUDO[2:] + "00" * 8, {}, Reason.WRONG_VERSION),
    "7.1 version 4": ("41" + PSEUDO[2:], {}, Reason.WRONG_VERSION),
    "7.1 version 15, any length": ("f1" + PSEUDO[2:] + "00", {}, Reason.WRONG_VERSION),
    "TTL before version": ("41" + PSEUDO[2:], {"ttl": 1}, Reason.BAD_TTL),
    "IPv6, not yet": (
        "3133640100140000" + "00" * 16,
        {"source": "fe80::1", "destination": "ff02::12"},
        Reason.WRONG_FAMILY,
    ),
    "5.2.2 type 2": ("32" + PSEUDO[2:], {}, Reason.WRONG_TYPE),
    "version before type": ("42" + PSEUDO[2:], {}, Reason.WRONG_VERSION),
    "the IP header says less": (PSEUDO, {"declared": 12}, Reason.WRONG_TOTAL),
    "the IP header counts padding": (PSEUDO + "00" * 10, {"declared": 26}, Reason.WRONG_TOTAL),
    "7.1 checksum": (PSEUDO[:8] + "0015" + PSEUDO[12:], {}, Reason.BAD_CHECKSUM),
    "checksum before kind": (
        PSEUDO[:8] + "0015" + PSEUDO[12:],
        {"peers": (US,)},
        Reason.BAD_CHECKSUM,
    ),
    "unicast, and we play multicast": (UNICAST, {"destination": PEER}, Reason.WRONG_KIND),
    "multicast, and we play unicast": (PSEUDO, {"peers": (US,)}, Reason.WRONG_KIND),
    "5.2.5 no addresses": ("3133640000146ab8", {}, Reason.NO_ADDRESSES),
    "an interval of zero": ("31336402000055ef0a0900640a090065", {}, Reason.NO_INTERVAL),
    "no peer of ours": (
        UNICAST,
        {"destination": PEER, "peers": ("10.9.0.3",)},
        Reason.NOT_A_PEER,
    ),
}


@pytest.mark.parametrize(("pdu", "around", "reason"), REJECTED.values(), ids=REJECTED)
def test_rejected(pdu: str, around: dict[str, object], reason: Reason) -> None:
    """
    Each fault has its reason, and of two faults the one that is checked first is named.
    """
    assert read(pdu, **around) == Rejected(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("priority", [0, 100])
@pytest.mark.parametrize("case", ["v2", "v2pass", "vmac"])
def test_version_2_is_refused_by_name(case: str, priority: int) -> None:
    """
    What keepalived sends by default is well formed, and of the wrong version.
    """
    assert read(golden(case, priority)[20:]) == Rejected(Reason.WRONG_VERSION)


@pytest.mark.parametrize(("surplus", "fits"), [(2, True), (6, True), (10, True), (4, False)])
def test_ethernet_padding(surplus: int, fits: bool) -> None:
    """
    A frame filled up to 46 bytes (42 and 38 under VLAN tags) is the advert it holds.
    """
    heard = read(PSEUDO + "aa" * surplus, declared=16)

    assert heard == (Heard(ADVERT, Checksum.PSEUDO) if fits else Rejected(Reason.BAD_LENGTH))


def test_7_1_ttl_says_nothing_in_unicast() -> None:
    """
    A peer behind a router is heard.
    """
    heard = read(UNICAST, destination=PEER, ttl=63, peers=(US,))

    assert heard == Heard(ADVERT, Checksum.PSEUDO)


def test_5_2_6_reserved_bits_are_ignored() -> None:
    """
    Bits above the interval change nothing but the checksum.
    """
    assert read("31336402f01465da0a0900640a090065") == Heard(ADVERT, Checksum.PLAIN)


@pytest.mark.parametrize("at", range(16))
@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_a_flipped_byte_is_noticed(at: int, flip: int) -> None:
    """
    No noise in a single byte of a golden advert passes.
    """
    pdu = bytearray(bytes.fromhex(PSEUDO))
    pdu[at] ^= flip

    assert isinstance(read(bytes(pdu)), Rejected)


@pytest.mark.parametrize(
    ("interval", "wire"), [(0.01, 1), (0.1, 10), (0.2, 20), (1.0, 100), (40.95, 4095)]
)
def test_5_2_7_centiseconds(interval: float, wire: int) -> None:
    """
    Seconds become hundredths, to the nearest.
    """
    assert centiseconds(interval) == wire


@pytest.mark.parametrize("interval", [0.0, 0.004, 40.96])
def test_an_interval_that_does_not_fit_is_a_bug(interval: float) -> None:
    """
    The file's loader keeps intervals within 12 bits; here it is asserted.
    """
    with pytest.raises(AssertionError):
        centiseconds(interval)


@pytest.mark.parametrize(
    "advert",
    [
        pytest.param(
            Advert(vrid=1, priority=1, interval=1.0, addresses=(), family=Family.IPV6), id="family"
        ),
        pytest.param(Advert(vrid=1, priority=1, interval=1.0, addresses=("::1",)), id="address"),
    ],
)
def test_what_is_not_ipv4_is_not_encoded(advert: Advert) -> None:
    """
    IPv6 is not packed into an IPv4 advert by mistake.
    """
    with pytest.raises(AssertionError):
        encode(advert, source=US, destination=GROUP)


ADVERTS = st.builds(
    Advert,
    vrid=st.integers(1, 255),
    priority=st.integers(0, 255),
    interval=st.integers(1, 4095).map(lambda count: count / 100),
    addresses=st.lists(st.ip_addresses(v=4).map(str), min_size=1, max_size=255).map(tuple),
)
HOSTS = st.ip_addresses(v=4).map(str).filter(lambda host: host != GROUP)


@given(ADVERTS, HOSTS, HOSTS | st.just(GROUP), st.sampled_from(["pseudo", "plain"]))
def test_decode_after_encode_is_identity(
    advert: Advert, source: str, destination: str, checksum: str
) -> None:
    """
    Any advert that we can say is heard as it was said.
    """
    pdu = encode(advert, source=source, destination=destination, checksum=checksum)
    peers = () if destination == GROUP else (source,)

    heard = read(pdu, source=source, destination=destination, declared=len(pdu), peers=peers)

    assert isinstance(heard, Heard)
    assert heard.advert == advert


@given(
    pdu=st.binary(max_size=64)
    | st.binary(max_size=62).map(lambda tail: b"\x31" + tail)
    | st.binary(min_size=2, max_size=2).map(lambda two: bytes.fromhex(PSEUDO[:-4]) + two),
    source=st.sampled_from([US, "fe80::1"]),
    ttl=st.integers(0, 255) | st.just(255),
    declared=st.none() | st.integers(-20, 70),
    peers=st.sampled_from([(), (US,), (PEER,)]),
)
def test_decode_never_raises(
    pdu: bytes, source: str, ttl: int, declared: int | None, peers: tuple[str, ...]
) -> None:
    """
    Whatever comes: an advert of use, or a reason.
    """
    heard = read(pdu, source=source, ttl=ttl, declared=declared, peers=peers)

    if isinstance(heard, Heard):
        assert heard.advert.addresses
        assert heard.advert.interval > 0
    else:
        assert isinstance(heard.reason, Reason)
