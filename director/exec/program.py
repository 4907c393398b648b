# One foreign program, from its start to its end, with nothing left behind.
#
# Rules of this room:
# 1. An argument vector, never a shell; an environment of ours alone; JSON on stdin.
# 2. A program is in a session of its own, so that its process group is all that it started and did
#    not move on purpose. At the deadline the group gets SIGTERM, and KILL_AFTER later SIGKILL. When
#    the program has ended, for whatever reason, what is left of the group is killed: else the next
#    run about the same object would not be alone.
# 3. What moved to a session of its own comes to us when its parent dies, if we are the reaper of
#    our descendants (`be_reaper`), and is swept away.
# 4. Output is read all the time, so that nobody blocks on it, and its last KEPT bytes are kept.
"""Run a foreign program with a deadline, and leave nothing of it."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import trio

from director.wire.messages import Ran, Run

KILL_AFTER = 1.0  # seconds between SIGTERM and SIGKILL
KEPT = 4096  # bytes of output
LINE_MAX = 200  # characters
LAST_WORDS = 0.1  # seconds in which output may still come once the program has ended
SWEEPS = 8
MARK = "DIRECTOR_RUN"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
}
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom programs are started; None leaves what we are."""

    user: int | None = None
    group: int | None = None
    groups: tuple[int, ...] | None = None


class Tail:
    """The end of an output."""

    def __init__(self) -> None:
        self._kept = b""

    def add(self, data: bytes | bytearray) -> None:
        """What was read next."""
        self._kept = bytes(self._kept + data)[-KEPT:]

    def last_line(self) -> str:
        """The last line with something in it; what a terminal would act on is a question mark."""
        lines = [line for line in self._kept.decode(errors="replace").splitlines() if line.strip()]
        line = lines[-1].strip()[:LINE_MAX] if lines else ""
        return "".join(one if one.isprintable() else "?" for one in line)


def be_reaper(*, on: bool = True) -> None:
    """Descendants that lose their parent become children of this process (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


class Programs:
    """Runs programs, each until its end or its deadline.

    Whatever becomes a child of this process from now on, and is none of them, is taken for theirs.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._under_way: dict[int, int] = {}
        # A child that has just been made is not in the book yet: nobody sweeps meanwhile.
        self._starting = trio.Lock()
        self._others = frozenset(_children())

    async def run(self, run: Run) -> Ran:
        """How it ended. When this is cancelled, the program is killed."""
        began = trio.current_time()
        try:
            process = await self._start(run)
        except (OSError, ValueError) as error:
            why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            return Ran(run.id, fault=f"cannot be started: {why}")
        tail = Tail()
        try:
            in_time = await _attend(process, run, tail)
        finally:
            _signal_group(process.pid, signal.SIGKILL)
            with trio.CancelScope(shield=True):
                status = await process.wait()
                del self._under_way[process.pid]
                await self.sweep()
        return Ran(
            run.id,
            status=status if in_time and status >= 0 else None,
            signal=-status if in_time and status < 0 else 0,
            seconds=trio.current_time() - began,
            output=tail.last_line(),
            fault="" if in_time else f"no end within {run.timeout:g} s",
        )

    async def sweep(self) -> None:
        """End what came to us from runs that are over, and take leave of the dead."""
        async with self._starting:
            for _ in range(SWEEPS):  # the children of one that we kill come to us in turn
                strays = [pid for pid in _children() if self._is_stray(pid)]
                for pid in strays:
                    _end(pid)
                if not strays:
                    return

    async def _start(self, run: Run) -> trio.Process:
        async with self._starting:
            process = await trio.lowlevel.open_process(
                list(run.argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=ENVIRONMENT | {MARK: str(run.id)},
                cwd="/",
                start_new_session=True,
                user=self._identity.user,
                group=self._identity.group,
                extra_groups=self._identity.groups,
            )
            self._under_way[process.pid] = run.id
        return process

    def _is_stray(self, pid: int) -> bool:
        """A child that we did not start, and whose run is over or not to be told."""
        ours = pid in self._under_way or _bears(pid, self._under_way.values())
        return not ours and pid not in self._others


async def _attend(process: trio.Process, run: Run, tail: Tail) -> bool:
    """Feed it, read it, until it ends; False when it did not within its time."""
    async with trio.open_nursery() as nursery:
        silent = trio.Event()
        nursery.start_soon(_feed, process, run.stdin.encode())
        nursery.start_soon(_drain, process, tail, silent)
        with trio.move_on_after(run.timeout) as in_time:
            await process.wait()
        if in_time.cancelled_caught:
            _signal_group(process.pid, signal.SIGTERM)
            with trio.move_on_after(KILL_AFTER):
                await process.wait()
        _signal_group(process.pid, signal.SIGKILL)
        with trio.move_on_after(LAST_WORDS):
            await silent.wait()
        nursery.cancel_scope.cancel()
    return not in_time.cancelled_caught


async def _feed(process: trio.Process, data: bytes) -> None:
    assert process.stdin is not None
    with suppress(trio.BrokenResourceError):  # a program need not read it
        async with process.stdin:
            await process.stdin.send_all(data)


async def _drain(process: trio.Process, tail: Tail, silent: trio.Event) -> None:
    assert process.stdout is not None
    async with process.stdout:
        async for data in process.stdout:
            tail.add(data)
    silent.set()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _end(pid: int) -> None:
    """Kill a child, and take leave of it if it is dead by now; else the next sweep does."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _children() -> list[int]:
    """Our children, also those of our threads and those that came to us (proc(5))."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has just ended
            found += map(int, (task / "children").read_text().split())
    return found


def _bears(pid: int, runs: Collection[int]) -> bool:
    """Was it started with the mark of one of these runs?"""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(f"{MARK}={run}".encode() in environment for run in runs)
