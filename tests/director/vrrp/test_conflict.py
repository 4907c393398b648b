"""vrrp/conflict: when two are active, and when that is over."""

from director.vrrp.claims import Claim
from director.vrrp.conflict import CLAIM_LASTS, Conflict

NOW = 1000.0
CLAIM = Claim("192.0.2.10", bytes.fromhex("0200000000bb"))


def settled(interval: float = 0.1) -> Conflict:
    """Active for long."""
    found = Conflict(interval)
    found.turned(NOW - 100, active=True)
    return found


def test_who_is_not_active_has_none() -> None:
    """Before, and after."""
    found = Conflict(0.1)

    assert not found.heard("192.0.2.3", 0.1, NOW)
    found.turned(NOW, active=True)
    found.turned(NOW, active=False)

    assert not found.seen(CLAIM, NOW + 10)
    assert (found.count, found.says) == (0, "")


def test_the_last_word_of_whom_we_succeeded_is_none() -> None:
    """Within two intervals of our takeover, and never less than 0.1 s; at 0.2 s it is one."""
    for interval, grace in ((0.1, 0.2), (0.01, 0.1)):
        found = Conflict(interval)
        found.turned(NOW, active=True)
        assert not found.heard("192.0.2.3", interval, NOW + grace * 0.99)
        assert found.heard("192.0.2.3", interval, NOW + grace)


def test_one_that_goes_on_is_counted_once() -> None:
    """It begins once, lasts while it is heard, and lapses once."""
    found = settled()

    begun = [found.heard("192.0.2.3", 0.1, NOW + n / 10) for n in range(10)]

    assert begun == [True] + 9 * [False]
    assert found.says == "192.0.2.3 is active too"
    assert not found.lapse(NOW + 0.9 + 0.149)
    assert [found.lapse(NOW + 0.9 + 0.151), found.lapse(NOW + 2)] == [True, False]
    assert (found.count, found.says) == (1, "")


def test_a_claim_lasts_until_questions_are_unanswered() -> None:
    """Three seconds; an advert in between does not shorten it, and tells more."""
    found = settled()

    assert found.seen(CLAIM, NOW)
    assert found.says == "02:00:00:00:00:bb claims 192.0.2.10 too"
    assert found.heard("192.0.2.3", 0.1, NOW + 1)
    assert not found.heard("192.0.2.3", 0.1, NOW + 1.1)

    assert (found.says, found.count) == ("192.0.2.3 is active too", 1)
    assert not found.lapse(NOW + CLAIM_LASTS - 0.01)
    assert found.lapse(NOW + CLAIM_LASTS)


def test_yielding_ends_it() -> None:
    """And taking over again begins with a new grace."""
    found = settled()
    found.heard("192.0.2.3", 0.1, NOW)

    found.turned(NOW, active=False)
    assert found.says == ""
    found.turned(NOW + 1, active=True)

    assert not found.heard("192.0.2.3", 0.1, NOW + 1.1)
    assert found.count == 1
