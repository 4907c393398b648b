"""vrrp/moves: routes and rules are there while the VIPs are."""

import errno
import logging

import msgspec
import pytest

from director.kernel.routes import encode_route, encode_route_gone, encode_rule, encode_rule_gone
from director.model.address import parse_prefix
from director.model.vip import Route, RouteRule
from director.vrrp.vips import Vips
from tests.director.vrrp.fakes import ETH0, HELD, ROUTER, FakeAddresses, FakeAnnouncer

NOW = 1000.0
ROUTE = Route(
    to=parse_prefix("203.0.113.0/24"),
    via="192.0.2.1",
    interface="eth0",
    table=100,
    source="192.0.2.100",
)
FAR = Route(to=parse_prefix("2001:db8:9::/48"), via="2001:db8::1", metric=7)
RULE = RouteRule(source=parse_prefix("192.0.2.100"), table=100, priority=1000)
ELSEWHERE = Route(to=parse_prefix("198.51.100.0/24"), interface="eth9")
HOLD = [encode_route(ROUTE, 2, 2.0), encode_route(FAR, 0, 2.0), encode_rule(RULE)]
GONE = [encode_rule_gone(RULE), encode_route_gone(ROUTE, 2), encode_route_gone(FAR, 0)]


class Scene:
    def __init__(self, lease: float = 2.0) -> None:
        self.addresses = FakeAddresses([])
        router = msgspec.structs.replace(
            ROUTER, routes=(ROUTE, FAR, ELSEWHERE), rules=(RULE,), lease=lease
        )
        self.vips = Vips(router, self.addresses, FakeAnnouncer([]))
        self.vips.place({"eth0": ETH0}, NOW)


def test_they_come_after_the_vips_and_go_before_them() -> None:
    """And are asked for again with each refresh; a route over an interface that is not there is
    left out."""
    scene = Scene()

    scene.vips.take(NOW)
    assert set(HELD) <= scene.addresses.there.keys()
    assert scene.addresses.requests == HOLD
    scene.vips.turn(NOW + 0.5)
    assert scene.addresses.requests == HOLD * 2
    scene.addresses.requests.clear()
    scene.vips.drop()

    assert scene.addresses.requests == GONE


def test_who_starts_without_vips_removes_what_a_life_before_left() -> None:
    """Routes have no lease of their own."""
    scene = Scene()

    scene.vips.none()

    assert scene.addresses.requests == GONE


def test_what_is_refused_is_said_once_and_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    """Without a lease too; what is there already is no refusal."""
    scene = Scene(lease=0.0)
    scene.addresses.refuse_requests = errno.ENETUNREACH

    scene.vips.take(NOW)
    scene.vips.turn(NOW + 1)
    said = [r.getMessage() for r in caplog.records]
    assert said == [
        "web: cannot hold route 203.0.113.0/24 via 192.0.2.1 table 100: Network is unreachable",
        "web: cannot hold route 2001:db8:9::/48 via 2001:db8::1 table 254: Network is unreachable",
        "web: cannot hold rule 1000 from 192.0.2.100/32 table 100: Network is unreachable",
    ]
    scene.addresses.refuse_requests = errno.EEXIST
    scene.vips.turn(NOW + 2)

    assert scene.vips.deadline == float("inf")


def test_removing_what_is_not_there_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """ESRCH, ENOENT, ENODEV."""
    for code in (errno.ESRCH, errno.ENOENT, errno.ENODEV):
        scene = Scene()
        scene.addresses.refuse_requests = code
        scene.vips.none()

    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
