"""Ranges in `virtual`: what right files mean."""

import pytest

from director.config.marks import SPACE, marks_for
from director.model.address import Family
from director.model.match import PORT_MAX, Match
from director.model.pool import Service
from director.model.service import Protocol, ServiceKey
from director.policy.probing import places_of
from tests.director.config.test_resolve import CHECKS, VIRTUAL, WEB, config_of, web_of

BASE = 0x4000_0000
TCP = Protocol.TCP


def ranged(virtual: str, more: str = "", checks: str = 'checks = "none"') -> Service:
    text = f'held = "elsewhere"\nvirtual = {virtual}\n{more}'
    return web_of((VIRTUAL, text), (CHECKS, checks))


MULTIPLIED = {
    # what is written: (virtual, how many, the first, the last)
    "addresses": ('"192.0.2.10-192.0.2.20:80"', 11, "192.0.2.10:80", "192.0.2.20:80"),
    "a network": ('"192.0.2.16/28:80"', 16, "192.0.2.16:80", "192.0.2.31:80"),
    "ports": ('"192.0.2.10:8000-8063"', 64, "192.0.2.10:8000", "192.0.2.10:8063"),
    "both": ('"192.0.2.10-192.0.2.11:80-83"', 8, "192.0.2.10:80", "192.0.2.11:83"),
    "one alone": ('"192.0.2.10/32:80-80"', 1, "192.0.2.10:80", "192.0.2.10:80"),
    "over a border": ('"192.0.2.255-192.0.3.1:80"', 3, "192.0.2.255:80", "192.0.3.1:80"),
}


@pytest.mark.parametrize("case", MULTIPLIED.values(), ids=MULTIPLIED)
def test_up_to_64_pairs_are_so_many_virtual_services(case: tuple[str, int, str, str]) -> None:
    """Each is found by its own address and port, and has the whole pool."""
    virtual, count, first, last = case

    web = ranged(virtual, checks=CHECKS)

    assert len(web.virtuals) == len(set(web.virtuals)) == count
    assert (str(web.virtuals[0]), str(web.virtuals[-1])) == (f"tcp/{first}", f"tcp/{last}")
    assert web.matches == ()
    assert len(places_of(web)) == 2 * count


WIDE = {
    # what is written: (virtual, more, the match, the real servers' port)
    "ports": ('"192.0.2.10:8000-8064"', "", ("192.0.2.10", "192.0.2.10", 8000, 8064), 0),
    "addresses": ('"192.0.2.0/25:80"', "", ("192.0.2.0", "192.0.2.127", 80, 80), 80),
    "every port": ('"203.0.113.0/25:0"', 'persistence = "5m"\n', ("203.0.113.0", "203.0.113.127", 0, PORT_MAX), 0),
}  # fmt: skip


@pytest.mark.parametrize("case", WIDE.values(), ids=WIDE)
def test_above_64_it_is_one_service_of_a_mark(
    case: tuple[str, str, tuple[str, str, int, int], int],
) -> None:
    """From mark_base on, set by us; of one port the real servers have that one, too."""
    virtual, more, (first, last, low, high), port = case

    web = ranged(virtual, more)

    (key,) = web.virtuals
    assert web.matches == (Match(first, last, TCP, low, high, key.mark),)
    assert key == ServiceKey(Family.IPV4, mark=key.mark)
    assert BASE <= key.mark < BASE + SPACE
    assert web.protocol is TCP
    assert {place.endpoint.port for place, _ in places_of(web)} == {port}


def test_ranges_and_single_addresses_of_one_service() -> None:
    """All have one pool; two wide ranges have two marks."""
    web = ranged('["192.0.2.10:80", "192.0.2.11:1000-2000", "192.0.2.12:1000-2000"]')

    assert [bool(key.mark) for key in web.virtuals] == [False, True, True]
    assert [web.spell(key) for key in web.virtuals] == [
        "tcp/192.0.2.10:80",
        "192.0.2.11:1000-2000",
        "192.0.2.12:1000-2000",
    ]


def test_a_range_of_ipv6() -> None:
    """In brackets, as an address would be."""
    text = 'held = "elsewhere"\nvirtual = ["[2001:db8:9::/64]:80", "[2001:db8::1-2001:db8::3]:80"]'
    web = web_of((VIRTUAL, text), (WEB, 'real_servers = ["2001:db8:8::1"]'))

    assert [str(key) for key in web.virtuals[:3]] == [
        f"tcp/[2001:db8::{number}]:80" for number in (1, 2, 3)
    ]
    assert str(web.matches[0]) == "[2001:db8:9::-2001:db8:9:0:ffff:ffff:ffff:ffff]:80"


def test_the_mark_stays_whatever_else_the_file_says() -> None:
    """Another name, another order, another service before it, the other node."""
    (mark,) = ranged('"192.0.2.10:8000-8100"').virtuals
    more = ranged('["192.0.2.9:8000-8100", "192.0.2.10:8000-8100"]')
    other = config_of(
        ("[services.web]", "[services.shop]"),
        (VIRTUAL, 'virtual = "192.0.2.10:8000-8100"'),
        (CHECKS, 'checks = "none"'),
        node="lb2",
    )

    assert mark in more.virtuals
    assert other.services[0].virtuals == (mark,)


def test_it_moves_with_mark_base() -> None:
    """Where another tool has marks of its own."""
    (mark,) = ranged('"192.0.2.10:8000-8100"').virtuals
    base = "[kernel]\nmark_base = 0x100\n[services.web]"
    text = 'virtual = "192.0.2.10:8000-8100"'
    web = web_of(("[services.web]", base), (VIRTUAL, text), (CHECKS, 'checks = "none"'))

    assert web.virtuals[0].mark - 0x100 == mark.mark - BASE


def match(number: int) -> Match:
    return Match("192.0.2.10", "192.0.2.10", TCP, number, number + 100)


def test_two_ranges_never_have_one_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a space so small that nearly all collide; the order of the file does not matter."""
    monkeypatch.setattr("director.config.marks.SPACE", 20)
    ranges = [match(number) for number in range(1, 21)]

    marks = marks_for(ranges, BASE)

    assert sorted(marks.values()) == [BASE + number for number in range(20)]
    assert marks_for(reversed(ranges), BASE) == marks
