# The run's own end of things: its folder, its signals, and network namespaces of the host's kernel.
#
# A namespace is held by a `cat` on a pipe of ours and has no name: nothing is left in /run/netns
# when the run dies. Every process gets PR_SET_PDEATHSIG besides.
"""The run's folder, processes of the host, and anonymous network namespaces."""

import contextlib
import fcntl
import os
import select
import shutil
import signal
import subprocess
import tempfile
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Self

from director.drill.places import RUN_WITHIN, SEARCH_PATH, DrillError, Job, Place
from director.errors import SystemLacks

# A socket's path has 108 bytes, and UML puts `NAME.uml/mconsole` below the run's folder, which has
# 9 bytes more than this.
BASE_MAX = 66
TOOLS = {
    "ip": "iproute2",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "nft": "nftables",
    "taskset": "util-linux",
    "prlimit": "util-linux",
    "sysctl": "procps",
}


@contextlib.contextmanager
def run_folder(base: Path | None = None) -> Iterator[Path]:
    """A private folder for one run, below `base` (.build/drill here); removed at the end.

    SIGTERM is turned into SystemExit meanwhile, so that whatever is open is cleaned up. Folders of
    runs that were killed go at the next start.
    """
    base = (base or Path(".build", "drill")).absolute()
    base.mkdir(parents=True, exist_ok=True)
    if len(str(base)) > BASE_MAX:
        raise SystemLacks(
            f"{base} is too long for the sockets that a test machine puts there",
            mend=f"give a folder for the runs whose path has at most {BASE_MAX} bytes",
        )
    folder, claim = _claimed_folder(base)
    with terminating():
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(claim)


def _claimed_folder(base: Path) -> tuple[Path, int]:
    """A new folder and the descriptor that claims it. Folders that nobody claims are removed.

    A claim is a lock on the folder itself: it ends with its owner, however that ends.
    """
    with _locked(base):  # else another's folder could be taken for a dead one before it is claimed
        for old in base.iterdir():
            if old.is_dir():
                with contextlib.suppress(BlockingIOError), _locked(old, fcntl.LOCK_NB):
                    shutil.rmtree(old, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix="", dir=base))
        claim = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(claim, fcntl.LOCK_EX)
    return folder, claim


@contextlib.contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """SIGTERM raises SystemExit with the status that a shell would show."""
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _frame: types.FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def need_tools(tools: Mapping[str, str] = TOOLS) -> None:
    """Raises SystemLacks when one of these (with its Debian package) is not installed."""
    for tool, package in tools.items():
        if shutil.which(tool, path=SEARCH_PATH) is None:
            raise SystemLacks(f"no {tool}", mend=f"apt-get install {package}")


def dying_with_us() -> tuple[str, ...]:
    """Words before a command that make it die with us (PR_SET_PDEATHSIG survives exec)."""
    return ("setpriv", "--pdeathsig", "KILL")


def tree(pid: int) -> list[int]:
    """A process and all below it, parents first."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in tree(int(child)))]


class HostJob(Job):
    """A process of the host. It ends with us, however we end."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        super().__init__(name, process.pid, log)
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def signal(self, number: int, *, group: bool = False) -> None:
        if self.poll() is None:
            (os.killpg if group else os.kill)(self.pid, number)

    def wait(self, timeout: float = RUN_WITHIN) -> int:
        if self.poll() is None:
            # Popen.wait(timeout) naps up to 50 ms; a pidfd is readable the moment it ends.
            descriptor = os.pidfd_open(self.pid)
            try:
                ended = select.select([descriptor], [], [], timeout)[0]
            finally:
                os.close(descriptor)
            if not ended:
                raise DrillError(f"{self.name} (pid {self.pid}) has not ended in {timeout:g} s")
        return self._process.wait()


class HostNamespace(Place):
    """A network namespace of the host's kernel. Leaving its `with` ends what runs there."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self._jobs: list[HostJob] = []
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._holder = subprocess.Popen(
            [*dying_with_us(), "unshare", "--net", "cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._await_answer(self._holder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await_answer(self, holder: subprocess.Popen[bytes]) -> None:
        """Once `cat` answers, the namespace is there."""
        assert holder.stdin is not None
        assert holder.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            holder.stdin.write(b"\n")
            holder.stdin.flush()
        if said := holder.stdout.readline().decode(errors="replace").strip():
            raise SystemLacks(
                f"no network namespace: {said}", mend="run it as root, with CAP_SYS_ADMIN"
            )

    def __exit__(self, *_: object) -> None:
        for job in self._jobs:
            job.signal(signal.SIGKILL, group=True)
            job.wait()
        if self._holder is not None:
            self._holder.kill()
            with self._holder:  # closes its pipes and waits
                self._holder = None

    @property
    def pid(self) -> int:
        """Of the process that holds it; `ip link set … netns PID` knows namespaces by it."""
        assert self._holder is not None
        return self._holder.pid

    @property
    def enter(self) -> tuple[str, ...]:
        """Words that lead a command into it."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net")

    def spawn(
        self, argv: Sequence[str], name: str, env: Mapping[str, str], out: Path, err: Path
    ) -> HostJob:
        with out.open("ab") as out_file, err.open("ab") as err_file:
            process = subprocess.Popen(
                [*dying_with_us(), *self.enter, *argv],
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                env=os.environ | {"PATH": SEARCH_PATH} | dict(env),
                start_new_session=True,
            )
        job = HostJob(name, process, out)
        self._jobs = [old for old in self._jobs if old.poll() is None] + [job]
        return job

    def write(self, path: str | Path, text: str, mode: int = 0o644) -> None:
        """Below the run's folder only: the file system is the host's own."""
        path = Path(path)
        if not path.is_relative_to(self.folder):
            raise DrillError(f"{self.name}: {path} is the host's", f"write below {self.folder}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def read(self, path: str | Path) -> str:
        return Path(path).read_text(errors="replace")

    def clock_offset(self) -> float:
        return 0.0
