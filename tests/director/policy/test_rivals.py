"""policy/rivals: the same repair again and again ends in a pause, not in a war."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from director.model.address import Endpoint, Family
from director.model.config import SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    Op,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
)
from director.model.service import Destination, ServiceKey, ServiceSettings
from director.policy.rivals import FIRST, LONGEST, TIMES, WITHIN, Rivals, thing_of

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
ONE = Endpoint("10.0.8.11", 80)
SERVICE = AddService(WEB, ServiceSettings())
SERVER = AddDestination(WEB, ONE, Destination())
OPS: dict[str, Op] = {
    "tcp/192.0.2.10:80": SERVICE,
    "tcp/192.0.2.10:80 10.0.8.11:80": DeleteDestination(WEB, ONE),
    "sysctl net.ipv4.vs.conntrack": SetSysctl("net.ipv4.vs.conntrack", "1"),
    "timeouts": SetTimeouts(tcp=1.0),
    "sync master": StopSync("master"),
    "sync backup": StartSync("backup", SyncSettings(interface="lo")),
}


def contested(thing: str, now: float = 0.0) -> Rivals:
    rivals = Rivals()
    assert [rivals.learn(thing, now) for _ in range(TIMES)] == [False] * (TIMES - 1) + [True]
    return rivals


@pytest.mark.parametrize(("thing", "op"), OPS.items(), ids=OPS)
def test_what_an_operation_is_about(thing: str, op: Op) -> None:
    """As logs and `status` name it; and what is contested by that name is held."""
    assert thing_of(op) == thing
    assert contested(thing).is_held(op, 0.0)
    assert [one.object for one in contested(thing).findings()] == [thing]


def test_a_service_that_is_left_alone_has_its_destinations_left_alone() -> None:
    """And not the other way round."""
    assert contested(thing_of(SERVICE)).is_held(SERVER, 0.0)
    assert not contested(thing_of(SERVER)).is_held(SERVICE, 0.0)


def test_a_pause_ends_and_the_next_one_is_longer() -> None:
    """One repair after each pause; twice as long each time, up to LONGEST."""
    thing = thing_of(SERVICE)
    rivals, now, pauses = contested(thing), 0.0, []

    for _ in range(8):
        held = next(n for n in range(1, 1000) if not rivals.is_held(SERVICE, now + n))
        pauses.append(held)
        now += held
        assert rivals.is_contested(thing)
        assert rivals.learn(thing, now)

    assert pauses == [FIRST, 20, 40, 80, 160, LONGEST, LONGEST, LONGEST]


def test_who_has_been_quiet_is_forgotten() -> None:
    """A rival that was stopped leaves neither alarm nor pause."""
    rivals = contested(thing_of(SERVICE))

    rivals.forget(FIRST + WITHIN - 0.1)
    assert rivals.findings()
    rivals.forget(FIRST + WITHIN)

    assert rivals.findings() == ()
    assert not rivals.learn(thing_of(SERVICE), FIRST + WITHIN)


@settings(deadline=None)
@given(gaps=st.lists(st.floats(0.1, 30.0), max_size=200))
def test_nothing_is_repaired_more_often_than_that(gaps: list[float]) -> None:
    """However a rival spaces his writes, in no minute are there more than TIMES repairs."""
    rivals, now, repairs = Rivals(), 0.0, []

    for gap in gaps:
        now += gap
        rivals.forget(now)
        if not rivals.is_held(SERVICE, now):
            rivals.learn(thing_of(SERVICE), now)
            repairs.append(now)

    for at in repairs:
        assert sum(at <= other < at + WITHIN for other in repairs) <= TIMES + 2
