"""The shape of `director status --json` (docs/contract.md, section 4). Keys are only added."""

from typing import Literal

import msgspec


class Finding(msgspec.Struct, frozen=True, gc=False):
    """Something that is not well, and how to mend it."""

    severity: Literal["alarm", "warning", "notice"]
    object: str
    fault: str
    mend: str


class ConfigState(msgspec.Struct, frozen=True, gc=False):
    """Which file is in force."""

    hash: str
    loaded_at: str


class RouterState(msgspec.Struct, frozen=True, gc=False):
    """One virtual router on this node."""

    name: str
    vrid: int
    role: str
    priority: int
    since: str
    addresses: tuple[str, ...]
    peer: str = ""
    conflicts: int = 0
    late_adverts: int = 0


class WeightState(msgspec.Struct, frozen=True, gc=False):
    """The weight in the file, the one wanted now, the one in the kernel, and the rules that won."""

    configured: int
    wanted: int
    kernel: int | None
    because: tuple[str, ...]


class DestinationState(msgspec.Struct, frozen=True, gc=False):
    """A real server's place in a service."""

    real_server: str
    virtual: str
    address: str
    weight: WeightState
    health: str
    reason: str
    since: str
    operator: str
    active: int
    inactive: int
    outcomes: tuple[str, ...]


class QuorumState(msgspec.Struct, frozen=True, gc=False):
    """Real servers that are up, and how many the file asks for."""

    met: bool
    up: int
    need: int


class ServiceState(msgspec.Struct, frozen=True, gc=False):
    """One service of the file."""

    name: str
    virtual: tuple[str, ...]
    protocol: str
    scheduler: str
    forwarding: str
    quorum: QuorumState
    serving: Literal["real", "sorry", "panic", "none"]
    destinations: tuple[DestinationState, ...]


class SyncState(msgspec.Struct, frozen=True, gc=False):
    """Which of the kernel's two sync daemons run."""

    master: bool
    backup: bool


class RefusedState(msgspec.Struct, frozen=True, gc=False):
    """What the kernel refused the last time it was asked."""

    operation: str
    errno: str
    mend: str


class KernelState(msgspec.Struct, frozen=True, gc=False):
    """Virtual services that are not ours, refusals, and how many differences were repaired.

    `leaving` are those that no file names any more, while they drain. `repairs` counts by kind:
    `service lost`, `destination changed`, `sysctl changed`...
    """

    foreign: tuple[str, ...]
    refused: tuple[RefusedState, ...]
    repaired: int
    leaving: tuple[str, ...] = ()
    repairs: dict[str, int] = {}


class ProcessState(msgspec.Struct, frozen=True, gc=False):
    """A process of this director that is connected, and how late its timers were.

    The histogram counts since the process began: up to 1, 2, 5, 10, 20, 50, 100, 200, 500 ms, 1 s,
    and above.
    """

    name: str
    pid: int
    since: str
    lateness_ms: float
    lateness_histogram: tuple[int, ...] = ()


class ProgramState(msgspec.Struct, frozen=True, gc=False):
    """What the engine had director-exec run: how often, and how it ended the last time.

    `dropped` were never run, for too many waited.
    """

    name: str
    runs: int = 0
    failed: int = 0
    dropped: int = 0
    last: str = ""
    last_failed: bool = False
    at: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything about one director at one instant."""

    format: int = 1
    node: str
    at: str
    config: ConfigState
    well: bool
    findings: tuple[Finding, ...]
    virtual_routers: tuple[RouterState, ...]
    services: tuple[ServiceState, ...]
    sync: SyncState
    kernel: KernelState
    processes: tuple[ProcessState, ...]
    programs: tuple[ProgramState, ...] = ()
