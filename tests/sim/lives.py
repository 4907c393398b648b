# What a seed draws: nodes, rules, clocks, and a life of 5 to 20 faults that ends in calm.
#
# The faults come in bursts, since two that fall together find what each alone does not: half of
# them follow the one before within a few adverts, some within one crossing of the wire.
"""One life of a few directors, from one seed."""

import math
import random

from director.vrrp.machine import Leaving, Off, Rules, active_down
from tests.sim.node import Node, Pause
from tests.sim.wire import DELAY, WHOLE, Cut, Wire, parted
from tests.sim.world import DRIFT, World

LIFE = 30.0  # simulated seconds
FAULTS = (5, 20)
INTERVALS = {0.01: 6, 0.02: 5, 0.05: 9, 0.1: 30, 0.25: 15, 1.0: 35}  # seconds, and how often
PRIORITIES = (1, 50, 100, 100, 150, 200, 254)


def play(seed: int) -> World:
    """Play a life to its end. Raises Violation."""
    world = drawn(seed)
    plan(world)
    run_life(world)
    return world


def run_life(world: World) -> None:
    """What was planned, to its end. Raises Violation."""
    world.run(LIFE)


def drawn(seed: int) -> World:
    """A world before its first instant."""
    chance = random.Random(~seed)  # noqa: S311 (a simulation)
    count = chance.choice((2, 2, 2, 3, 3, 4))
    segments = 2 if chance.random() < 0.2 else 1
    intervals = _intervals(chance, count)
    version = 2 if all(one in (1.0, 2.0) for one in intervals) and chance.random() < 0.4 else 3
    if version == 2:
        intervals = [chance.choice((1.0, 2.0))] * count
    waits = _drawn(chance, (0.0, 0.0, 3.0, math.inf, math.inf), count, together=0.8)
    owners = chance.choice((1, 1, 1, 2)) if chance.random() < 0.08 else 0
    nodes = []
    for number in range(count):
        priority = 255 if number < owners else chance.choice(PRIORITIES)
        nodes.append(
            tuple(
                Rules(
                    priority=priority,
                    interval=intervals[number],
                    source=f"10.{segment}.0.{number + 1}",
                    preempt_after=waits[number],
                    version=version,
                )
                for segment in range(segments)
            )
        )
    clocks = [(1 + chance.uniform(-DRIFT, DRIFT), chance.uniform(0, 1e6)) for _ in nodes]
    return World(seed, *nodes, clocks=clocks)


def _intervals(chance: random.Random, count: int) -> list[float]:
    weights = list(INTERVALS.values())
    first = chance.choices(list(INTERVALS), weights)[0]
    if chance.random() < 0.8:
        return [first] * count
    return [first, *chance.choices(list(INTERVALS), weights, k=count - 1)]


def _drawn(
    chance: random.Random, among: tuple[float, ...], count: int, *, together: float
) -> list[float]:
    """One for all, with the probability `together`, or one for each."""
    if chance.random() < together:
        return [chance.choice(among)] * count
    return [chance.choice(among) for _ in range(count)]


def plan(world: World) -> None:
    """Boot all, then faults, then make the wires whole, and leave time to settle."""
    chance = world.chance
    interval = world.nodes[0].routers[0].rules.interval
    for node in world.nodes:
        world.at(chance.random() * 4 * interval, node.boot)
    last = LIFE - world.settling - 1.0
    instants = [chance.uniform(0.5, last)]
    for _ in range(chance.randint(*FAULTS) - 1):
        step = chance.choice((0.0, DELAY / 2, 2 * DELAY, interval, 4 * interval))
        near = instants[-1] + step * (0.5 + chance.random())
        instants.append(near if step and near < last else chance.uniform(0.5, last))
    for instant in instants:
        world.at(instant, trouble, world)
    world.at(last, _repair, world)


def trouble(world: World) -> None:
    """One fault, repair or order: whatever fits the moment."""
    chance = world.chance
    node = chance.choice(world.nodes)
    kind = chance.random()
    if kind < 0.2 or (kind < 0.4 and any(wire is not WHOLE for wire in world.wires)):
        _rewire(world)
    elif not node.alive:
        node.boot()
    elif kind > 0.93:
        _contest(world)
    elif node.paused is not None:
        node.resume(deaf=chance.random() < 0.5 and node.paused is not Pause.PROCESS)
    elif kind < 0.5:
        node.crash()
    elif kind < 0.7:
        _pause(world, node)
    elif kind < 0.85:
        _weigh(world, node)
    else:
        _order(world, node)


def _contest(world: World) -> None:
    """Split into two for long enough, heal, and change priorities in the midst of the settling."""
    chance = world.chance
    node = chance.choice(world.nodes)
    rules = node.routers[0].rules
    long = 4 * active_down(1, rules.interval, rules.version) / 3
    some = frozenset([node.number])
    world.set_wire(Wire(cut=parted(some, frozenset(range(len(world.nodes))) - some)))
    world.at(world.now + long, world.set_wire, WHOLE)
    for one in world.nodes:
        soon = chance.random() * (rules.interval + 2 * DELAY)
        world.at(world.now + long + soon, _weigh, world, one)


def _rewire(world: World) -> None:
    chance = world.chance
    segment = None if chance.random() < 0.5 else chance.randrange(len(world.wires))
    spoilt = any(wire is not WHOLE for wire in world.wires)
    if spoilt and chance.random() < 0.6:
        world.set_wire(WHOLE, segment)
        if chance.random() < 0.4:  # while two of them settle who stays
            node = chance.choice(world.nodes)
            soon = chance.random() * (node.routers[0].rules.interval + 2 * DELAY)
            world.at(world.now + soon, chance.choice((_weigh, _order)), world, node)
        return
    wire = Wire(
        lose=chance.choice((0.0, 0.0, 0.1, 0.5)),
        delay=chance.choice((DELAY, DELAY, 0.05, 0.6)),
        double=chance.choice((0.0, 0.3)),
        cut=chance.choice((_cut, _uncut))(world),
    )
    world.set_wire(wire, segment)


def _cut(world: World) -> Cut:
    chance = world.chance
    numbers = range(len(world.nodes))
    some = frozenset(chance.sample(numbers, chance.randrange(1, len(numbers))))
    return parted(some, frozenset(numbers) - some, both_ways=chance.random() < 0.6)


def _uncut(world: World) -> Cut:
    del world
    return frozenset()


def _pause(world: World, node: Node) -> None:
    chance = world.chance
    interval = node.routers[0].rules.interval
    seconds = (
        chance.choice((0.5, 1.5, 2.5, 3.5, 5.0, 20.0)) * interval * (0.8 + 0.4 * chance.random())
    )
    node.pause(chance.choice(list(Pause)))
    if chance.random() < 0.8:
        world.at(world.now + seconds, _resume, node, chance.random() < 0.3)


def _resume(node: Node, deaf: bool) -> None:
    if node.alive and node.paused is not None:
        node.resume(deaf=deaf and node.paused is not Pause.PROCESS)


def _weigh(world: World, node: Node) -> None:
    if not node.routers[0].rules.owner:
        node.weigh(world.chance.choice(PRIORITIES))


def _order(world: World, node: Node) -> None:
    if not node.runs:
        return
    chance = world.chance
    kind = chance.random()
    patience = 4 * node.routers[0].rules.interval + 0.5  # as vrrp/stage.py has it
    if isinstance(node.state, Off):
        node.boot()
    elif isinstance(node.state, Leaving) and kind < 0.5:
        node.stay()
    elif kind < 0.2:
        node.stop()
    elif kind < 0.5:
        node.leave(patience=patience, stopping=True)
    else:
        node.leave(patience=patience, stopping=False, rest=chance.choice((0.0, 3.0, math.inf)))


def _repair(world: World) -> None:
    world.set_wire(WHOLE)
    for node in world.nodes:
        if node.paused is not None:
            node.resume(deaf=world.chance.random() < 0.3 and node.paused is not Pause.PROCESS)
