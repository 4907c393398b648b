"""What a worker keeps when lists change."""

import pytest

from checks.outcome import Outcome
from checks.roster import Roster
from director.model.address import Endpoint
from director.model.check import Pace, Standing, Target, TcpCheck
from director.wire.messages import Levels, Targets

GOOD = Outcome(ok=True, text="layer4 ok")
BAD = Outcome(ok=False, text="connection refused")


def _target(key: str) -> Target:
    return Target(key, Endpoint("192.0.2.1", 80), TcpCheck(pace=Pace(rise=2, fall=2)))


A, B, C = _target("a"), _target("b"), _target("c")


def test_a_new_list_tells_who_goes_and_who_comes() -> None:
    roster = Roster()

    first = roster.take(Targets(1, (A, B)))
    second = roster.take(Targets(2, (B, C)))

    assert (first.gone, first.fresh) == ((), (A, B))
    assert (second.gone, second.fresh) == (("a",), (C,))
    assert len(roster) == 2


def test_another_share_is_told_as_a_transition_is() -> None:
    """At once, and once; it stays while the server fails, for it says nothing of the share."""
    roster = Roster()
    roster.take(Targets(1, (A,)))
    half = Outcome(ok=True, text="agent: 50%", share=0.5)

    told = [roster.learn("a", one, 1.0) for one in (half, half, BAD, GOOD)]

    assert [one and one.share for one in told] == [0.5, None, None, None]
    assert told[3] is not None
    assert (told[3].health, roster.levels().standings[0].share) == ("up", None)


def test_the_count_of_a_target_that_stays_goes_on() -> None:
    roster = Roster()
    roster.take(Targets(1, (A,)))
    roster.learn("a", GOOD, 10.0)
    roster.learn("a", BAD, 11.0)

    roster.take(Targets(2, (A, B), (Standing("a", "down", "old news"),)))
    standing = roster.learn("a", BAD, 12.0)

    assert standing == Standing(
        "a", "down", "connection refused", 12.0, (GOOD.text, BAD.text, BAD.text)
    )


@pytest.mark.parametrize(("health", "outcome"), [("up", GOOD), ("down", BAD)])
def test_a_fresh_worker_goes_on_from_the_engines_word(health: str, outcome: Outcome) -> None:
    """
    What agrees with the engine is no transition, what contradicts it needs the whole row.
    """
    other = BAD if outcome is GOOD else GOOD
    roster = Roster()
    given = Standing("a", "up" if health == "up" else "down", outcome.text, 5.0)
    roster.take(Targets(1, (A,), (given,)))

    assert roster.learn("a", outcome, 10.0) is None
    assert roster.learn("a", other, 11.0) is None
    assert roster.learn("a", other, 12.0) is not None


def test_levels_are_owed_once_a_list_when_all_are_judged() -> None:
    roster = Roster()

    roster.take(Targets(1, (A, B)))
    assert not roster.settled()
    roster.learn("a", GOOD, 1.0)
    assert not roster.settled()
    roster.learn("b", BAD, 1.0)
    assert roster.settled()
    assert not roster.settled()

    roster.take(Targets(2, (A, B)))
    assert roster.settled()


def test_the_pace_follows_the_tally() -> None:
    roster = Roster()
    roster.take(Targets(1, (A,)))
    roster.learn("a", GOOD, 1.0)
    roster.learn("a", BAD, 1.0)

    assert roster.interval("a") == A.check.pace.fast_interval
    assert roster.target("a") is A


def test_levels_hold_every_target_and_the_epoch() -> None:
    roster = Roster()
    roster.take(Targets(7, (A, B)))
    roster.learn("a", GOOD, 3.0)

    assert roster.levels() == Levels(
        7, (Standing("a", "up", "layer4 ok", 3.0, ("layer4 ok",)), Standing("b", "unknown"))
    )
