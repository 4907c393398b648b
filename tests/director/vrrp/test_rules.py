"""Tests of director.vrrp.rules."""

import math

import pytest

from director.model.address import Prefix
from director.model.vip import Failback, Router, Vip
from director.vrrp.rules import Rules, active_down, effective_priority, skew

TIMERS = {
    # priority, interval, version           skew         active down
    "6.1 the weakest":            ((1, 1.0, 3),     0.99609375,  3.99609375),
    "6.1 the default":            ((100, 1.0, 3),   0.609375,    3.609375),
    "6.1 the strongest":          ((254, 1.0, 3),   0.0078125,   3.0078125),
    "6.1 an owner":               ((255, 1.0, 3),   0.00390625,  3.00390625),
    "6.1 10 ms":                  ((100, 0.01, 3),  0.00609375,  0.03609375),
    "6.1 100 ms":                 ((100, 0.1, 3),   0.0609375,   0.3609375),
    "6.1 40.95 s":                ((100, 40.95, 3), 24.95390625, 147.80390625),
    "3768-6.1 1 s":               ((100, 1.0, 2),   0.609375,    3.609375),
    "3768-6.1 skew is no interval": ((100, 10.0, 2), 0.609375,   30.609375),
    "3768-6.1 an owner":          ((255, 2.0, 2),   0.00390625,  6.00390625),
}  # fmt: skip


@pytest.mark.parametrize(("of", "skews", "down"), TIMERS.values(), ids=TIMERS)
def test_timers(of: tuple[int, float, int], skews: float, down: float) -> None:
    """
    Skew_Time and Active_Down_Interval as the RFCs compute them.
    """
    assert skew(*of) == pytest.approx(skews, abs=1e-12)
    assert active_down(*of) == pytest.approx(down, abs=1e-12)


PRIORITIES = {
    "nothing tracked": (100, (), 100),
    "one fails": (100, (-20,), 80),
    "two fail": (100, (-20, -30), 50),
    "one that adds": (100, (50,), 150),
    "no lower than 1": (100, (-200,), 1),
    "no higher than 254": (200, (100,), 254),
    "6.1 an owner's is fixed": (255, (-200,), 255),
}


@pytest.mark.parametrize(("base", "weights", "priority"), PRIORITIES.values(), ids=PRIORITIES)
def test_effective_priority(base: int, weights: tuple[int, ...], priority: int) -> None:
    """
    Base and weights together, never 0 (that resigns) and never 255 (that owns).
    """
    assert effective_priority(base, weights) == priority


@pytest.mark.parametrize(
    ("failback", "seconds"),
    [
        (Failback("now"), 0.0),
        (Failback("never"), math.inf),
        (Failback("after", 45.0), 45.0),
        (Failback(), 60.0),
    ],
)
def test_rules_of_a_router(failback: Failback, seconds: float) -> None:
    """
    The file's failback is a number of seconds: none, for ever, or those given.
    """
    router = Router(
        name="web",
        vrid=51,
        interface="eth0",
        source="10.9.0.5",
        priority=150,
        interval=2.0,
        vips=(Vip(Prefix("10.9.0.100", 32), "eth0"),),
        failback=failback,
        version=2,
        accept=False,
    )

    assert Rules.of(router, [-30]) == Rules(
        priority=120,
        interval=2.0,
        source="10.9.0.5",
        preempt_after=seconds,
        version=2,
        accept=False,
    )


@pytest.mark.parametrize(("priority", "owner"), [(254, False), (255, True)])
def test_owner(priority: int, owner: bool) -> None:
    """
    255 and nothing else.
    """
    assert Rules(priority=priority, interval=1.0, source="10.9.0.5").owner is owner
