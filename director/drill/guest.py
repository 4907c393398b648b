# PID 1 of a test machine. Runs inside the User-Mode Linux kernel with `python -I -S`, so it knows the
# standard library alone and nothing of this project.
#
# It makes the host's own file system (hostfs, read-only) writable through an overlay in memory, so
# that a test may write /etc or /var without touching the host; mounts the shared folder read-write;
# loads modules; and then does what the host says over a serial line, one JSON object a line.
#
#   host: {"id": 1, "do": "spawn", "argv": [...], "env": {...}, "out": PATH, "err": PATH}
#   us:   {"id": 1, "pid": 77}            and later {"exit": 77, "status": 0}
#   host: {"id": 2, "do": "signal", "pid": 77, "signal": 15}     us: {"id": 2}
#   host: {"id": 3, "do": "power-off"}
"""PID 1 inside a test machine."""

import ctypes
import json
import os
import select
import signal
import socket
import sys
import termios
import tty
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
MS_RDONLY, MS_BIND, MS_REC, MS_SHARED = 1, 4096, 16384, 1 << 20
SYS_FINIT_MODULE = 313  # x86_64
POWER_OFF = 0x4321FEDC  # reboot(2): `reboot -f -p` loops under UML
SERIAL = "/dev/ttyS0"

# The rest loads on demand through the kernel's own modprobe.
MODULES = ["overlay", "ipv6", "af_packet", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh", "nf_conntrack", "dummy", "veth", "bridge", "macvlan", "ipip", "tun"]


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError."""
    result = LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode())
    if result:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {source} at {target}: {os.strerror(code)}")


def load_modules(folder: Path) -> None:
    """Load MODULES with what they need, in order, by finit_module(2): a fork each is slow here."""
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[Path(path).stem.replace("-", "_")] = (path, rest.split())
    for name in MODULES:
        path, required = needs.get(name, ("", []))
        for one in [*reversed(required), path]:
            if one:
                _load(folder / one)


def _load(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    LIBC.syscall(SYS_FINIT_MODULE, descriptor, b"", 0)  # EEXIST: it is there already
    os.close(descriptor)


def build_root(shared: str, modules: Path) -> None:
    """An overlay in memory over the host's tree, with its own /run, /dev and module folder."""
    mount("tmpfs", "/mnt", "tmpfs")
    for name in ("upper", "work", "root"):
        Path("/mnt", name).mkdir()
    mount("overlay", "/mnt/root", "overlay", 0, "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work")
    root = "/mnt/root"
    mount("proc", f"{root}/proc", "proc")
    mount("sysfs", f"{root}/sys", "sysfs")
    mount("devtmpfs", f"{root}/dev", "devtmpfs")
    mount("tmpfs", f"{root}/run", "tmpfs")
    for name in ("pts", "shm"):
        Path(f"{root}/dev/{name}").mkdir(exist_ok=True)
    mount("devpts", f"{root}/dev/pts", "devpts", 0, "mode=620,ptmxmode=666")
    mount("tmpfs", f"{root}/dev/shm", "tmpfs")
    # The same path inside and outside, so that a file name means one thing.
    mount("none", f"{root}{shared}", "hostfs", 0, shared)
    Path(f"{root}/lib/modules/{os.uname().release}").mkdir(parents=True, exist_ok=True)
    mount(str(modules), f"{root}/lib/modules/{os.uname().release}", "none", MS_BIND)
    os.chroot(root)
    os.chdir("/")
    mount("none", "/", "none", MS_REC | MS_SHARED)  # `ip netns` wants it


class Serial:
    """The line to the host: JSON objects, one a line."""

    def __init__(self) -> None:
        self.descriptor = os.open(SERIAL, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        tty.setraw(self.descriptor, termios.TCSANOW)
        self._pending = b""

    def say(self, **words: object) -> None:
        """Send one object."""
        data = json.dumps(words).encode() + b"\n"
        while data:
            data = data[os.write(self.descriptor, data) :]

    def hear(self) -> list[dict[str, object]]:
        """The objects that have arrived whole."""
        self._pending += os.read(self.descriptor, 65536)
        *lines, self._pending = self._pending.split(b"\n")
        return [json.loads(line) for line in lines if line.strip()]


def spawn(order: dict[str, object]) -> int:
    """Start a process in a session of its own; posix_spawn, since a fork copies page tables slowly."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    argv, env = order["argv"], order["env"]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, order["out"], flags, 0o644),
        (os.POSIX_SPAWN_OPEN, 2, order["err"], flags, 0o644),
    ]
    return os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsid=True)  # type: ignore[index,arg-type,call-overload]


def obey(serial: Serial, order: dict[str, object]) -> None:
    """Do one order and answer it."""
    number = order["id"]
    try:
        if order["do"] == "spawn":
            serial.say(id=number, pid=spawn(order))
        elif order["do"] == "signal":
            os.kill(int(str(order["pid"])), int(str(order["signal"])))
            serial.say(id=number)
        elif order["do"] == "power-off":
            serial.say(id=number)
            os.sync()
            LIBC.reboot(POWER_OFF)
        else:
            serial.say(id=number, error=f"unknown order {order['do']!r}")
    except OSError as error:
        serial.say(id=number, error=str(error))


def bury(serial: Serial) -> None:
    """Tell the host which processes ended; orphans end here, too."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        serial.say(exit=pid, status=os.waitstatus_to_exitcode(status))


def serve(serial: Serial) -> None:
    """Until power-off."""
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    serial.say(ready=os.uname().release)
    while True:
        readable, _, _ = select.select([serial.descriptor, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            bury(serial)
        if serial.descriptor in readable:
            for order in serial.hear():
                obey(serial, order)


def main() -> None:
    """Arguments: host name, shared folder, module folder, working directory."""
    name, shared, modules, work = sys.argv[1:5]
    mount("proc", "/proc", "proc")
    load_modules(Path(modules))
    build_root(shared, Path(modules))
    socket.sethostname(name)
    os.chdir(work)
    serve(Serial())


if __name__ == "__main__":
    main()
