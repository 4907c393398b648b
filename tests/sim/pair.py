# Two nodes, two kernels, one wire, no clock: hours of VRRP in seconds, all from one seed.
#
# Rules of this room:
# 1. The seed's generator is the only source of chance, the heap of events the only time.
# 2. The machine is the real one. What the process around it does is imitated in `Node.do`, and
#    in the order that machine.py asks for: what is queued is heard, then the deadline, then VIPs.
# 3. Invariants are looked at after every event, and a violation is a `Violation` that carries the
#    seed and the timeline, one line an event.
#
# `World.calm_at` is when the last disturbance (a fault, a repair, an order) was over, with the wire
# whole and nothing late still on it. What must hold in calm must hold `settling` seconds after.
"""A pair of VRRP machines under faults, in virtual time."""

import heapq
import math
import random
from collections.abc import Callable

import msgspec

from director.vrrp.advert import Advert
from director.vrrp.machine import (
    Active,
    Effect,
    Leaving,
    Off,
    Rules,
    State,
    Step,
    active_down,
    hear,
    leave,
    start,
    stay,
    tick,
)

DELAY = 0.002  # the longest a whole wire takes, seconds
JITTER = 0.0005  # the longest an alarm is late on a node that runs, seconds
LEASE = 5.0  # the kernel drops what was not refreshed for so long; above any active_down here
REFRESH = 0.25  # of the lease: how old a refresh may be


class Violation(AssertionError):
    """An invariant broke. The text is the seed and the timeline."""


class Wire(msgspec.Struct):
    """What happens to an advert: lost, late (seconds), doubled; `cut` names deaf nodes."""

    lose: float = 0.0
    delay: float = DELAY
    double: float = 0.0
    cut: frozenset[str] = frozenset()


class Kernel(msgspec.Struct):
    """Holds the VIP while it is refreshed, and until `until` after that; None: it has none."""

    until: float | None = None

    def holds(self, now: float) -> bool:
        return self.until is not None and now < self.until


class Node:
    """One director: a machine, and the process around it that can crash and be paused."""

    def __init__(self, world: "World", name: str, rules: Rules) -> None:
        self.world, self.name, self.rules = world, name, rules
        self.state: State = Off()
        self.kernel = Kernel()
        self.alive, self.paused = False, False
        self.queue: list[tuple[Advert, str]] = []
        self.peer = self
        self.due = math.inf

    @property
    def runs(self) -> bool:
        return self.alive and not self.paused

    def boot(self) -> None:
        """Start, adopting the VIP that a past life left in the kernel."""
        self.alive, self.paused = True, False
        self.queue.clear()
        self.world.disturb(f"{self.name} boots")
        now = self.world.now
        self.do(start(self.rules, now, holding=self.kernel.holds(now)), "boots")

    def crash(self) -> None:
        self.alive = False
        self.world.disturb(f"{self.name} crashes")
        self._lose_grip()
        self.state = Off()

    def pause(self) -> None:
        self.paused = True
        self.world.disturb(f"{self.name} pauses")
        self._lose_grip()

    def resume(self) -> None:
        """Hear what waited in the socket, then look at the clock, and refresh only then."""
        self.paused = False
        self.world.disturb(f"{self.name} resumes")
        waiting, self.queue = self.queue, []
        for advert, source in waiting:
            self.receive(advert, source)
        self.wake()
        self.do(Step(self.state), "refreshes")

    def receive(self, advert: Advert, source: str) -> None:
        if self.paused:
            self.queue.append((advert, source))
        elif self.alive:
            step = hear(self.rules, self.state, advert, source, self.world.now)
            self.do(step, f"hears {advert.priority}")

    def wake(self) -> None:
        if self.runs and self.world.now >= self.state.deadline:
            self.do(tick(self.rules, self.state, self.world.now), "wakes")

    def leave(self, *, patience: float, stopping: bool) -> None:
        self.world.disturb(f"{self.name} is given an order")
        now = self.world.now
        step = leave(self.rules, self.state, now, patience=patience, stopping=stopping)
        self.do(step, "is to stop" if stopping else "is to hand over")

    def stay(self) -> None:
        self.world.disturb(f"{self.name} is given an order")
        self.do(stay(self.rules, self.state, self.world.now), "is to stay")

    def do(self, step: Step, why: str) -> None:
        """Take the step: effects in order, then keep refreshed what the state holds."""
        if step.effects or step.state.__class__ is not self.state.__class__:
            self.world.note(self.name, why, step)
        self.state = step.state
        for effect in step.effects:
            if effect is Effect.SEND_ADVERT:
                self.world.send(self, self.rules.priority)
            elif effect is Effect.SEND_RESIGNATION:
                self.world.send(self, 0)
            elif effect is Effect.TAKE_VIPS:
                self.kernel.until = math.inf
            elif effect is Effect.DROP_VIPS:
                self.kernel.until = None
        if self.state.hold and self.kernel.holds(self.world.now):
            self.kernel.until = math.inf
        self.world.set_alarm(self)

    def _lose_grip(self) -> None:
        """Nobody refreshes the VIP any more: the lease runs out."""
        if self.kernel.until == math.inf:
            age = self.world.chance.random() * REFRESH * LEASE
            self.kernel.until = self.world.now + LEASE - age


class World:
    """The wire, the time and the two nodes `a` and `b`."""

    def __init__(self, seed: int, rules_a: Rules, rules_b: Rules) -> None:
        self.seed, self.chance = seed, random.Random(seed)  # noqa: S311 (a simulation)
        self.now, self.calm_at, self.late_until = 0.0, 0.0, 0.0
        self.wire = Wire()
        self.timeline: list[tuple[float, str, str, Step | None]] = []
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.serial = 0
        self.a, self.b = Node(self, "a", rules_a), Node(self, "b", rules_b)
        self.a.peer, self.b.peer = self.b, self.a
        self.nodes = (self.a, self.b)
        self.both_since = math.inf
        slowest = max(rules_a.interval, rules_b.interval)
        weakest = min(rules_a.priority, rules_b.priority)
        self.settling = active_down(weakest, slowest) + slowest + 4 * DELAY

    def at(self, instant: float, event: Callable[[], None]) -> None:
        self.serial += 1
        heapq.heappush(self.events, (instant, self.serial, event))

    def set_alarm(self, node: Node) -> None:
        """Call the node at its deadline. An alarm that the state has outrun finds nothing due."""
        if node.runs and node.state.deadline != node.due:
            node.due = node.state.deadline
            if node.due < math.inf:
                self.at(node.due + JITTER * self.chance.random(), node.wake)

    def note(self, who: str, what: str, step: Step | None = None) -> None:
        self.timeline.append((self.now, who, what, step))

    def disturb(self, what: str) -> None:
        """Something happened: calm starts over, or waits for the wire to be whole."""
        self.note("-", what)
        self.calm_at = max(self.now, self.late_until) if self.wire == Wire() else math.inf

    def set_wire(self, wire: Wire) -> None:
        self.late_until = max(self.late_until, self.now + self.wire.delay)
        self.wire = wire
        self.disturb(f"the wire is {wire}")

    def send(self, sender: Node, priority: int) -> None:
        """Put an advert on the wire, and let the wire do to it what it does."""
        wire, chance = self.wire, self.chance
        if wire.lose and chance.random() < wire.lose:
            return
        hearer, rules = sender.peer, sender.rules
        if hearer.name in wire.cut:
            return
        advert = Advert(vrid=51, priority=priority, interval=rules.interval, addresses=())
        for _ in range(2 if wire.double and chance.random() < wire.double else 1):
            arrives = self.now + wire.delay * (0.1 + 0.9 * chance.random())
            self.at(arrives, lambda: hearer.receive(advert, rules.source))

    def run(self, until: float) -> None:
        """Play all events up to an instant, and look at the invariants after each."""
        while self.events and self.events[0][0] <= until:
            self.now, _, event = heapq.heappop(self.events)
            event()
            self.check()
        self.now = until
        self.check()

    def check(self) -> None:
        for node in self.nodes:
            self._check_node(node)
        self._check_pair()

    def _check_node(self, node: Node) -> None:
        """A running node holds the VIP in the states that hold it, and in no other."""
        if node.runs and node.kernel.holds(self.now) is not node.state.hold:
            self.fail(f"{node.name} is {node.state} and its kernel has {node.kernel}")
        if not node.runs and node.kernel.until == math.inf:
            self.fail(f"{node.name} does not run, and its VIP has no end")

    def _check_pair(self) -> None:
        """In calm exactly one holds the VIP, or two for as long as adverts cross.

        Two that are both told to stop are left alone: nothing is to be active after them.
        """
        holders = [node for node in self.nodes if node.runs and node.state.hold]
        if len(holders) < 2 or all(_stopping(node) for node in holders):
            self.both_since = math.inf
        elif self.both_since == math.inf:
            self.both_since = self.now
        if self.now <= self.calm_at + self.settling:
            return
        if not holders and any(node.runs and node.state != Off() for node in self.nodes):
            self.fail("nobody holds the VIP")
        if self.now - self.both_since > 2 * DELAY:
            self.fail(f"two hold the VIP since {self.both_since:.3f}")

    def fail(self, what: str) -> None:
        lines = [f"seed {self.seed} at {self.now:.4f}: {what}"]
        lines += [f"  {node.name}: {node.rules}" for node in self.nodes]
        for instant, who, event, step in self.timeline[-80:]:
            then = f" -> {step.state} {[e.value for e in step.effects]}" if step else ""
            lines.append(f"  {instant:9.4f} {who} {event}{then}")
        raise Violation("\n".join(lines))


def _stopping(node: Node) -> bool:
    return isinstance(node.state, Leaving) and node.state.stopping


def active(world: World) -> str:
    """The names of the nodes that run and are active."""
    return "".join(n.name for n in world.nodes if n.runs and isinstance(n.state, Active))
