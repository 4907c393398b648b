"""From outcomes to health: every row of the table, and what holds for any outcomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.outcome import Outcome
from checks.rise_fall import (
    OUTCOMES_KEPT,
    Tally,
    interval_after,
    judge,
    resume,
    standing_of,
)
from director.model.check import Pace, Standing

PACE = Pace(rise=2, fall=3, interval=10.0, fast_interval=1.0, down_interval=30.0)
NOW = 1000.0
GOOD = Outcome(ok=True, text="layer4 ok")
BAD = Outcome(ok=False, text="connection refused")
OURS = Outcome(ok=False, text="too many open files", ours=True)

NEW = Tally()
UP = Tally("up", since=1.0)
DOWN = Tally("down", failure="HTTP 503", since=1.0)

ROWS = {
    # what happens                     from  outcomes                 health, against, since
    "unknown: one success is up":       (NEW,  (GOOD,),                 ("up", 0, NOW)),
    "unknown: one failure is down":     (NEW,  (BAD,),                  ("down", 0, NOW)),
    "unknown: ours decides nothing":    (NEW,  (OURS,),                 ("unknown", 0, 0.0)),
    "up: a success changes nothing":    (UP,   (GOOD,),                 ("up", 0, 1.0)),
    "up: one failure is not enough":    (UP,   (BAD,),                  ("up", 1, 1.0)),
    "up: fall minus one":               (UP,   (BAD, BAD),              ("up", 2, 1.0)),
    "up: fall":                         (UP,   (BAD, BAD, BAD),         ("down", 0, NOW)),
    "up: a success starts anew":        (UP,   (BAD, BAD, GOOD, BAD),   ("up", 1, 1.0)),
    "up: ours does not count":          (UP,   (BAD, BAD, OURS, OURS),  ("up", 2, 1.0)),
    "up: ours does not start anew":     (UP,   (BAD, BAD, OURS, BAD),   ("down", 0, NOW)),
    "down: a failure changes nothing":  (DOWN, (BAD,),                  ("down", 0, 1.0)),
    "down: rise minus one":             (DOWN, (GOOD,),                 ("down", 1, 1.0)),
    "down: rise":                       (DOWN, (GOOD, GOOD),            ("up", 0, NOW)),
    "down: a failure starts anew":      (DOWN, (GOOD, BAD, GOOD),       ("down", 1, 1.0)),
}  # fmt: skip


def _judged(pace: Pace, tally: Tally, outcomes: tuple[Outcome, ...]) -> Tally:
    for outcome in outcomes:
        tally = judge(pace, tally, outcome, NOW)
    return tally


@pytest.mark.parametrize(("tally", "outcomes", "then"), ROWS.values(), ids=ROWS)
def test_judge(tally: Tally, outcomes: tuple[Outcome, ...], then: tuple[str, int, float]) -> None:
    got = _judged(PACE, tally, outcomes)

    assert (got.health, got.against, got.since) == then


REASONS = {
    "never probed":                        (NEW, (), ""),
    "up: the last outcome":                (UP, (BAD, GOOD), "layer4 ok"),
    "up and failing: the last outcome":    (UP, (BAD,), "connection refused"),
    "down: the last failure":              (DOWN, (BAD,), "connection refused"),
    "down and rising: the last failure":   (DOWN, (GOOD,), "HTTP 503"),
    "down: ours is no reason":             (DOWN, (OURS,), "HTTP 503"),
    "unknown: ours, there is no other":    (NEW, (OURS,), "too many open files"),
}  # fmt: skip


@pytest.mark.parametrize(("tally", "outcomes", "reason"), REASONS.values(), ids=REASONS)
def test_reason(tally: Tally, outcomes: tuple[Outcome, ...], reason: str) -> None:
    assert _judged(PACE, tally, outcomes).reason == reason


INTERVALS = {
    "unknown": (NEW, (), 10.0),
    "unknown after ours": (NEW, (OURS,), 10.0),
    "up": (UP, (GOOD,), 10.0),
    "up and failing": (UP, (BAD,), 1.0),
    "up again": (UP, (BAD, GOOD), 10.0),
    "just down": (UP, (BAD, BAD, BAD), 30.0),
    "down": (DOWN, (BAD,), 30.0),
    "down and rising": (DOWN, (GOOD,), 1.0),
    "just up": (DOWN, (GOOD, GOOD), 10.0),
}


@pytest.mark.parametrize(("tally", "outcomes", "seconds"), INTERVALS.values(), ids=INTERVALS)
def test_interval_after(tally: Tally, outcomes: tuple[Outcome, ...], seconds: float) -> None:
    """
    Quick between the first differing outcome and the decision, slow elsewhere.
    """
    assert interval_after(PACE, _judged(PACE, tally, outcomes)) == seconds


def test_outcomes_keep_the_newest_last() -> None:
    texts = [f"HTTP {number}" for number in range(500, 512)]

    tally = _judged(PACE, NEW, tuple(Outcome(ok=False, text=text) for text in texts))

    assert tally.outcomes == tuple(texts[-OUTCOMES_KEPT:])


@pytest.mark.parametrize(
    "standing",
    [
        Standing("k", "down", "HTTP 503", 7.0, ("HTTP 200", "HTTP 503")),
        Standing("k", "down", "HTTP 503", 7.0, ("HTTP 503", "HTTP 200")),
        Standing("k", "up", "HTTP 200", 7.0, ("HTTP 503", "HTTP 200")),
        Standing("k", "up", "HTTP 200", 7.0, ("HTTP 200",)),
        Standing("k", "unknown"),
    ],
)
def test_a_standing_survives_taking_over(standing: Standing) -> None:
    assert standing_of("k", resume(standing)) == standing


def test_a_standing_without_outcomes_keeps_its_reason() -> None:
    assert resume(Standing("k", "up", "HTTP 200", 7.0)).reason == "HTTP 200"


@given(
    rise=st.integers(1, 5),
    fall=st.integers(1, 5),
    kinds=st.lists(st.sampled_from([GOOD, BAD, OURS]), max_size=40),
)
def test_health_changes_only_after_a_whole_row(rise: int, fall: int, kinds: list[Outcome]) -> None:
    """
    Whatever comes: after the first verdict, health changes exactly when the newest counted
    outcomes are `fall` failures (or `rise` successes) in a row since the last change.
    """
    pace = Pace(rise=rise, fall=fall)
    tally = Tally()
    row: list[bool] = []

    for outcome in kinds:
        before = tally
        tally = judge(pace, before, outcome, NOW)

        if not outcome.ours:
            row = [*row, outcome.ok] if not row or row[-1] == outcome.ok else [outcome.ok]
        found = "up" if row and row[-1] else "down"
        needed = {"unknown": 1, "up": fall, "down": rise}[before.health]
        turns = bool(row) and not outcome.ours and found != before.health and len(row) >= needed
        assert (tally.health != before.health) == turns
        assert len(tally.outcomes) <= OUTCOMES_KEPT
        if turns:
            assert tally.health == found
            row = []
