# Where something can run: a test machine, or a network namespace of the host or of a machine.
#
# Rules of this room:
# 1. Whoever writes a drill asks a Place to `run` or to `start`, and need not know which kernel it
#    is on. Every place of a run shares one folder, and a file there has one name everywhere.
# 2. Everything blocks, and everything that blocks has a deadline. There are no threads here:
#    PR_SET_PDEATHSIG fires when the *thread* that forked ends.
# 3. What a process says goes to files of the shared folder, never over the command line to a
#    machine: a chatty process must not wedge that.
"""Places, jobs, and what a command that ended said."""

import os
import select
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from director.errors import DirectorError, Exit, Fault

T = TypeVar("T")
# Not the host's PATH: what is a shell script there (a wrapper) takes a second to start in a
# machine, and a root shell by su(1) lacks the sbin folders.
SEARCH_PATH = ":".join(
    [
        str(Path(sys.executable).parent),
        *("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"),
    ]
)
RUN_WITHIN = 15.0
POLL_EVERY = 0.01
# More of a command's output than this is cut from its start.
OUTPUT_MAX = 4 << 20


class Done(msgspec.Struct, frozen=True):
    """A command that ended. A negative status is the signal that ended it."""

    status: int
    stdout: str
    stderr: str


class DrillError(DirectorError):
    """A drill could not be played (as against: it was played and failed)."""

    def __init__(self, fault: str, mend: str = "see the files in the run's directory") -> None:
        super().__init__(Exit.NO, Fault(fault=fault, mend=mend))


class Job(ABC):
    """A process that goes on, leader of a session of its own. `log` holds what it said."""

    def __init__(self, name: str, pid: int, log: Path) -> None:
        self.name = name
        self.pid = pid
        self.log = log

    @abstractmethod
    def poll(self) -> int | None:
        """Its exit status, or None while it runs. A power cut counts as SIGKILL."""

    @abstractmethod
    def signal(self, number: int, *, group: bool = False) -> None:
        """Send it (or its whole process group) a signal; no fault when it has ended."""

    @abstractmethod
    def wait(self, timeout: float = RUN_WITHIN) -> int:
        """Its exit status once it has ended. Raises DrillError after `timeout` seconds."""

    @property
    def text(self) -> str:
        """What it has said so far (the newest OUTPUT_MAX bytes)."""
        return tail(self.log)

    def stop(self, timeout: float = RUN_WITHIN) -> int:
        """SIGTERM, and SIGKILL for its group when that is not heeded in time."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except DrillError:
            self.signal(signal.SIGKILL, group=True)
            return self.wait(timeout)


class Place(ABC):
    """Somewhere to run things, with a network of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self._started = 0

    @abstractmethod
    def spawn(
        self, argv: Sequence[str], name: str, env: Mapping[str, str], out: Path, err: Path
    ) -> Job:
        """Start a process with these files. Use `start` or `run`."""

    @abstractmethod
    def write(self, path: str | Path, text: str, mode: int = 0o644) -> None:
        """Write a file as this place sees it, with the folders above it."""

    @abstractmethod
    def read(self, path: str | Path) -> str:
        """A file as this place sees it."""

    @abstractmethod
    def clock_offset(self) -> float:
        """Seconds to add to CLOCK_MONOTONIC there to get the run's own."""

    def start(
        self, argv: Sequence[str], *, name: str = "job", env: Mapping[str, str] | None = None
    ) -> Job:
        """Start a process that goes on; both its outputs go to `job.log`. Raises DrillError."""
        log = self.folder / f"{self._label(name)}.log"
        return self.spawn(argv, name, env or {}, log, log)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = RUN_WITHIN,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command to its end.

        Raises DrillError when it takes longer than `timeout` seconds, or fails and `check` is set.
        """
        label = self._label(Path(argv[0]).name)
        out, err = self.folder / f"{label}.out", self.folder / f"{label}.err"
        job = self.spawn(argv, Path(argv[0]).name, env or {}, out, err)
        try:
            status = job.wait(timeout)
        except BaseException:
            job.signal(signal.SIGKILL, group=True)
            raise
        done = Done(status, tail(out), tail(err))
        out.unlink(missing_ok=True)
        err.unlink(missing_ok=True)
        if check and status:
            said = (done.stderr or done.stdout).strip()[-2000:]
            raise DrillError(f"{self.name}: {' '.join(argv)} ended with {status}: {said}")
        return done

    def set_sysctls(self, sysctls: Mapping[str, str]) -> None:
        """Write sysctls of this place, by dotted name. Raises DrillError."""
        if sysctls:
            self.run(["sysctl", "-q", "-w", *(f"{key}={value}" for key, value in sysctls.items())])

    def ip(self, lines: Sequence[str]) -> None:
        """Do many `ip` commands in one process (forks are slow in a machine). Or DrillError."""
        if lines:
            batch = self.folder / self._label("ip")
            batch.write_text("".join(f"{line}\n" for line in lines))
            self.run(["ip", "-batch", str(batch)])
            batch.unlink()

    def _label(self, name: str) -> str:
        # Never the same twice in a run, since a file that is rewritten may be read stale inside.
        self._started += 1
        return f"{self.name}-{self._started}-{name}"


def eventually(find: Callable[[], T | None], timeout: float, what: str) -> T:
    """What `find` returns once it is not None or False. Raises DrillError after `timeout` s."""
    give_up_at = time.monotonic() + timeout
    while True:
        found = find()
        if found is not None and found is not False:
            return found
        if time.monotonic() > give_up_at:
            raise DrillError(f"waited {timeout:g} s in vain: {what}")
        select.select([], [], [], POLL_EVERY)


def tail(path: Path) -> str:
    """The newest OUTPUT_MAX bytes of a file as text; nothing when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - OUTPUT_MAX))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
