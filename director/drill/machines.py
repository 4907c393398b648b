# A test machine: a User-Mode Linux kernel that runs on the host's own file system.
#
# Facts that shape this (measured, Debian's user-mode-linux 6.1):
# - SIGKILL of the first process in its pid namespace takes all of UML's host processes along: that
#   is the power cut. `unshare --kill-child` and PR_SET_PDEATHSIG make it happen too when the run dies.
# - Pinned to one CPU a system call costs 13 µs instead of 55-70: the tree is pinned as a whole.
# - Console 0 must not be a descriptor that epoll cannot watch, or the output is lost: null.
# - What the guest writes on the shared folder is seen outside at once; the other way may be stale.
"""Boot, command, pause, and cut the power of test machines."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from director.drill.places import DrillError, Place
from director.errors import NoRight, SystemLacks

KERNEL = "linux.uml"
MODULES = Path("/usr/lib/uml/modules")
GUEST = Path(__file__).with_name("guest.py")
BOOT_WITHIN = 60.0
ANSWER_WITHIN = 20.0


class Wire(msgspec.Struct, frozen=True):
    """One network card: the tap device outside, the name and MAC inside."""

    tap: str
    device: str
    mac: str


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine is. `cpu` pins it; `enter` are the words that lead to its tap devices."""

    name: str
    cpu: int = 0
    memory: int = 512
    wires: tuple[Wire, ...] = ()
    enter: tuple[str, ...] = ("unshare", "--net")


class GuestJob:
    """A process inside a machine."""

    def __init__(self, machine: "Machine", pid: int, log: Path) -> None:
        self._machine = machine
        self.pid = pid
        self.log = log

    def poll(self) -> int | None:
        """Its exit status, or None while it runs. A power cut counts as SIGKILL."""
        return self._machine.status_of(self.pid)

    def signal(self, number: int) -> None:
        """Send it a signal; no fault when it has ended."""
        if self.poll() is None:
            self._machine.order(do="signal", pid=self.pid, signal=number)


class Machine:
    """One test machine. `boot` starts it, `wait` returns once it takes orders."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        self.spec = spec
        self.name = spec.name
        self.folder = folder
        self.place = Place(self, spec.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._pending = b""
        self._orders = 0
        self._answers: dict[int, dict[str, object]] = {}
        self._ended: dict[int, int] = {}
        self._ready = ""

    def boot(self) -> None:
        """Start the kernel; returns at once. Raises SystemLacks, NoRight."""
        kernel, modules = find_kernel()
        ours, theirs = socket.socketpair()
        console = (self.folder / f"{self.name}.console").open("ab")
        with theirs, console:
            self._process = subprocess.Popen(
                self._argv(kernel, modules, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        ours.setblocking(False)
        self._line = ours
        self._pending, self._ready = b"", ""
        self._answers, self._ended = {}, {}

    def wait(self) -> None:
        """Until it has booted."""
        give_up_at = time.monotonic() + BOOT_WITHIN
        while not self._ready:
            self._listen(give_up_at, "did not boot")

    def start(
        self, argv: Sequence[str], *, name: str, env: Mapping[str, str] | None = None
    ) -> GuestJob:
        """Start a process inside."""
        log = self.folder / f"{name}.log"
        log.unlink(missing_ok=True)
        words = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        answer = self.order(
            do="spawn",
            argv=list(argv),
            env=words | dict(env or {}),
            out=str(log),
            err=str(log.with_suffix(".err")),
        )
        return GuestJob(self, int(str(answer["pid"])), log)

    def order(self, **words: object) -> dict[str, object]:
        """Give one order and wait for its answer. Raises DrillError."""
        assert self._line is not None
        self._orders += 1
        number = self._orders
        self._line.setblocking(True)
        try:
            self._line.sendall(json.dumps({"id": number, **words}).encode() + b"\n")
        except OSError as error:
            raise DrillError(f"{self.name} has no power") from error
        finally:
            self._line.setblocking(False)
        give_up_at = time.monotonic() + ANSWER_WITHIN
        while number not in self._answers:
            self._listen(give_up_at, f"no answer to {words['do']}")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise DrillError(f"{self.name}: {answer['error']}")
        return answer

    def status_of(self, pid: int) -> int | None:
        """The exit status of a process inside, None while it runs."""
        while self.alive and self._readable(0.0):
            self._hear()
        if pid in self._ended:
            return self._ended[pid]
        return None if self.alive else -signal.SIGKILL

    @property
    def alive(self) -> bool:
        """Has it power?"""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[int]:
        """The host's processes that this machine consists of."""
        return _tree(self._process.pid) if self._process is not None and self.alive else []

    def cut_power(self) -> None:
        """SIGKILL: nothing inside can say good-bye."""
        if self._process is None:
            return
        # The child first: it is the first process of its pid namespace and takes all others along.
        for pid in self.processes()[1:2]:
            os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        if self._line is not None:
            self._line.close()
            self._line = None

    def pause(self) -> None:
        """Stop its time: SIGSTOP to every process it consists of."""
        for pid in self.processes()[1:]:
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        for pid in reversed(self.processes()[1:]):
            os.kill(pid, signal.SIGCONT)

    def _argv(self, kernel: str, modules: Path, line: int) -> list[str]:
        spec = self.spec
        vectors = [
            f"vec{number}:transport=tap,ifname={wire.tap},depth=256,mac={wire.mac}"
            for number, wire in enumerate(spec.wires)
        ]
        return [
            *("setpriv", "--pdeathsig", "KILL", *spec.enter),
            *("unshare", "--pid", "--fork", "--kill-child=KILL"),
            *("taskset", "--cpu-list", str(spec.cpu)),
            *(kernel, f"mem={spec.memory}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/"),
            *("ro", "con0=null,fd:1", "con=null", f"ssl0=fd:{line}", "ssl=null", "quiet"),
            *("loglevel=4", "noreboot", "panic=-1", "random.trust_cpu=on"),
            *(f"uml_dir={self.folder}/", f"umid={self.name}", *vectors),
            *(f"init={sys.executable}", "--", "-I", "-S", str(GUEST)),
            *(self.name, str(self.folder), str(modules), str(Path.cwd())),
        ]

    def _readable(self, within: float) -> bool:
        return self._line is not None and bool(select.select([self._line], [], [], within)[0])

    def _listen(self, give_up_at: float, complaint: str) -> None:
        if not self._readable(min(0.5, max(0.0, give_up_at - time.monotonic()))):
            if not self.alive or time.monotonic() > give_up_at:
                raise DrillError(
                    f"{self.name}: {complaint}", f"see {self.folder / self.name}.console"
                )
            return
        self._hear()

    def _hear(self) -> None:
        assert self._line is not None
        data = self._line.recv(65536)
        if not data:
            raise DrillError(
                f"{self.name} has lost power", f"see {self.folder / self.name}.console"
            )
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._note(json.loads(line))

    def _note(self, words: dict[str, object]) -> None:
        if "ready" in words:
            self._ready = str(words["ready"])
        elif "exit" in words:
            self._ended[int(str(words["exit"]))] = int(str(words["status"]))
        else:
            self._answers[int(str(words["id"]))] = words


def find_kernel() -> tuple[str, Path]:
    """The UML kernel and the folder of its modules. Raises SystemLacks, NoRight."""
    if os.geteuid() != 0:
        raise NoRight("test machines need root (namespaces, tap devices)", mend="run it with sudo")
    kernel = shutil.which(KERNEL)
    folders = sorted(MODULES.iterdir()) if MODULES.is_dir() else []
    if kernel is None or not folders:
        raise SystemLacks(
            "no User-Mode Linux kernel to boot test machines with",
            mend="apt-get install user-mode-linux",
        )
    return kernel, folders[-1]


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in _tree(int(child)))]
