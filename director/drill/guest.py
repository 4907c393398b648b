# PID 1 of a test machine. Runs inside its kernel with `python -I -S`, so it knows the standard
# library alone and nothing of this project.
#
# It makes the host's own file system (read-only: UML's hostfs is its root, QEMU's 9p is mounted)
# writable through an overlay in memory, so that a test may write /etc or /var without touching the
# host; mounts the shared folder read-write; loads modules; and then does what the host says over a
# serial line, one JSON object a line. An
# order has an `id` and what to `do`; the answer has that `id`, and an `error` when it failed. The
# news that a process ended (`exit`) bears the id of the order that started it.
"""PID 1 inside a test machine."""

import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
MS_BIND, MS_REC, MS_SHARED = 1 << 12, 1 << 14, 1 << 20
SYS_FINIT_MODULE = 313  # x86_64, the only one that UML is packaged for
MS_RDONLY = 1
POWER_OFF = 0x4321FEDC  # reboot(2): `reboot -f -p` loops under UML
ROOT = "/mnt/root"
UPPER = "upperdir=/mnt/upper,workdir=/mnt/work"
HOST = "/host"
# The host's tree is read-only, so what was read of it once need not be asked for again.
NINE_P = "trans=virtio,version=9p2000.L,msize=262144"

# Nothing of what the host has enabled is started.
SYSTEMD = (
    *("/lib/systemd/systemd", "--unit=basic.target", "--show-status=no"),
    *("--log-target=console", "--log-level=warning"),
)

# Beside every IPVS scheduler. The rest loads on demand through the kernel's own modprobe.
MODULES = (
    "crc32c_generic",
    "virtio_net",
    "overlay",
    "ipv6",
    "af_packet",
    "ip_vs",
    "nf_conntrack",
    "dummy",
    "veth",
    "bridge",
    "macvlan",
    "ipip",
    "tun",
)

Order = dict[str, object]


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError."""
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()):
        code = ctypes.get_errno()
        raise OSError(code, f"mount {source} at {target}: {os.strerror(code)}")


def load_modules(folder: Path) -> None:
    """Load MODULES and what they need by finit_module(2): a fork for each is slow here."""
    needs: dict[str, list[str]] = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        # modules.dep names the innermost need last.
        needs[Path(path).name.partition(".")[0].replace("-", "_")] = [*rest.split()[::-1], path]
    schedulers = [name for name in needs if name.startswith("ip_vs_")]
    done: set[str] = set()
    for name in (*MODULES, *schedulers):
        for path in needs.get(name, ()):  # what is not there is built in
            if path not in done:
                load_module(folder / path)
                done.add(path)


def load_module(path: Path) -> None:
    """One module; a refusal goes to the console and whoever needs the module will miss it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    refused = LIBC.syscall(SYS_FINIT_MODULE, descriptor, b"", 0)
    if refused and ctypes.get_errno() != errno.EEXIST:  # the initramfs has loaded some
        print(f"{path.name}: {os.strerror(ctypes.get_errno())}", flush=True)
    os.close(descriptor)


class Hardware:
    """How User-Mode Linux leads to the host: its root is the host's tree."""

    serial = "/dev/ttyS0"
    lower = "/"

    def find_host(self) -> None:
        """Make `lower` the host's tree."""

    def mount_shared(self, shared: str) -> None:
        """At the same path as outside, so that a file name means one thing."""
        mount("none", f"{ROOT}{shared}", "hostfs", 0, shared)


class Emulated(Hardware):
    """How QEMU does: we are in an initramfs, which has the modules that lead there."""

    serial = "/dev/vport0p1"
    lower = HOST

    def find_host(self) -> None:
        for path in sorted(Path("/modules").iterdir()):
            load_module(path)
        mount("host", HOST, "9p", MS_RDONLY, f"{NINE_P},cache=loose")

    def mount_shared(self, shared: str) -> None:
        mount("shared", f"{ROOT}{shared}", "9p", 0, f"{NINE_P},cache=none")


def build_root(hardware: Hardware, shared: str, modules: Path) -> None:
    """An overlay in memory over the host's tree, with its own /run, /dev and module folder."""
    mount("tmpfs", "/mnt", "tmpfs")
    for name in ("upper", "work", "root"):
        Path("/mnt", name).mkdir()
    mount("overlay", ROOT, "overlay", 0, f"lowerdir={hardware.lower},{UPPER}")
    mount("proc", f"{ROOT}/proc", "proc")
    mount("sysfs", f"{ROOT}/sys", "sysfs")
    mount("devtmpfs", f"{ROOT}/dev", "devtmpfs")
    mount("tmpfs", f"{ROOT}/run", "tmpfs")
    for name, kind, data in (("pts", "devpts", "mode=620,ptmxmode=666"), ("shm", "tmpfs", "")):
        Path(f"{ROOT}/dev", name).mkdir(exist_ok=True)
        mount(kind, f"{ROOT}/dev/{name}", kind, 0, data)
    hardware.mount_shared(shared)
    Path(f"{ROOT}/lib/modules/{os.uname().release}").mkdir(parents=True, exist_ok=True)
    mount(str(modules), f"{ROOT}/lib/modules/{os.uname().release}", "none", MS_BIND)
    os.chroot(ROOT)
    os.chdir("/")
    mount("none", "/", "none", MS_REC | MS_SHARED)  # `ip netns` wants it


class Serial:
    """The line to the host: JSON objects, one a line."""

    def __init__(self, device: str) -> None:
        self.descriptor = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        if os.isatty(self.descriptor):
            tty.setraw(self.descriptor, termios.TCSANOW)
        self._pending = b""

    def say(self, **words: object) -> None:
        """Send one object."""
        data = json.dumps(words).encode() + b"\n"
        while data:
            data = data[os.write(self.descriptor, data) :]

    def hear(self) -> list[Order]:
        """The orders that have arrived whole."""
        self._pending += os.read(self.descriptor, 65536)
        *lines, self._pending = self._pending.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


class Init:
    """Does the orders, and buries the dead."""

    def __init__(self, serial: Serial) -> None:
        self._serial = serial
        # Orders whose process runs, by pid. Orphans end here, too, and are no news.
        self._started: dict[int, object] = {}
        self._verbs: dict[str, Callable[[Order], dict[str, object]]] = {
            "spawn": self._spawn,
            "signal": self._signal,
            "write": self._write,
            "copy": self._copy,
            "clock": lambda _: {"now": time.monotonic()},
            "power-off": self._power_off,
        }

    def obey(self, order: Order) -> None:
        """Do one order and answer it."""
        try:
            if order["do"] == "file":
                order = json.loads(Path(str(order["path"])).read_bytes())
            self._serial.say(id=order["id"], **self._verbs[str(order["do"])](order))
        except OSError as error:
            self._serial.say(id=order["id"], error=str(error))

    def bury(self) -> None:
        """Tell the host which of its processes ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._started:
                number = self._started.pop(pid)
                self._serial.say(exit=number, status=os.waitstatus_to_exitcode(status))

    def _spawn(self, order: Order) -> dict[str, object]:
        """In a session of its own; posix_spawn, since a fork copies page tables slowly here."""
        argv, env = list_of(order["argv"]), dict(order["env"])  # type: ignore[call-overload]
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(order["out"]), flags, 0o644),
            (os.POSIX_SPAWN_OPEN, 2, str(order["err"]), flags, 0o644),
        ]
        os.environ["PATH"] = str(env["PATH"])  # posix_spawnp(3) looks in the caller's
        pid = os.posix_spawnp(
            argv[0],
            argv,
            env,
            file_actions=actions,
            setsid=True,
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # CPython ignores them, a child must not
        )
        self._started[pid] = order["id"]
        return {"pid": pid}

    def _signal(self, order: Order) -> dict[str, object]:
        pid, number = int(str(order["pid"])), int(str(order["signal"]))
        if pid in self._started:  # else the pid may be someone else's by now
            (os.killpg if order["group"] else os.kill)(pid, number)
        return {}

    def _write(self, order: Order) -> dict[str, object]:
        """Files by path; also /proc/sys, hence no temporary file and no rename."""
        files: dict[str, str] = order["files"]  # type: ignore[assignment]
        for name, text in files.items():
            path = Path(name)
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True)
            path.write_text(text)
            if order["mode"]:
                path.chmod(int(str(order["mode"])))
        return {}

    def _copy(self, order: Order) -> dict[str, object]:
        Path(str(order["to"])).write_bytes(Path(str(order["path"])).read_bytes())
        return {}

    def _power_off(self, order: Order) -> dict[str, object]:
        self._serial.say(id=order["id"])
        os.sync()
        LIBC.reboot(POWER_OFF)
        raise AssertionError("reboot(2) came back")


def list_of(words: object) -> list[str]:
    """The strings of an order's list."""
    assert isinstance(words, list)
    return [str(word) for word in words]


def serve(serial: Serial) -> None:
    """Until power-off."""
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    init = Init(serial)
    serial.say(ready=os.uname().release)
    while True:
        readable, _, _ = select.select([serial.descriptor, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            init.bury()
        if serial.descriptor in readable:
            for order in serial.hear():
                init.obey(order)


def become_systemd() -> None:
    """Go on as a child of what process 1 becomes. It kills nobody that was there before it."""
    Path("/etc/fstab").write_text("")  # not the host's
    Path("/etc/hostname").write_text(socket.gethostname())
    if os.fork():
        os.execv(SYSTEMD[0], SYSTEMD)  # noqa: S606
    os.setsid()


def main() -> None:
    """Arguments: engine, init, host name, shared folder, module folder, working directory."""
    engine, init, name, shared, modules, work = sys.argv[1:7]
    mount("proc", "/proc", "proc")
    hardware = Emulated() if engine == "qemu" else Hardware()
    hardware.find_host()
    folder = Path(f"{hardware.lower}{modules}")
    load_modules(folder)
    build_root(hardware, shared, folder)
    socket.sethostname(name)
    os.chdir(work)
    if init == "systemd":
        become_systemd()
    serve(Serial(hardware.serial))


if __name__ == "__main__":
    main()
