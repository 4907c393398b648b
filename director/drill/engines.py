# What a test machine needs of that which plays its hardware. User-Mode Linux (uml.py) boots in two
# seconds and is for every day; QEMU (qemu.py) runs the kernel that people run, shows carrier loss,
# and can stop a guest's clock along with the guest.
"""What a test machine is, and the interface to what it is made with."""

import os
import shutil
import signal
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from director.drill.host import dying_with_us, tree
from director.drill.places import DrillError
from director.errors import NoRight

EngineName = Literal["uml", "qemu"]
InitName = Literal["drill", "systemd"]
GUEST = Path(__file__).with_name("guest.py")


class Wire(msgspec.Struct, frozen=True):
    """One network card: the tap device outside, the name and MAC inside."""

    tap: str
    device: str
    mac: str


class MachineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine is, and stays over a power cut.

    `cpu` is the one that it is pinned to (User-Mode Linux alone), `memory` is MiB, `enter` are the
    words that lead to the network namespace of its taps, `links` is what `ip -batch` does once it
    has booted, and `sysctls` (by dotted name) are written before that. `init` is process 1: by
    itself or beside a systemd, which has then started nothing but its basic.target.
    """

    name: str
    engine: EngineName = "uml"
    init: InitName = "drill"
    cpu: int = 0
    memory: int = 512
    wires: tuple[Wire, ...] = ()
    enter: tuple[str, ...] = ("unshare", "--net")
    links: tuple[str, ...] = ("link set lo up",)
    sysctls: dict[str, str] = {}


class Engine(ABC):
    """One machine's hardware. Everything that it starts dies with us."""

    def __init__(self, spec: MachineSpec, folder: Path) -> None:
        self.spec = spec
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self, line: socket.socket) -> None:
        """Boot with this as the line to PID 1; returns at once. Raises SystemLacks, NoRight."""

    @abstractmethod
    def cards(self) -> tuple[str, ...]:
        """How the kernel names the spec's wires by itself."""

    @abstractmethod
    def pause(self) -> None:
        """Stop everything by SIGSTOP: the guest's clock goes on and is seen to have jumped."""

    @abstractmethod
    def resume(self) -> None:
        """Undo `pause` or `freeze`."""

    def freeze(self) -> None:
        """Stop the guest and its clock. Raises DrillError where that cannot be."""
        raise self._cannot("stop the clock of a machine")

    def set_carrier(self, wire: Wire, *, on: bool) -> None:
        """Pull a cable out of a card or put it back. Raises DrillError where that cannot be."""
        del wire, on
        raise self._cannot("take a card's carrier away")

    @property
    def alive(self) -> bool:
        """Has it power?"""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[int]:
        """The host's processes that it consists of; the first one is only their keeper."""
        return tree(self._process.pid) if self._process is not None and self.alive else []

    def kill(self) -> None:
        """SIGKILL to all of it. Returns once nothing is left."""
        if self._process is None:
            return
        # Not the keeper: it waits for the first process of the pid namespace, and that one ends
        # only when all others there have.
        first = self.processes()[1:2]
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        if not first:  # not that far yet, or dead by itself
            self._process.kill()
        self.wait(None)

    def wait(self, timeout: float | None) -> None:
        """Until it has ended. Raises subprocess.TimeoutExpired."""
        assert self._process is not None
        self._process.wait(timeout)
        self._process = None

    @property
    def console(self) -> Path:
        """What the kernel said."""
        return self.folder / f"{self.spec.name}.console"

    def _spawn(self, argv: Sequence[str], descriptors: Sequence[int]) -> None:
        """The power cord: SIGKILL to the pid namespace's first process takes all others along."""
        words = [*dying_with_us(), *self.spec.enter]
        words += ["unshare", "--pid", "--fork", "--kill-child=KILL"]
        # argv is the second process there: the first does not hear its own SIGABRT, by which a UML
        # kernel ends a panic, again and again.
        words += ["prlimit", "--core=0", "unshare", "--fork", *argv]
        with self.console.open("wb") as console:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                pass_fds=descriptors,
                start_new_session=True,
            )

    def _guest(self, modules: Path) -> list[str]:
        """The words for guest.py."""
        spec = self.spec
        words = [spec.engine, spec.init, spec.name, str(self.folder), str(modules), str(Path.cwd())]
        return ["-I", "-S", str(GUEST), *words]

    def _cannot(self, what: str) -> DrillError:
        return DrillError(
            f"{self.spec.name}: {self.spec.engine} cannot {what}", 'use one with engine "qemu"'
        )


def need_root() -> None:
    """Raises NoRight unless we are root."""
    if os.geteuid() != 0:
        raise NoRight("test machines need root (namespaces, tap devices)", mend="run it with sudo")


def forget_folder(path: Path) -> None:
    """Remove what a machine whose power was cut left there."""
    shutil.rmtree(path, ignore_errors=True)
