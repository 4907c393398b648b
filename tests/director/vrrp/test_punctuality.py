"""Late timers and late adverts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.vrrp.punctuality import BOUNDS, HOUR, Punctuality

US, PEER = "192.0.2.1", "192.0.2.2"


@given(st.lists(st.floats(0.0, 10.0)))
def test_every_timer_is_in_one_bucket(lates: list[float]) -> None:
    """None is lost, and each stands where its bound says."""
    punctuality = Punctuality()
    for late in lates:
        punctuality.turned(late)

    assert sum(punctuality.histogram) == len(lates)
    assert punctuality.histogram[-1] == sum(late > BOUNDS[-1] for late in lates)
    assert punctuality.histogram[0] == sum(late <= BOUNDS[0] for late in lates)
    assert punctuality.take_worst() == max(lates, default=0.0)
    assert punctuality.take_worst() == 0.0


@pytest.mark.parametrize(("gap", "late"), [(0.1, False), (0.19, False), (0.2, True), (3.0, True)])
def test_an_advert_is_late_from_two_intervals_on(gap: float, late: bool) -> None:
    """Less is jitter."""
    punctuality = Punctuality()

    assert punctuality.advert(US, 0.1, 0.0) is False
    assert punctuality.advert(US, 0.1, gap) is late
    assert punctuality.late(gap) == ((1, gap) if late else (0, 0.0))


def test_another_ones_advert_is_no_late_one() -> None:
    """A takeover, a rival, a start: the gap before them says nothing about the wire."""
    punctuality = Punctuality()
    punctuality.advert(PEER, 0.1, 0.0)

    assert not punctuality.advert(US, 0.1, 5.0)
    punctuality.start_over()
    assert not punctuality.advert(US, 0.1, 9.0)


def test_an_hour_later_it_is_forgotten() -> None:
    """The worst is the worst of those that still count."""
    punctuality = Punctuality()
    for now in (0.0, 5.0, 6.0, 6.1):
        punctuality.advert(US, 0.1, now)

    assert punctuality.late(7.0) == (2, 5.0)
    assert punctuality.late(5.5 + HOUR) == (1, 1.0)
    assert punctuality.late(7.0 + HOUR) == (0, 0.0)
