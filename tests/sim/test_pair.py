# The pair under faults, in two kinds of test:
# - a thousand lives: the seed draws rules, faults and their instants; World.check looks on;
# - scenes in words: one fault each at a seeded instant, and a bound on what it costs.
#
# To see one life again: World of the seed that a failure prints, and `world.timeline`.
"""Seeded simulations of two VRRP machines."""

import math
import random

import pytest

from director.vrrp.machine import Backup, Off, Rules
from tests.sim.pair import DELAY, JITTER, LEASE, Violation, Wire, World, active

SEEDS = 1000
LIFE = 30.0  # simulated seconds
A, B = "10.9.0.1", "10.9.0.2"


def drawn(seed: int) -> World:
    """A world whose rules the seed decides."""
    chance = random.Random(seed)  # noqa: S311 (a simulation)
    interval = chance.choice((0.1, 0.25, 1.0))
    other = interval if chance.random() < 0.7 else chance.choice((0.1, 0.25, 1.0))
    rules = [
        Rules(
            priority=chance.choice((1, 50, 100, 100, 150, 254)),
            interval=seconds,
            source=source,
            preempt_after=chance.choice((0.0, 3.0, math.inf)),
        )
        for seconds, source in ((interval, A), (other, B))
    ]
    return World(seed, *rules)


def plan(world: World) -> None:
    """Boot both, then draw faults: a busy first part, and now and then a calm to settle in."""
    chance = world.chance
    for node in world.nodes:
        world.at(chance.random(), node.boot)
    instant = 1.0
    while instant < LIFE - 2:
        instant += chance.choice((0.02, 0.3, 1.0, 9.0)) * (0.5 + chance.random())
        world.at(instant, lambda: trouble(world))


def trouble(world: World) -> None:
    """One fault, repair or order, whatever fits the moment."""
    chance = world.chance
    node = chance.choice(world.nodes)
    kind = chance.randrange(10)
    if kind < 3:
        world.set_wire(_any_wire(world) if kind == 0 else Wire())
    elif not node.alive:
        node.boot()
    elif node.paused:
        node.resume()
    elif kind == 3:
        node.crash()
    elif kind < 6:
        node.pause()
        world.at(
            world.now + chance.choice((0.05, 0.4, 2.0, 7.0)), lambda: _resume(world, node.name)
        )
    elif isinstance(node.state, Off):
        node.boot()
    elif kind == 6:
        node.leave(patience=2.0, stopping=True)
    elif kind == 7:
        node.leave(patience=2.0, stopping=False)
    elif kind == 8:
        node.stay()


def _resume(world: World, name: str) -> None:
    node = world.a if name == "a" else world.b
    if node.paused and node.alive:
        node.resume()


def _any_wire(world: World) -> Wire:
    chance = world.chance
    return Wire(
        lose=chance.choice((0.0, 0.1, 0.5)),
        delay=chance.choice((DELAY, 0.05, 0.6)),
        double=chance.choice((0.0, 0.3)),
        cut=chance.choice((frozenset(), frozenset("a"), frozenset("b"), frozenset("ab"))),
    )


@pytest.mark.parametrize("hundred", range(0, SEEDS, 100))
def test_a_thousand_lives(hundred: int) -> None:
    """
    Whatever befalls two nodes: in calm exactly one is active, and nobody else holds the VIP.
    """
    for seed in range(hundred, hundred + 100):
        world = drawn(seed)
        plan(world)
        world.run(LIFE)


def settled(seed: int, *, preempt_after: float = 0.0) -> World:
    """Two nodes at 0.1 s, `a` stronger and active, at an instant that the seed picks."""
    world = World(
        seed,
        Rules(priority=150, interval=0.1, source=A, preempt_after=preempt_after),
        Rules(priority=100, interval=0.1, source=B),
    )
    world.a.boot()
    world.b.boot()
    world.run(2 + world.chance.random())
    assert active(world) == "a"
    return world


def run_held(world: World, until: float) -> None:
    """Play on; at every instant one of the two kernels holds the VIP."""
    while world.events and world.events[0][0] <= until:
        world.run(world.events[0][0])
        if not any(node.kernel.holds(world.now) for node in world.nodes):
            world.fail("for an instant nobody holds the VIP")
    world.run(until)


SCENES = pytest.mark.parametrize("seed", range(20))


@SCENES
def test_crash(seed: int) -> None:
    """
    6.4.2: the VIP is held again 0.3609375 s after the last advert, and no sooner.
    """
    world = settled(seed)
    crashed = world.now
    world.a.crash()

    world.run(crashed + 0.2609)
    assert not world.b.kernel.holds(world.now)

    world.run(crashed + 0.3609375 + DELAY + JITTER)
    assert world.b.kernel.holds(world.now)

    world.run(crashed + LEASE)
    assert not world.a.kernel.holds(world.now)


@SCENES
@pytest.mark.parametrize("stopping", [True, False])
def test_hand_over(seed: int, stopping: bool) -> None:
    """
    Make before break: the peer has it a skew (0.0609375 s) later, and it was held throughout.
    """
    world = settled(seed)
    asked = world.now
    world.a.leave(patience=3.0, stopping=stopping)

    run_held(world, asked + 0.0609375 + 2 * DELAY + JITTER)
    assert active(world) == "b"
    assert not world.a.kernel.holds(world.now)

    run_held(world, asked + 60)
    assert active(world) == "b"
    assert isinstance(world.a.state, Off if stopping else Backup)


@SCENES
def test_hand_over_on_a_bad_wire(seed: int) -> None:
    """
    Resignations that are lost are said again: the hand-over is late, and still has no gap.
    """
    world = settled(seed)
    asked = world.now
    world.set_wire(Wire(lose=0.4))
    world.a.leave(patience=20.0, stopping=True)

    run_held(world, asked + 20)
    assert active(world) == "b"


@SCENES
def test_hand_over_without_a_peer(seed: int) -> None:
    """
    Nobody comes within the patience: we are active again, and the VIP was never let go.
    """
    world = settled(seed)
    world.b.crash()
    world.a.leave(patience=3.0, stopping=False)

    run_held(world, world.now + 3 + JITTER)
    assert active(world) == "a"


@SCENES
def test_both_are_told_to_hand_over(seed: int) -> None:
    """
    Split, each told to go, and healed: they do not wait for each other.
    """
    world = settled(seed)
    world.set_wire(Wire(cut=frozenset("ab")))
    world.run(world.now + 1)
    world.a.leave(patience=30.0, stopping=False)
    world.b.leave(patience=30.0, stopping=False)
    world.set_wire(Wire())

    run_held(world, world.now + 0.2 + 2 * DELAY + JITTER)
    assert active(world) == "a"
    assert not world.b.kernel.holds(world.now)


@SCENES
def test_restart(seed: int) -> None:
    """
    A process that is back within an interval adopts its VIP, and the peer does not notice.
    """
    world = settled(seed)
    world.a.crash()
    run_held(world, world.now + 0.1)
    world.a.boot()

    run_held(world, world.now + 10)
    assert active(world) == "a"
    assert not any(who == "b" and step and step.effects for _, who, _, step in world.timeline)


@SCENES
def test_pause(seed: int) -> None:
    """
    A sleeper that was succeeded lets go when it wakes, before it says a word.
    """
    world = settled(seed, preempt_after=math.inf)
    world.a.pause()
    world.run(world.now + 2)
    assert active(world) == "b"

    world.a.resume()
    assert not world.a.kernel.holds(world.now)

    run_held(world, world.now + 60)
    assert active(world) == "b"


@SCENES
def test_a_stunned_machine_does_not_take_over(seed: int) -> None:
    """
    A backup that slept with its socket (a frozen guest) has not heard silence: it listens anew.
    """
    world = settled(seed)
    world.b.pause()
    world.run(world.now + 5)
    world.b.queue.clear()

    world.b.resume()
    world.run(world.now + 10)

    assert active(world) == "a"
    assert not any(who == "b" and step and step.effects for _, who, _, step in world.timeline)


@SCENES
def test_split_and_heal(seed: int) -> None:
    """
    Split, each holds it; whole again, the stronger has it within an interval.
    """
    world = settled(seed, preempt_after=math.inf)
    world.set_wire(Wire(cut=frozenset("ab")))
    world.run(world.now + 1)
    assert active(world) == "ab"

    world.set_wire(Wire())
    run_held(world, world.now + 0.1 + DELAY + JITTER)
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
    world.a.crash()
    world.run(world.now + LEASE)
    booted = world.now
    world.a.boot()

    run_held(world, booted + 6)
    assert active(world) == after_6_s

    run_held(world, booted + 7)
    assert active(world) == after_7_s


def test_the_simulation_notices() -> None:
    """
    A kernel that holds what its machine does not is a violation; it names seed and timeline.
    """
    world = settled(7)
    world.b.kernel.until = math.inf

    with pytest.raises(Violation, match=r"^seed 7 at [\s\S]*a wakes"):
        world.run(world.now + 1)
    world.b.kernel.until = None
    world.a.state = Off()
    world.a.kernel.until = None
    world.b.crash()
    world.b.alive, world.b.state = True, Off()
    world.a.state = Backup(0.1, math.inf, 0.0)
    with pytest.raises(Violation, match="nobody holds"):
        world.run(world.now + 9)
