"""Tests of director.vrrp.states."""

import math

import pytest

from director.vrrp.states import Active, Adopting, Backup, Leaving, Off, State

NOW = 1000.0


@pytest.mark.parametrize(
    ("state", "hold", "deadline"),
    [
        (Off(), False, math.inf),
        (Backup(1.0, NOW + 2.5, NOW - 30), False, NOW + 2.5),
        (Adopting(NOW + 0.7), True, NOW + 0.7),
        (Active(NOW + 0.4, NOW + 30), True, NOW + 0.4),
        (Active(NOW + 1, NOW + 0.3), True, NOW + 0.3),
        (Leaving(NOW + 0.4, NOW + 3, stopping=True), True, NOW + 0.4),
        (Leaving(NOW + 1, NOW + 0.3, stopping=True), True, NOW + 0.3),
    ],
)
def test_what_a_state_tells_the_process(state: State, hold: bool, deadline: float) -> None:
    """
    Whether VIPs are held, and when to call again: the earliest of what is due.
    """
    assert state.hold is hold
    assert state.deadline == deadline
