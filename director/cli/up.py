# `director up`: the supervisor where there is no systemd (containers, test machines, laptops).
#
# It does as little as can be, since it must not fail: starts children, starts one again that
# died, and at SIGTERM stops vrrp first, so that the VIPs are handed over while everything else
# still works.
# SIGKILL of it is a SIGTERM for the children (PR_SET_PDEATHSIG): without it nobody would start them
# again, so that half a director could be left; they end in order and the peer takes over.
#
# A child that says that a restart would fail the same way (64, 77, 78) ends the whole.
"""Start all processes in the foreground and keep them running."""

import argparse
import logging
import os
import select
import signal
import subprocess
import sys
import time

from director.cli.processes import need_net_admin
from director.errors import Exit
from director.log import start_logging

BACK_OFF_FIRST, BACK_OFF_MAX = 0.1, 10.0
LIVED_WELL = 30.0  # seconds after which a death is a new one, not the same again
STOP_WITHIN = 10.0
# setpriv(1) is exec'd over, and what it set stays. A preexec_fn would make each start a fork.
ENDING_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")
HOPELESS = (Exit.USAGE, Exit.RIGHTS, Exit.CONFIG)

log = logging.getLogger("director.up")


class Child:
    """One process that is kept running."""

    def __init__(self, name: str, argv: list[str]) -> None:
        self.name = name
        self._argv = argv
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self._started = 0.0
        self._back_off = 0.0

    def start(self) -> None:
        """Start it; what cannot be started now (no memory, no process to spare) is tried again."""
        self._started = time.monotonic()
        try:
            self.process = subprocess.Popen([*ENDING_WITH_US, *self._argv], start_new_session=True)
        except OSError as error:
            log.error("%s cannot be started: %s", self.name, error.strerror)  # noqa: TRY400
            self._back_off = min(BACK_OFF_MAX, max(BACK_OFF_FIRST, 2 * self._back_off))
            self.start_at = self._started + self._back_off
            return
        log.info("%s started (pid %d)", self.name, self.process.pid)

    def ended(self) -> int | None:
        """Its status if it has just ended; then a restart is due at `start_at`."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.process = None
        now = time.monotonic()
        if now - self._started > LIVED_WELL:
            self._back_off = 0.0
        self.start_at = now + self._back_off
        self._back_off = min(BACK_OFF_MAX, max(BACK_OFF_FIRST, 2 * self._back_off))
        return status

    def stop(self, within: float) -> None:
        """SIGTERM, and SIGKILL for one that does not listen."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            log.warning("%s does not stop: killed", self.name)
            self.process.kill()
            self.process.wait()


def up(args: argparse.Namespace) -> int:
    """Until SIGTERM or SIGINT."""
    start_logging()
    need_net_admin("up")
    # In a child: whoever has parsed a large file stays large.
    check = [sys.executable, "-m", "director", "check", "--config", str(args.config)]
    check += ["--node", args.node] if args.node else []
    if status := subprocess.run(check, check=False, stdout=subprocess.DEVNULL).returncode:
        return status
    return supervise(commands(args))


def supervise(commands: list[tuple[str, list[str]]]) -> int:
    """Until a signal (SIGHUP too: the terminal is gone), or a child that cannot be helped."""
    children = [Child(name, argv) for name, argv in commands]
    signals = Signals(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    try:
        return _keep(children, signals)
    finally:
        for child in children:
            child.stop(STOP_WITHIN)


def commands(args: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Names and argument vectors, in the order in which they are stopped: vrrp first."""
    python = [sys.executable, "-m"]
    runtime = ["--runtime", str(args.runtime)]
    engine = ["--config", str(args.config), "--state", str(args.state)]
    if args.node:
        engine += ["--node", args.node]
    return [
        ("vrrp", [*python, "director", "vrrp", *runtime]),
        ("engine", [*python, "director", "engine", *runtime, *engine]),
        # Also where the file names no program yet: a file that comes later may.
        ("exec", [*python, "director", "exec", *runtime]),
        *(
            (f"checks@{number}", [*python, "checks", *runtime, "--name", f"checks@{number}"])
            for number in range(1, args.workers + 1)
        ),
    ]


class Signals:
    """Signals as something to wait for.

    By a wake-up descriptor and not by sigtimedwait: a blocked signal would stay blocked in the
    children, which could then not be stopped.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._wake, alarm = os.pipe()
        os.set_blocking(alarm, False)
        signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda *_: None)

    def wait(self, timeout: float) -> set[int]:
        """The signals that came; none after `timeout` seconds."""
        readable, _, _ = select.select([self._wake], [], [], timeout)
        return set(os.read(self._wake, 4096)) if readable else set()


def _keep(children: list[Child], signals: Signals) -> int:
    while True:
        now = time.monotonic()
        for child in children:
            if child.process is None and child.start_at <= now:
                child.start()
        idle = [child.start_at - now for child in children if child.process is None]
        if signals.wait(max(0.0, min(idle, default=3600.0))) - {signal.SIGCHLD}:
            return Exit.DONE
        for child in children:
            status = child.ended()
            if status in HOPELESS:
                return int(status)
            if status is not None:
                log.error("%s ended with %d; starting it again", child.name, status)
