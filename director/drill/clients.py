# What the client saw. The load generator (load.py) runs inside the client's place and writes lines
# of JSON to its log; here they are read as they grow. All instants here are the run's
# CLOCK_MONOTONIC, as the faults return them, whatever kernel the client lives in.
"""New connections at a steady pace, and connections that are held: what became of them."""

import itertools
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec

from director.drill.places import DrillError, Job, Place, eventually
from director.drill.servers import ECHO_PORT, WEB_PORT

LOAD = Path(__file__).with_name("load.py")
SETTLES_WITHIN = 10.0


class Snapshot(msgspec.Struct, frozen=True):
    """What was known at an instant: how much had ended, and how; seconds since the last answer."""

    at: float
    sent: int
    ok: int
    failed: int
    waiting: float


class Tally(msgspec.Struct, frozen=True):
    """What became of the requests that began within a window.

    `gap_ms` is the longest time in the window without an answer that arrived, its edges included.
    `servers` counts answers by server, `failures` the others by kind.
    """

    sent: int
    ok: int
    failed: int
    gap_ms: float
    servers: dict[str, int]
    failures: dict[str, int]


class Kept(msgspec.Struct, frozen=True):
    """What became of held connections: how many go on, and those that were lost."""

    alive: int
    lost: tuple["Lost", ...]


class Lost(msgspec.Struct, frozen=True):
    """A held connection that is no more: which, to whom, for how long it had lasted, and why."""

    number: int
    server: str
    age: float
    why: str


class _Line(msgspec.Struct):
    """What load.py writes."""

    now: float
    settled: float
    rows: list[msgspec.Raw]


class _Request(msgspec.Struct, array_like=True):
    began: float
    took: float
    by: str
    why: str

    @property
    def ended(self) -> float:
        return self.began + self.took


class _Held(msgspec.Struct, array_like=True):
    number: int
    by: str
    opened: float
    proved: float
    lost: float
    why: str
    began: float
    port: int


class _Load:
    """A load generator and what it has reported."""

    def __init__(self, place: Place, mode: str, name: str, words: list[str]) -> None:
        self._offset = place.clock_offset()
        argv = [sys.executable, "-I", "-S", str(LOAD), mode, *words]
        self.job: Job = place.start(argv, name=name)
        self._read = 0
        self.settled = 0.0

    def stop(self) -> None:
        """End it; what it has reported stays."""
        self.job.stop()

    def _ours(self, instant: float) -> float:
        return instant + self._offset

    def _new_rows(self) -> list[msgspec.Raw]:
        """Rows since the last call. Raises DrillError when the generator died of a fault."""
        status = self.job.poll()
        with self.job.log.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole, newline, _ = data.rpartition(b"\n")
        self._read += len(whole) + len(newline)
        if status is not None and status > 0:
            raise DrillError(f"{self.job.name} ended with {status}: {self.job.text[-500:]}")
        lines = [msgspec.json.decode(line, type=_Line) for line in whole.splitlines()]
        if lines:
            self.settled = self._ours(lines[-1].settled)
        return [row for line in lines for row in line.rows]


class Requests(_Load):
    """New HTTP connections at a steady pace, each with a time of its own to be answered in."""

    def __init__(
        self,
        place: Place,
        address: str,
        port: int = WEB_PORT,
        *,
        path: str = "/",
        every: float = 0.01,
        timeout: float = 1.0,
    ) -> None:
        words = [address, str(port), path, str(every), str(timeout)]
        super().__init__(place, "get", "requests", words)
        self._timeout = timeout
        self._all: list[_Request] = []

    def snapshot(self) -> Snapshot:
        """How things stand; at most REPORT_EVERY old. Give two of these to `between`."""
        self._update()
        at = time.monotonic()
        ok = [one.ended for one in self._all if not one.why]
        waiting = at - max(ok, default=self._all[0].began if self._all else at)
        return Snapshot(at, len(self._all), len(ok), len(self._all) - len(ok), waiting)

    def between(self, since: Snapshot | float, until: Snapshot | float) -> Tally:
        """Of the requests that began in [since, until); waits until the last has ended."""
        start = since.at if isinstance(since, Snapshot) else since
        end = until.at if isinstance(until, Snapshot) else until
        patience = max(0.0, end - time.monotonic()) + self._timeout + SETTLES_WITHIN
        eventually(lambda: self._update() >= end, patience, "the end of the last request")
        window = [one for one in self._all if start <= one.began < end]
        answers = sorted(one.ended for one in self._all if not one.why and start <= one.ended < end)
        gaps = [later - earlier for earlier, later in itertools.pairwise((start, *answers, end))]
        return Tally(
            sent=len(window),
            ok=sum(1 for one in window if not one.why),
            failed=sum(1 for one in window if one.why),
            gap_ms=round(max(gaps) * 1000, 1),
            servers=dict(Counter(one.by for one in window if not one.why)),
            failures=dict(Counter(one.why for one in window if one.why)),
        )

    def wait_for(self, count: int, timeout: float = SETTLES_WITHIN) -> None:
        """Until so many more requests have been answered. Raises DrillError."""
        wanted = self.snapshot().ok + count
        eventually(lambda: self.snapshot().ok >= wanted, timeout, f"{count} more answers")

    def _update(self) -> float:
        for row in self._new_rows():
            one = msgspec.json.decode(row, type=_Request)
            one.began = self._ours(one.began)
            self._all.append(one)
        return self.settled


class HeldConnections(_Load):
    """Connections to the echo servers that stay open and are used every `every` seconds.

    Each is begun `pace` seconds after the one before.
    """

    def __init__(
        self,
        place: Place,
        address: str,
        port: int = ECHO_PORT,
        *,
        count: int = 20,
        every: float = 0.2,
        patience: float = 30.0,
        open_within: float = 3.0,
        pace: float = 0.0,
    ) -> None:
        words = [address, *map(str, (port, count, every, patience, open_within, pace))]
        super().__init__(place, "hold", "held", words)
        self._count = count
        self._rows: dict[int, _Held] = {}

    def wait_until_open(self, timeout: float = SETTLES_WITHIN) -> dict[str, int]:
        """Connections by server, once each is open or lost. Raises DrillError."""

        def settled() -> bool:
            self._update()
            known = [row for row in self._rows.values() if row.opened or row.why]
            return len(known) == self._count

        eventually(settled, timeout, f"{self._count} open connections")
        return dict(Counter(row.by for row in self._rows.values() if not row.why))

    def first(self) -> tuple[int, float]:
        """The local port of the first one, and when its handshake began."""
        row = self._rows[0]
        return row.port, self._ours(row.began)

    def ports(self) -> set[int]:
        """The local ports of those that are open and not known to be lost."""
        self._update()
        return {row.port for row in self._rows.values() if row.opened and not row.why}

    def poke(self) -> None:
        """Let each send its next byte now, and not only when that is due."""
        self.job.signal(signal.SIGUSR1)

    def open_now(self) -> int:
        """How many are open and not known to be lost."""
        self._update()
        return sum(1 for row in self._rows.values() if row.opened and not row.why)

    def kept(
        self,
        since: Snapshot | float,
        timeout: float = SETTLES_WITHIN,
        opened_before: float | None = None,
    ) -> Kept:
        """Which go on: an echo came back of a byte that was sent after `since`.

        Ends when each has proved that or is lost; what has done neither after `timeout` seconds is
        counted as lost, with the reason "silent". Only those that were open at `opened_before`
        count, where that is given.
        """
        start = since.at if isinstance(since, Snapshot) else since
        give_up_at = time.monotonic() + timeout

        def counted() -> list[_Held]:
            rows = sorted(self._rows.values(), key=lambda row: row.number)
            if opened_before is None:
                return rows
            return [row for row in rows if 0.0 < row.opened < opened_before]

        def decided() -> bool:
            self._update()
            all_known = opened_before is not None or len(self._rows) == self._count
            proved = all(row.proved > start for row in counted() if not row.why)
            return (all_known and proved) or time.monotonic() > give_up_at

        eventually(decided, timeout + 1.0, "held connections")
        rows = counted()
        lost = [self._lost(row) for row in rows if row.why or row.proved <= start]
        if opened_before is not None:
            return Kept(len(rows) - len(lost), tuple(lost))
        lost += [
            Lost(number, "", 0.0, "silent")
            for number in range(self._count)
            if number not in self._rows
        ]
        return Kept(self._count - len(lost), tuple(lost))

    def _lost(self, row: _Held) -> Lost:
        ended = row.lost if row.why else row.proved
        age = max(0.0, ended - row.opened) if row.opened else 0.0
        return Lost(row.number, row.by, round(age, 3), row.why or "silent")

    def _update(self) -> None:
        for raw in self._new_rows():
            row = msgspec.json.decode(raw, type=_Held)
            row.proved, row.lost, row.opened = (
                self._ours(instant) if instant else 0.0
                for instant in (row.proved, row.lost, row.opened)
            )
            self._rows[row.number] = row
