# The state machine, row by row. Rows are named by clause of RFC 9568 and outcome; the numbers are
# written out. We are priority 100 at 1 s from .5; peers announce 2 s, so that a mix-up shows:
# active_down is 3.609375 s of ours and 7.21875 s of theirs, the skew 0.609375 s.

"""Tests of director.vrrp.machine."""

import math

import msgspec
import pytest

from director.vrrp.advert import Advert
from director.vrrp.machine import (
    Active,
    Adopting,
    Backup,
    Effect,
    Leaving,
    Off,
    Rules,
    State,
    Step,
    hear,
    leave,
    listen,
    start,
    stay,
    stop,
    take_over,
    tick,
)

NOW = 1000.0
US = "10.9.0.5"
HIGHER, LOWER = "10.9.0.10", "10.9.0.4"  # by number; "10.9.0.10" < "10.9.0.5" as text

EAGER = Rules(priority=100, interval=1.0, source=US)
PATIENT = msgspec.structs.replace(EAGER, preempt_after=math.inf)
WAITS_60 = msgspec.structs.replace(EAGER, preempt_after=60.0)
OWNER = msgspec.structs.replace(EAGER, priority=255)
STUBBORN = msgspec.structs.replace(PATIENT, priority=255)
VERSION_2 = msgspec.structs.replace(EAGER, version=2)

ADVERT, RESIGN = Effect.SEND_ADVERT, Effect.SEND_RESIGNATION
TAKE, DROP, ANNOUNCE = Effect.TAKE_VIPS, Effect.DROP_VIPS, Effect.ANNOUNCE

OFF = Off()
LISTENING = Backup(1.0, NOW + 2.5, NOW - 30)
LISTENS_ON = Backup(2.0, NOW + 7.21875, NOW - 30)
ALMOST = Backup(1.0, NOW + 0.5, NOW - 30)
LONG_LISTENING = Backup(1.0, NOW + 2.5, NOW - 60)
RESTING = Backup(1.0, NOW + 2.5, NOW - 90, rest_until=NOW + 1)
RESTED = Backup(1.0, NOW + 2.5, NOW - 90, rest_until=NOW)
YIELDED = Backup(2.0, NOW + 7.21875, NOW)
STEPPED_DOWN = Backup(1.0, NOW + 3.609375, NOW)

# What we say binds us for one and a half intervals.
SAID = (100, NOW + 1.5)
HOLDING = Active(NOW + 0.4, NOW + 30)
SPOKEN = Active(NOW + 1, NOW + 30, *SAID)
ANNOUNCES_SOON = Active(NOW + 0.4, NOW + 2)
TAKEN = Active(NOW + 1, NOW + 5, *SAID)
TAKEN_BY_OWNER = Active(NOW + 1, NOW + 5, 255, NOW + 1.5)
FELL = Active(NOW + 0.4, NOW + 30, 150, NOW + 0.1)  # our priority; it was 150
FELL_BEFORE = Active(NOW + 0.4, NOW + 30, 150, NOW)

ADOPTING = Adopting(NOW + 0.7)
STOPPING = Leaving(NOW + 0.4, NOW + 3, stopping=True, rest=50.0)
HANDING_OVER = Leaving(NOW + 0.4, NOW + 3, stopping=False, rest=50.0)
HANDED_OVER = Backup(2.0, NOW + 7.21875, NOW, rest_until=NOW + 50)

# An active's limit is 2 + 1/256 intervals past its deadline: 2.00390625 s.
JUST_IN_TIME = Active(NOW - 2.00390625, NOW + 30)
OVERSLEPT = Active(NOW - 2.0078125, NOW + 30)

YIELD = (DROP, ADVERT)
ANSWER = (ADVERT, ANNOUNCE)
TAKEOVER = (ADVERT, TAKE, ANNOUNCE)

HEARINGS = {
    # what happens                              us        state           prio  source   then              and
    "6.4.1 not taking part":                    (EAGER,    OFF,            150, HIGHER, OFF,              ()),
    "6.4.2 resigning: wait the skew":           (EAGER,    LISTENING,        0, HIGHER, Backup(1.0, NOW + 0.609375, NOW - 30), ()),
    "6.4.2 resigning again: no later":          (EAGER,    ALMOST,           0, HIGHER, ALMOST,           ()),
    "6.4.2 resigning, no preempt: wait":        (PATIENT,  LISTENING,        0, LOWER,  Backup(1.0, NOW + 0.609375, NOW - 30), ()),
    "6.4.2 stronger: listen":                   (EAGER,    LISTENING,      150, HIGHER, LISTENS_ON,       ()),
    "6.4.2 equal, higher source: listen":       (EAGER,    LISTENING,      100, HIGHER, LISTENS_ON,       ()),
    "6.4.2 equal, lower source: listen":        (EAGER,    LISTENING,      100, LOWER,  LISTENS_ON,       ()),
    "6.4.2 weaker: let the timer run":          (EAGER,    LISTENING,       99, HIGHER, LISTENING,        ()),
    "6.4.2 weaker, no preempt: listen":         (PATIENT,  LISTENING,       99, HIGHER, LISTENS_ON,       ()),
    "6.4.2 weaker, 30 of 60 s: listen":         (WAITS_60, LISTENING,       99, HIGHER, LISTENS_ON,       ()),
    "6.4.2 weaker, 60 of 60 s: let it run":     (WAITS_60, LONG_LISTENING,  99, HIGHER, LONG_LISTENING,   ()),
    "6.4.2 weaker, resting: listen":            (EAGER,    RESTING,         99, HIGHER, Backup(2.0, NOW + 7.21875, NOW - 90, rest_until=NOW + 1), ()),
    "6.4.2 weaker, rested: let it run":         (EAGER,    RESTED,          99, HIGHER, RESTED,           ()),
    "6.4.2 our own echo: ignore":               (EAGER,    LISTENING,      150, US,     LISTENING,        ()),
    "6.4.3 resigning: claim":                   (EAGER,    HOLDING,          0, HIGHER, TAKEN,            ANSWER),
    "6.4.3 stronger: yield":                    (EAGER,    HOLDING,        150, LOWER,  YIELDED,          YIELD),
    "6.4.3 stronger, no preempt: yield":        (PATIENT,  HOLDING,        150, LOWER,  YIELDED,          YIELD),
    "6.4.3 equal, higher source: yield":        (EAGER,    HOLDING,        100, HIGHER, YIELDED,          YIELD),
    "6.4.3 equal, lower source: answer":        (EAGER,    HOLDING,        100, LOWER,  TAKEN,            ANSWER),
    "6.4.3 weaker: answer":                     (EAGER,    HOLDING,         99, HIGHER, TAKEN,            ANSWER),
    "6.4.3 weaker again: announce no later":    (EAGER,    ANNOUNCES_SOON,  99, HIGHER, Active(NOW + 1, NOW + 2, *SAID), ANSWER),
    "6.4.3 weaker, answered in this turn":      (EAGER,    TAKEN,           99, HIGHER, TAKEN,            ()),
    "6.4.3 resigning, answered in this turn":   (EAGER,    SPOKEN,           0, HIGHER, SPOKEN,           ()),
    "6.4.3 weaker than what we said: wait":     (EAGER,    FELL,           149, HIGHER, FELL,             (ANNOUNCE,)),
    "6.4.3 equal to it, lower source: wait":    (EAGER,    FELL,           150, LOWER,  FELL,             (ANNOUNCE,)),
    "6.4.3 equal to it, higher source: yield":  (EAGER,    FELL,           150, HIGHER, YIELDED,          YIELD),
    "6.4.3 stronger than what we said: yield":  (EAGER,    FELL,           151, LOWER,  YIELDED,          YIELD),
    "6.4.3 stronger than what we say by now":   (EAGER,    FELL_BEFORE,    149, LOWER,  YIELDED,          YIELD),
    "6.4.3 weaker, while we stand by our word": (EAGER,    FELL,            99, HIGHER, Active(NOW + 1, NOW + 5, 150, NOW + 0.1), ANSWER),
    "6.4.3 our own echo: ignore":               (EAGER,    HOLDING,        100, US,     HOLDING,          ()),
    "6.4.3 late, not too late: the answer is the advert": (EAGER, JUST_IN_TIME, 99, HIGHER, TAKEN, ANSWER),
    "6.4.3 weaker, as an advert is due: hold it": (EAGER, Active(NOW, NOW + 30), 99, HIGHER, TAKEN,           ANSWER),
    "3768-6.4.2 stronger: our own interval":    (VERSION_2, LISTENING,     150, HIGHER, Backup(1.0, NOW + 3.609375, NOW - 30), ()),
    "3768-6.4.2 resigning: wait the skew":      (VERSION_2, LISTENING,       0, HIGHER, Backup(1.0, NOW + 0.609375, NOW - 30), ()),
    "6.4.2 an owner listens to no weaker one":  (OWNER,    LISTENING,      254, HIGHER, LISTENING,        ()),
    "6.1 an owner preempts, failback or not":   (STUBBORN, LISTENING,      254, HIGHER, LISTENING,        ()),
    "6.1 an owner that handed over rests":      (OWNER,    RESTING,        254, HIGHER, Backup(2.0, NOW + 6.0078125, NOW - 90, rest_until=NOW + 1), ()),
    "6.4.3 an owner is never preempted":        (OWNER,    HOLDING,        254, HIGHER, TAKEN_BY_OWNER,   ANSWER),
    "two owners, ours is the higher: answer":   (OWNER,    HOLDING,        255, LOWER,  TAKEN_BY_OWNER,   ANSWER),
    "two owners, ours is the lower: yield":     (OWNER,    HOLDING,        255, HIGHER, Backup(2.0, NOW + 6.0078125, NOW), YIELD),
    "two owners, one is active: listen":        (OWNER,    LISTENING,      255, LOWER,  Backup(2.0, NOW + 6.0078125, NOW - 30), ()),
    "overslept, a weaker one: step down":       (EAGER,    OVERSLEPT,       99, HIGHER, STEPPED_DOWN,     (DROP,)),
    "overslept, a stronger one: step down":     (EAGER,    OVERSLEPT,      150, HIGHER, YIELDED,          (DROP,)),
    "adopting, a weaker one: drop":             (EAGER,    ADOPTING,        99, LOWER,  YIELDED,          (DROP,)),
    "adopting, a stronger one: drop":           (EAGER,    ADOPTING,       150, LOWER,  YIELDED,          (DROP,)),
    "adopting, resigning: go on":               (EAGER,    ADOPTING,         0, LOWER,  ADOPTING,         ()),
    "handing over, taken: drop, and rest":      (EAGER,    HANDING_OVER,    99, LOWER,  HANDED_OVER,      (DROP, RESIGN)),
    "handing over, resigning: return":          (EAGER,    HANDING_OVER,     0, LOWER,  TAKEN,            ANSWER),
    "stopping, resigning: go on":               (EAGER,    STOPPING,         0, LOWER,  STOPPING,         ()),
    "handing over, our own echo: ignore":       (EAGER,    HANDING_OVER,   100, US,     HANDING_OVER,     ()),
    "stopping, taken: drop":                    (EAGER,    STOPPING,        99, LOWER,  OFF,              (DROP, RESIGN)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("us", "state", "priority", "source", "then", "effects"), HEARINGS.values(), ids=HEARINGS
)
def test_hear(
    *, us: Rules, state: State, priority: int, source: str, then: State, effects: tuple[Effect, ...]
) -> None:
    """
    An advert of each kind, in each state.
    """
    advert = Advert(vrid=51, priority=priority, interval=2.0, addresses=("10.9.0.100",))

    assert hear(us, state, advert, source, NOW) == Step(then, effects)


TICKS = {
    # what is due                                state                                 then                         and
    "6.4.2 timer fires: take over":              (Backup(2.0, NOW, NOW - 30),           TAKEN,                       TAKEOVER),
    "6.4.2 4 s late by 2 s: take over":          (Backup(2.0, NOW - 4, NOW - 30),       TAKEN,                       TAKEOVER),
    "6.4.2 overslept: listen anew":              (Backup(2.0, NOW - 4.5, NOW - 30, 7.0), Backup(2.0, NOW + 7.21875, NOW - 30, 7.0), ()),
    "6.4.2 too early":                           (ALMOST,                               ALMOST,                      ()),
    "6.4.3 timer fires: speak":                  (Active(NOW, NOW + 30),                SPOKEN,                      (ADVERT,)),
    "6.4.3 timer fired late: speak":             (JUST_IN_TIME,                         SPOKEN,                      (ADVERT,)),
    "6.4.3 timer fired a little late: catch up": (Active(NOW - 0.25, NOW + 30),         Active(NOW + 0.75, NOW + 30, *SAID), (ADVERT,)),
    "6.4.3 our priority fell: speak, and stand by the word": (Active(NOW, NOW + 30, 150, NOW + 0.5), Active(NOW + 1, NOW + 30, 150, NOW + 0.5), (ADVERT,)),
    "6.4.3 it fell some time ago: speak":        (Active(NOW, NOW + 30, 150, NOW),      SPOKEN,                      (ADVERT,)),
    "6.4.3 our priority rose: speak":            (Active(NOW, NOW + 30, 50, NOW + 0.5), SPOKEN,                      (ADVERT,)),
    "6.4.3 a whole interval late: from now":     (Active(NOW - 1, NOW + 30),            SPOKEN,                      (ADVERT,)),
    "6.4.3 overslept: step down, silent":        (OVERSLEPT,                            STEPPED_DOWN,                (DROP,)),
    "6.4.3 too early":                           (HOLDING,                              HOLDING,                     ()),
    "announce again":                            (Active(NOW + 0.4, NOW),               Active(NOW + 0.4, NOW + 60), (ANNOUNCE,)),
    "speak and announce":                        (Active(NOW, NOW),                     Active(NOW + 1, NOW + 60, *SAID), (ADVERT, ANNOUNCE)),
    "a late announcement is no step down":       (Active(NOW + 0.4, NOW - 40),          Active(NOW + 0.4, NOW + 60), (ANNOUNCE,)),
    "adopting, nobody else: active":             (Adopting(NOW),                        TAKEN,                       TAKEOVER),
    "adopting, overslept: drop":                 (Adopting(NOW - 2.5),                  STEPPED_DOWN,                (DROP,)),
    "leaving: resign again":                     (Leaving(NOW, NOW + 3, stopping=True), Leaving(NOW + 1, NOW + 3, stopping=True), (RESIGN,)),
    "leaving: too early":                        (STOPPING,                             STOPPING,                    ()),
    "stopping, nobody came: off":                (Leaving(NOW + 1, NOW, stopping=True), OFF,                         (DROP,)),
    "handing over, nobody came: active":         (Leaving(NOW + 1, NOW, stopping=False), TAKEN,                      ANSWER),
    "stopping, overslept: off":                  (Leaving(NOW - 2.5, NOW, stopping=True), OFF,                       (DROP,)),
    "handing over, overslept: drop, and rest":   (Leaving(NOW - 2.5, NOW, stopping=False, rest=50.0),
                                                  Backup(1.0, NOW + 3.609375, NOW, NOW + 50),                        (DROP,)),
    "not taking part":                           (OFF,                                  OFF,                         ()),
}  # fmt: skip


@pytest.mark.parametrize(("state", "then", "effects"), TICKS.values(), ids=TICKS)
def test_tick(state: State, then: State, effects: tuple[Effect, ...]) -> None:
    """
    A deadline reached, missed by little, missed by much, and not yet there.
    """
    assert tick(EAGER, state, NOW) == Step(then, effects)


def test_6_4_1_start() -> None:
    """
    Whoever comes without VIPs listens for the whole Active_Down_Interval, however strong.
    """
    assert start(EAGER, NOW) == Step(STEPPED_DOWN)


def test_start_with_vips_in_place() -> None:
    """
    A life that finds its VIPs keeps them, says nothing, and listens for one and a half intervals.
    """
    assert start(EAGER, NOW, holding=True) == Step(Adopting(NOW + 1.5))


@pytest.mark.parametrize(
    ("state", "effects"),
    [
        (OFF, ()),
        (LISTENING, ()),
        (ADOPTING, (RESIGN, DROP)),
        (HOLDING, (RESIGN, DROP)),
        (STOPPING, (RESIGN, DROP)),
    ],
)
def test_stop(state: State, effects: tuple[Effect, ...]) -> None:
    """
    6.4.3 shutdown: whoever holds VIPs resigns and drops them; a backup goes without a word.
    """
    assert stop(state) == Step(OFF, effects)


LEAVINGS = {
    # who leaves                    state         stopping  then                                             and
    "active stops":                 (HOLDING,      True,  Leaving(NOW + 1, NOW + 9, stopping=True, rest=50.0),  (RESIGN,)),
    "active hands over":            (HOLDING,      False, Leaving(NOW + 1, NOW + 9, stopping=False, rest=50.0), (RESIGN,)),
    "adopting stops":               (ADOPTING,     True,  Leaving(NOW + 1, NOW + 9, stopping=True, rest=50.0),  (RESIGN,)),
    "a hand-over becomes a stop":   (HANDING_OVER, True,  Leaving(NOW + 1, NOW + 9, stopping=True, rest=50.0),  (RESIGN,)),
    "a stop stays a stop":          (STOPPING,     False, Leaving(NOW + 1, NOW + 9, stopping=True, rest=50.0),  (RESIGN,)),
    "backup stops":                 (LISTENING,    True,  OFF,                                                  ()),
    "backup has nothing to give":   (LISTENING,    False, LISTENING,                                            ()),
    "off stays off":                (OFF,          False, OFF,                                                  ()),
}  # fmt: skip


@pytest.mark.parametrize(("state", "stopping", "then", "effects"), LEAVINGS.values(), ids=LEAVINGS)
def test_leave(state: State, stopping: bool, then: State, effects: tuple[Effect, ...]) -> None:
    """
    A hand-over starts with a resignation, and no VIP is dropped by it.
    """
    step = leave(EAGER, state, NOW, patience=9.0, stopping=stopping, rest=50.0)

    assert step == Step(then, effects)
    assert step.state.hold is state.hold


def test_a_hand_over_rests_for_ever_unless_told() -> None:
    """
    What the operator moved stays where it is while its new holder lives.
    """
    step = leave(EAGER, HOLDING, NOW, patience=9.0, stopping=False)

    assert step.state == Leaving(NOW + 1, NOW + 9, stopping=False, rest=math.inf)


@pytest.mark.parametrize(
    ("state", "then", "effects"),
    [
        pytest.param(HANDING_OVER, TAKEN, ANSWER, id="in time"),
        pytest.param(
            Leaving(NOW - 2.5, NOW, stopping=False, rest=50.0),
            Backup(1.0, NOW + 3.609375, NOW, NOW + 50),
            (DROP,),
            id="overslept",
        ),
        pytest.param(LISTENING, LISTENING, (), id="done already"),
        pytest.param(HOLDING, HOLDING, (), id="never asked"),
    ],
)
def test_stay(state: State, then: State, effects: tuple[Effect, ...]) -> None:
    """
    A hand-over that has not happened yet is taken back; one that has is not.
    """
    assert stay(EAGER, state, NOW) == Step(then, effects)


@pytest.mark.parametrize("holding", [False, True])
@pytest.mark.parametrize("us", [OWNER, STUBBORN])
def test_6_4_1_an_owner_starts_active(us: Rules, holding: bool) -> None:
    """
    No silence is waited for: the addresses are its own.
    """
    assert start(us, NOW, holding=holding) == Step(TAKEN_BY_OWNER, TAKEOVER)


def test_take_over() -> None:
    """
    6.4.2: advert, VIPs, announcement, in this order.
    """
    assert take_over(EAGER, NOW) == Step(TAKEN, TAKEOVER)
    assert listen(EAGER, NOW) == STEPPED_DOWN


OVERSLEEP = {
    # who                        state                                 now              then
    "3768 2 s and a 256th late": (Active(NOW, NOW + 60), NOW + 20.00390625, Active),
    "3768 later than that": (Active(NOW, NOW + 60), NOW + 20.0078125, Backup),
}


@pytest.mark.parametrize(("state", "now", "then"), OVERSLEEP.values(), ids=OVERSLEEP)
def test_version_2_oversleeps_by_a_second_s_part(
    state: State, now: float, then: type[State]
) -> None:
    """
    The skew of version 2 is no part of the interval, here of 10 s.
    """
    slow = msgspec.structs.replace(VERSION_2, interval=10.0)

    assert type(tick(slow, state, now).state) is then


PAUSED = {
    # who woke       the other    stays
    "the stronger": (EAGER, HOLDING, 99, LOWER, True),
    "the weaker": (EAGER, HOLDING, 150, LOWER, False),
    "the higher of equals": (EAGER, HOLDING, 100, LOWER, True),
    "the lower of equals": (EAGER, HOLDING, 100, HIGHER, False),
}


@pytest.mark.parametrize(
    ("us", "state", "priority", "source", "stays"), PAUSED.values(), ids=PAUSED
)
def test_after_a_pause_that_no_clock_shows_one_of_two_yields(
    us: Rules, state: Active, priority: int, source: str, stays: bool
) -> None:
    """
    What waited on the socket is heard before the advert that is due, and then that is held.
    """
    now = state.advert_at
    waiting = Advert(vrid=51, priority=priority, interval=1.0, addresses=("10.9.0.100",))

    heard = hear(us, state, waiting, source, now)
    ticked = tick(us, heard.state, now)

    assert isinstance(heard.state, Active if stays else Backup)
    assert ticked == Step(heard.state)
    other = Rules(priority=priority, interval=1.0, source=source)
    ours = Advert(vrid=51, priority=us.priority, interval=1.0, addresses=("10.9.0.100",))
    assert isinstance(hear(other, state, ours, us.source, now).state, Backup if stays else Active)


def test_the_stronger_node_is_silent_once_the_timer_runs() -> None:
    """
    6.4.2: preemption is a timer that weaker adverts do not stop: 3.609375 s after it was set.
    """
    state: State = start(EAGER, NOW).state
    weaker = Advert(vrid=51, priority=50, interval=1.0, addresses=("10.9.0.100",))

    for second in (1, 2, 3):
        state = hear(EAGER, state, weaker, LOWER, NOW + second).state

    assert tick(EAGER, state, NOW + 3.609) == Step(STEPPED_DOWN)
    assert tick(EAGER, state, NOW + 3.609375).effects == TAKEOVER
