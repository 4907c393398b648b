"""policy/lanes: what runs next."""

from hypothesis import given
from hypothesis import strategies as st

from director.policy.lanes import PARALLEL, WAITING_MAX, Job, Lanes
from director.wire.messages import Ran


def heard(_ran: Ran) -> None:
    """Nobody listens."""


def job(lane: str, number: int = 0, *, urgent: bool = False) -> Job:
    return Job(
        who="hook",
        object=lane,
        argv=("/bin/true", str(number)),
        stdin="",
        timeout=1.0,
        done=heard,
        urgent=urgent,
    )


@given(
    words=st.lists(
        st.one_of(
            st.tuples(st.sampled_from("abcdefghijkl"), st.booleans()), st.integers(0, PARALLEL)
        ),
        max_size=80,
    )
)
def test_a_lane_is_ordered_and_the_whole_is_bounded(words: list[tuple[str, bool] | int]) -> None:
    """
    Whatever comes and ends when: one job a lane at a time, in the order of the lane, PARALLEL that
    are not urgent at most; and once all have ended, each has run.
    """
    lanes, running, ran = Lanes(), dict[int, Job](), list[Job]()
    added: list[Job] = []

    def turn() -> None:
        running.update(lanes.start())
        there = list(running.values())
        assert len({one.lane for one in there}) == len(there)
        assert sum(not one.urgent for one in there) <= PARALLEL

    def end(number: int) -> None:
        ended = lanes.end(number)
        assert ended is running.pop(number)
        ran.append(ended)

    for index, word in enumerate(words):
        if isinstance(word, int):
            if word < len(running):
                end(list(running)[word])
        else:
            added.append(job(word[0], index, urgent=word[1]))
            assert lanes.add(added[-1]) is None
        turn()
    while running:
        end(next(iter(running)))
        turn()

    assert sorted(int(one.argv[1]) for one in ran) == [int(one.argv[1]) for one in added]
    for lane in {one.lane for one in added}:
        order = [int(one.argv[1]) for one in ran if one.lane == lane]
        assert order == sorted(order)


def test_when_too_many_wait_the_oldest_goes() -> None:
    """Who is told late is better told the newest. What is urgent stays, and takes no one's place."""
    lanes = Lanes()
    assert lanes.add(job("router", urgent=True)) is None
    for number in range(WAITING_MAX):
        assert lanes.add(job("web", number)) is None

    gone = lanes.add(job("web", WAITING_MAX))

    assert gone == job("web", 0)
    assert lanes.waiting == WAITING_MAX + 1


def test_urgent_jobs_wait_for_no_slot() -> None:
    """All slots are taken by programs that hang: a router's is started all the same."""
    lanes = Lanes()
    for number in range(PARALLEL + 1):
        lanes.add(job(f"web{number}"))
    assert len(lanes.start()) == PARALLEL

    lanes.add(job("router", urgent=True))

    assert [one.object for _, one in lanes.start()] == ["router"]


def test_what_waits_can_be_taken_back() -> None:
    """All of a lane, and nothing of another; what runs is another matter."""
    lanes = Lanes()
    for number in (1, 2, 3):
        lanes.add(job("router", number, urgent=True))
    lanes.start()
    lanes.add(job("web", 4))

    assert [one.argv[1] for one in lanes.withdraw(("hook", "router"))] == ["2", "3"]
    assert lanes.under_way(("hook", "router")) == 1
    assert [one.argv[1] for _, one in lanes.start()] == ["4"]


def test_who_is_lost_is_told_and_who_waits_goes_on_waiting() -> None:
    """The process that runs them has died."""
    lanes = Lanes()
    lanes.add(job("web", 1))
    lanes.add(job("web", 2))
    started = lanes.start()
    assert lanes.under_way(("hook", "web")) == started[0][0]

    assert lanes.lose() == started
    assert lanes.under_way(("hook", "web")) is None
    assert [one.argv[1] for _, one in lanes.start()] == ["2"]
    assert lanes.end(started[0][0]) is None
