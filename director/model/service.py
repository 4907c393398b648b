# What the kernel's IPVS table holds, as values.
#
# Rules of this room:
# 1. Identity, settings and measurements are three things. A key finds an object; its settings
#    compare with `!=`; counters live elsewhere, so two equal destinations compare equal.
# 2. These are the kernel's nouns. What the file calls a service may become several of them
#    (one for each virtual address): that noun is model/pool.Service.
"""Virtual services and destinations as the kernel knows them."""

from enum import Enum, IntEnum

import msgspec

from director.model.address import Endpoint, Family

WEIGHT_MAX = 65535


class Protocol(IntEnum):
    """Transport protocols that IPVS balances, with their IP protocol numbers."""

    TCP = 6
    UDP = 17
    SCTP = 132


class Forwarding(Enum):
    """How a packet is handed to a real server (ipvsadm -g, -i, -m)."""

    DR = "dr"
    TUN = "tun"
    NAT = "nat"


class Tunnel(msgspec.Struct, frozen=True, gc=False):
    """How a `tun` destination is encapsulated. `port` and `checksum` are GUE's (and GRE's)."""

    type: str = "ipip"
    port: int = 0
    checksum: bool = False


class Persistence(msgspec.Struct, frozen=True, gc=False):
    """Same client, same destination, for `timeout` seconds.

    `prefix` is the length of the client network that counts as one client.
    """

    timeout: int
    prefix: int
    engine: str = ""


class ServiceKey(msgspec.Struct, frozen=True, order=True, gc=False):
    """How the kernel finds a virtual service: by mark, else by protocol, address and port.

    Port 0 is every port that no other virtual service of the address has. One with a mark has
    none of the three: its protocol stays at the default and means nothing.
    """

    family: Family
    protocol: Protocol = Protocol.TCP
    address: str = ""
    port: int = 0
    mark: int = 0

    def __str__(self) -> str:
        if self.mark:
            return f"fwmark/{self.mark}{'' if self.family is Family.IPV4 else ' ipv6'}"
        return f"{self.protocol.name.lower()}/{Endpoint(self.address, self.port)}"


class ServiceSettings(msgspec.Struct, frozen=True, gc=False):
    """What can be changed in place on a virtual service."""

    scheduler: str = "wlc"
    flags: frozenset[str] = frozenset()
    persistence: Persistence | None = None
    one_packet: bool = False


class Destination(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One real server's place in one virtual service: settings, without its endpoint."""

    weight: int = 1
    forwarding: Forwarding = Forwarding.DR
    tunnel: Tunnel | None = None
    upper_threshold: int = 0
    lower_threshold: int = 0

    @property
    def quiesced(self) -> bool:
        """Serves the connections it has and takes no new ones."""
        return self.weight == 0


class VirtualService(msgspec.Struct, frozen=True, gc=False):
    """A virtual service with its destinations, as one value."""

    settings: ServiceSettings
    destinations: dict[Endpoint, Destination]


Table = dict[ServiceKey, VirtualService]


class Counters(msgspec.Struct, frozen=True, gc=False):
    """Open connections of a destination, as the kernel counts them."""

    active: int = 0
    inactive: int = 0
    persistent: int = 0
