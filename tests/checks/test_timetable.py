"""When each target is probed: exact instants, no drift, never twice at once."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.timetable import SPREAD_MAX, SWEEP_FROM, Due, Timetable, spread

ALL = 1_000_000
CRC_OF_A = 0xE8B7BE43


def _started(interval: float = 2.0) -> tuple[Timetable, float]:
    """A timetable whose one target runs since its first instant, and that instant."""
    timetable = Timetable()
    timetable.add("a", interval, 0.0)
    first = timetable.next_at()
    assert first is not None
    assert timetable.due(first, ALL) == [Due("a", 0.0)]
    return timetable, first


def test_the_first_probe_is_spread_by_the_key() -> None:
    """
    The offset is the key's share of the smaller of interval and SPREAD_MAX, in every process.
    """
    slow, quick = Timetable(), Timetable()

    slow.add("a", 60.0, 100.0)
    quick.add("a", 0.5, 100.0)

    assert slow.next_at() == 100.0 + CRC_OF_A / 2**32 * SPREAD_MAX
    assert quick.next_at() == 100.0 + CRC_OF_A / 2**32 * 0.5


def test_many_keys_spread_evenly() -> None:
    shares = [spread(f"tcp:10.0.8.{host}:80:0a1b2c3d") for host in range(256)]

    tenths = [sum(int(10 * share) == tenth for share in shares) for tenth in range(10)]

    assert min(tenths) > 10


def test_the_next_probe_counts_from_the_plan() -> None:
    """
    However long a probe took and however late it began, the instants stay on the grid.
    """
    timetable, first = _started(2.0)

    for turn in range(1, 1000):
        timetable.done("a", 2.0, first + 2.0 * (turn - 1) + 1.3)
        assert timetable.next_at() == pytest.approx(first + 2.0 * turn, abs=1e-9)
        (due,) = timetable.due(first + 2.0 * turn + 0.25, ALL)
        assert due.lateness == pytest.approx(0.25)


def test_another_interval_counts_from_the_plan_too() -> None:
    timetable, first = _started(2.0)

    timetable.done("a", 0.5, first + 0.1)

    assert timetable.next_at() == first + 0.5


def test_a_probe_that_outlasts_its_interval_is_followed_by_one_more() -> None:
    """
    At once, without lateness, and without the ones that were missed; then back on the grid.
    """
    timetable, first = _started(1.0)

    timetable.done("a", 1.0, first + 3.5)

    assert timetable.due(first + 3.5, ALL) == [Due("a", 0.0)]
    timetable.done("a", 1.0, first + 3.6)
    assert timetable.next_at() == first + 4.0


def test_a_running_target_is_not_due() -> None:
    timetable, first = _started()

    assert timetable.next_at() is None
    assert timetable.due(first + 100, ALL) == []


def test_the_limit_leaves_the_rest_due_and_late() -> None:
    timetable = Timetable()
    for key in "abc":
        timetable.add(key, 1.0, 0.0)
    instants = sorted((spread(key), key) for key in "abc")

    first = timetable.due(5.0, 2)
    second = timetable.due(6.0, 2)

    assert first == [Due(key, 5.0 - at) for at, key in instants[:2]]
    assert second == [Due(key, 6.0 - at) for at, key in instants[2:]]


def test_a_removed_target_never_comes() -> None:
    timetable = Timetable()
    timetable.add("a", 1.0, 0.0)

    timetable.remove("a")

    assert timetable.next_at() is None
    assert timetable.due(9.0, ALL) == []
    assert len(timetable) == 0


def test_a_target_removed_and_added_again_comes_once() -> None:
    timetable = Timetable()
    timetable.add("a", 1.0, 0.0)
    timetable.remove("a")
    timetable.add("a", 1.0, 5.0)

    assert timetable.next_at() == 5.0 + spread("a")
    assert [due.key for due in timetable.due(9.0, ALL)] == ["a"]


def test_dead_entries_are_swept() -> None:
    """
    Reloading for ever does not grow the heap, and sweeping loses nobody.
    """
    timetable = Timetable()
    timetable.add("stays", 3600.0, 0.0)
    for turn in range(10 * SWEEP_FROM):
        timetable.add(f"k{turn}", 3600.0, 0.0)
        timetable.remove(f"k{turn}")

    assert len(timetable._heap) <= 2 + SWEEP_FROM
    assert [due.key for due in timetable.due(9.0, ALL)] == ["stays"]


@given(
    intervals=st.lists(st.sampled_from([0.1, 0.5, 1.0, 2.0]), min_size=1, max_size=6),
    lasts=st.lists(st.floats(0.0, 1.5), min_size=1, max_size=20),
    limit=st.integers(1, 6),
)
def test_every_target_is_probed_each_interval(
    intervals: list[float], lasts: list[float], limit: int
) -> None:
    """
    From one start to the next it is never more than the interval and the time of the probe, nor
    less than nothing: no target waits on another, is forgotten, or runs twice at once.
    """
    timetable = Timetable()
    for number, interval in enumerate(intervals):
        timetable.add(str(number), interval, 0.0)
    running: list[tuple[float, str]] = []
    began: dict[str, float] = {}
    now, turn = 0.0, 0

    while now < 10.0:
        while found := timetable.due(now, limit):
            for due in found:
                interval, last = intervals[int(due.key)], lasts[turn % len(lasts)]
                assert due.key not in [key for _, key in running]
                bound = interval + max(lasts)
                assert now - began.get(due.key, now - bound) <= bound + 1e-9
                began[due.key] = now
                heapq.heappush(running, (now + last, due.key))
                turn += 1
        waits = [at for at in (timetable.next_at(),) if at is not None]
        now = min([end for end, _ in running[:1]] + waits)
        while running and running[0][0] <= now:
            _, key = heapq.heappop(running)
            timetable.done(key, intervals[int(key)], now)

    assert len(began) == len(intervals)
