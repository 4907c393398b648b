"""What the file calls a service: virtual addresses, a pool of real servers, and its rules."""

from typing import Literal

import msgspec

from director.model.address import Endpoint, Family, Prefix
from director.model.check import Check
from director.model.service import Forwarding, ServiceKey, ServiceSettings, Tunnel

Role = Literal["real", "backup", "sorry"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A real server in a service's pool.

    `addresses` holds one address, or one of each family. `port` is 0 where the port of the virtual
    service counts. `name` is what logs and commands say. `role`: `backup` serves while too few of
    the others are up, `sorry` while the quorum is lost.
    """

    name: str
    addresses: tuple[str, ...]
    port: int = 0
    weight: int = 100
    forwarding: Forwarding = Forwarding.DR
    tunnel: Tunnel | None = None
    upper_threshold: int = 0
    lower_threshold: int = 0
    checks: tuple[Check, ...] = ()
    role: Role = "real"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One `[services.NAME]` of the file, with all defaults and inheritance resolved.

    `settings.persistence` has the IPv4 client network; `netmask6` is that of IPv6 clients.
    `on_fail` is `auto`, `quiesce` or `remove`. `cut_after`: seconds of failure after which a
    destination that was quiesced is removed, with its connections; None is never. `slow_start`:
    seconds until who came up has its whole weight. `panic_below`: with a smaller share of the real
    servers up, all serve. `allow` are the networks whose clients may come, without overlaps; empty:
    all may. `masquerade` are those whose clients NAT real servers see as `masquerade_as` (at most
    one address of each family), else as the virtual address.
    """

    name: str
    virtuals: tuple[ServiceKey, ...]
    settings: ServiceSettings
    members: tuple[Member, ...]
    checks_need: str = "all"
    quorum: int = 1
    hysteresis: int = 0
    slow_start: float = 0.0
    sorry: Member | None = None
    panic_below: float | None = None
    drain: float = 300.0
    on_fail: str = "auto"
    cut_after: float | None = None
    netmask6: int = 128
    allow: tuple[Prefix, ...] = ()
    masquerade: tuple[Prefix, ...] = ()
    masquerade_as: tuple[str, ...] = ()

    @property
    def pool(self) -> tuple[Member, ...]:
        """All that may serve it: the real servers, then the sorry server."""
        return self.members if self.sorry is None else (*self.members, self.sorry)

    def settings_for(self, virtual: ServiceKey) -> ServiceSettings:
        """The settings of one virtual service: a client network fits its family."""
        kept = self.settings.persistence
        if kept is None or virtual.family is not Family.IPV6:
            return self.settings
        kept = msgspec.structs.replace(kept, prefix=self.netmask6)
        return msgspec.structs.replace(self.settings, persistence=kept)


class Place(msgspec.Struct, frozen=True, order=True):
    """A destination's place in the table: which virtual service, which endpoint."""

    service: ServiceKey
    endpoint: Endpoint
