# Two virtual routers, front and back, at priority 100 and 1 s. `front` is the one whose Step the
# machine gave; the rows say what becomes of both.
"""Tests of director.vrrp.group."""

import msgspec
import pytest

from director.vrrp import machine
from director.vrrp.advert import Advert
from director.vrrp.group import Member, fit, together
from director.vrrp.rules import Rules
from director.vrrp.states import Active, Adopting, Backup, Effect, Leaving, Off, State, Step

NOW = 1000.0
FRONT = Rules(priority=100, interval=1.0, source="10.9.0.5")
BACK = msgspec.structs.replace(FRONT, source="10.8.0.5")

ADVERT, RESIGN = Effect.SEND_ADVERT, Effect.SEND_RESIGNATION
TAKE, DROP, ANNOUNCE = Effect.TAKE_VIPS, Effect.DROP_VIPS, Effect.ANNOUNCE

DUE = Backup(1.0, NOW, NOW - 30)
OVERDUE = Backup(1.0, NOW - 0.2, NOW - 30)
OVERSLEPT = Backup(1.0, NOW - 2.1, NOW - 30)
FRESH = Backup(1.0, NOW + 2.609375, NOW - 1)
LISTENING = Backup(1.0, NOW + 2.5, NOW - 30)
WAITS = Backup(1.0, NOW + 2.5, NOW - 30)
ADOPTS, ADOPTING = Adopting(NOW), Adopting(NOW + 0.7)
HOLDING = Active(NOW + 0.4, NOW + 30)
STOPPING = Leaving(NOW + 0.4, NOW + 3, stopping=True)
LEAVING = Leaving(NOW + 0.4, NOW + 3, stopping=False, rest=50.0)
GIVES_UP = Leaving(NOW + 0.4, NOW, stopping=False, rest=50.0)
FOLLOWING = Leaving(NOW + 1, NOW + 4.609375, stopping=False, rest=0.0)
TAKEN = Active(NOW + 1, NOW + 5, 100, NOW + 1.5)
YIELDED = Backup(1.0, NOW + 3.609375, NOW)

TAKES = Step(TAKEN, (ADVERT, TAKE, ANNOUNCE))
YIELDS = Step(YIELDED, (DROP, ADVERT))
HEARS = Step(YIELDED, (DROP,))
RETURNS = Step(TAKEN, (ADVERT, ANNOUNCE))
FOLLOWS = Step(FOLLOWING, (RESIGN,))
ENDS = Step(Off(), (RESIGN, DROP))
STOPS = Step(Off())

TOGETHER = {
    # what front does                          front     its step            back       front then                       back then
    "take over: the other is due as well":    (DUE,      TAKES,              OVERDUE,   TAKES,                           TAKES),
    "take over: the other is active":         (DUE,      TAKES,              HOLDING,   TAKES,                           None),
    "take over: the other stops":             (DUE,      TAKES,              STOPPING,  TAKES,                           None),
    "take over: the other hands over":        (DUE,      TAKES,              LEAVING,   TAKES,                           RETURNS),
    "take over: the other hears an active":   (DUE,      TAKES,              LISTENING, Step(WAITS),                     None),
    "take over: the other overslept":         (DUE,      TAKES,              OVERSLEPT, Step(Backup(1.0, NOW + 3.609375, NOW - 30)), None),
    "take over: the other adopts yet":        (ADOPTS,   TAKES,              ADOPTING,  Step(ADOPTING),                  None),
    "adopt: the other listens yet":           (ADOPTS,   TAKES,              FRESH,     Step(Adopting(NOW + 2.609375)),  None),
    "adopt: the other hears an active":       (ADOPTS,   TAKES,              LISTENING, HEARS,                           None),
    "take over: the other adopts as well":    (ADOPTS,   TAKES,              ADOPTS,    TAKES,                           TAKES),
    "take over: the other is in fault":       (DUE,      TAKES,              Off(),     Step(Backup(1.0, NOW + 3.609375, NOW - 30)), None),
    "yield: the other follows":               (HOLDING,  YIELDS,             HOLDING,   YIELDS,                          FOLLOWS),
    "yield: the other listens":               (HOLDING,  YIELDS,             LISTENING, YIELDS,                          None),
    "yield: the other hands over":            (HOLDING,  YIELDS,             LEAVING,   YIELDS,                          None),
    "overslept: the other, without a word":   (HOLDING,  HEARS,              HOLDING,   HEARS,                           HEARS),
    "adopt no more: the other as well":       (ADOPTING, HEARS,              ADOPTING,  HEARS,                           HEARS),
    "handed over: the other by itself":       (LEAVING,  HEARS,              LEAVING,   HEARS,                           None),
    "handed over: the other is active again": (LEAVING,  HEARS,              HOLDING,   HEARS,                           FOLLOWS),
    "stopped: the other by itself":           (STOPPING, Step(Off(), (DROP,)), STOPPING, Step(Off(), (DROP,)),           None),
    "return: the other leaves as well":       (LEAVING,  RETURNS,            LEAVING,   RETURNS,                         None),
    "return: the other is active":            (LEAVING,  RETURNS,            HOLDING,   RETURNS,                         None),
    "return: the other was handed over":      (LEAVING,  RETURNS,            LISTENING, Step(LEAVING),                   None),
    "return: the other has stopped":          (STOPPING, RETURNS,            Off(),     Step(STOPPING),                  None),
    "give up: the other was handed over":     (GIVES_UP, RETURNS,            LISTENING, Step(msgspec.structs.replace(YIELDED, rest_until=NOW + 50), (DROP,)), None),
    "fault: the other as well":               (HOLDING,  ENDS,               HOLDING,   ENDS,                            ENDS),
    "fault of a backup: the other as well":   (LISTENING, STOPS,             LISTENING, STOPS,                           STOPS),
    "fault: the other is already":            (HOLDING,  ENDS,               Off(),     ENDS,                            None),
    "an advert: no matter of the other":      (HOLDING,  Step(HOLDING, (ADVERT,)), HOLDING, Step(HOLDING, (ADVERT,)),    None),
}  # fmt: skip


@pytest.mark.parametrize(
    ("front", "step", "back", "front_then", "back_then"), TOGETHER.values(), ids=TOGETHER
)
def test_together(
    front: State, step: Step, back: State, front_then: Step, back_then: Step | None
) -> None:
    """
    What one member does, all do, or it waits.
    """
    members = {"front": Member(FRONT, front), "back": Member(BACK, back)}

    steps = together(members, "front", step, NOW)

    assert next(iter(steps)) == "front"
    assert steps == {"front": front_then} | ({"back": back_then} if back_then else {})


@pytest.mark.parametrize(("back", "fits"), [(LISTENING, True), (Off(), False)])
def test_fit(back: State, fits: bool) -> None:
    """
    One in fault keeps all from starting.
    """
    assert fit({"front": Member(FRONT, DUE), "back": Member(BACK, back)}) is fits


def test_one_side_that_is_cut_off_does_not_move_the_group() -> None:
    """
    While the back hears the active, the front's silence moves nothing; when both are silent, both.
    """
    states: dict[str, State] = {"front": machine.start(FRONT, NOW).state}
    states["back"] = machine.start(BACK, NOW).state
    rules = {"front": FRONT, "back": BACK}
    stronger = Advert(vrid=1, priority=150, interval=1.0, addresses=("10.8.0.100",))

    def play(name: str, step: Step, now: float) -> None:
        members = {one: Member(rules[one], states[one]) for one in states}
        states.update({one: done.state for one, done in together(members, name, step, now).items()})

    for second in range(1, 21):
        now = NOW + second
        play("back", machine.hear(BACK, states["back"], stronger, "10.8.0.9", now), now)
        play("front", machine.tick(FRONT, states["front"], now), now)
        assert not any(state.hold for state in states.values())

    now = states["back"].deadline
    assert now == NOW + 23.609375
    for name in ("front", "back"):
        play(name, machine.tick(rules[name], states[name], now), now)
    assert all(isinstance(state, Active) for state in states.values())
