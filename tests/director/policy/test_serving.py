"""policy/serving: who serves a virtual service, and who comes back slowly."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Endpoint, Family
from director.model.check import Health
from director.model.pool import Member, Role, Service
from director.model.service import ServiceKey, ServiceSettings
from director.policy.serving import (
    PATIENCE,
    Course,
    Judged,
    due_at,
    judge_serving,
    ramp_of,
    turn_of,
)

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
SORRY = Member(name="sorry", addresses=("10.0.8.99",), role="sorry")
HEALTHS: dict[str, Health] = {"+": "up", "-": "down", "?": "unknown", "m": "up"}
ROLES: dict[str, Role] = {"r": "real", "b": "backup", "s": "sorry"}


def a_service(
    *,
    quorum: int = 1,
    hysteresis: int = 0,
    panic_below: float | None = None,
    slow_start: float = 0.0,
    sorry: bool = False,
) -> Service:
    return Service(
        name="web",
        virtuals=(WEB,),
        settings=ServiceSettings(),
        members=(),
        quorum=quorum,
        hysteresis=hysteresis,
        panic_below=panic_below,
        slow_start=slow_start,
        sorry=SORRY if sorry else None,
    )


def pool_of(words: str) -> tuple[Judged, ...]:
    """`r+ b- s?`: role and health; `m` is up, and quiesced by an operator."""
    return tuple(
        Judged(Endpoint(f"10.0.8.{at}", 80), f"web{at}", ROLES[word[0]], HEALTHS[word[1]], word[1] == "m")
        for at, word in enumerate(words.split())
    )  # fmt: skip


def judged(service: Service, *pools: str, now: float = 0.0) -> Course:
    """The course after these pools, one after the other."""
    course = Course()
    for words in pools:
        course = judge_serving(service, pool_of(words), course, now)
    return course


PANIC = a_service(panic_below=0.5)
SAD = a_service(sorry=True)
TWO = a_service(quorum=2, sorry=True)
# what it is: service, pool, who serves, the turn of each
CASES = {
    "all are up":                       (SAD, "r+ r+ s+", "real", "serves serves waits"),
    "enough are up":                    (SAD, "r- r+ s+", "real", "serves serves waits"),
    "none is up":                       (SAD, "r- r- s+", "sorry", "waits waits serves"),
    "none is up, nor the sorry server": (SAD, "r- r- s-", "none", "serves serves waits"),
    "none is up, the sorry one is out": (SAD, "r- r- sm", "none", "serves serves waits"),
    "the quorum is lost":               (TWO, "r- r+ s+", "sorry", "waits waits serves"),
    "lost, and nobody to be sorry":     (TWO, "r- r+ s-", "real", "serves serves waits"),
    "an operator took one out":         (TWO, "rm r+ s+", "sorry", "waits waits serves"),
    "backups wait":                     (a_service(), "r+ r- b+", "real", "serves serves waits"),
    "backups stand in":                 (a_service(), "r- r- b+", "real", "serves serves serves"),
    "backups fill a quorum":            (TWO, "r+ r- b+ s+", "real", "serves serves serves waits"),
    "backups are not enough":           (TWO, "r- r- b+ s+", "sorry", "waits waits waits serves"),
    "an operator took the first out":   (a_service(), "rm b+", "real", "serves serves"),
    "half are up":                      (PANIC, "r+ r-", "real", "serves serves"),
    "fewer are up":                     (PANIC, "r+ r- r-", "panic", "panic panic panic"),
    "whoever is taken out is not down": (PANIC, "r+ rm rm", "real", "serves serves serves"),
    "nobody is left at all":            (PANIC, "rm rm", "none", "serves serves"),
}  # fmt: skip


@pytest.mark.parametrize(("service", "words", "serving", "turns"), CASES.values(), ids=CASES)
def test_who_serves(service: Service, words: str, serving: str, turns: str) -> None:
    """Real servers, then those in reserve, then the sorry server or everybody."""
    course = judged(service, words)

    assert course.serving == serving
    assert [turn_of(service, one, course) for one in pool_of(words)] == turns.split()


def test_one_server_at_two_virtuals_counts_once() -> None:
    """A quorum is of machines."""
    pool = (
        Judged(Endpoint("10.0.8.1", 80), "web1", "real", "up"),
        Judged(Endpoint("10.0.8.1", 81), "web1", "real", "up"),
    )
    assert not judge_serving(a_service(quorum=2), pool, Course(), 0.0).met


def test_unknown_is_not_down() -> None:
    """Nothing is decided for PATIENCE; then what is still unknown counts for nothing."""
    early = judged(SAD, "r? r- s+")
    late = judge_serving(SAD, pool_of("r? r- s+"), early, PATIENCE)

    assert early.serving is None
    assert due_at(SAD, early, 0.0) == PATIENCE
    assert late.serving == "sorry"


def test_patience_begins_anew_with_the_next_unknown_one() -> None:
    """A reload brings a server: who served goes on, from then for PATIENCE."""
    course = judged(SAD, "r- r- s+", now=5.0)
    course = judge_serving(SAD, pool_of("r- r? s+"), course, 100.0)

    assert course.serving == "sorry"
    assert due_at(SAD, course, 100.0) == 100.0 + PATIENCE
    assert judge_serving(SAD, pool_of("r- r+ s+"), course, 101.0).serving == "real"


@pytest.mark.parametrize(
    ("service", "word", "turn"),
    [
        (SAD, "s+", "keeps"),
        (SAD, "r-", "serves"),
        (a_service(), "b+", "keeps"),
        (PANIC, "r-", "keeps"),
        (PANIC, "r+", "serves"),
    ],
)
def test_before_anything_is_decided_the_kernel_is_right(
    service: Service, word: str, turn: str
) -> None:
    """A fresh engine may have been preceded by a sorry server, or by panic."""
    (one,) = pool_of(word)
    assert turn_of(service, one, Course()) == turn


def test_hysteresis() -> None:
    """Of quorum 3 and hysteresis 1: lost below 2, met again from 4 on, as keepalived has it."""
    service = a_service(quorum=3, hysteresis=1)
    pools = ["r+ r+ r+ r+", "r+ r+ r- r-", "r+ r- r- r-", "r+ r+ r+ r-", "r+ r+ r+ r+"]
    course, met = Course(), []
    for words in pools:
        course = judge_serving(service, pool_of(words), course, 0.0)
        met.append(course.met)

    assert met == [True, True, False, False, True]


def test_who_comes_back_climbs() -> None:
    """From a twentieth to all of it, in steps at the instants that are told."""
    service = a_service(slow_start=20.0)
    (one,) = pool_of("r+")
    course = judged(service, "r-", "r+", now=100.0)

    assert ramp_of(service, one.endpoint, course, 100.0) == 0.05
    assert due_at(service, course, 100.0) == 101.0
    course = judge_serving(service, (one,), course, 110.0)
    assert ramp_of(service, one.endpoint, course, 110.0) == 0.55
    course = judge_serving(service, (one,), course, 120.0)
    assert ramp_of(service, one.endpoint, course, 120.0) == 1.0
    assert due_at(service, course, 120.0) == float("inf")


@pytest.mark.parametrize(("first", "climbs"), [("r?", False), ("r+", False), ("r-", True), ("rm", True)])  # fmt: skip
def test_only_who_was_out_climbs(first: str, climbs: bool) -> None:
    """Not at the start of an engine; but after a failure, and after an operator's word."""
    course = judged(a_service(slow_start=20.0), first, "r+")
    assert bool(course.climbing) is climbs


def test_who_falls_on_the_way_begins_again() -> None:
    """At the foot."""
    service = a_service(slow_start=20.0)
    (one,) = pool_of("r+")
    course = judged(service, "r-", "r+", now=0.0)
    course = judge_serving(service, pool_of("r-"), course, 10.0)
    assert not course.climbing

    course = judge_serving(service, (one,), course, 15.0)
    assert ramp_of(service, one.endpoint, course, 15.0) == 0.05


words = st.lists(st.sampled_from(["r+", "r-", "rm", "b+", "b-", "s+", "s-"]), min_size=1, max_size=6)  # fmt: skip
services = st.builds(
    a_service,
    quorum=st.integers(1, 3),
    hysteresis=st.just(0),
    panic_below=st.none() | st.floats(0, 1),
    slow_start=st.sampled_from([0.0, 20.0]),
    sorry=st.booleans(),
)


@given(services, words, words)
def test_judging_again_changes_nothing(service: Service, one: list[str], two: list[str]) -> None:
    """The same pool at the same instant: the same course, so that any news may have it judged."""
    course = judged(service, " ".join(one), " ".join(two))

    again = judge_serving(service, pool_of(" ".join(two)), course, 0.0)

    assert again == course


@given(services, words)
def test_somebody_serves_as_long_as_anybody_can(service: Service, pool: list[str]) -> None:
    """Who is up, and not taken out, never waits for somebody who is not."""
    course = judged(service, " ".join(pool))
    there = pool_of(" ".join(pool))
    able = [one for one in there if one.health == "up" and not one.quiesced]

    if any(one.role != "sorry" for one in able):
        assert any(turn_of(service, one, course) in ("serves", "panic") for one in able)


def test_a_course_knows_only_what_is_there() -> None:
    """A destination that left the file leaves nothing behind."""
    service = a_service(slow_start=20.0)
    course = judged(service, "r+ r-", "r+ r+", "r+")

    assert msgspec.structs.asdict(course)["climbing"] == {}
    assert course.out == frozenset()
