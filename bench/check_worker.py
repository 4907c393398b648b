# The product's worker, and nothing of it changed but that its timetable is listened to: how late
# each probe started is otherwise told as the worst of a second only.
"""`python -m bench.check_worker RUNTIME`: a check worker that tells what it cost.

It reads a line from standard input for each report, and answers with one line of JSON: figures
since the report before.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from pathlib import Path

from bench.verdict import percentile
from checks.__main__ import GARBAGE_THRESHOLD, find_room
from checks.timetable import Due, Timetable
from checks.worker import Worker
from director.paths import WORKERS_SOCKET

late: list[float] = []


class Heard(Timetable):
    """A timetable whose lateness is written down."""

    def due(self, now: float, limit: int) -> list[Due]:
        found = super().due(now, limit)
        late.extend(one.lateness for one in found)
        return found


def report(cpu_before: float) -> str:
    """Figures of the probes since the last report."""
    row = {
        "checks": len(late),
        "cpu_s": time.process_time() - cpu_before,
        "p99_late_ms": round(percentile(late, 0.99) * 1000, 2) if late else None,
        "max_late_ms": round(max(late, default=0.0) * 1000, 2),
        "rss_mib": round(_resident() / 2**20, 1),
    }
    late.clear()
    return json.dumps(row)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def run(runtime: Path) -> None:
    """Work until standard input ends."""
    stop = asyncio.Event()
    cpu = time.process_time()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        nonlocal cpu
        if not sys.stdin.readline():
            loop.remove_reader(sys.stdin)
            stop.set()
            return
        print(report(cpu), flush=True)
        cpu = time.process_time()

    loop.add_reader(sys.stdin, asked)
    room = find_room()
    gc.set_threshold(GARBAGE_THRESHOLD)
    path = runtime / WORKERS_SOCKET
    await Worker(path, "bench", room=room.in_flight, keep_max=room.kept, _timetable=Heard()).run(
        stop
    )


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
