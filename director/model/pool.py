"""What the file calls a service: virtual addresses, a pool of real servers, and its rules."""

from typing import Literal

import msgspec

from director.model.address import Endpoint, Family, Prefix
from director.model.check import Check
from director.model.match import Match
from director.model.service import Forwarding, Protocol, ServiceKey, ServiceSettings, Tunnel

Role = Literal["real", "backup", "sorry"]


class Member(msgspec.Struct, frozen=True, kw_only=True, gc=False):
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


class Follow(msgspec.Struct, frozen=True, gc=False):
    """A port of all addresses of a device (`interface`), as they come and go."""

    interface: str
    protocol: Protocol
    port: int


class Service(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One `[services.NAME]` of the file, with all defaults and inheritance resolved.

    `settings.persistence` has the IPv4 client network; `netmask6` is that of IPv6 clients.
    `on_fail` is `auto`, `quiesce` or `remove`. `cut_after`: seconds of failure after which a
    destination that was quiesced is removed, with its connections; None is never. `slow_start`:
    seconds until who came up has its whole weight. `panic_below`: with a smaller share of the real
    servers up, all serve. `matches` is what the director marks; a mark without one is
    for somebody else to set. `allow` are the networks whose clients may come, without overlaps;
    empty: all may. `masquerade` are those whose clients NAT real servers see as `masquerade_as` (at
    most one address of each family), else as the virtual address. `follows`: interfaces whose
    addresses are virtual services, too.
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
    matches: tuple[Match, ...] = ()
    follows: tuple[Follow, ...] = ()

    @property
    def protocol(self) -> Protocol | None:
        """Of all its packets; None where they may be of several, or somebody else marks them."""
        if not self.matches and len(self.virtuals) == 1 and not self.virtuals[0].mark:
            return self.virtuals[0].protocol  # most are like this
        if self.follows:
            return self.follows[0].protocol
        marked = {match.mark for match in self.matches}
        if any(key.mark and key.mark not in marked for key in self.virtuals):
            return None
        found = {match.protocol for match in self.matches}
        found |= {key.protocol for key in self.virtuals if not key.mark}
        return found.pop() if len(found) == 1 else None

    def spell(self, virtual: ServiceKey) -> str:
        """A virtual service as the file says it: a mark by what it is set on, where that is one."""
        marked = [match for match in self.matches if match.mark == virtual.mark]
        return str(marked[0]) if len(marked) == 1 else str(virtual)

    def port_of(self, virtual: ServiceKey) -> int:
        """The port of a virtual service; 0 where it has several, or every one."""
        if not virtual.mark or not self.matches:
            return virtual.port
        ports = {match.port for match in self.matches if match.mark == virtual.mark}
        return ports.pop() if len(ports) == 1 else 0

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


class Place(msgspec.Struct, frozen=True, order=True, gc=False):
    """A destination's place in the table: which virtual service, which endpoint."""

    service: ServiceKey
    endpoint: Endpoint
