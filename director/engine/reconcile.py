# The loop that keeps the kernel as the file and the facts say.
#
# Rules of this room:
# 1. It waits for nothing: the first news is acted on at once, and what arrives while a batch is
#    with the kernel makes the next batch. A burst costs two rounds, a single transition none.
#    (`min_resync` slows this down for who asks.)
# 2. A refusal is news like any other: what is really there is read again, and the next round tries
#    again after RETRY_AFTER.
# 3. The last observed state, the book, is kept up to date with what was applied, so that one weight
#    change is one netlink message; a slow round reads everything again and repairs what differs.
# 4. Nothing here costs what exists, but for that reading; and it goes in slices, with a look at the
#    news between them. What is applied meanwhile is the last word on its objects (book.carry).
# 5. `repaired` counts what somebody else changed: neither what we were refused before and try
#    again, nor what a count of connections that was read makes us do.
"""Reconcile: derive, diff, apply."""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from time import perf_counter

import trio

from director.engine.journal import Tell, unheard
from director.engine.news import News
from director.kernel.hands import Hands
from director.kernel.netlink import Garbled, Torn
from director.model.ops import AddDestination, AddService, Observed, Op, Refused, TableOp, show
from director.model.pool import Service
from director.model.service import Destination, ServiceKey, Table
from director.model.state import Finding
from director.policy import events
from director.policy.agenda import Agenda
from director.policy.book import carry, enter, let_go, look
from director.policy.desired import NEVER, DesiredService, derive
from director.policy.drift import is_lost, kind_of, only_peer_has_them, unreadable
from director.policy.facts import Facts
from director.policy.ownership import Ownership
from director.policy.plan import diff
from director.policy.rivals import Rivals, thing_of
from director.policy.serving import PATIENCE
from director.policy.sysctls import sysctls_read
from director.policy.upkeep import upkeep

RETRY_AFTER = 1.0
LOT = 64  # services that are derived and applied without a look at the news
SLICE = 0.002  # seconds of reading or comparing without one
SHOWN_MAX = 40  # operations of one round that are logged one by one

log = logging.getLogger("director.engine")


class Reconciler:
    """Owns the desired state, and is the only one that applies anything to IPVS."""

    def __init__(
        self,
        facts: Facts,
        hands: Hands,
        news: News,
        *,
        ownership: Ownership | None = None,
        remember: Callable[[Observed], None] = lambda _: None,
        lost: Callable[[], None] = lambda: None,  # all our services were, and are about to be made
    ) -> None:
        """`remember` is told what stands, before anything of it is changed."""
        self.facts = facts
        self.desired: dict[str, DesiredService] = {}
        self.refused: tuple[Refused, ...] = ()
        self.unreadable = ""
        self.repairs: Counter[str] = Counter()
        self.table_ready = trio.Event()
        self.ownership = ownership or Ownership(facts.config)
        self._remember = remember
        self.tell: Tell = unheard  # of events
        self._lost = lost
        self.turn = trio.Lock()  # of a round, or of whoever takes another file
        self._renewed = False
        self._hands = hands
        self._news = news
        self._agenda = Agenda()
        self._waiting: deque[str] = deque()  # touched, and not derived yet
        self._decided = False  # every verdict was in before the last lot was taken
        self._resync_at = 0.0
        self._free_at = 0.0  # by `min_resync`
        self._done = 0  # operations in this round
        self._ready_by = NEVER
        # Of a reading that is under way, or being worked off:
        self._journal: list[TableOp] | None = None  # what was applied meanwhile
        self._before: Observed | None = None  # what we believed
        self._restored: set[ServiceKey] = set()  # services that were lost, with all their own
        self._rivals = Rivals()
        self._reading = False
        self._said: tuple[Refused, ...] = ()  # refused before it, and logged then

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Reconcile for ever; started once the first round is through."""
        self._ready_by = trio.current_time() + PATIENCE
        async with self.turn:
            await self.round()
        task_status.started()
        while True:
            with trio.move_on_at(self._next_at()):
                await self._news.wait()
            # News waits for `min_resync`, and for the first reading; a reading waits for nothing.
            free_at = NEVER if self.facts.observed is None else self._free_at
            await trio.sleep_until(min(free_at, self._resync_at))
            async with self.turn:
                await self.round()

    async def renew(self, gone: Iterable[str], ops: tuple[Op, ...]) -> None:
        """In one's turn: the facts have another file, without these; `ops` come first."""
        for name in gone:
            self.desired.pop(name, None)
            self._agenda.put(name, NEVER)
        if ops:
            await self._apply(ops)
        self._renewed = True
        self._resync_at = trio.current_time()
        self._decided = self.facts.is_decided()
        if not self._decided and self.table_ready.is_set():
            self.table_ready = trio.Event()
            self._ready_by = self._resync_at + PATIENCE
        self._news.wake()

    @property
    def repaired(self) -> int:
        """How many differences that somebody else made were put right."""
        return self.repairs.total()

    def findings(self) -> tuple[Finding, ...]:
        """What is not well with the kernel, but for refusals."""
        unread = (unreadable(self.unreadable),) if self.unreadable else ()
        return (*unread, *self._rivals.findings())

    def suspect(self, keys: Iterable[ServiceKey]) -> None:
        """These are gone: everything is read now. A reading that is under way will find it out."""
        if not self._reading:
            log.warning("%s: gone; the table is read", ", ".join(map(str, keys)))
            self._resync_at = trio.current_time()
            self._news.wake()

    async def round(self) -> None:
        """One round: what is touched or due is derived, and the difference applied."""
        now = trio.current_time()
        self._done = 0
        if self.facts.observed is not None and now >= self._free_at:
            while await self._one_lot():
                if trio.current_time() >= self._resync_at:
                    break  # a flood of news must not keep us from reading
        if now >= self._resync_at:
            self._reading = True
            await self._resync()
            self._reading = False
        if self._done > SHOWN_MAX:
            log.info("and %d operations more", self._done - SHOWN_MAX)
        overdue = trio.current_time() >= self._ready_by
        if self.facts.observed is not None and (self._decided or overdue):
            self.table_ready.set()

    def _next_at(self) -> float:
        if self._waiting:
            return self._free_at
        waiting = NEVER if self.table_ready.is_set() else self._ready_by
        return min(self._agenda.next_at(), self._resync_at, waiting)

    async def _one_lot(self) -> bool:
        """Derive and apply some of what is touched or due, the newest first; was there any?"""
        # Asked before anything waits: a verdict that comes while we apply is the next lot's.
        decided = self.facts.is_decided()
        now = trio.current_time()
        self._waiting.extendleft(sorted(self._news.take() | self._agenda.take(now), reverse=True))
        if not self._waiting:
            self._decided = decided
            return False
        lot = dict.fromkeys(self._waiting.popleft() for _ in range(min(LOT, len(self._waiting))))
        # What was touched may be gone with the file that named it.
        await self._apply(self._plan([name for name in lot if name in self.facts.services], now))
        return True

    async def _resync(self) -> None:
        """Read everything, and mend what differs."""
        config, began = self.facts.config, trio.current_time()
        # What is refused from here on brings it forward.
        self._resync_at = began + config.kernel.resync
        observed = await self._read()
        if observed is None:
            return
        # So that the next one has ended by then.
        took = min(trio.current_time() - began, config.kernel.resync / 2)
        self._resync_at -= took
        first = self.facts.observed is None or self._renewed
        if self.facts.observed is not None:
            carry(self.facts.observed, observed, self._journal or ())
        self._journal = None
        self._before, self.facts.observed = self.facts.observed, observed
        # Whatever is still refused is refused again now.
        self._said, self.refused = self.refused, ()
        self._restored.clear()
        self._rivals.forget(began)
        if self.facts.follows:
            self.ownership.learn_named(self.facts.services.values())
        self.ownership.learn(observed, began)
        self._remember(observed)
        if self._before is not None and is_lost(
            self.facts.services.values(), self._before, observed
        ):
            log.warning("the table is lost: none of our services stands")
            if only_peer_has_them(config):
                self._lost()
        await self._compare(observed, began)
        while await self._one_lot():
            pass
        await self._apply(upkeep(config, observed, first=first))
        self._renewed = False
        if self.table_ready.is_set():
            await self._apply(self.ownership.farewell(self.facts, began))
        before, self._before, self._said = self._before, None, ()
        if before is not None:
            for _ in let_go(before):
                await self._look_up()

    async def _read(self) -> Observed | None:
        """The whole kernel, with the news attended to in between; None when it cannot be read."""
        self._journal = []
        known = self.facts.observed.table if self.facts.observed else None
        reading = self._hands.observing(sysctls_read(self.facts.config), known)
        try:
            while True:
                ends = perf_counter() + SLICE
                next(reading)
                while perf_counter() < ends:
                    next(reading)
                await self._look_up()
        except StopIteration as done:
            self.unreadable = ""
            observed: Observed = done.value
            return observed
        except (OSError, Torn, Garbled) as error:
            self.unreadable = str(error) or type(error).__name__
            log.warning("the table cannot be read: %s; the next round tries again", self.unreadable)
            self._resync_at = min(self._resync_at, trio.current_time() + RETRY_AFTER)
            return None

    async def _look_up(self) -> None:
        """In the middle of long work: let others run, and act on what they tell."""
        await trio.lowlevel.checkpoint()
        if self.facts.observed is not None and trio.current_time() >= self._free_at:
            await self._one_lot()

    async def _compare(self, observed: Observed, now: float) -> None:
        """Every service of which the kernel has something else than we want is touched.

        Or may have: what drains is judged by the connections that it has left.
        """
        draining = {
            service for (service, _), one in self.facts.overrides.items() if one.kind == "drain"
        }
        ends = perf_counter() + SLICE
        for service in self.facts.services.values():
            if self._differs(service, observed, now) or service.name in draining:
                self._waiting.append(service.name)
            if perf_counter() >= ends:
                await self._look_up()
                ends = perf_counter() + SLICE

    def _differs(self, service: Service, observed: Observed, now: float) -> bool:
        """Also where something leaves."""
        wanted = self.desired.get(service.name)
        leaving = self.facts.leaving
        if (
            wanted is not None
            and not any(virtual in leaving for virtual in service.virtuals)
            and all(observed.table.get(key) == there for key, there in wanted.table.items())
        ):
            return False
        self.facts.learn_leaving(service, now)
        return True

    def _plan(self, touched: Iterable[str], now: float) -> tuple[Op, ...]:
        assert self.facts.observed is not None
        table: Table = {}
        for name in touched:
            before = self.desired.get(name)
            wanted = self.desired[name] = derive(self.facts, name, now)
            self.tell(events.service_changes(self.facts.services[name], before, wanted, now))
            self.facts.learn_courses(wanted.courses)
            # An instant that has passed is not waited for again: what it should have done hangs on
            # something else (a refusal), and news or a reading will bring that.
            self._agenda.put(name, wanted.next_at if wanted.next_at > now else NEVER)
            table |= wanted.table
        return diff(table, self.facts.observed.table)

    async def _apply(self, ops: tuple[Op, ...]) -> None:
        assert self.facts.observed is not None
        if self._before is not None:  # what is contested waits; our own news do not
            now = trio.current_time()
            ops = tuple(op for op in ops if not self._rivals.is_held(op, now))
        refused: list[Refused] = []
        for batch in self._hands.apply_batches(ops):
            refused += batch
            await trio.lowlevel.checkpoint()
        failed = {id(one.op) for one in refused}
        for op in ops:
            if id(op) not in failed:
                self._enter(op, self.facts.observed)
        for one in refused:
            if one not in self._said and one not in self.refused:
                log.warning("refused: %s: %s; %s", show(one.op), one.name, one.mend)
                self.tell((events.refused(one),))
        if refused:
            earlier = [one for one in self.refused if one.op not in ops]
            self.refused = (*earlier, *refused)
            self._resync_at = min(self._resync_at, trio.current_time() + RETRY_AFTER)
        if ops:
            self._free_at = trio.current_time() + self.facts.config.kernel.min_resync

    def _suspect_rival(self, op: Op, *, repaired: bool) -> None:
        if isinstance(op, AddService):
            self._restored.add(op.key)
        elif isinstance(op, AddDestination) and op.key in self._restored:
            return  # it went with its service
        thing = thing_of(op)
        if not repaired and not self._rivals.is_contested(thing):
            return
        if self._rivals.learn(thing, trio.current_time()):
            log.warning("%s: somebody else keeps changing it; it is left alone for a while", thing)

    def _enter(self, op: Op, book: Observed) -> None:
        """It was taken: into the book with it, and into the log."""
        before, found = self._before, look(book, op)
        repairs = ""
        if before is not None:
            kind, believed = "", look(before, op)
            if believed != found:
                kind = kind_of(op, believed, found)
                self.repairs[kind] += 1
                repairs = f"repaired, {kind}: "
            self._suspect_rival(op, repaired=bool(kind))
        self._done += 1
        if self._done <= SHOWN_MAX:
            log.info("%s%s", repairs, show(op, found if isinstance(found, Destination) else None))
        self.tell(events.applied(op, repairs=bool(repairs)))
        enter(book, op)
        if isinstance(op, TableOp):
            self.ownership.made(op)
            if self._journal is not None:
                self._journal.append(op)
            if before is not None:
                carry(book, before, (op,))
