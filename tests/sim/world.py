# Some nodes, their kernels, a wire a segment, no clock: hours of VRRP in seconds, all of one seed.
#
# Rules of this room:
# 1. The seed's generator is the only source of chance, the heap of events the only time.
# 2. Nothing here knows what a test wants: it plays what it is told, and looks at the invariants.
# 3. An invariant is looked at when what it is about changes, and at the instant from which it must
#    hold; never in between, since nothing happens in between. A violation carries seed and timeline.
#
# The invariants, for each segment:
# - `nobody`: SETTLING after the last fault, repair or order, with the wire whole and nothing late
#   on it, somebody holds the VIP; and from then on at every instant.
# - `two`: two intervals after it (the slowest node's), nobody else does, beyond one exchange (a claim
#   and its answer) after each takeover. A priority that changes counts as a fault here, and nowhere
#   else. (A split ends within one interval of healing; a node that finds its VIPs at start listens
#   for one and a half; who said a higher priority stands by it for two.)
# - `kernel`: who runs has the VIP in the states that hold it, and in no other; who does not run has
#   it no longer than its lease.
# - `overslept`: who slept so long by its clock that a peer may be active holds nothing when it has
#   woken, and has not taken over.
# - `lets go`: on a whole wire, who drops the VIP without being told to leaves somebody who holds it
#   (but for the rest of a group that was handed over, and waited in vain; and for one that is told
#   to hand over while a rival yields to it: docs/vrrp.md, what no rule can tell).
# - `both yield`: two never yield to each other, on any wire.
# - `weaker`: in calm nobody takes over from one who is stronger; `stronger`: nor does one who may
#   preempt wait beyond SETTLING.
# - `half`: no node has a part of a group for longer than a hand-over may take, on any wire.
# - `storm`: nobody answers each other for ever.
# - `parted`: all virtual routers of a group are held by one node, in calm.
"""A world of directors, in virtual time."""

import heapq
import math
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from director.vrrp.advert import Advert
from director.vrrp.machine import Backup, Leaving, Off, Rules, State, Step
from tests.sim.node import Clock, Node, Router
from tests.sim.wire import DELAY, SHARE, WHOLE, Wire

JITTER = 0.0005  # the longest that an alarm is late on a node that runs, seconds
CROSSING = DELAY + JITTER
EXCHANGE = 2 * DELAY + JITTER  # a claim, and the answer of one who is stronger by now
DRIFT = 0.01  # how far from the world's a clock may run
STORM = 10_000  # steps in half a minute: two that answer each other for ever make more


class Violation(AssertionError):
    """An invariant broke. The text is the seed and the timeline."""


class Line(NamedTuple):
    """One line of the timeline."""

    at: float
    who: str
    why: str
    what: object = ""
    step: Step | None = None

    def __str__(self) -> str:
        what = " ".join(map(str, self.what)) if isinstance(self.what, tuple) else self.what
        then = f" -> {self.step.state}" if self.step else ""
        does = f" {[one.value for one in self.step.effects]}" if self.step else ""
        return f"{self.at:10.5f} {self.who:2} {self.why} {what}{then}{does}"


class World:
    """Nodes `a` to `d`, the wires between them, and the time."""

    def __init__(
        self,
        seed: int,
        *rules: tuple[Rules, ...],
        clocks: Sequence[tuple[float, float]] = (),
    ) -> None:
        self.seed, self.chance = seed, random.Random(seed)  # noqa: S311 (a simulation)
        self.now = 0.0
        self.timeline: list[Line] = []
        self.events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self.serial = 0
        self._measure([one for node in rules for one in node])
        given = clocks or [(1.0, 0.0)] * len(rules)
        self.nodes = [
            Node(self, number, one, Clock(*clock))
            for number, (one, clock) in enumerate(zip(rules, given, strict=True))
        ]
        self.segments = [
            [node.routers[segment] for node in self.nodes] for segment in range(len(rules[0]))
        ]
        self.wires = [WHOLE] * len(self.segments)
        self.late_until = 0.0
        self.faults = 0  # how many there were: a look that was set before another is void
        self.fault_at = self.calm_at = self.single_from = 0.0
        self.settled = False
        self.many_since = [math.inf] * len(self.segments)
        self.many = [0] * len(self.segments)
        self.adverts: dict[tuple[int, float], Advert] = {}

    def _measure(self, rules: Sequence[Rules]) -> None:
        """The bounds that follow from the rules, with clocks that are off by `DRIFT`."""
        slowest = max(one.interval for one in rules)
        part = slowest if rules[0].version == 3 else 1.0
        longest = 3 * slowest + part  # of the weakest; said here on its own
        self.lease = max(2.0, math.ceil(longest + 1))  # as config/routers.py has it
        slow = 1 / (1 - DRIFT)
        self.single = 2 * slowest * slow + EXCHANGE
        self.settling = (longest + part) * slow + EXCHANGE
        self.half = self.settling + (5 * slowest + 0.5) * slow  # a hand-over's patience, and more

    def at(self, instant: float, event: Callable[..., None], *args: Any) -> None:
        """Have this happen then."""
        self.serial += 1
        heapq.heappush(self.events, (instant, self.serial, event, args))

    def call(self, instant: float, wake: Callable[[float], None]) -> float:
        """Have a node called then, or a little later; the instant that it was."""
        alarm = max(instant, self.now) + JITTER * self.chance.random()
        self.at(alarm, wake, alarm)
        return alarm

    def run(self, until: float) -> None:
        """Play all events up to an instant."""
        events, pop = self.events, heapq.heappop
        while events and events[0][0] <= until:
            self.now, _, event, args = pop(events)
            event(*args)
        self.now = until

    def note(self, who: str, why: str, what: object = "", step: Step | None = None) -> None:
        """A line for the timeline."""
        self.timeline.append(Line(self.now, who, why, what, step))
        if len(self.timeline) > STORM:
            self.fail(f"more than {STORM} steps that are no routine")

    def send(self, sender: Router, priority: int) -> None:
        """Put an advert on the wire, and let the wire do to it what it does."""
        interval, wire, chance = sender.rules.interval, self.wires[sender.segment], self.chance
        advert = self.adverts.get((priority, interval))
        if advert is None:
            version = sender.rules.version
            advert = Advert(
                vrid=51, priority=priority, interval=interval, addresses=(), version=version
            )
            self.adverts[priority, interval] = advert
        if wire is WHOLE:
            soon = self.now + DELAY * (SHARE + (1 - SHARE) * chance.random())
            sender.arrives = max(soon, sender.arrives)  # a network at rest keeps the order
            self.at(sender.arrives, self._deliver, sender, advert, self.now)
            return
        for hearer in self.segments[sender.segment]:
            if (sender.node.number, hearer.node.number) in wire.cut or hearer is sender:
                continue
            if wire.lose and chance.random() < wire.lose:
                continue
            for _ in range(2 if wire.double and chance.random() < wire.double else 1):
                arrives = self.now + wire.delay * (SHARE + (1 - SHARE) * chance.random())
                self.at(arrives, hearer.receive, advert, sender, self.now)

    def _deliver(self, sender: Router, advert: Advert, sent: float) -> None:
        for hearer in self.segments[sender.segment]:
            if hearer is not sender:
                hearer.receive(advert, sender, sent)

    def set_wire(self, wire: Wire, segment: int | None = None) -> None:
        """This wire from now on, in one segment or in all."""
        for one in range(len(self.wires)) if segment is None else (segment,):
            self.late_until = max(self.late_until, self.now + self.wires[one].delay)
            self.wires[one] = WHOLE if wire == WHOLE else wire
        self.disturb(f"wire {'of all' if segment is None else segment} is {wire}")

    def disturb(self, what: str, *, order: bool = False) -> None:
        """Something happened: calm starts over, or waits for the wires to be whole.

        An order excuses less: it is no fault.
        """
        self.note("-", what)
        self.faults += 1
        self.settled, self.calm_at = False, math.inf
        if not order:
            self.fault_at = self.now
            for node in self.nodes:
                node.half_since = math.inf
        self.single_from = math.inf
        if all(wire is WHOLE for wire in self.wires):
            self.calm_at = max(self.now, self.late_until)
            self.expect_one()
            self.at(self.calm_at + self.settling, self._settle, self.faults)
        self.look()

    def expect_one(self) -> None:
        """Two intervals from now, or from the next calm, nobody else holds it."""
        if self.calm_at < math.inf:
            self.single_from = max(self.now, self.calm_at) + self.single
            self.at(self.single_from + EXCHANGE, self._nobody_else)

    def holders(self, segment: int) -> list[Router]:
        """Those that run and hold the VIP."""
        return [one for one in self.segments[segment] if one.state.hold and one.node.runs]

    def stepped(self, router: Router, before: State) -> None:
        """A router took a step: what does that do to the invariants?"""
        router_holds = router.state.hold
        if before.hold is router_holds or not router.node.runs:
            return
        if router_holds:
            router.refresh()
        if router.until != (math.inf if router_holds else -math.inf):
            self.fail(f"{router.name} is {router.state}, and has its VIP until {router.until}")
        if router_holds:
            self._may_take(router)
        else:
            self._leaves_somebody(router, before)
        self.look()

    def look(self) -> None:
        """Who holds what has changed."""
        if len(self.segments) > 1:
            self._watch_half()
        for segment in range(len(self.segments)):
            holders = self.holders(segment)
            if len(holders) < 2 or all(map(_stopping, holders)):
                self.many_since[segment] = math.inf
            elif len(holders) > self.many[segment] or self.many_since[segment] == math.inf:
                self.many_since[segment] = self.now
                if self.now > self.single_from:
                    self.at(self.now + EXCHANGE, self._nobody_else)
            self.many[segment] = len(holders)
            if self.settled and not holders:
                self._somebody(segment)

    def yields(self, router: Router, to: Router, sent: float) -> None:
        """`router` has yielded to an advert of `to`, sent then. Has that one yielded as well?

        The rule is an order of (priority, address). Only who changes its own between its advert
        and its yielding can break it, and `lets go` looks at that.
        """
        when, other_sent = to.yielded.get(router, (-math.inf, -math.inf))
        first = min(sent, other_sent)
        if when >= sent and max(router.node.changed_at, to.node.changed_at) < first:
            self.fail(f"{router.name} yields to {to.name}, which yielded at {when:.5f}")
        router.yielded[to] = self.now, sent

    def _leaves_somebody(self, router: Router, before: State) -> None:
        parted = isinstance(before, Leaving) and len(router.node.routers) > 1  # waited long enough
        fooled = isinstance(before, Leaving) and router.fooled
        told = isinstance(router.state, Off) or parted or fooled
        whole = all(wire is WHOLE for wire in self.wires)
        calm = whole and self.now > max(self.fault_at + self.single, self.late_until)
        if calm and not told and not self.holders(router.segment):
            self.fail(f"{router.name} was {before}, lets go, and nobody holds the VIP")

    def _may_take(self, router: Router) -> None:
        if not self.settled:
            return
        for one in self.holders(router.segment):
            steady = max(one.node.changed_at, router.node.changed_at) < self.now - self.settling
            leaves = isinstance(one.state, Leaving)
            if steady and not leaves and one.rules.priority > router.rules.priority:
                self.fail(f"{router.name} takes over from {one.name}, which is stronger")

    def _waits(self, router: Router) -> bool:
        """Could it have preempted, for all of SETTLING?"""
        node = router.node
        calm = node.clock.at(self.calm_at)
        rested = all(
            isinstance(one.state, Backup) and max(one.state.since, one.state.rest_until) < calm
            for one in node.routers
        )
        eager = router.rules.preempt_after == 0 and node.changed_at < self.calm_at
        return node.runs and rested and eager

    def _is_strongest(self, segment: int) -> None:
        for one in self.holders(segment):
            for other in self.segments[segment]:
                stronger = other.rules.priority > one.rules.priority
                if stronger and self._waits(other) and one.node.changed_at < self.calm_at:
                    self.fail(f"{other.name} is stronger than {one.name}, and waits")

    def _watch_half(self) -> None:
        """Does a node have a part of its group, and since when?"""
        for node in self.nodes:
            parts = {router.state.hold for router in node.routers}
            if not node.runs or len(parts) < 2:
                node.half_since = math.inf
            elif node.half_since == math.inf:
                node.half_since = self.now
                self.at(self.now + self.half, self._not_half, node)

    def _not_half(self, node: Node) -> None:
        if self.now >= node.half_since + self.half - 1e-9:
            self.fail(f"{node.name} has half of its group since {node.half_since:.5f}")

    def _somebody(self, segment: int) -> None:
        if not self.holders(segment) and any(
            one.node.runs and not isinstance(one.state, Off) for one in self.segments[segment]
        ):
            self.fail(f"nobody holds the VIP of segment {segment}")

    def _nobody_else(self) -> None:
        if self.now < self.single_from:
            return
        for segment, since in enumerate(self.many_since):
            stopping = all(map(_stopping, self.holders(segment)))
            if self.now - since >= EXCHANGE - 1e-9 and not stopping:
                self.fail(f"two hold the VIP of segment {segment} since {since:.5f}")

    def _settle(self, faults: int) -> None:
        if faults != self.faults:
            return
        self.settled = True
        for segment in range(len(self.segments)):
            self._somebody(segment)
            self._is_strongest(segment)
        holders = [{one.node.name for one in self.holders(s)} for s in range(len(self.segments))]
        if any(one != holders[0] for one in holders) and all(len(one) == 1 for one in holders):
            self.fail(f"the group is parted: {holders}")

    def fail(self, what: str) -> None:
        """An invariant is broken."""
        raise Violation(f"seed {self.seed} at {self.now:.5f}: {what}\n{self.story(last=120)}")

    def story(self, last: int = 0) -> str:
        """The nodes, and the timeline or the last lines of it."""
        lines = [
            f"  {router.name}: {router.rules}, rate {node.clock.rate:.4f}"
            for node in self.nodes
            for router in node.routers
        ]
        return "\n".join(lines + [f"  {line}" for line in self.timeline[-last:]])


def _stopping(router: Router) -> bool:
    return isinstance(router.state, Leaving) and router.state.stopping


def active(world: World, segment: int = 0) -> str:
    """The names of the nodes that run and hold the VIP."""
    return "".join(one.node.name for one in world.holders(segment))
