# One director: its clock, its process, its kernel, and the real machine in the middle.
#
# The process is imitated in the order that machine.py asks for: what is queued is heard, then the
# deadline is looked at, then VIPs are refreshed. The kernel keeps a VIP for as long as the lease
# after the last refresh, by the node's own clock.
"""A node that can crash, be paused in three ways, and be given orders."""

import math
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from director.vrrp import machine
from director.vrrp.advert import RESIGNING, Advert
from director.vrrp.group import Member, together
from director.vrrp.machine import Backup, Effect, Off, Rules, State, Step

if TYPE_CHECKING:
    from tests.sim.world import World

REFRESH = 0.25  # of the lease: how old a refresh may be
QUEUE = 256  # adverts that a socket keeps for a process that does not read
ALIVE = (Effect.SEND_ADVERT,)
YIELDS = (Effect.DROP_VIPS, Effect.SEND_ADVERT)


class Pause(Enum):
    """What stands still: the process alone, or the guest; and the guest's clock, or not."""

    PROCESS = "its process"
    FROZEN = "the guest and its clock"
    JUMPS = "the guest, and its clock jumps"


class Clock:
    """The node's monotonic clock: off by `offset`, and faster than the world's by `rate`."""

    def __init__(self, rate: float, offset: float) -> None:
        self.rate, self.offset = rate, offset

    def at(self, now: float) -> float:
        """What it shows at this instant of the world."""
        return now * self.rate + self.offset

    def when(self, shown: float) -> float:
        """The world's instant at which it shows this."""
        return (shown - self.offset) / self.rate

    def lose(self, seconds: float) -> None:
        """It stood still for so long."""
        self.offset -= seconds * self.rate


class Router:
    """One virtual router on one node: the state, and the VIP in the kernel."""

    def __init__(self, node: "Node", segment: int, rules: Rules) -> None:
        self.node, self.segment, self.rules = node, segment, rules
        self.world = node.world
        self.name = f"{node.name}{segment or ''}"
        self.state: State = Off()
        self.until = -math.inf  # by the node's clock: how long the kernel holds the VIP
        self.fooled = False  # what it hears now are the last words of one who yielded to it
        self.arrives = 0.0  # when its last advert does, on a whole wire
        self.alarm = math.inf  # the world's instant of the next call that is in the heap
        self.yielded: dict[Router, tuple[float, float]] = {}  # to whom, when, to an advert of when

    @property
    def holds(self) -> bool:
        """Is the VIP in its kernel?"""
        return self.node.clock.at(self.world.now) < self.until

    @property
    def overslept(self) -> bool:
        """Is its deadline so long ago that somebody else may be active, or it heard nothing?"""
        state = self.state
        late = self.node.clock.at(self.world.now) - getattr(state, "advert_at", state.deadline)
        interval = state.interval if isinstance(state, Backup) else self.rules.interval
        return late > 2 * interval + (interval if self.rules.version == 3 else 1.0) / 128

    def receive(self, advert: Advert, sender: "Router", sent: float) -> None:
        """The wire brings an advert: heard, queued, or lost on a node that is not there."""
        node = self.node
        if node.paused is None:
            if node.alive:
                self._hear(advert, sender, sent)
        elif len(node.queue) < QUEUE:
            node.queue.append((self, advert, sender, sent))

    def _hear(self, advert: Advert, sender: "Router", sent: float) -> None:
        now = self.node.clock.at(self.world.now)
        before = self.state
        self.fooled = sender.yielded.get(self, (-math.inf, 0.0))[0] == sent
        step = machine.hear(self.rules, before, advert, sender.rules.source, now)
        if step.effects or step.state.__class__ is not before.__class__:
            self.do(step, "hears", (sender.name, advert.priority))
            if step.effects == YIELDS:  # and not one who overslept
                self.world.yields(self, sender, sent)
        else:
            self.state = step.state
            self.set_alarm()

    def wake(self, alarm: float) -> None:
        """An alarm that the state has outrun finds nothing due, and is set anew."""
        if alarm != self.alarm:
            return
        self.alarm = math.inf
        if self.node.runs:
            self.turn()

    def turn(self) -> None:
        """Do what is due by the node's clock."""
        now = self.node.clock.at(self.world.now)
        if now < self.state.deadline:
            self.set_alarm()
            return
        step = machine.tick(self.rules, self.state, now)
        if step.effects == ALIVE and step.state.__class__ is self.state.__class__:
            self.state = step.state
            self.world.send(self, self.rules.priority)
            self.set_alarm()
        else:
            self.do(step, "wakes")

    def do(self, step: Step, why: str, what: object = "") -> None:
        """Take a step, and with it those of the group."""
        members = self.node.routers
        if len(members) == 1 or step.state.__class__ is self.state.__class__:
            self._take(step, why, what)
            return
        now = self.node.clock.at(self.world.now)
        before = {router.name: Member(router.rules, router.state) for router in members}
        steps = together(before, self.name, step, now)
        for router in members:
            if router.name in steps:
                mine = router is self
                said = (why, what) if mine else (f"follows {self.name}", "")
                router._take(steps[router.name], *said)

    def _take(self, step: Step, why: str, what: object = "") -> None:
        """Effects in order, then refresh what the state holds."""
        before, self.state = self.state, step.state
        self.world.note(self.name, why, what, step)
        for effect in step.effects:
            if effect is Effect.SEND_ADVERT:
                self.world.send(self, self.rules.priority)
            elif effect is Effect.SEND_RESIGNATION:
                self.world.send(self, RESIGNING)
            elif effect is Effect.TAKE_VIPS:
                self.until = math.inf
            elif effect is Effect.DROP_VIPS:
                self.until = -math.inf
        self.set_alarm()
        self.world.stepped(self, before)

    def set_alarm(self) -> None:
        """Have the node called at its deadline; where the call comes earlier, it looks again."""
        deadline = self.state.deadline
        if deadline < math.inf:
            when = self.node.clock.when(deadline)
            if when < self.alarm:
                self.alarm = self.world.call(when, self.wake)

    def lose_grip(self) -> None:
        """Nobody refreshes the VIP any more: the lease runs out."""
        if self.until == math.inf:
            lease = self.world.lease
            age = self.world.chance.random() * REFRESH * lease
            self.until = self.node.clock.at(self.world.now) + lease - age

    def refresh(self) -> None:
        """What the state holds is held, however long ago the last refresh was."""
        if self.state.hold:
            self.until = math.inf


class Node:
    """A machine, its process, and the virtual routers that it plays: two are a group."""

    def __init__(self, world: "World", number: int, rules: tuple[Rules, ...], clock: Clock) -> None:
        self.world, self.number, self.clock = world, number, clock
        self.name = "abcd"[number]
        self.alive = False
        self.paused: Pause | None = None
        self.paused_at = 0.0
        self.changed_at = -math.inf  # when its priority was changed
        self.half_since = math.inf  # from when on it has had a part of its group
        self.queue: list[tuple[Router, Advert, Router, float]] = []
        self.routers = [Router(self, segment, one) for segment, one in enumerate(rules)]

    @property
    def runs(self) -> bool:
        """Does its process run?"""
        return self.alive and self.paused is None

    @property
    def state(self) -> State:
        """That of its first router."""
        return self.routers[0].state

    def boot(self) -> None:
        """Start, adopting the VIPs that a past life left in the kernel."""
        self.alive, self.paused = True, None
        self.queue.clear()
        self.world.disturb(f"{self.name} boots")
        now = self.clock.at(self.world.now)
        for router in self.routers:
            router.do(machine.start(router.rules, now, holding=router.holds), "boots")
            router.refresh()
        self.world.look()

    def crash(self) -> None:
        """Its process is gone; its kernel lives on, and the leases run."""
        self.alive, self.paused = False, None
        for router in self.routers:
            router.lose_grip()
            router.state = Off()
        self.world.disturb(f"{self.name} crashes")

    def pause(self, kind: Pause) -> None:
        """Stop the process, or the whole guest."""
        self.paused, self.paused_at = kind, self.world.now
        for router in self.routers:
            router.lose_grip()
        self.world.disturb(f"{self.name} pauses: {kind.value}")

    def resume(self, *, deaf: bool = False) -> None:
        """Hear what waited, then look at the clock, and refresh only then.

        `deaf`: nothing waited, as in a guest whose network card stood still with it.
        """
        if self.paused is Pause.FROZEN:
            self.clock.lose(self.world.now - self.paused_at)
        self.paused = None
        self.world.disturb(f"{self.name} resumes{', deaf' if deaf else ''}")
        slept = [router for router in self.routers if router.overslept]
        waiting, self.queue = self.queue, []
        for router, advert, sender, sent in () if deaf else waiting:
            router.receive(advert, sender, sent)
        for router in self.routers:
            router.alarm = math.inf
            router.turn()
        for router in slept:
            if router.state.hold:
                self.world.fail(f"{router.name} overslept, and is {router.state}")
        for router in self.routers:
            router.refresh()
        self.world.look()

    def leave(self, *, patience: float, stopping: bool, rest: float = math.inf) -> None:
        """An order: hand over, and end after it when `stopping`."""
        self.world.disturb(
            f"{self.name} is told to {'stop' if stopping else 'hand over'}", order=True
        )
        now = self.clock.at(self.world.now)
        for router in self.routers:
            step = machine.leave(
                router.rules, router.state, now, patience=patience, stopping=stopping, rest=rest
            )
            router._take(step, "leaves")

    def stay(self) -> None:
        """An order: take the hand-over back."""
        self.world.disturb(f"{self.name} is told to stay", order=True)
        now = self.clock.at(self.world.now)
        for router in self.routers:
            router.do(machine.stay(router.rules, router.state, now), "stays")

    def stop(self) -> None:
        """A fault, such as an interface that is down: out at once."""
        self.world.disturb(f"{self.name} is in fault")
        self.routers[0].do(machine.stop(self.state), "stops")

    def weigh(self, priority: int) -> None:
        """What is tracked changes the priority."""
        self.world.note(self.name, "has priority", priority)
        self.changed_at = self.world.now
        self.world.expect_one()
        for router in self.routers:
            router.rules = msgspec.structs.replace(router.rules, priority=priority)
