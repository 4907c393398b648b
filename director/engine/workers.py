# The engine's side of its own processes: check workers and vrrp.
#
# A worker that connects gets everything at once; one that goes leaves its last word standing (our
# own failure never removes capacity). Nonsense ends
# the conversation, not the engine.
"""Workers: who is connected, what they are told, what they say."""

import logging
import time
from collections.abc import Collection
from contextlib import aclosing
from math import inf

import trio

from director.engine.journal import Tell, unheard
from director.engine.movers import Movers
from director.engine.news import News
from director.engine.programs import Programs
from director.link import Link
from director.model.check import Standing
from director.model.state import ProcessState
from director.policy.dealing import deal
from director.policy.events import role_changes
from director.policy.facts import Facts
from director.policy.report import rfc3339
from director.wire.messages import (
    BEAT_EVERY,
    Beat,
    HandOver,
    Hello,
    Levels,
    Message,
    Ran,
    Role,
    Roles,
    Snapshot,
    TableReady,
    Targets,
    Transition,
)

SAVED_NOT_BEFORE = 600.0  # seconds
SILENT_MAX = 10.0  # seconds: everybody beats once a second

log = logging.getLogger("director.engine")


class Worker:
    """One connected process."""

    def __init__(self, hello: Hello, link: Link, scope: trio.CancelScope) -> None:
        self.hello = hello
        self.link = link
        self.scope = scope
        self.heard_at = trio.current_time()
        self.since = time.time()
        self.lateness = 0.0
        self.histogram: tuple[int, ...] = ()
        self.epoch = 0

    def state(self) -> ProcessState:
        """As `status` shows it."""
        return ProcessState(
            self.hello.name,
            self.hello.pid,
            rfc3339(self.since),
            round(self.lateness * 1000, 3),
            self.histogram,
        )


class Workers:
    """All connected processes."""

    def __init__(self, facts: Facts, news: News, snapshot: Snapshot) -> None:
        self._facts = facts
        self._news = news
        self._snapshot = snapshot
        self._connected: list[Worker] = []
        self._epoch = 0
        self._ready = False
        self._asked: set[str] = set()
        self.programs = Programs()
        self.movers = Movers(facts.config, self.programs)
        self.tell: Tell = unheard  # of events
        self._save_again_at = 0.0
        self.roles: tuple[Role, ...] = ()
        self._roles_changed = trio.Event()

    async def converse(self, stream: trio.SocketStream) -> None:
        """One connection, from hello to its end."""
        link = Link(stream)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.pump)
            worker: Worker | None = None
            try:
                async with aclosing(link.messages()) as messages:
                    async for message in messages:
                        if isinstance(message, Hello) and worker is None:
                            worker = self._welcome(Worker(message, link, nursery.cancel_scope))
                        elif worker is not None:
                            worker.heard_at = trio.current_time()
                            self._hear(worker, message)
                        else:
                            break
            finally:
                if worker is not None:
                    self._farewell(worker)
                nursery.cancel_scope.cancel()

    async def beat(self) -> None:
        """Tell vrrp that we live, and let go of whoever hangs; for ever."""
        while True:
            self._tell_vrrp(Beat())
            self._let_go_of_the_silent()
            await trio.sleep(BEAT_EVERY)

    def _let_go_of_the_silent(self) -> None:
        """A closed socket shows death; only silence shows a hang. Its targets go to the others."""
        for worker in self._connected:
            if trio.current_time() - worker.heard_at > SILENT_MAX:
                log.warning("%s has said nothing for %g s", worker.hello.name, SILENT_MAX)
                worker.scope.cancel()

    def table_ready(self) -> None:
        """VIPs may be taken from now on."""
        self._ready = True
        self._tell_vrrp(TableReady())

    def renew(self, snapshot: Snapshot) -> None:
        """Another file: vrrp plays this from now on."""
        self._snapshot = snapshot
        self._tell_vrrp(snapshot)

    async def let_go(self, routers: Collection[str]) -> None:
        """Have the peer take those of them that are active here; returns when none is any more.

        That may be never: whoever waits gives up.
        """
        for router in routers:
            if self.is_active(router):
                self.hand_over(router)
        while any(map(self.is_active, routers)):
            await self._roles_changed.wait()

    def hand_over(self, router: str) -> bool:
        """Ask vrrp to let the peer take a router (all: ""); False when no vrrp is connected."""
        self._asked = {one.router for one in self.roles if router in ("", one.router)}
        return self._tell_vrrp(HandOver(router))

    def save_connections(self) -> None:
        """Our table was lost, and with it every connection: the peer has those that were synced.

        A peer that is not there costs nothing, for the VIPs stay until somebody takes them. Once
        in SAVED_NOT_BEFORE, so that two nodes that both lose their tables do not pass VIPs to and
        fro.
        """
        now = trio.current_time()
        if self.is_active() and now >= self._save_again_at:
            self._save_again_at = now + SAVED_NOT_BEFORE
            log.warning("handing over: the peer has the connections that were synced")
            self.hand_over("")

    def is_active(self, router: str = "") -> bool:
        """Is this node active in a virtual router, or in this one?"""
        return any(role.role == "active" and router in ("", role.router) for role in self.roles)

    def states(self) -> tuple[ProcessState, ...]:
        """As `status` shows them."""
        return tuple(worker.state() for worker in self._connected)

    def missing(self) -> list[str]:
        """The roles that nobody plays now."""
        playing = {worker.hello.role for worker in self._connected}
        needed = {"checks"} if self._facts.probing.targets else set()
        needed |= {"vrrp"} if self._snapshot.routers else set()
        needed |= {"exec"} if self._facts.config.hooks or self._facts.config.movers else set()
        return sorted(needed - playing)

    def _welcome(self, worker: Worker) -> Worker:
        hello, link = worker.hello, worker.link
        self._connected.append(worker)
        log.info("%s connected (pid %d)", hello.name, hello.pid)
        if hello.role == "vrrp":
            link.say(self._snapshot)
            if self._ready:
                link.say(TableReady())
        elif hello.role == "exec":
            self.programs.connected(link)
        else:
            self.deal_anew()
        return worker

    def _farewell(self, worker: Worker) -> None:
        self._connected.remove(worker)
        log.warning("%s is gone; its last word stands", worker.hello.name)
        if worker.hello.role == "checks":
            self.deal_anew()
        if worker.hello.role == "exec":
            self.programs.gone()

    def deal_anew(self) -> None:
        """Who probes what, told to every check worker."""
        workers = {w.hello.name: w for w in self._connected if w.hello.role == "checks"}
        self._epoch += 1
        for name, targets in deal(self._facts.probing.targets.values(), workers).items():
            standings = tuple(
                self._facts.standings[target.key]
                for target in targets
                if target.key in self._facts.standings
            )
            workers[name].epoch = self._epoch
            workers[name].link.say(Targets(self._epoch, targets, standings))

    def _tell_vrrp(self, message: Message) -> bool:
        told = [worker for worker in self._connected if worker.hello.role == "vrrp"]
        for worker in told:
            worker.link.say(message)
        return bool(told)

    def _hear(self, worker: Worker, message: Message) -> None:
        """Each role speaks of its own matters; anything else is not listened to."""
        match worker.hello.role, message:
            case "checks", Transition(epoch, standing) if epoch == worker.epoch:
                self._learn((standing,))
            case "checks", Levels(epoch, standings) if epoch == worker.epoch:
                self._learn(standings)
            case "vrrp", Roles(roles):
                self._hear_roles(roles)
            case "exec", Ran():
                self.programs.hear(message)
            case _, Beat(lateness, histogram) if 0 <= lateness < inf:
                worker.lateness, worker.histogram = lateness, histogram
            case _:
                return

    def _learn(self, standings: tuple[Standing, ...]) -> None:
        self._news.tell(self._facts.learn_standings(standings, trio.current_time()))

    def _hear_roles(self, roles: tuple[Role, ...]) -> None:
        before = {role.router: role.role for role in self.roles}
        changes = role_changes(before, roles, self._asked)
        self._asked -= {change.object for change in changes}
        self.roles = roles
        self.tell(changes)
        self.movers.learn(roles)
        self._roles_changed.set()
        self._roles_changed = trio.Event()
