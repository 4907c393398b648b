# Facts that shape this (measured, Debian's user-mode-linux 6.1):
# - SIGKILL of the first process in its pid namespace takes all of UML's host processes along: that
#   is the power cut. PR_SET_PDEATHSIG and `unshare --kill-child` do the same when the run dies.
# - Pinned to one CPU a system call costs 13 µs instead of 55-70: the tree is pinned as a whole.
# - Console 0 must not be a descriptor that epoll cannot watch, or the output is lost: null.
# - What the guest writes on the shared folder is seen outside at once; the other way a file that
#   is *rewritten* may be read stale inside. New names are safe.
# - The kernel splits its command line at spaces, so no path on it may have one.
"""Test machines: User-Mode Linux kernels that run on the host's own file system.

    with run_folder() as folder, Machine(MachineSpec(name="lb1"), folder) as machine:
        machine.boot()                  # returns at once: boot several, then wait for each
        machine.wait()                  # about 2 s
        print(machine.run(["ip", "-br", "addr"]).stdout)
        job = machine.start(["director", "up"], name="director")
        machine.write("/etc/director/director.toml", text)
        machine.cut_power()             # then boot() and wait() once more: it returns

A machine sees the host's tree at the same paths (what it writes stays in its memory), and `folder`
read-write. `python -m director.drill.one -- CMD...` does the whole of it for one command.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from director.drill.channel import Channel
from director.drill.host import dying_with_us, tree
from director.drill.places import RUN_WITHIN, SEARCH_PATH, DrillError, Job, Place, tail
from director.errors import NoRight, SystemLacks

KERNELS = ("linux.uml", "linux")
MODULES = Path("/usr/lib/uml/modules")
GUEST = Path(__file__).with_name("guest.py")
ENVIRONMENT = {
    "PATH": SEARCH_PATH,
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
}
BOOT_WITHIN = 60.0
POWER_OFF_WITHIN = 15.0
CONSOLE_SHOWN = 1500


class Wire(msgspec.Struct, frozen=True):
    """One network card: the tap device outside, the name and MAC inside."""

    tap: str
    device: str
    mac: str


class MachineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine is, and stays over a power cut.

    `cpu` is the one that it is pinned to, `memory` is MiB, `enter` are the words that lead to the
    network namespace of its taps, `links` is what `ip -batch` does once it has booted, and
    `sysctls` (by dotted name) are written before that.
    """

    name: str
    cpu: int = 0
    memory: int = 512
    wires: tuple[Wire, ...] = ()
    enter: tuple[str, ...] = ("unshare", "--net")
    links: tuple[str, ...] = ("link set lo up",)
    sysctls: dict[str, str] = {}


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
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()

    def boot(self) -> None:
        """Start the kernel; returns at once. Raises SystemLacks, NoRight."""
        kernel, modules = find_kernel()
        assert not self.alive
        for path in (self.folder, Path(sys.executable), Path.cwd(), GUEST):
            if " " in str(path):
                raise SystemLacks(
                    "a test machine cannot be told of a path with a space",
                    mend="work in a folder without one",
                    key=str(path),
                )
        # A kernel whose power was cut left its socket and pid file there, and pid 1 always lives.
        shutil.rmtree(self.folder / f"{self.name}.uml", ignore_errors=True)
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours, self.folder, self.name, self._console)
        with theirs, (self.folder / f"{self.name}.console").open("wb") as console:
            self._process = subprocess.Popen(
                self._argv(kernel, modules, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it has booted and its links are up. Raises DrillError."""
        channel = self.channel
        channel.wait(lambda: bool(channel.ready), BOOT_WITHIN, "did not boot")
        self.set_sysctls(self.spec.sysctls)
        self.ip(self.spec.links)

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
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[int]:
        """The host's processes that this machine consists of; the first one is only its keeper."""
        return tree(self._process.pid) if self._process is not None and self.alive else []

    def cut_power(self) -> None:
        """SIGKILL: nothing inside can say good-bye. Returns once nothing is left of it."""
        if self._process is None:
            return
        # Not the keeper: it waits for the first process of the pid namespace, and that one ends
        # only when all others there have.
        kernels = self.processes()[1:2]
        for pid in kernels:
            os.kill(pid, signal.SIGKILL)
        if not kernels:  # not that far yet, or dead by itself
            self._process.kill()
        self._process.wait()
        self._forget()

    def shut_down(self) -> None:
        """Power off in order (sync, reboot(2)); jobs are not asked. Raises DrillError."""
        self.channel.order(do="power-off")
        assert self._process is not None
        try:
            self._process.wait(POWER_OFF_WITHIN)
        except subprocess.TimeoutExpired:
            raise DrillError(f"{self.name} did not power off{self._console()}") from None
        self._forget()

    def pause(self) -> None:
        """Stop its time by SIGSTOP.

        Not what it runs inside: those are traced, a stop of theirs is reported to the kernel as a
        fault of the program, and without the kernel they get no further than a system call.
        """
        for pid in self.processes()[1:]:
            if not _traced(pid):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on; its clock has gone on."""
        for pid in reversed(self.processes()[1:]):
            if not _traced(pid):
                os.kill(pid, signal.SIGCONT)

    def _forget(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._process = self._channel = None

    def _console(self) -> str:
        lines = tail(self.folder / f"{self.name}.console").splitlines()
        # Not the stack of a panic, whose lines start with a space.
        said = "\n".join(line for line in lines if line[:1].strip())[-CONSOLE_SHOWN:]
        return f"; its console ends with:\n{said}" if said else ""

    def _argv(self, kernel: str, modules: Path, line: int) -> list[str]:
        spec = self.spec
        vectors = [
            f"vec{number}:transport=tap,ifname={wire.tap},depth=256,mac={wire.mac}"
            for number, wire in enumerate(spec.wires)
        ]
        return [
            *(*dying_with_us(), *spec.enter),
            *("unshare", "--pid", "--fork", "--kill-child=KILL"),
            # The second one is process 1 there, so that UML is not: it ends a panic by a SIGABRT to
            # itself, again and again, and process 1 does not hear that.
            *("taskset", "--cpu-list", str(spec.cpu), "prlimit", "--core=0", "unshare", "--fork"),
            *(kernel, f"mem={spec.memory}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/"),
            *("ro", "con0=null,fd:1", "con=null", f"ssl0=fd:{line}", "ssl=null", "quiet"),
            *("loglevel=4", "noreboot", "panic=-1", "random.trust_cpu=on"),
            *(f"uml_dir={self.folder}/", f"umid={self.name}.uml", *vectors),
            *(f"init={sys.executable}", "--", "-I", "-S", str(GUEST)),
            *(self.name, str(self.folder), str(modules), str(Path.cwd())),
        ]


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


def find_kernel() -> tuple[str, Path]:
    """The UML kernel and the folder of its modules. Raises SystemLacks, NoRight."""
    if os.geteuid() != 0:
        raise NoRight("test machines need root (namespaces, tap devices)", mend="run it with sudo")
    kernel = next(filter(None, map(shutil.which, KERNELS)), None)
    folders = sorted(MODULES.iterdir()) if MODULES.is_dir() else []
    if kernel is None or not folders:
        raise SystemLacks(
            "no User-Mode Linux kernel to boot test machines with",
            mend="apt-get install user-mode-linux",
        )
    return kernel, folders[-1]


def sysctl_path(name: str) -> str:
    """`net.ipv4.conf.eth0/100.rp_filter` as a path below /proc/sys, as sysctl(8) reads names."""
    return name.translate(str.maketrans("./", "/."))


def _traced(pid: int) -> bool:
    try:
        return "\nTracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
