# Another file while we run.
#
# Rules of this room:
# 1. One at a time. Whoever asks while one runs shares the next one: a storm of signals costs two.
# 2. A file that is wrong changes nothing. It is read and judged in a child, before anything is
#    taken of it; from then on nothing can be refused.
# 3. Nothing here keeps the loop for longer than SLICE: what is long is done in slices, or in a
#    thread.
# 4. The order: what keeps clients out, the table, the probes, and VIPs last, since a VIP before
#    the table stands would answer RST.
# 5. A router that is no longer the same to the others is handed over first: the peer has the VIPs
#    before we drop them. Where there is no peer, they are away for as long as it takes to start.
"""Reload: SIGHUP and `director reload`."""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from time import perf_counter
from typing import TypeVar

import msgspec
import trio

from director.engine.parts import Parts
from director.engine.snapshot import leave_snapshot
from director.errors import ConfigError, DirectorError, Exit, Fault
from director.model.config import Config
from director.model.pool import Service
from director.model.vip import Router, goes_on
from director.policy.events import config_renewed
from director.policy.renewal import Renewal, prepare
from director.policy.upkeep import sync_changed
from director.systemd import Systemd
from director.wire.messages import Answer, Ask

SLICE = 0.002  # seconds
PATIENCE = 1.5  # seconds, beyond four intervals: as long as vrrp waits for a peer, and a little
WORD_EVERY = 1.0  # seconds: whoever waits for the end hears that it goes on

log = logging.getLogger("director.engine")

T = TypeVar("T")
Read = Callable[[], Awaitable[Config]]


class Asked:
    """One reload that somebody waits for: what changed, or what was wrong."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.words = ""
        self.error: DirectorError | None = None


class Reload:
    """`read` gives the file as it is now, or raises DirectorError."""

    def __init__(self, read: Read, parts: Parts, systemd: Systemd) -> None:
        self._read = read
        self._parts = parts
        self._systemd = systemd
        self._next: Asked | None = None
        self._called = trio.Event()

    def call(self) -> Asked:
        """Have a reload that begins from now on."""
        if self._next is None:
            self._next = Asked()
            self._called.set()
        return self._next

    async def answer(self, _ask: Ask) -> AsyncGenerator[Answer, None]:
        """The verb: pieces that say nothing while it goes on, then what changed."""
        asked = self.call()
        while not asked.done.is_set():
            with trio.move_on_after(WORD_EVERY):
                await asked.done.wait()
                break
            yield Answer(Exit.DONE, "", more=True)
        if asked.error is not None:
            raise asked.error
        yield Answer(Exit.DONE, msgspec.json.encode(asked.words).decode())

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._called.wait()
            assert self._next is not None
            asked, self._next, self._called = self._next, None, trio.Event()
            self._systemd.say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                asked.words = await self._reload()
            except DirectorError as error:
                asked.error = error
                for fault in error.faults:
                    log.error("the file is not taken: %s; %s", fault, fault.mend)  # noqa: TRY400
            self._systemd.say("READY=1")
            asked.done.set()

    async def _reload(self) -> str:
        config = await self._read()
        facts = self._parts.facts
        if config.node != facts.config.node:
            raise ConfigError(
                Fault(
                    fault=f"this engine is {facts.config.node}, and the file is for {config.node} "
                    "now",
                    mend="restart the engine: a node does not change its name while it runs",
                    file=config.file,
                    key="nodes",
                )
            )
        self._parts.following.look(ahead=any(one.follows for one in config.services))
        spare = list(config.services)
        renewal = await in_slices(
            prepare(facts.config, facts.services, facts.probing, config, facts.addresses)
        )
        del config
        # Most are not needed, and to let go of a million objects at once takes as long as to walk
        # them.
        await in_slices(_let_go(spare))
        before = facts.config
        words = renewal.words(before)
        await self._take(renewal, before)
        self._parts.verbs.loaded_at = time.time()
        self._parts.journal.tell([config_renewed(before.digest, facts.config, words)])
        return words

    async def _take(self, renewal: Renewal, before: Config) -> None:
        """From here on nothing is refused."""
        parts, config = self._parts, renewal.config
        await parts.firewall.renew(config)
        async with parts.reconciler.turn:
            ops = sync_changed(before.sync, config.sync, parts.facts.observed)
            touched = await in_slices(parts.facts.renew(renewal, trio.current_time()))
            parts.reconciler.ownership.renew(config, parts.facts.services.values())
            parts.keeper.renew(config)
            await parts.reconciler.renew(renewal.gone, ops)
        parts.news.tell(touched)
        if renewal.retargets:
            parts.workers.deal_anew()
        parts.journal.renew(config.hooks)
        parts.following.renew()
        if before.sync != config.sync:
            parts.pulse_changed()
        await self._replay(before.routers, config)

    async def _replay(self, before: tuple[Router, ...], config: Config) -> None:
        """Tell vrrp, once what is new serves; what it cannot go on with is handed over first."""
        workers = self._parts.workers
        if before != config.routers:
            await self._parts.reconciler.table_ready.wait()
            others = [one for one in before if not any(goes_on(one, now) for now in config.routers)]
            patience = 4 * max((one.interval for one in others), default=0.0) + PATIENCE
            with trio.move_on_after(patience):
                await workers.let_go([one.name for one in others])
        workers.renew(leave_snapshot(config, self._parts.runtime))
        workers.movers.renew(config, workers.roles)


async def in_slices(steps: Generator[None, None, T]) -> T:
    """All steps, with a look at the others every SLICE."""
    ends = perf_counter() + SLICE
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        if perf_counter() >= ends:
            await trio.lowlevel.checkpoint()
            ends = perf_counter() + SLICE


def _let_go(spare: list[Service]) -> Generator[None, None, None]:
    while spare:
        spare.pop()
        yield
