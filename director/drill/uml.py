# Facts that shape this (measured, Debian's user-mode-linux 6.1):
# - SIGKILL of the first process in its pid namespace takes all of UML's host processes along: that
#   is the power cut. PR_SET_PDEATHSIG and `unshare --kill-child` do the same when the run dies.
# - Pinned to one CPU a system call costs 13 µs instead of 55-70: the tree is pinned as a whole.
# - Console 0 must not be a descriptor that epoll cannot watch, or the output is lost: null.
# - What the guest writes on the shared folder is seen outside at once; the other way a file that
#   is *rewritten* may be read stale inside. New names are safe.
# - It never sees the carrier of a card go, and its clock goes on while it is stopped.
# - Its nf_tables knows neither the ip nor the inet family.
"""User-Mode Linux as a test machine's hardware."""

import os
import shutil
import signal
import socket
import sys
from pathlib import Path

from director.drill.engines import Engine, forget_folder, need_root
from director.errors import SystemLacks

KERNELS = ("linux.uml", "linux")
MODULES = Path("/usr/lib/uml/modules")


class Uml(Engine):
    """A UML kernel on the host's own tree (hostfs)."""

    def start(self, line: socket.socket) -> None:
        kernel, modules = find_kernel()
        # A kernel whose power was cut left its socket and pid file there, and pid 1 always lives.
        forget_folder(self.folder / f"{self.spec.name}.uml")
        self._spawn(self._argv(kernel, modules, line.fileno()), [line.fileno()])

    def cards(self) -> tuple[str, ...]:
        return tuple(f"vec{number}" for number in range(len(self.spec.wires)))

    def pause(self) -> None:
        # Not what it runs inside: those are traced, a stop of theirs is reported to the kernel as a
        # fault of the program, and without the kernel they get no further than a system call.
        for pid in self.processes()[1:]:
            if not _traced(pid):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in reversed(self.processes()[1:]):
            if not _traced(pid):
                os.kill(pid, signal.SIGCONT)

    def _argv(self, kernel: str, modules: Path, line: int) -> list[str]:
        spec = self.spec
        vectors = [
            f"vec{number}:transport=tap,ifname={wire.tap},depth=256,mac={wire.mac}"
            for number, wire in enumerate(spec.wires)
        ]
        return [
            *("taskset", "--cpu-list", str(spec.cpu)),
            *(kernel, f"mem={spec.memory}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/"),
            *("ro", "con0=null,fd:1", "con=null", f"ssl0=fd:{line}", "ssl=null", "quiet"),
            *("loglevel=4", "noreboot", "panic=-1", "random.trust_cpu=on"),
            *(f"uml_dir={self.folder}/", f"umid={spec.name}.uml", *vectors),
            *(f"init={sys.executable}", "--", *self._guest(modules)),
        ]


def find_kernel() -> tuple[str, Path]:
    """The UML kernel and the folder of its modules. Raises SystemLacks, NoRight."""
    need_root()
    kernel = next(filter(None, map(shutil.which, KERNELS)), None)
    folders = sorted(MODULES.iterdir()) if MODULES.is_dir() else []
    if kernel is None or not folders:
        raise SystemLacks(
            "no User-Mode Linux kernel to boot test machines with",
            mend="apt-get install user-mode-linux",
        )
    return kernel, folders[-1]


def _traced(pid: int) -> bool:
    try:
        return "\nTracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
