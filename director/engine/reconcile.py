# The loop that keeps the kernel as the file and the facts say.
#
# Rules of this room:
# 1. It waits for nothing: the first news is acted on at once, and what arrives while a batch is
#    with the kernel makes the next batch. A burst costs two rounds, a single transition none.
# 2. A refusal is news like any other: what is really there is read again, and the next round tries
#    again after RETRY_AFTER.
# 3. The last observed state is kept up to date with what was applied, so that one weight change
#    is one netlink message; a slow round reads everything again and repairs what differs.
# 4. `repaired` counts what somebody else changed: neither what we were refused before and try
#    again, nor what a count of connections that was read makes us do.
"""Reconcile: derive, diff, apply."""

import logging
from collections.abc import Callable, Collection

import trio

from director.kernel.hands import Hands
from director.model.ops import Observed, Op, Refused, show
from director.model.service import Table
from director.policy.book import enter, look
from director.policy.desired import NEVER, DesiredService, derive
from director.policy.facts import Facts, Touched
from director.policy.plan import diff
from director.policy.sysctls import sysctls_read
from director.policy.upkeep import upkeep

RETRY_AFTER = 1.0
FIRST_VERDICTS_WITHIN = 10.0

log = logging.getLogger("director.engine")


class News:
    """Which services something happened to, and a way to wait for it."""

    def __init__(self) -> None:
        self._touched: Touched = set()
        self._event = trio.Event()

    def tell(self, touched: Touched) -> None:
        """Something happened to these services."""
        if touched:
            self._touched |= touched
            self._event.set()

    async def wait(self) -> None:
        """Until there is news."""
        await self._event.wait()

    def take(self) -> Touched:
        """All news so far; what comes later is the next round's."""
        touched, self._touched = self._touched, set()
        self._event = trio.Event()
        return touched


class Reconciler:
    """Owns the desired state, and is the only one that applies anything to IPVS."""

    def __init__(
        self,
        facts: Facts,
        hands: Hands,
        news: News,
        remember: Callable[[Observed], None] = lambda _: None,
    ) -> None:
        """`remember` is told what stands, before anything of it is changed."""
        self.facts = facts
        self._remember = remember
        self.desired: dict[str, DesiredService] = {}
        self.refused: tuple[Refused, ...] = ()
        self.repaired = 0
        self.table_ready = trio.Event()
        self._hands = hands
        self._news = news
        self._resync_at = 0.0
        self._ready_by = NEVER
        self._turned_at = 0.0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Reconcile for ever; started once the first round is through."""
        self._ready_by = trio.current_time() + FIRST_VERDICTS_WITHIN
        await self.round()
        task_status.started()
        while True:
            with trio.move_on_at(self._next_at()):
                await self._news.wait()
            await self.round()

    async def round(self) -> None:
        """One round: what is touched or due is derived, and the difference applied."""
        now = self._turned_at = trio.current_time()
        # Asked before anything waits: a verdict that comes while we apply is the next round's.
        decided = self.table_ready.is_set() or self.facts.is_decided()
        touched = self._news.take()
        touched |= {name for name, there in self.desired.items() if there.next_at <= now}
        if self.facts.observed is not None:
            await self._apply(self._plan(touched, self.facts.observed, now))
        if now >= self._resync_at:
            await self._resync(now)
        if decided or now >= self._ready_by:
            self.table_ready.set()

    def _next_at(self) -> float:
        # An instant that has passed is not waited for again: what it should have done hangs on
        # something else (a verdict, a refusal), and news or a reading will bring that.
        instants = (there.next_at for there in self.desired.values())
        due = min((at for at in instants if at > self._turned_at), default=NEVER)
        waiting = NEVER if self.table_ready.is_set() else self._ready_by
        return min(due, self._resync_at, waiting)

    async def _resync(self, now: float) -> None:
        """Read everything, and mend what differs."""
        believed = self.facts.observed
        observed = self._hands.observe(sysctls_read(self.facts.config))
        self._remember(observed)
        await trio.lowlevel.checkpoint()
        self._resync_at = now + self.facts.config.kernel.resync
        ops = self._plan(self.facts.learn_observed(observed, now), observed, now)
        ops += upkeep(self.facts.config, observed, first=believed is None)
        drifted: set[int] = set()
        if believed is not None:
            drifted = {id(op) for op in ops if look(believed, op) != look(observed, op)}
        # Whatever is still refused is refused again now.
        before, self.refused = self.refused, ()
        await self._apply(ops, drifted, before)

    def _plan(self, touched: Touched, observed: Observed, now: float) -> tuple[Op, ...]:
        table: Table = {}
        for name in touched:
            self.desired[name] = derive(self.facts, name, now)
            table |= self.desired[name].table
        return diff(table, observed.table)

    async def _apply(
        self,
        ops: tuple[Op, ...],
        drifted: Collection[int] = (),
        said: tuple[Refused, ...] = (),
    ) -> None:
        """`drifted` are the ids of repairs; what is in `said` was refused and logged before."""
        refused: list[Refused] = []
        for batch in self._hands.apply_batches(ops):
            refused += batch
            await trio.lowlevel.checkpoint()
        failed = {id(one.op) for one in refused}
        assert self.facts.observed is not None
        for op in ops:
            if id(op) not in failed:
                repairs = id(op) in drifted
                self.repaired += repairs
                log.info("%s%s", "repaired: " if repairs else "", show(op))
                enter(self.facts.observed, op)
        for one in refused:
            if one not in said and one not in self.refused:
                log.warning("refused: %s: %s; %s", show(one.op), one.name, one.mend)
        if refused:
            earlier = [one for one in self.refused if one.op not in ops]
            self.refused = (*earlier, *refused)
            self._resync_at = min(self._resync_at, trio.current_time() + RETRY_AFTER)
