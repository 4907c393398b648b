# The line and its orders are the same whatever the machine is made with (engines.py): PID 1 is
# guest.py on the host's own tree. A kernel splits its command line at spaces, so no path may have
# one.
"""Test machines: kernels of their own that run on the host's file system.

    with run_folder() as folder, Machine(MachineSpec(name="lb1"), folder) as machine:
        machine.boot()                  # returns at once: boot several, then wait for each
        machine.wait()                  # about 2 s; with engine="qemu" 5 s
        print(machine.run(["ip", "-br", "addr"]).stdout)
        job = machine.start(["director", "up"], name="director")
        machine.write("/etc/director/director.toml", text)
        machine.cut_power()             # then boot() and wait() once more: it returns

A machine sees the host's tree at the same paths (what it writes stays in its memory), and `folder`
read-write. `python -m director.drill.one -- CMD...` does the whole of it for one command.
"""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from director.drill.channel import Channel
from director.drill.engines import GUEST, Engine, EngineName, MachineSpec, Wire
from director.drill.places import RUN_WITHIN, SEARCH_PATH, DrillError, Job, Place, eventually, tail
from director.drill.qemu import SLOWER, Qemu, need_qemu
from director.drill.uml import Uml, find_kernel
from director.errors import SystemLacks

ENGINES: dict[EngineName, type[Engine]] = {"uml": Uml, "qemu": Qemu}
ENVIRONMENT = {
    "PATH": SEARCH_PATH,
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
Clock = Literal["goes on", "stands still"]
BOOT_WITHIN = 60.0
POWER_OFF_WITHIN = 15.0
CONSOLE_SHOWN = 1500


class GuestJob(Job):
    """A process inside a machine."""

    def __init__(self, machine: "Machine", name: str, answer: dict[str, object], log: Path) -> None:
        super().__init__(name, int(str(answer["pid"])), log)
        self._machine = machine
        self._channel = machine.channel
        self._order = int(str(answer["id"]))

    def poll(self) -> int | None:
        if self._channel.take_in() and self._order not in self._channel.ended:
            return None
        return self._channel.ended.get(self._order, -signal.SIGKILL)

    def signal(self, number: int, *, group: bool = False) -> None:
        if self.poll() is None:
            self._channel.order(do="signal", pid=self.pid, signal=number, group=group)

    def wait(self, timeout: float = RUN_WITHIN) -> int:
        complaint = f"{self.name} (pid {self.pid}) has not ended"
        try:
            self._channel.wait(lambda: self._order in self._channel.ended, timeout, complaint)
        except DrillError:
            if (status := self.poll()) is None:
                raise
            return status
        return self._channel.ended[self._order]


class Machine(Place):
    """One test machine. `boot` starts it, `wait` returns once it takes orders.

    Leaving its `with` cuts the power. So does the end of the run, whatever ends it.
    """

    def __init__(self, spec: MachineSpec, folder: Path) -> None:
        super().__init__(spec.name, folder)
        self.spec = spec
        self.engine = ENGINES[spec.engine](spec, folder)
        self._channel: Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()

    def boot(self) -> None:
        """Start the kernel; returns at once. Raises SystemLacks, NoRight."""
        assert not self.alive
        for path in (self.folder, Path(sys.executable), Path.cwd(), GUEST):
            if " " in str(path):
                raise SystemLacks(
                    "a test machine cannot be told of a path with a space",
                    mend="work in a folder without one",
                    key=str(path),
                )
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours, self.folder, self.name, self._console)
        with theirs:
            try:
                self.engine.start(theirs)
            except BaseException:
                self._forget()
                raise

    def wait(self) -> None:
        """Until it has booted and its links are up. Raises DrillError."""
        channel = self.channel
        channel.wait(lambda: bool(channel.ready), BOOT_WITHIN, "did not boot")
        self.set_sysctls(self.spec.sysctls)
        wires = zip(self.engine.cards(), self.spec.wires, strict=True)
        names = [f"link set {card} name {one.device}" for card, one in wires if card != one.device]
        self.ip([*names, *self.spec.links])
        if self.spec.init == "systemd":
            eventually(self._systemd_runs, BOOT_WITHIN * self.slower, "systemd")

    @property
    def channel(self) -> Channel:
        """The line to PID 1."""
        if self._channel is None:
            raise DrillError(f"{self.name} has no power", "boot it")
        return self._channel

    def spawn(
        self, argv: Sequence[str], name: str, env: Mapping[str, str], out: Path, err: Path
    ) -> GuestJob:
        answer = self.channel.order(
            do="spawn",
            argv=[str(word) for word in argv],
            env=ENVIRONMENT | dict(env),
            out=str(out),
            err=str(err),
        )
        return GuestJob(self, name, answer, out)

    def write(self, path: str | Path, text: str, mode: int = 0o644) -> None:
        self.channel.order(do="write", files={str(path): text}, mode=mode)

    def read(self, path: str | Path) -> str:
        copy = self.folder / f"{self._label('read')}"
        self.channel.order(do="copy", path=str(path), to=str(copy))
        text = copy.read_text(errors="replace")
        copy.unlink()
        return text

    def set_sysctls(self, sysctls: Mapping[str, str]) -> None:
        files = {f"/proc/sys/{sysctl_path(name)}": value for name, value in sysctls.items()}
        if files:
            self.channel.order(do="write", files=files, mode=0)

    def clock_offset(self) -> float:
        """The best of five questions: the answer's age is at most half of the shortest one."""
        rounds = []
        for _ in range(5):
            asked_at = time.monotonic()
            theirs = float(str(self.channel.order(do="clock")["now"]))
            heard_at = time.monotonic()
            rounds.append((heard_at - asked_at, (asked_at + heard_at) / 2 - theirs))
        return min(rounds)[1]

    @property
    def alive(self) -> bool:
        """Has it power?"""
        return self.engine.alive

    @property
    def slower(self) -> float:
        """By what to multiply how long things may take in here."""
        return SLOWER if self.spec.engine == "qemu" else 1.0

    def processes(self) -> list[int]:
        """The host's processes that this machine consists of; the first one is only its keeper."""
        return self.engine.processes()

    def cut_power(self) -> None:
        """SIGKILL: nothing inside can say good-bye. Returns once nothing is left of it."""
        self.engine.kill()
        self._forget()

    def shut_down(self) -> None:
        """Power off in order (sync, reboot(2)); jobs are not asked. Raises DrillError."""
        self.channel.order(do="power-off")
        try:
            self.engine.wait(POWER_OFF_WITHIN)
        except subprocess.TimeoutExpired:
            raise DrillError(f"{self.name} did not power off{self._console()}") from None
        self._forget()

    def pause(self, clock: Clock = "goes on") -> None:
        """Stop everything in it. Its clock goes on, and jumps for whoever looks at it afterwards;
        or stands still, too, as with a virtual machine that is migrated. Raises DrillError.
        """
        if clock == "goes on":
            self.engine.pause()
        else:
            self.engine.freeze()

    def resume(self) -> None:
        """Let it go on."""
        self.engine.resume()

    def set_carrier(self, wire: Wire, *, on: bool) -> None:
        """Pull a cable out of its card, or put it back. Raises DrillError."""
        self.engine.set_carrier(wire, on=on)

    def _systemd_runs(self) -> bool:
        """Has it started what it should? Degraded: some unit of the host's failed in here."""
        said = self.run(["systemctl", "is-system-running"], timeout=BOOT_WITHIN, check=False)
        return said.stdout.strip() in ("running", "degraded")

    def _forget(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    def _console(self) -> str:
        lines = tail(self.engine.console).splitlines()
        # Not the stack of a panic, whose lines start with a space.
        said = "\n".join(line for line in lines if line[:1].strip())[-CONSOLE_SHOWN:]
        return f"; its console ends with:\n{said}" if said else ""


class GuestNamespace(Place):
    """A named network namespace inside a machine. It ends with the machine."""

    def __init__(self, name: str, machine: Machine) -> None:
        super().__init__(name, machine.folder)
        self._machine = machine

    def spawn(
        self, argv: Sequence[str], name: str, env: Mapping[str, str], out: Path, err: Path
    ) -> GuestJob:
        # Not `ip netns exec`, which mounts /sys anew for each command.
        inside = ["nsenter", f"--net=/run/netns/{self.name}", *argv]
        return self._machine.spawn(inside, name, env, out, err)

    def write(self, path: str | Path, text: str, mode: int = 0o644) -> None:
        self._machine.write(path, text, mode)

    def read(self, path: str | Path) -> str:
        return self._machine.read(path)

    def clock_offset(self) -> float:
        return self._machine.clock_offset()


def need_engine(name: EngineName) -> None:
    """Raises SystemLacks, NoRight unless there is that engine."""
    if name == "qemu":
        need_qemu()
    else:
        find_kernel()


def sysctl_path(name: str) -> str:
    """`net.ipv4.conf.eth0/100.rp_filter` as a path below /proc/sys, as sysctl(8) reads names."""
    return name.translate(str.maketrans("./", "/."))
