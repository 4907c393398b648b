"""The whole configuration as one node sees it."""

import msgspec

from director.model.event import Hook, Mover
from director.model.pool import Service
from director.model.vip import Router


class SyncSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Both kernel sync daemons. `interface` is a device name; 0 leaves the kernel's default.

    `pulse`: keep their messages moving (policy/pulse.py).
    """

    interface: str
    id: int = 0
    port: int = 0
    ttl: int = 0
    maxlen: int = 0
    group: str = ""
    refresh: float = 10.0
    threshold: tuple[int, int] = (0, 0)
    pulse: bool = False


class KernelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the kernel is kept: seconds, and single sysctl values over the built-in profile.

    `drain` is for services that no file names any more.
    """

    foreign: str = "keep"
    keep_networks: tuple[str, ...] = ()
    drain: float = 300.0
    sysctls: str = "enforce"
    sysctl: dict[str, str] = {}
    timeouts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    resync: float = 2.0
    min_resync: float = 0.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The file, validated and resolved for one node.

    `runs` is `director`, or what else this node runs. `interfaces` maps a role to a device.
    `digest` identifies the text (both nodes share it). `cores` are this machine's.
    """

    node: str
    runs: str = "director"
    interfaces: dict[str, str]
    services: tuple[Service, ...] = ()
    routers: tuple[Router, ...] = ()
    sync: SyncSettings | None = None
    kernel: KernelSettings = KernelSettings()
    hooks: tuple[Hook, ...] = ()
    movers: tuple[Mover, ...] = ()
    digest: str = ""
    file: str = ""
    cores: int = 1
