# Adverts, byte for byte against keepalived 2.2.7 and clause by clause against the RFCs. A row is
# named by its clause of RFC 9568, or with the number of the RFC before it (3768, 2338).
#
# Golden PDUs are taken from whole captured frames; checksums written out here are those frames'.
"""Tests of director.vrrp.packet."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Family
from director.vrrp.advert import (
    AH_PROTOCOL,
    GROUP,
    GROUP_V6,
    PROTOCOL,
    Advert,
    Checksum,
    Heard,
    Method,
    Reason,
    Rejected,
    Secret,
    Terms,
)
from director.vrrp.authentication import seal
from director.vrrp.frames import Datagram, ipv4_header, parse_ipv4
from director.vrrp.packet import decode, encode

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "golden-frames.json").read_text())
US, PEER = "10.9.0.1", "10.9.0.2"
US_V6 = "fe80::ff:fe00:a"
VIPS = ("10.9.0.100", "10.9.0.101")
ADVERT = Advert(vrid=51, priority=100, interval=0.2, addresses=VIPS)
ADVERT_V2 = Advert(vrid=51, priority=100, interval=1.0, addresses=VIPS, version=2)
ADVERT_V6 = Advert(
    vrid=51,
    priority=150,
    interval=0.5,
    addresses=("fe80::100", "2001:db8::100"),
    family=Family.IPV6,
)

PSEUDO = "3133640200146b3e0a0900640a090065"
UNICAST = "31336402001441460a0900640a090065"
PLAIN = "31336402001455db0a0900640a090065"
V2 = "21336402000165ee0a0900640a0900650000000000000000"
V2_WORD = "21336402010128a20a0900640a0900657365637265740000"
V6 = "3133960200320d26fe80000000000000000000000000010020010db8000000000000000000000100"

PASS, AH = Secret(Method.PASS, b"secret"), Secret(Method.AH, b"secret")
TERMS_V2 = Terms(version=2)
TERMS_PASS, TERMS_AH = Terms(version=2, secret=PASS), Terms(version=2, secret=AH)
FROM_US = Terms(peers=(US,))
TO_V6 = {"source": US_V6, "destination": GROUP_V6}


def golden(case: str, priority: int) -> bytes:
    """The IP packet of the captured advert."""
    found = next(row for row in GOLDEN if (row["case"], row.get("priority")) == (case, priority))
    return bytes.fromhex(found["frame_hex"])[14:]


def read(pdu: str | bytes, terms: Terms, **around: Any) -> Heard | Rejected:
    payload = bytes.fromhex(pdu) if isinstance(pdu, str) else pdu
    plain: dict[str, Any] = {
        "source": US,
        "destination": GROUP,
        "ttl": 255,
        "protocol": PROTOCOL,
    }
    return decode(Datagram(payload=payload, **(plain | around)), terms)


def sealed(sequence: int = 1, *, spi: str = US, key: bytes = b"secret") -> Datagram:
    """What a sealed advert of ours arrives as."""
    pdu = encode(ADVERT_V2, source=US, destination=GROUP, secret=AH)
    secret = Secret(Method.AH, key)
    packet = seal(
        pdu, source=spi, destination=GROUP, secret=secret, sequence=sequence, identification=7
    )
    datagram = parse_ipv4(packet)
    assert datagram is not None
    return msgspec.structs.replace(datagram, source=US)


def resigned(advert: Advert) -> Advert:
    return msgspec.structs.replace(advert, priority=0)


GOLDENS = {
    # captured            advert                       sent to     on terms
    "v2":                (ADVERT_V2,                   GROUP,      TERMS_V2),
    "v2, 0":             (resigned(ADVERT_V2),         GROUP,      TERMS_V2),
    "v2pass":            (ADVERT_V2,                   GROUP,      TERMS_PASS),
    "v2pass, 0":         (resigned(ADVERT_V2),         GROUP,      TERMS_PASS),
    "v2ah":              (ADVERT_V2,                   GROUP,      TERMS_AH),
    "v2ah, 0":           (resigned(ADVERT_V2),         GROUP,      TERMS_AH),
    "vmac":              (ADVERT_V2,                   GROUP,      TERMS_V2),
    "vmac, 0":           (resigned(ADVERT_V2),         GROUP,      TERMS_V2),
    "v3":                (ADVERT,                      GROUP,      Terms()),
    "v3, 0":             (resigned(ADVERT),            GROUP,      Terms()),
    "v3uni":             (ADVERT,                      PEER,       FROM_US),
    "v3uni, 0":          (resigned(ADVERT),            PEER,       FROM_US),
}  # fmt: skip


@pytest.mark.parametrize("row", GOLDENS)
def test_golden(row: str) -> None:
    """
    The whole IPv4 packet that keepalived sends is what we send, and what we read.
    """
    advert, destination, terms = GOLDENS[row]
    packet = golden(row.partition(",")[0], advert.priority)
    datagram = parse_ipv4(packet)
    assert datagram is not None
    identification = int.from_bytes(packet[4:6], "big")

    pdu = encode(advert, source=US, destination=destination, secret=terms.secret)
    if terms is TERMS_AH:
        ours = seal(
            pdu,
            source=US,
            destination=destination,
            secret=AH,
            sequence=identification,  # keepalived counts both from one
            identification=identification,
        )
    else:
        header = ipv4_header(US, destination, 112, len(pdu), identification=identification)
        ours = header + pdu

    assert ours == packet
    checksum = Checksum.PLAIN if terms.version == 2 else Checksum.PSEUDO
    sequence = identification if terms is TERMS_AH else 0
    assert decode(datagram, terms) == Heard(advert, checksum, sequence)


@pytest.mark.parametrize("advert", [ADVERT_V6, resigned(ADVERT_V6)], ids=["150", "0"])
def test_golden_over_ipv6(advert: Advert) -> None:
    """
    The same over IPv6, where the kernel keeps the header to itself.
    """
    pdu = golden("v6", advert.priority)[40:]

    assert encode(advert, source=US_V6, destination=GROUP_V6) == pdu
    assert read(pdu, Terms(), **TO_V6) == Heard(advert, Checksum.PSEUDO)


def test_no_golden_advert_is_left_out() -> None:
    """
    Every captured advert is in a table above.
    """
    cases = {row["case"] for row in GOLDEN if row["kind"] == "advert"}

    assert cases == {row.partition(",")[0] for row in GOLDENS} | {"v6"}


def test_plain_is_rfc_9568() -> None:
    """
    5.2.8: without a pseudo-header the same advert sums to 55db, wherever it goes.
    """
    for destination in (GROUP, PEER):
        pdu = encode(ADVERT, source=US, destination=destination, checksum="plain")
        assert pdu.hex() == PLAIN


CHECKSUMS = {
    "5.2.8 pseudo, multicast": (PSEUDO, GROUP, (), Checksum.PSEUDO),
    "5.2.8 plain, multicast": (PLAIN, GROUP, (), Checksum.PLAIN),
    "5.2.8 pseudo, unicast": (UNICAST, PEER, (US,), Checksum.PSEUDO),
    "5.2.8 pseudo with the group, unicast": (PSEUDO, PEER, (US,), Checksum.PSEUDO_GROUP),
    "5.2.8 plain, unicast": (PLAIN, PEER, (US,), Checksum.PLAIN),
}


@pytest.mark.parametrize(("pdu", "to", "peers", "form"), CHECKSUMS.values(), ids=CHECKSUMS)
def test_three_checksums(pdu: str, to: str, peers: tuple[str, ...], form: Checksum) -> None:
    """
    Each of the three readings of the RFCs is accepted, and named.
    """
    assert read(pdu, Terms(peers=peers), destination=to) == Heard(ADVERT, form)


BAD_SUM = PSEUDO[:8] + "0015" + PSEUDO[12:]
BAD_SUM_V2 = V2[:-1] + "1"
AH_ALONE = "700400000a0900010000000121132a59b416a2dc57aef21d"
GIVEN_AH = {"protocol": AH_PROTOCOL}
OTHER_WORD = Secret(Method.PASS, b"Secret")

# A table of what is wrong, in the order in which it is looked for.
REJECTED = {
    "2338-5.3.6.3 a seal was wanted":   (V2, TERMS_AH, {}, Reason.AH_MISSING),
    "2338-5.3.6.3 a seal was not":      (AH_ALONE + V2, TERMS_V2, GIVEN_AH, Reason.AH_UNEXPECTED),
    "half a seal":                      (AH_ALONE[:-2], TERMS_AH, GIVEN_AH, Reason.BAD_AH),
    "a seal around TCP":                ("06" + AH_ALONE[2:] + V2, TERMS_AH, GIVEN_AH, Reason.BAD_AH),
    "a seal of another length":         ("7005" + AH_ALONE[4:] + V2, TERMS_AH, GIVEN_AH, Reason.BAD_AH),
    "a seal around nothing":            (AH_ALONE, TERMS_AH, GIVEN_AH, Reason.TOO_SHORT),
    "nothing":                          ("", Terms(), {}, Reason.TOO_SHORT),
    "7 bytes":                          ("31336402001455", Terms(), {}, Reason.TOO_SHORT),
    "7.1 shorter than its count":       (PSEUDO[:-2], Terms(), {}, Reason.BAD_LENGTH),
    "7.1 longer by an address":         (PSEUDO + "0a090066", Terms(), {}, Reason.BAD_LENGTH),
    "one stray byte":                   (PSEUDO + "00", Terms(), {}, Reason.BAD_LENGTH),
    "padding beyond 46":                (PSEUDO + "00" * 14, Terms(), {}, Reason.BAD_LENGTH),
    "no padding over IPv6":             (V6 + "0000", Terms(), TO_V6, Reason.BAD_LENGTH),
    "3768-5.3 no authentication data":  (V2[:-16], TERMS_V2, {}, Reason.BAD_LENGTH),
    "version 2, length of version 3":   ("21" + PSEUDO[2:], Terms(), {}, Reason.BAD_LENGTH),
    "7.1 TTL 254":                      (PSEUDO, Terms(), {"ttl": 254}, Reason.BAD_TTL),
    "7.1 hop limit 254":                (V6, Terms(), {**TO_V6, "ttl": 254}, Reason.BAD_TTL),
    "3768-7.1 TTL 254":                 (V2, TERMS_V2, {"ttl": 254}, Reason.BAD_TTL),
    "length before TTL":                (PSEUDO + "00", Terms(), {"ttl": 254}, Reason.BAD_LENGTH),
    "7.1 version 2":                    (V2, Terms(), {}, Reason.WRONG_VERSION),
    "3768-7.1 version 3":               (PSEUDO, TERMS_V2, {}, Reason.WRONG_VERSION),
    "7.1 version 4":                    ("41" + PSEUDO[2:], Terms(), {}, Reason.WRONG_VERSION),
    "7.1 version 15, any length":       ("f1" + PSEUDO[2:] + "00", Terms(), {}, Reason.WRONG_VERSION),
    "TTL before version":               ("41" + PSEUDO[2:], Terms(), {"ttl": 1}, Reason.BAD_TTL),
    "3768-2 no version 2 over IPv6":    ("2133640000019a6a" + "00" * 8, TERMS_V2, TO_V6, Reason.WRONG_FAMILY),
    "2338-10.5.3 unknown method":       (V2[:8] + "03" + V2[10:], TERMS_V2, {}, Reason.UNKNOWN_AUTH),
    "2338-10.5.3 a password, unasked":  (V2_WORD, TERMS_V2, {}, Reason.WRONG_AUTH),
    "2338-10.5.3 no password":          (V2, TERMS_PASS, {}, Reason.WRONG_AUTH),
    "2338-10.5.2 wrong password":       (V2_WORD, Terms(version=2, secret=OTHER_WORD), {}, Reason.BAD_PASSWORD),
    "password before interval":         (V2_WORD, Terms(version=2, secret=OTHER_WORD, interval=2.0), {}, Reason.BAD_PASSWORD),
    "3768-7.1 another interval":        (V2, Terms(version=2, interval=2.0), {}, Reason.WRONG_INTERVAL),
    "interval before type":             ("22" + V2[2:], Terms(version=2, interval=2.0), {}, Reason.WRONG_INTERVAL),
    "3768-7.1 type 2":                  ("22" + V2[2:], TERMS_V2, {}, Reason.WRONG_TYPE),
    "7.1 type 2":                       ("32" + PSEUDO[2:], Terms(), {}, Reason.WRONG_TYPE),
    "version before type":              ("42" + PSEUDO[2:], Terms(), {}, Reason.WRONG_VERSION),
    "the IP header says less":          (PSEUDO, Terms(), {"declared": 12}, Reason.WRONG_TOTAL),
    "the IP header counts padding":     (PSEUDO + "00" * 10, Terms(), {"declared": 26}, Reason.WRONG_TOTAL),
    "7.1 checksum":                     (BAD_SUM, Terms(), {}, Reason.BAD_CHECKSUM),
    "7.1 checksum over IPv6":           (V6[:-1] + "1", Terms(), TO_V6, Reason.BAD_CHECKSUM),
    "5.2.8 no plain one over IPv6":     (V6[:12] + "e11f" + V6[16:], Terms(), TO_V6, Reason.BAD_CHECKSUM),
    "3768-7.1 checksum":                (BAD_SUM_V2, TERMS_V2, {}, Reason.BAD_CHECKSUM),
    "checksum before kind":             (BAD_SUM, FROM_US, {}, Reason.BAD_CHECKSUM),
    "unicast, and we play multicast":   (UNICAST, Terms(), {"destination": PEER}, Reason.WRONG_KIND),
    "multicast, and we play unicast":   (PSEUDO, FROM_US, {}, Reason.WRONG_KIND),
    "5.2.5 no addresses":               ("3133640000146ab8", Terms(), {}, Reason.NO_ADDRESSES),
    "an interval of zero":              ("31336402000055ef0a0900640a090065", Terms(), {}, Reason.NO_INTERVAL),
    "no peer of ours":                  (UNICAST, Terms(peers=("10.9.0.3",)), {"destination": PEER}, Reason.NOT_A_PEER),
    "5.1.2.1 a global source":          ("313396020032dcf6" + V6[16:], Terms(), {**TO_V6, "source": "2001:db8::1"}, Reason.NOT_LINK_LOCAL),
}  # fmt: skip


@pytest.mark.parametrize(("pdu", "terms", "around", "reason"), REJECTED.values(), ids=REJECTED)
def test_rejected(pdu: str, terms: Terms, around: dict[str, object], reason: Reason) -> None:
    """
    Each fault has its reason, and of two faults the one that is checked first is named.
    """
    assert read(pdu, terms, **around) == Rejected(reason)


# The other side of the rules above: what passes.
ACCEPTED = {
    "7.1 complete, TTL 255, version 3, type 1": (PSEUDO, Terms(), {"declared": 16}, ADVERT),
    "7.1 over IPv6":                      (V6, Terms(), TO_V6, ADVERT_V6),
    "7.1 another interval is learned":    (PSEUDO, Terms(interval=1.0), {}, ADVERT),
    "7.1 a peer behind a router":         (UNICAST, FROM_US, {"destination": PEER, "ttl": 63}, ADVERT),
    "5.2.6 reserved bits are ignored":    ("31336402f01465da0a0900640a090065", Terms(), {}, ADVERT),
    "3768-7.1 as it should be":           (V2, TERMS_V2, {"declared": 24}, ADVERT_V2),
    "2338-10.5.2 the password":           (V2_WORD, TERMS_PASS, {}, ADVERT_V2),
    "2338-10.5.2 eight bytes of it count": (V2_WORD, Terms(version=2, secret=Secret(Method.PASS, b"secret\0\0+")), {}, ADVERT_V2),
}  # fmt: skip


@pytest.mark.parametrize(("pdu", "terms", "around", "advert"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(pdu: str, terms: Terms, around: dict[str, object], advert: Advert) -> None:
    """
    What is right by the rule of the row is heard.
    """
    heard = read(pdu, terms, **around)

    assert isinstance(heard, Heard)
    assert heard.advert == advert


SEALS = {
    # what came                            datagram                            last  outcome
    "2338-5.3.6.3 the first":             (sealed(1),                             0, 1),
    "2338-5.3.6.3 a gap":                 (sealed(9),                             3, 9),
    "2338-5.3.6.3 the same again":        (sealed(3),                             3, Reason.REPLAYED),
    "2338-5.3.6.3 an older one":          (sealed(2),                             3, Reason.REPLAYED),
    "2338-5.3.6.3 another's SPI":         (sealed(4, spi=PEER),                   3, Reason.WRONG_SPI),
    "2338-5.3.6.3 another key":           (sealed(4, key=b"Secret"),              3, Reason.BAD_DIGEST),
    "SPI before sequence":                (sealed(2, spi=PEER),                   3, Reason.WRONG_SPI),
    "sequence before digest":             (sealed(2, key=b"Secret"),              3, Reason.REPLAYED),
}  # fmt: skip


@pytest.mark.parametrize(("datagram", "last", "outcome"), SEALS.values(), ids=SEALS)
def test_seals(datagram: Datagram, last: int, outcome: int | Reason) -> None:
    """
    A seal is the source's, newer than the last, and made with our key.
    """
    heard = decode(datagram, TERMS_AH, sequence=last)

    if isinstance(outcome, Reason):
        assert heard == Rejected(outcome)
    else:
        assert heard == Heard(ADVERT_V2, Checksum.PLAIN, outcome)


@pytest.mark.parametrize(("surplus", "fits"), [(2, True), (6, True), (10, True), (4, False)])
def test_ethernet_padding(surplus: int, fits: bool) -> None:
    """
    A frame filled up to 46 bytes (42 and 38 under VLAN tags) is the advert it holds.
    """
    heard = read(PSEUDO + "aa" * surplus, Terms(), declared=16)

    assert heard == (Heard(ADVERT, Checksum.PSEUDO) if fits else Rejected(Reason.BAD_LENGTH))


FLIPPED = {
    "v3": (PSEUDO, Terms(), {}),
    "v2": (V2, TERMS_V2, {}),
    "v2pass": (V2_WORD, TERMS_PASS, {}),
    "v6": (V6, Terms(), TO_V6),
}


@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
@pytest.mark.parametrize(("pdu", "terms", "around"), FLIPPED.values(), ids=FLIPPED)
def test_a_flipped_byte_is_noticed(
    pdu: str, terms: Terms, around: dict[str, object], flip: int
) -> None:
    """
    No noise in a single byte of a golden advert passes.
    """
    whole = bytes.fromhex(pdu)

    for at in range(len(whole)):
        noisy = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
        assert isinstance(read(noisy, terms, **around), Rejected), at


@pytest.mark.parametrize("flip", [0x01, 0x80])
def test_a_flipped_byte_breaks_the_seal(flip: int) -> None:
    """
    Nor does any in a sealed packet, but in what changes on the way: TOS, fragment, header sum.
    """
    whole = golden("v2ah", 100)

    for at in set(range(len(whole))) - {1, 6, 7, 10, 11}:
        datagram = parse_ipv4(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        assert datagram is None or isinstance(decode(datagram, TERMS_AH), Rejected), at


NO_ADVERTS = {
    "family": Advert(vrid=1, priority=1, interval=1.0, addresses=(), family=Family.IPV6),
    "address": Advert(vrid=1, priority=1, interval=1.0, addresses=("::1",)),
    "address in version 2": Advert(vrid=1, priority=1, interval=1.0, addresses=("::1",), version=2),
    "fraction of a second in version 2": Advert(
        vrid=1, priority=1, interval=1.5, addresses=VIPS, version=2
    ),
    "too long for version 2": Advert(vrid=1, priority=1, interval=256.0, addresses=VIPS, version=2),
}


@pytest.mark.parametrize("advert", NO_ADVERTS.values(), ids=NO_ADVERTS)
def test_what_cannot_be_said_is_a_bug(advert: Advert) -> None:
    """
    The file's loader keeps them away; here they are asserted.
    """
    with pytest.raises(AssertionError):
        encode(advert, source=US, destination=GROUP)


def test_version_3_has_no_secret() -> None:
    """
    A secret that would not be sent must not be thought of as sent.
    """
    with pytest.raises(AssertionError):
        encode(ADVERT, source=US, destination=GROUP, secret=PASS)


VRIDS = st.integers(1, 255)
FOUR = st.ip_addresses(v=4).map(str)
SIX = st.ip_addresses(v=6).map(str)
PRIORITIES = st.integers(0, 255)
CENTISECONDS = st.integers(1, 4095).map(lambda count: count / 100)
ADVERTS = st.one_of(
    st.builds(
        Advert,
        vrid=VRIDS,
        priority=PRIORITIES,
        interval=CENTISECONDS,
        addresses=st.lists(FOUR, min_size=1, max_size=255).map(tuple),
    ),
    st.builds(
        Advert,
        vrid=VRIDS,
        priority=PRIORITIES,
        interval=st.integers(1, 255).map(float),
        addresses=st.lists(FOUR, min_size=1, max_size=255).map(tuple),
        version=st.just(2),
    ),
    st.builds(
        Advert,
        vrid=VRIDS,
        priority=PRIORITIES,
        interval=CENTISECONDS,
        addresses=st.lists(SIX, min_size=1, max_size=90).map(tuple),
        family=st.just(Family.IPV6),
    ),
)
SECRETS = st.builds(Secret, st.sampled_from(Method), st.binary(max_size=12))


@given(ADVERTS, SECRETS, st.booleans(), st.sampled_from(["pseudo", "plain"]))
def test_decode_after_encode_is_identity(
    advert: Advert, secret: Secret, multicast: bool, checksum: str
) -> None:
    """
    Any advert that we can say is heard as it was said.
    """
    six = advert.family is Family.IPV6
    source, peer, group = (US_V6, "fe80::b", GROUP_V6) if six else (US, PEER, GROUP)
    secret = secret if advert.version == 2 else Terms().secret
    around = {"source": source, "destination": group if multicast else peer}
    terms = Terms(
        version=advert.version,
        interval=advert.interval,
        peers=() if multicast else (source,),
        secret=secret,
    )

    pdu = encode(advert, checksum=checksum, secret=secret, **around)
    if secret.method is Method.AH:
        datagram = parse_ipv4(seal(pdu, secret=secret, sequence=5, identification=9, **around))
        assert datagram is not None
        heard = decode(datagram, terms, sequence=4)
    else:
        heard = read(pdu, terms, declared=len(pdu), **around)

    assert isinstance(heard, Heard)
    assert heard.advert == advert


NOISE = (
    st.binary(max_size=64)
    | st.binary(max_size=62).map(lambda tail: b"\x31" + tail)
    | st.binary(max_size=62).map(lambda tail: b"\x21" + tail)
    | st.binary(max_size=62).map(lambda tail: bytes.fromhex(AH_ALONE) + tail)
    | st.binary(min_size=2, max_size=2).map(lambda two: bytes.fromhex(PSEUDO[:-4]) + two)
)


@given(
    pdu=NOISE,
    source=st.sampled_from([US, "fe80::1"]),
    ttl=st.integers(0, 255) | st.just(255),
    protocol=st.sampled_from([PROTOCOL, AH_PROTOCOL]),
    declared=st.none() | st.integers(-20, 70),
    terms=st.sampled_from([Terms(), FROM_US, TERMS_V2, TERMS_PASS, TERMS_AH]),
)
def test_decode_never_raises(
    *, pdu: bytes, source: str, ttl: int, protocol: int, declared: int | None, terms: Terms
) -> None:
    """
    Whatever comes: an advert of use, or a reason.
    """
    header = golden("v2ah", 100)[:20]
    heard = read(
        pdu, terms, source=source, ttl=ttl, protocol=protocol, declared=declared, header=header
    )

    if isinstance(heard, Heard):
        assert heard.advert.addresses
        assert heard.advert.interval > 0
    else:
        assert isinstance(heard.reason, Reason)
