# Verbs that read, and the one that zeroes counters: each a run of answers that may be long.
#
# Rules of this room:
# 1. Nothing is asked of the kernel for more than one virtual service at a time, and the loop turns
#    after each: a table of 160,000 destinations must not make a verdict wait.
# 2. A piece holds about PIECE destinations, and the next one is made when it has been taken. So a
#    slow reader costs one piece of memory, and no frame comes near its limit.
# 3. The kernel is read now; which services there are is what the last reading saw.
"""Tell the table in pieces."""

import difflib
from collections.abc import AsyncGenerator, Callable, Iterator

import msgspec
import trio

from director.engine.operator import refusal
from director.engine.reconcile import Reconciler
from director.errors import Exit
from director.kernel.look import KernelLook, Look, SeenService
from director.kernel.netlink import BATCH, Garbled, Torn
from director.model.ops import Observed
from director.model.pool import Place, Service
from director.model.service import ServiceKey
from director.model.shown import Heading, ShownDestination, ShownService
from director.policy.desired import Row
from director.policy.facts import Facts
from director.policy.report import rfc3339, show_virtual
from director.policy.showing import heading_of, show_destination, show_service
from director.wire.messages import Answer, Ask

PIECE = 500
ROWS_AT_ONCE = 250
NAMES_AT_ONCE = 250

Clock = Callable[[], float]
Named = tuple[str, ServiceKey]  # the service's name in the file, or ""


class Reading:
    """Answers to `show` and `zero`. `clock` gives wall-clock seconds."""

    def __init__(
        self,
        facts: Facts,
        reconciler: Reconciler,
        clock: Clock,
        open_look: Callable[[], Look] = KernelLook,
    ) -> None:
        self._facts = facts
        self._reconciler = reconciler
        self._clock = clock
        self._open_look = open_look
        self._look: Look | None = None

    async def show(self, ask: Ask) -> AsyncGenerator[Answer, None]:
        """A heading, then lists of virtual services. Args: `service`, `stats` (yes)."""
        keys = await self._select(ask.args.get("service", ""))
        yield Answer(Exit.DONE, _json(self._heading()), more=True)
        piece: list[ShownService] = []
        size = 0
        stats = ask.args.get("stats") == "yes"
        last: tuple[str, dict[Place, Row]] = ("", {})
        for name, key in keys:
            await trio.lowlevel.checkpoint()
            seen = self._see(key, stats=stats)
            if seen is None:
                continue
            if name and name != last[0]:
                last = (name, {row.place: row for row in self._rows(name)})
            piece.append(await _shown(name, seen, last[1] if name else {}))
            size += 1 + len(seen.destinations)
            if size >= PIECE:
                yield Answer(Exit.DONE, _json(piece), more=True)
                piece, size = [], 0
        yield Answer(Exit.DONE, _json(piece))

    async def zero(self, ask: Ask) -> AsyncGenerator[Answer, None]:
        """Counters of the file's services, or of one, to 0; says of how many."""
        wanted = ask.args.get("service", "")
        keys = [key for name, key in await self._select(wanted) if name or wanted]
        for start in range(0, len(keys), BATCH):
            await trio.lowlevel.checkpoint()
            try:
                self._eyes().zero(keys[start : start + BATCH])
            except OSError as error:
                raise refusal(
                    Exit.LATER, f"the kernel answers {error.strerror}", "again"
                ) from error
        yield Answer(Exit.DONE, _json(len(keys)))

    def _heading(self) -> Heading:
        observed = self._facts.observed or Observed()
        node, at = self._facts.config.node, rfc3339(self._clock())
        info = self._eyes().info()
        return heading_of(observed, info.version, info.table_size, node=node, at=at)

    def _rows(self, name: str) -> tuple[Row, ...]:
        there = self._reconciler.desired.get(name)
        return there.rows if there else ()

    def _eyes(self) -> Look:
        if self._look is None:
            self._look = self._open_look()
        return self._look

    def _see(self, key: ServiceKey, *, stats: bool) -> SeenService | None:
        try:
            return self._eyes().service(key, stats=stats)
        except (OSError, Torn, Garbled) as error:
            fault = f"{key} cannot be read from the kernel: {error}"
            raise refusal(Exit.LATER, fault, "ask again") from error

    async def _select(self, word: str) -> list[Named]:
        """What `word` names: a service of the file, or a virtual one as the file or a log spells
        it; all, ours first, without a word. Raises DirectorError (1) when there is none."""
        found: list[Named] = []
        names: list[str] = []
        for number, (service, key) in enumerate(self._all()):
            if number % NAMES_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            name = service.name if service else ""
            names.append(name or str(key))
            spelled = show_virtual(service, key) if service else ""
            if not word or word in (name, str(key), str(key).partition("/")[2], spelled):
                found.append((name, key))
        if word and not found:
            raise refusal(
                Exit.NO, f"there is no service {word!r}", await _nearest(word, dict.fromkeys(names))
            )
        return found

    def _all(self) -> Iterator[tuple[Service | None, ServiceKey]]:
        ours: set[ServiceKey] = set()
        for service in self._facts.services.values():
            for key in service.virtuals:
                ours.add(key)
                yield service, key
        table = self._facts.observed.table if self._facts.observed else {}
        yield from [(None, key) for key in table if key not in ours]


async def _shown(name: str, seen: SeenService, rows: dict[Place, Row]) -> ShownService:
    shown: list[ShownDestination] = []
    for number, one in enumerate(seen.destinations, 1):
        if number % ROWS_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        row = rows.get(Place(seen.key, one.endpoint))
        shown.append(
            show_destination(one.endpoint, one.destination, one.counters, row=row, stats=one.stats)
        )
    return show_service(seen.key, seen.settings, shown, name=name, stats=seen.stats)


async def _nearest(word: str, names: dict[str, None]) -> str:
    """A mend. Comparing with 20,000 names takes 0.1 s or more: in steps."""
    known = list(names)
    close: list[str] = []
    for start in range(0, len(known), NAMES_AT_ONCE):
        await trio.lowlevel.checkpoint()
        close += difflib.get_close_matches(word, known[start : start + NAMES_AT_ONCE], 1)
    best = difflib.get_close_matches(word, close[:NAMES_AT_ONCE], 1)
    if best:
        return f'did you mean "{best[0]}"?'
    return f"one of: {', '.join(known[:20]) or 'none, the file has no services'}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
