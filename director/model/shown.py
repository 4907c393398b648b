# One virtual service as `director show --json` has it, and as the engine sends it to commands.
#
# Rules of this room:
# 1. Nothing is lost: what `export` and `plan` need can be made of it again (policy/showing.py).
# 2. Keys are only added, as in model/state.py.
"""The shape of `director show --json`."""

from typing import Literal

import msgspec

from director.model.check import Health
from director.model.config import SyncSettings
from director.model.service import Persistence, Tunnel


class Stats(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Totals since the last zero, and the kernel's estimates per second."""

    connections: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    connections_s: int = 0
    packets_in_s: int = 0
    packets_out_s: int = 0
    bytes_in_s: int = 0
    bytes_out_s: int = 0


class ShownDestination(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A destination: what the kernel has, and what the engine knows of it.

    `real_server` is empty where the file names none. `wanted` is the weight that the engine wants;
    `operator` is `maintenance`, `drain`, or `weight` with `operator_weight` (`10`, `50%`).
    """

    address: str
    real_server: str = ""
    forwarding: str
    tunnel: Tunnel | None = None
    weight: int
    upper_threshold: int = 0
    lower_threshold: int = 0
    health: Health | None = None
    reason: str = ""
    wanted: int | None = None
    operator: Literal["none", "maintenance", "drain", "weight"] = "none"
    operator_weight: str = ""
    active: int = 0
    inactive: int = 0
    persistent: int = 0
    stats: Stats | None = None


class ShownService(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A virtual service. `name` is empty where the file has none (it is foreign, or not asked)."""

    name: str = ""
    virtual: str
    protocol: str
    family: str
    mark: int = 0
    scheduler: str
    flags: tuple[str, ...] = ()
    persistence: Persistence | None = None
    one_packet: bool = False
    stats: Stats | None = None
    destinations: tuple[ShownDestination, ...] = ()


class Heading(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What stands before the services. `source` is `engine`, or `kernel` where none runs.

    Timeouts in seconds: tcp, tcp_fin, udp. `sync` has the daemons that run, by role.
    `version` is that of IPVS, `table_size` the buckets of its connection table.
    """

    format: int = 1
    source: str
    node: str = ""
    at: str = ""
    timeouts: tuple[float, float, float] = (0.0, 0.0, 0.0)
    sync: dict[str, SyncSettings] = {}
    sysctls: dict[str, str] = {}
    version: str = ""
    table_size: int = 0
