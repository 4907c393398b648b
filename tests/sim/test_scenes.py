# One fault each, at an instant that the seed picks, and a bound on what it costs. The last part are
# scenes that the lives of many seeds have found: what they cost before is in CHANGELOG.md.
"""Scenes of two and three simulated directors."""

import math
from collections.abc import Callable

import msgspec
import pytest

from director.vrrp.machine import (
    Active,
    Backup,
    Effect,
    Leaving,
    Off,
    Rules,
    Step,
    take_over,
)
from tests.sim.node import Pause
from tests.sim.wire import DELAY, WHOLE, Wire, parted
from tests.sim.world import EXCHANGE, JITTER, STORM, Violation, World, active

A, B = frozenset({0}), frozenset({1})
SPLIT = Wire(cut=parted(A, B))
SCENES = pytest.mark.parametrize("seed", range(20))


def rules(
    number: int, priority: int, preempt_after: float = 0.0, segments: int = 1
) -> tuple[Rules, ...]:
    return tuple(
        Rules(
            priority=priority,
            interval=0.1,
            source=f"10.{segment}.0.{number}",
            preempt_after=preempt_after,
        )
        for segment in range(segments)
    )


def settled(
    seed: int,
    *,
    preempt_after: float = 0.0,
    segments: int = 1,
    priorities: tuple[int, ...] = (150, 100),
) -> World:
    """Nodes at 0.1 s, `a` stronger and active, at an instant that the seed picks."""
    world = World(
        seed,
        *(
            rules(number, priority, preempt_after, segments)
            for number, priority in enumerate(priorities, 1)
        ),
    )
    for node in world.nodes:
        node.boot()
    world.run(2 + world.chance.random())
    assert active(world) == "a"
    return world


def run_held(world: World, until: float, segment: int = 0) -> None:
    """Play on; at every instant some kernel holds the VIP."""
    while world.events and world.events[0][0] <= until:
        world.run(world.events[0][0])
        if not any(router.holds for router in world.segments[segment]):
            world.fail("for an instant nobody holds the VIP")
    world.run(until)


def holds(world: World, number: int) -> bool:
    return world.nodes[number].routers[0].holds


def roles(world: World, who: str) -> set[str]:
    """What `who` has been since the last fault."""
    return {
        type(line.step.state).__name__
        for line in world.timeline
        if line.who == who and line.step and line.at >= world.fault_at
    }


@SCENES
def test_crash(seed: int) -> None:
    """
    6.4.2: the VIP is held again 0.3609375 s after the last advert, and no sooner.
    """
    world = settled(seed)
    crashed = world.now
    world.nodes[0].crash()

    world.run(crashed + 0.2609)
    assert not holds(world, 1)

    world.run(crashed + 0.3609375 + DELAY + JITTER)
    assert holds(world, 1)

    world.run(crashed + world.lease)
    assert not holds(world, 0)


@SCENES
@pytest.mark.parametrize("stopping", [True, False])
def test_hand_over(seed: int, stopping: bool) -> None:
    """
    Make before break: the peer has it a skew (0.0609375 s) later, and it was held throughout.
    """
    world = settled(seed)
    asked = world.now
    world.nodes[0].leave(patience=3.0, stopping=stopping)

    run_held(world, asked + 0.0609375 + 2 * DELAY + JITTER)
    assert active(world) == "b"
    assert not holds(world, 0)

    run_held(world, asked + 60)
    assert active(world) == "b"
    assert isinstance(world.nodes[0].state, Off if stopping else Backup)


@SCENES
def test_hand_over_on_a_bad_wire(seed: int) -> None:
    """
    Resignations that are lost are said again: the hand-over is late, and still has no gap.
    """
    world = settled(seed)
    asked = world.now
    world.set_wire(Wire(lose=0.4))
    world.nodes[0].leave(patience=20.0, stopping=True)

    run_held(world, asked + 20)
    assert active(world) == "b"


@SCENES
def test_hand_over_without_a_peer(seed: int) -> None:
    """
    Nobody comes within the patience: we are active again, and the VIP was never let go.
    """
    world = settled(seed)
    world.nodes[1].crash()
    world.nodes[0].leave(patience=3.0, stopping=False)

    run_held(world, world.now + 3 + JITTER)
    assert active(world) == "a"
    assert isinstance(world.nodes[0].state, Active)


@SCENES
def test_both_are_told_to_hand_over(seed: int) -> None:
    """
    Split, each told to go, and healed: they do not wait for each other.
    """
    world = settled(seed)
    world.set_wire(SPLIT)
    world.run(world.now + 1)
    world.nodes[0].leave(patience=30.0, stopping=False)
    world.nodes[1].leave(patience=30.0, stopping=False)
    world.set_wire(WHOLE)

    run_held(world, world.now + 0.2 + EXCHANGE)
    assert active(world) in ("a", "b")
    assert [holds(world, 0), holds(world, 1)].count(True) == 1


@SCENES
def test_restart(seed: int) -> None:
    """
    A process that is back within an interval adopts its VIP, and the peer does not notice.
    """
    world = settled(seed)
    world.nodes[0].crash()
    run_held(world, world.now + 0.1)
    world.nodes[0].boot()

    run_held(world, world.now + 10)
    assert active(world) == "a"
    assert roles(world, "b") == set()


@SCENES
@pytest.mark.parametrize("kind", [Pause.PROCESS, Pause.JUMPS])
def test_pause(seed: int, kind: Pause) -> None:
    """
    A sleeper whose clock shows that it was succeeded lets go when it wakes, before it says a word.
    """
    world = settled(seed, preempt_after=math.inf)
    world.nodes[0].pause(kind)
    world.run(world.now + 2)
    assert active(world) == "b"

    world.nodes[0].resume(deaf=kind is Pause.JUMPS)
    assert not holds(world, 0)

    run_held(world, world.now + 60)
    assert active(world) == "b"
    assert roles(world, "b") == {"Active"}


@SCENES
@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize(
    ("priorities", "stays"), [((150, 100), "a"), ((100, 100), "b")], ids=["stronger", "equal"]
)
def test_a_pause_that_no_clock_shows(
    seed: int, deaf: bool, priorities: tuple[int, int], stays: str
) -> None:
    """
    Two are active when the guest wakes. Exactly one yields, by the rule: within an exchange when
    adverts waited on its socket, and within an interval when they were lost.
    """
    world = settled(seed, preempt_after=math.inf)
    for node, priority in zip(world.nodes, priorities, strict=True):
        node.weigh(priority)
    world.run(world.now + 1)
    world.nodes[0].pause(Pause.FROZEN)
    world.run(world.now + 2)
    assert active(world) == "b"
    world.nodes[0].resume(deaf=deaf)

    run_held(world, world.now + EXCHANGE + 0.1 * deaf)
    assert active(world) == stays

    run_held(world, world.now + 60)
    assert active(world) == stays


@SCENES
def test_a_sleeper_answers_a_hundred_adverts_once(seed: int) -> None:
    """
    What waits on the socket is heard before the advert that is due, and one answer is for all.
    """
    world = settled(seed, preempt_after=math.inf)
    world.nodes[0].pause(Pause.FROZEN)
    world.run(world.now + 10)
    waited = len(world.nodes[0].queue)
    lines = len(world.timeline)
    world.nodes[0].resume()

    assert waited > 90
    answers = [line for line in world.timeline[lines:] if line.step and line.step.effects]
    assert len(answers) == 1


@SCENES
@pytest.mark.parametrize("kind", [Pause.PROCESS, Pause.JUMPS])
def test_a_stunned_machine_does_not_take_over(seed: int, kind: Pause) -> None:
    """
    A backup that slept with its socket has not heard silence: it listens anew.
    """
    world = settled(seed)
    world.nodes[1].pause(kind)
    world.run(world.now + 5)

    world.nodes[1].resume(deaf=True)
    world.run(world.now + 10)

    assert active(world) == "a"
    assert roles(world, "b") == {"Backup"}


@SCENES
def test_split_and_heal(seed: int) -> None:
    """
    Split, each holds it; whole again, the stronger has it within an interval.
    """
    world = settled(seed, preempt_after=math.inf)
    world.set_wire(SPLIT)
    world.run(world.now + 1)
    assert active(world) == "ab"

    world.set_wire(WHOLE)
    run_held(world, world.now + 0.1 + DELAY + JITTER)
    assert active(world) == "a"


@SCENES
@pytest.mark.parametrize(
    ("deaf", "during"), [(B, "ab"), (A, "a")], ids=["the backup is deaf", "the active is deaf"]
)
def test_split_one_way(seed: int, deaf: frozenset[int], during: str) -> None:
    """
    A backup that hears nothing takes over, and yields to nobody until it hears again; one that
    nobody hears stays what it is.
    """
    world = settled(seed, preempt_after=math.inf)
    world.set_wire(Wire(cut=parted(A | B, deaf, both_ways=False)))
    world.run(world.now + 1)
    assert active(world) == during

    world.set_wire(WHOLE)
    run_held(world, world.now + 0.1 + EXCHANGE)
    assert active(world) == "a"


@SCENES
@pytest.mark.parametrize(
    ("preempt_after", "after_6_s", "after_7_s"),
    [(0.0, "a", "a"), (6.5, "b", "a"), (math.inf, "b", "b")],
)
def test_failback(seed: int, preempt_after: float, after_6_s: str, after_7_s: str) -> None:
    """
    The stronger takes back when its file says: at once, after a while, or never; without a gap.
    """
    world = settled(seed, preempt_after=preempt_after)
    world.nodes[0].crash()
    world.run(world.now + world.lease)
    booted = world.now
    world.nodes[0].boot()

    run_held(world, booted + 6)
    assert active(world) == after_6_s

    run_held(world, booted + 7)
    assert active(world) == after_7_s


@SCENES
@pytest.mark.parametrize(("preempt_after", "then"), [(0.0, "b"), (math.inf, "a")])
def test_a_priority_that_falls_while_active(seed: int, preempt_after: float, then: str) -> None:
    """
    The next advert carries it, and who is stronger by now takes over (if it may at all), no gap.
    """
    world = settled(seed, preempt_after=preempt_after)
    world.nodes[0].weigh(50)

    run_held(world, world.now + 0.1 + 0.3609375 + EXCHANGE)
    assert active(world) == then


@SCENES
def test_a_priority_that_rises_while_backup(seed: int) -> None:
    """
    Who is stronger by now contests the active one within its Active_Down_Interval; no gap.
    """
    world = settled(seed)
    world.nodes[1].weigh(200)

    run_held(world, world.now + 0.3609375 + EXCHANGE)
    assert active(world) == "b"


@SCENES
@pytest.mark.parametrize("wait", [0.0, 0.05, 0.1, 0.15, 0.2])
def test_a_priority_that_falls_as_two_contest(seed: int, wait: float) -> None:
    """
    Healed, `b` may be yielding to 150 when `a` falls to 50: not both yield, and one of them within
    two intervals and an exchange of the fall.
    """
    world = settled(seed, preempt_after=math.inf)
    world.set_wire(SPLIT)
    world.run(world.now + 1)
    world.set_wire(WHOLE)
    world.run(world.now + wait * world.chance.random())
    world.nodes[0].weigh(50)

    run_held(world, world.now + 0.2 + EXCHANGE + 2 * JITTER)
    assert len(active(world)) == 1


@SCENES
def test_the_last_advert_of_a_loser_is_not_believed(seed: int) -> None:
    """
    `b` (100) yields to 150 and says its last advert. `a` has fallen to 50 since, and holds on.
    """
    world = settled(seed, preempt_after=math.inf)
    world.set_wire(SPLIT)
    world.run(world.now + 1)
    world.set_wire(WHOLE)
    while active(world) == "ab":
        world.run(world.events[0][0])
    assert active(world) == "a"
    world.nodes[0].weigh(50)

    run_held(world, world.now + 60)
    assert active(world) == "a"


@SCENES
def test_a_group_that_yields_leaves_no_gap(seed: int) -> None:
    """
    Segment 1 is `b`'s alone, segment 0 has two: `b` yields there and hands over here.
    """
    world = settled(seed, segments=2, preempt_after=math.inf)
    world.set_wire(SPLIT, 0)
    world.set_wire(SPLIT, 1)
    world.run(world.now + 1)
    assert (active(world), active(world, 1)) == ("ab", "ab")
    back = world.nodes[0].routers[1]
    back.state, back.until = Backup(0.1, world.now + 0.36, world.now, math.inf), -math.inf
    world.set_wire(WHOLE)

    run_held(world, world.now + 1, segment=1)
    assert (active(world), active(world, 1)) == ("a", "a")


@SCENES
def test_a_stop_that_one_member_has_done_is_not_taken_back(seed: int) -> None:
    """
    Half of a group would come back, and nobody else could take the other half.
    """
    world = settled(seed, segments=2)
    world.set_wire(SPLIT, 0)
    first, second = world.nodes
    first.leave(patience=1.0, stopping=True)
    while not isinstance(first.routers[1].state, Off):
        world.run(world.events[0][0])
    assert isinstance(first.routers[0].state, Leaving)
    first.stay()

    world.run(world.now + 6)
    assert [type(one.state) for one in first.routers] == [Off, Off]
    assert [type(one.state) for one in second.routers] == [Active, Active]


def nobody(world: World) -> None:
    """The backup never wakes."""
    world.nodes[1].routers[0].state = Backup(0.1, math.inf, 0.0)
    world.nodes[0].crash()


def nobody_later(world: World) -> None:
    """The active one loses what it was, and all was calm."""
    world.nodes[0].routers[0].state = Backup(0.1, math.inf, 0.0)
    world.look()


def two(world: World) -> None:
    """A cut that the world does not know of, and the other takes over."""
    world.wires[0] = SPLIT
    other = world.nodes[1].routers[0]
    other.rules = msgspec.structs.replace(other.rules, priority=200)
    other.do(take_over(other.rules, world.now), "errs")


def kept(world: World) -> None:
    """No longer active, and the VIP is not dropped."""
    world.nodes[0].routers[0].do(Step(Off()), "errs")


def let_go_of(world: World) -> None:
    """Dropped for nobody's sake."""
    state = Backup(0.1, world.now + 1, world.now)
    world.nodes[0].routers[0].do(Step(state, (Effect.DROP_VIPS,)), "errs")


def both(world: World) -> None:
    """Each yields to what the other has said before it yielded."""
    one, other = (node.routers[0] for node in world.nodes)
    world.yields(one, other, world.now - 0.2)
    world.yields(other, one, world.now - 0.1)


def apart(world: World) -> None:
    """One node holds one segment, the other the other."""
    first, second = world.nodes
    first.routers[1].state, second.routers[1].state = (
        second.routers[1].state,
        first.routers[1].state,
    )
    world.events.clear()
    world.disturb("errs")


def part(world: World) -> None:
    """Half of the group is held, and the wires are cut."""
    router = world.nodes[0].routers[1]
    router.state = Backup(0.1, math.inf, 0.0)
    world.set_wire(SPLIT)


def usurp(world: World) -> None:
    """The weaker takes over from the stronger."""
    other = world.nodes[1].routers[0]
    other.do(take_over(other.rules, world.now), "errs")


def loiter(world: World) -> None:
    """The stronger never contests the weaker."""
    first, second = (node.routers[0] for node in world.nodes)
    first.state, second.state = Backup(0.1, math.inf, 0.0), first.state
    world.events.clear()
    world.disturb("errs")


def oversleep(world: World) -> None:
    """The sleeper goes on as if nothing had been."""
    router = world.nodes[0].routers[0]
    world.nodes[0].pause(Pause.PROCESS)
    world.run(world.now + 1)
    monkey = pytest.MonkeyPatch()
    monkey.setattr(router, "turn", lambda: None)
    world.nodes[0].resume(deaf=True)


def storm(world: World) -> None:
    """Steps without end."""
    for _ in range(STORM):
        world.note("a", "answers")


@pytest.mark.parametrize(
    ("err", "said"),
    [
        (part, "has half of its group"),
        (usurp, "b takes over from a, which is stronger"),
        (loiter, "a is stronger than b, and waits"),
        (oversleep, "a overslept, and is Active"),
        (storm, "no routine"),
        (nobody, "nobody holds the VIP of segment 0"),
        (nobody_later, "nobody holds the VIP of segment 0"),
        (two, "two hold the VIP of segment 0"),
        (kept, "is Off.., and has its VIP"),
        (let_go_of, "lets go, and nobody holds"),
        (both, "which yielded at"),
        (apart, "the group is parted"),
    ],
)
def test_the_simulation_notices(err: Callable[[World], None], said: str) -> None:
    """
    Each invariant, broken by hand, is a violation that names seed and timeline.
    """
    grouped = err in (apart, part)
    world = settled(7, segments=2 if grouped else 1, preempt_after=math.inf if grouped else 0.0)

    def broken() -> None:
        err(world)
        world.run(world.now + 9)

    with pytest.raises(Violation, match=rf"^seed 7 at .*{said}[\s\S]*(b  boots|a  answers)"):
        broken()
