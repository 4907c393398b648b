# Where something can run: the host, a test machine, or a network namespace of either.
#
# A Runner starts processes; a Place is a runner and the words that lead into one of its namespaces.
# Whoever writes a drill asks a place to `run` or to `start`, and need not know which kernel it is on.
"""Runners, places, jobs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from director.errors import DirectorError, Exit, Fault

T = TypeVar("T")
RUN_WITHIN = 15.0
POLL_EVERY = 0.01


class Done(msgspec.Struct, frozen=True):
    """A command that ended. A negative status is the signal that ended it."""

    status: int
    stdout: str
    stderr: str


class DrillError(DirectorError):
    """A drill could not be played (as against: it was played and failed)."""

    def __init__(self, fault: str, mend: str = "see the files in the run's directory") -> None:
        super().__init__(Exit.NO, Fault(fault=fault, mend=mend))


class Job(Protocol):
    """A process that goes on. Its output is in `log`."""

    log: Path

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""

    def signal(self, number: int) -> None:
        """Send it a signal; no fault when it has ended."""


class Runner(Protocol):
    """Starts processes in one kernel."""

    name: str
    folder: Path

    def start(self, argv: Sequence[str], *, name: str, env: Mapping[str, str] | None) -> Job:
        """Start a process; its standard error goes to `<name>.err` beside its log."""


def eventually(find: Callable[[], T | None], within: float, what: str) -> T:
    """What `find` returns once it is not None or False. Raises DrillError after `within` s."""
    give_up_at = time.monotonic() + within
    while True:
        found = find()
        if found is not None and found is not False:
            return found
        if time.monotonic() > give_up_at:
            raise DrillError(f"waited {within:g} s in vain: {what}")
        time.sleep(POLL_EVERY)


class Place:
    """A runner, and the words that lead into one namespace of it."""

    def __init__(self, runner: Runner, name: str, prefix: Sequence[str] = ()) -> None:
        self.runner = runner
        self.name = name
        self._prefix = tuple(prefix)
        self._count = 0

    def start(
        self, argv: Sequence[str], *, name: str = "job", env: Mapping[str, str] | None = None
    ) -> Job:
        """Start a process that goes on."""
        self._count += 1
        label = f"{self.name}-{self._count}-{name}"
        return self.runner.start([*self._prefix, *argv], name=label, env=env)

    def run(
        self,
        argv: Sequence[str],
        *,
        within: float = RUN_WITHIN,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> Done:
        """Run a command to its end.

        Raises DrillError when it takes longer than `within` seconds, or fails and `check` is set.
        """
        job = self.start(argv, name=Path(argv[0]).name, env=env)
        try:
            status = eventually(job.poll, within, f"{self.name}: {' '.join(argv)}")
        except BaseException:
            job.signal(signal.SIGKILL)
            raise
        done = Done(
            status, job.log.read_text(errors="replace"), _err(job).read_text(errors="replace")
        )
        for file in (job.log, _err(job)):
            file.unlink()
        if check and status:
            raise DrillError(
                f"{self.name}: {' '.join(argv)} ended with {status}: {done.stderr[-2000:]}"
            )
        return done


def _err(job: Job) -> Path:
    return job.log.with_suffix(".err")


class HostJob:
    """A process of the host. It ends with us, however we end (PR_SET_PDEATHSIG)."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def poll(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self.process.poll()

    def signal(self, number: int) -> None:
        """Send it a signal; no fault when it has ended."""
        self.process.send_signal(number)


class Host:
    """This machine's own kernel. `close` ends all that was started here."""

    def __init__(self, folder: Path) -> None:
        self.name = "host"
        self.folder = folder
        self._jobs: list[HostJob] = []

    def start(
        self, argv: Sequence[str], *, name: str, env: Mapping[str, str] | None = None
    ) -> HostJob:
        """Start a process; it dies with us."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as out, log.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=dict(os.environ) | dict(env or {}),
                start_new_session=True,
            )
        job = HostJob(process, log)
        self._jobs.append(job)
        return job

    def close(self) -> None:
        """SIGKILL what still runs."""
        for job in self._jobs:
            if job.poll() is None:
                job.signal(signal.SIGKILL)
                job.process.wait()
