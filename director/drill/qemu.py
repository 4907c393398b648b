# Facts that shape this (measured, QEMU 7.2 and Debian's kernel 6.1, no KVM):
# - Emulated, a machine needs 10 to 15 times the CPU work: whoever waits scales by SLOWER.
# - SIGSTOP leaves the guest's clock running: it jumps. The monitor's `stop` stops the clock, too,
#   and nothing inside can tell that time has passed but by what it hears from outside.
# - KVM may be there and yet not boot a kernel (a virtual machine's own): tried once, remembered.
# - 9p: the host's tree is cached in the guest without end ("loose") for it is read-only there; the
#   shared folder is not cached at all, so that both sides see what the other wrote.
"""QEMU as a test machine's hardware: a distribution's kernel, emulated where KVM does not work."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from director.drill import debian
from director.drill.engines import Engine, Wire, need_root
from director.drill.places import DrillError
from director.errors import SystemLacks

QEMU = "qemu-system-x86_64"
SLOWER = 4.0  # what takes a second in User-Mode Linux may take so many here
MEMORY = 1024  # MiB at least
ANSWER_WITHIN = 10.0
PROBE_WITHIN = 8.0
CONSOLE = (
    "console=ttyS0",
    "panic=-1",
    "quiet",
    "loglevel=4",
    "printk.time=0",
    "random.trust_cpu=on",
)
NINE_P = "security_model=passthrough,multidevs=remap"
HARDWARE = ("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-cpu", "max")


class Qemu(Engine):
    """A kernel of a distribution on the host's own tree (9p)."""

    _monitor: "Monitor | None" = None

    def start(self, line: socket.socket) -> None:
        need_qemu()
        kernel = debian.find_kernel()
        first = debian.initramfs(kernel, self.folder)
        ours, theirs = socket.socketpair()
        self._monitor = Monitor(ours, self.spec.name)
        with theirs:
            argv = self._argv(kernel, first, line.fileno(), theirs.fileno())
            self._spawn(argv, [line.fileno(), theirs.fileno()])

    def cards(self) -> tuple[str, ...]:
        # In the order of their slots.
        return tuple(f"eth{number}" for number in range(len(self.spec.wires)))

    def pause(self) -> None:
        for pid in self.processes()[1:]:
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in reversed(self.processes()[1:]):
            os.kill(pid, signal.SIGCONT)
        self._do("cont")

    def freeze(self) -> None:
        self._do("stop")

    def set_carrier(self, wire: Wire, *, on: bool) -> None:
        self._do("set_link", name=f"net{self.spec.wires.index(wire)}", up=on)

    def wait(self, timeout: float | None) -> None:
        super().wait(timeout)
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def _do(self, command: str, **arguments: object) -> None:
        if self._monitor is None or not self.alive:
            raise DrillError(f"{self.spec.name} has no power", "boot it")
        self._monitor.do(command, **arguments)

    def _argv(self, kernel: debian.Kernel, first: Path, line: int, monitor: int) -> list[str]:
        spec = self.spec
        # Two slots are the line's and the trees'; each may be told by its number.
        cards = [
            word
            for number, wire in enumerate(spec.wires)
            for word in (
                *("-netdev", f"tap,id=tap{number},ifname={wire.tap},script=no,downscript=no"),
                "-device",
                f"virtio-net-pci,netdev=tap{number},id=net{number},mac={wire.mac},romfile=",
            )
        ]
        trees = [
            word
            for tag, path, rights in (("host", "/", ",readonly=on"), ("shared", self.folder, ""))
            for word in (*("-virtfs", f"local,path={path},mount_tag={tag},{NINE_P}{rights}"),)
        ]
        words = [f"rdinit={debian.interpreter()}", "--", *self._guest(kernel.modules)]
        return [
            *(QEMU, *HARDWARE, "-accel", accelerator(kernel), "-m", f"{max(spec.memory, MEMORY)}"),
            *("-kernel", str(kernel.image), "-initrd", str(first), "-append"),
            " ".join([*CONSOLE, *words]),
            *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
            *("-chardev", f"socket,id=line,fd={line}", "-device", "virtio-serial-pci"),
            *("-device", "virtserialport,chardev=line,name=line"),
            *("-chardev", f"socket,id=monitor,fd={monitor}"),
            *("-mon", "chardev=monitor,mode=control", "-device", "virtio-rng-pci"),
            *trees,
            *cards,
        ]


class Monitor:
    """QEMU's own line (QMP: docs/interop/qmp-spec in QEMU's source): one JSON object a line."""

    def __init__(self, line: socket.socket, name: str) -> None:
        self._line = line
        self._name = name
        self._pending = b""
        self._greeted = False

    def do(self, command: str, **arguments: object) -> None:
        """Give one command and wait for its answer. Raises DrillError."""
        if not self._greeted:
            # The greeting came when it started, and is passed over by the answer that is awaited.
            self._ask("qmp_capabilities", {})
            self._greeted = True
        self._ask(command, arguments)

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _ask(self, command: str, arguments: dict[str, object]) -> None:
        self._line.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        give_up_at = time.monotonic() + ANSWER_WITHIN
        while True:
            for answer in self._hear(give_up_at - time.monotonic(), command):
                if "error" in answer:
                    raise DrillError(f"{self._name}: QEMU refused {command}: {answer['error']}")
                if "return" in answer:
                    return

    def _hear(self, within: float, command: str) -> list[dict[str, object]]:
        """Answers, and news that nobody asked for."""
        if not select.select([self._line], [], [], max(0.0, within))[0]:
            raise DrillError(f"{self._name}: QEMU did not answer to {command}")
        try:
            data = self._line.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise DrillError(f"{self._name} has lost power")
        *lines, self._pending = (self._pending + data).split(b"\n")
        return [json.loads(one) for one in lines if one.strip()]


def need_qemu() -> None:
    """Raises SystemLacks, NoRight."""
    need_root()
    if shutil.which(QEMU) is None:
        raise SystemLacks(
            "no QEMU to boot test machines with", mend="apt-get install qemu-system-x86"
        )


def accelerator(kernel: debian.Kernel) -> str:
    """ "kvm" where it boots this kernel, else "tcg". Tried once for each boot of the host."""
    host = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = kernel.image.parent / f"accelerator-{host}"
    if not known.exists():
        known.write_text("kvm" if _kvm_boots(kernel) else "tcg")
    return known.read_text()


def _kvm_boots(kernel: debian.Kernel) -> bool:
    """Without a root file system a kernel ends by a panic, which `-no-reboot` makes an exit."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    argv = [QEMU, *HARDWARE, "-accel", "kvm", "-m", "256", "-kernel", str(kernel.image)]
    argv += ["-append", " ".join(CONSOLE), "-serial", "stdio"]
    try:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PROBE_WITHIN,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and b"Kernel panic" in done.stdout
