"""vrrp/claims and vrrp/sniffer: who else claims an address, and which frames we are woken for."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Family
from director.vrrp.claims import Claim, answer, claim_of, question
from director.vrrp.frames import gratuitous_arp, neighbour_advertisement, ones_sum, packed
from director.vrrp.sniffer import EXACT, program
from tests.director.kernel.test_bpf import passes

OURS, OTHER = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")
NEAR = bytes.fromhex("02000000ff0a")  # differs in the last half alone
VIP, VIP6 = "192.0.2.10", "2001:db8::10"
MORE = [f"10.0.{n // 250}.{n % 250}" for n in range(EXACT[Family.IPV4])]
GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "golden-frames.json").read_text())


def test_keepaliveds_announcements_are_claims() -> None:
    """As captured: its gratuitous ARP and its neighbour advertisement."""
    kinds = {("v3", "garp"), ("v6", "unsolicited_na")}
    frames = [
        bytes.fromhex(one["frame_hex"]) for one in GOLDEN if (one["case"], one["kind"]) in kinds
    ]

    claims = {claim_of(frame) for frame in frames}

    assert {claim.address for claim in claims if claim} >= {"10.9.0.100", "fe80::100"}
    assert {claim.who for claim in claims if claim} == {"02:00:00:00:00:0a"}


@given(st.binary(max_size=100), st.sampled_from([b"", b"\x08\x06", b"\x86\xdd"]))
def test_nothing_that_comes_raises(data: bytes, ethertype: bytes) -> None:
    """Random frames, with and without a true ethertype."""
    claim_of(data)
    claim_of(bytes(12) + ethertype + data)


def test_an_arp_probe_is_a_question_that_teaches_nobody() -> None:
    """RFC 5227 section 2.1.1: to everybody, sender 0.0.0.0, target MAC zero."""
    assert question(OURS, VIP) == bytes.fromhex(
        "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a 00000000 000000000000 c000020a"
    )


def test_a_solicitation_is_that_of_duplicate_detection() -> None:
    """RFC 4862 section 5.4.2: from ::, to the solicited-node group, hop limit 255, no option."""
    frame = question(OURS, VIP6)

    assert frame[:14] == bytes.fromhex("3333ff000010 02000000000a 86dd")
    assert frame[14:22] == bytes.fromhex("60000000 0018 3a ff")
    assert frame[22:54] == bytes(16) + packed("ff02::1:ff00:10")
    assert (frame[54:56], frame[58:]) == (b"\x87\0", bytes(4) + packed(VIP6))
    assert (
        ones_sum(frame[22:54] + (24).to_bytes(4, "big") + (58).to_bytes(4, "big") + frame[54:])
        == 0xFFFF
    )


def test_a_claimant_alone_is_told() -> None:
    """The same frame as an announcement, to his MAC: no neighbour hears it."""
    for address in (VIP, VIP6):
        frame = answer(OURS, Claim(address, OTHER))
        assert (frame[:6], claim_of(frame)) == (OTHER, Claim(address, OURS))


def reply(mac: bytes, address: str) -> bytes:
    """An ARP reply to somebody."""
    frame = bytearray(gratuitous_arp(mac, address))
    frame[20:22] = b"\0\2"
    return bytes(frame)


NA = neighbour_advertisement(OTHER, VIP6, routes=False)
FRAMES = {
    "announced by another": (gratuitous_arp(OTHER, VIP), Family.IPV4, True),
    "answered by another": (reply(OTHER, VIP), Family.IPV4, True),
    "by one whose MAC is nearly ours": (gratuitous_arp(NEAR, VIP), Family.IPV4, True),
    "announced by us": (gratuitous_arp(OURS, VIP), Family.IPV4, False),
    "another address": (gratuitous_arp(OTHER, "192.0.2.12"), Family.IPV4, False),
    "a probe": (question(OTHER, VIP), Family.IPV4, False),
    "cut": (gratuitous_arp(OTHER, VIP)[:30], Family.IPV4, False),
    "an advertisement of another": (NA, Family.IPV6, True),
    "our own": (neighbour_advertisement(OURS, VIP6, routes=True), Family.IPV6, False),
    "of another address": (
        neighbour_advertisement(OTHER, "2001:db8::11", routes=False), Family.IPV6, False,
    ),
    "a solicitation": (question(OTHER, VIP6), Family.IPV6, False),
    "no ICMP": (NA[:20] + b"\x06" + NA[21:], Family.IPV6, False),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "family", "there"), FRAMES.values(), ids=FRAMES)
def test_only_claims_of_others_to_our_vips_pass_the_filter(
    frame: bytes, family: Family, there: bool
) -> None:
    """And what passes is read as the claim that it is."""
    vips = [VIP, "192.0.2.11"] if family is Family.IPV4 else [VIP6, "2001:db8::12"]

    assert passes(program(family, vips, OURS), frame) is there
    if there:
        assert claim_of(frame) == Claim(vips[0], frame[6:12])


def test_with_no_address_nothing_passes() -> None:
    """A socket that is kept for later wakes nobody."""
    assert not passes(program(Family.IPV4, [], OURS), gratuitous_arp(OTHER, VIP))


def test_a_filter_of_many_addresses_knows_each_and_stays_small() -> None:
    """512 exactly; with one more it passes all but our own. 20 KiB is what the kernel takes."""
    exact, coarse = program(Family.IPV4, MORE, OURS), program(Family.IPV4, [*MORE, VIP], OURS)
    six = program(Family.IPV6, [f"2001:db8::{n:x}" for n in range(EXACT[Family.IPV6])], OURS)

    assert all(passes(exact, gratuitous_arp(OTHER, address)) for address in MORE)
    assert not passes(exact, gratuitous_arp(OTHER, VIP))
    assert passes(coarse, gratuitous_arp(OTHER, "192.0.2.99"))
    assert not passes(coarse, gratuitous_arp(OURS, VIP))
    assert max(map(len, (exact, six))) < 20 * 1024 * 8 // 10
