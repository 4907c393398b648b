"""Deadlines: whose time is up, in which order."""

from hypothesis import given
from hypothesis import strategies as st

from checks.deadlines import Deadlines

STEPS = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([0.5, 1.0, 3.0]), st.floats(0, 2)), max_size=30
)


@given(steps=STEPS)
def test_those_are_overdue_whose_time_is_up_and_no_others(
    steps: list[tuple[int, float, float]],
) -> None:
    """
    Whatever is added and removed: as a plain table of instants says, and `first` is its least.
    """
    deadlines: Deadlines[int] = Deadlines()
    plain: dict[int, tuple[float, float]] = {}
    now = 0.0
    for item, timeout, passed in steps:
        now += passed
        if item in plain:
            deadlines.remove(item, plain.pop(item)[1])
        else:
            assert deadlines.add(item, timeout, now) == now + timeout
            plain[item] = (now + timeout, timeout)

        assert deadlines.first() == min((at for at, _ in plain.values()), default=None)
        assert sorted(deadlines.overdue(now)) == sorted(
            one for one, (at, _) in plain.items() if at <= now
        )


def test_the_oldest_comes_first() -> None:
    deadlines: Deadlines[str] = Deadlines()
    for number, item in enumerate("cab"):
        deadlines.add(item, 1.0, float(number))

    assert deadlines.overdue(5.0) == ["c", "a", "b"]
