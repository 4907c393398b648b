# The loop that keeps the kernel as the file and the facts say.
#
# Rules of this room:
# 1. It waits for nothing: the first news is acted on at once, and what arrives while a batch is
#    with the kernel makes the next batch. A burst costs two rounds, a single transition none.
# 2. A refusal is news like any other: what is really there is read again, and the next round tries
#    again after RETRY_AFTER.
# 3. The last observed state is kept up to date with what was applied, so that one weight change
#    is one netlink message; a slow round reads everything again and repairs what differs.
"""Reconcile: derive, diff, apply."""

import logging

import trio

from director.kernel.hands import Hands
from director.model.ops import Op, Refused, show
from director.model.service import Table
from director.policy.book import enter
from director.policy.desired import NEVER, DesiredService, derive
from director.policy.facts import Facts, Touched
from director.policy.plan import diff
from director.policy.upkeep import sysctls_wanted, upkeep

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

    def __init__(self, facts: Facts, hands: Hands, news: News) -> None:
        self.facts = facts
        self.desired: dict[str, DesiredService] = {}
        self.refused: tuple[Refused, ...] = ()
        self.repaired = 0
        self.table_ready = trio.Event()
        self._hands = hands
        self._news = news
        self._resync_at = 0.0
        self._ready_by = NEVER
        self._rounds = 0

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
        now = trio.current_time()
        touched = self._news.take()
        resync = now >= self._resync_at
        if resync:
            touched |= await self._observe(now)
        touched |= {name for name, there in self.desired.items() if there.next_at <= now}
        ops = self._plan(touched, now, resync=resync)
        if resync and self._rounds and ops:
            self.repaired += len(ops)
        await self._apply(ops, repairing=resync and self._rounds > 0)
        self._rounds += 1
        if not self.table_ready.is_set() and (self.facts.is_decided() or now >= self._ready_by):
            self.table_ready.set()

    def _next_at(self) -> float:
        due = min((there.next_at for there in self.desired.values()), default=NEVER)
        waiting = NEVER if self.table_ready.is_set() else self._ready_by
        return min(due, self._resync_at, waiting)

    async def _observe(self, now: float) -> Touched:
        observed = self._hands.observe(tuple(sysctls_wanted(self.facts.config)))
        await trio.lowlevel.checkpoint()
        self._resync_at = now + self.facts.config.kernel.resync
        return self.facts.learn_observed(observed, now)

    def _plan(self, touched: Touched, now: float, *, resync: bool) -> tuple[Op, ...]:
        observed = self.facts.observed
        assert observed is not None
        table: Table = {}
        for name in touched:
            self.desired[name] = derive(self.facts, name, now)
            table |= self.desired[name].table
        ops = diff(table, observed.table)
        if resync:
            ops += upkeep(self.facts.config, observed, first=self._rounds == 0)
        return ops

    async def _apply(self, ops: tuple[Op, ...], *, repairing: bool) -> None:
        refused: list[Refused] = []
        for batch in self._hands.apply_batches(ops):
            refused += batch
            await trio.lowlevel.checkpoint()
        failed = {id(one.op) for one in refused}
        assert self.facts.observed is not None
        for op in ops:
            if id(op) not in failed:
                log.info("%s%s", "repaired: " if repairing else "", show(op))
                enter(self.facts.observed, op)
        for one in refused:
            log.warning("refused: %s: %s; %s", show(one.op), one.name, one.mend)
        if ops:
            self.refused = tuple(refused)
        if refused:
            self._resync_at = min(self._resync_at, trio.current_time() + RETRY_AFTER)
