"""VIPs and virtual routers as the file describes them."""

import msgspec

from director.model.address import Family, Prefix


class Vip(msgspec.Struct, frozen=True):
    """An address that moves with its virtual router, and the interface (device) that holds it."""

    prefix: Prefix
    interface: str
    advertise: bool = True


class Failback(msgspec.Struct, frozen=True):
    """When a stronger node takes back: `now`, `never`, or `after` seconds of listening."""

    when: str = "after"
    after: float = 60.0


class Auth(msgspec.Struct, frozen=True):
    """How version 2 proves who sends: `pass` or `ah`, and the file that holds the secret."""

    method: str
    secret_file: str


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual router as this node plays it.

    `interface` is a device name, `source` this node's fixed address there ("": the link-local
    address that the interface has when the router starts, for IPv6), `peers` the others' when
    adverts go unicast (empty: multicast). `interval` in seconds. `lease` is the kernel
    lifetime of the VIPs in seconds; 0 keeps them for ever. `checksum` is `pseudo` or `plain`.
    `version` is 2 or 3; `auth` is for version 2. Routers with one `group` move together; "" is
    none. `accept`: VIPs take packets for themselves (RFC 9568 Accept_Mode), which IPVS needs.
    """

    name: str
    vrid: int
    interface: str
    source: str
    priority: int
    interval: float
    vips: tuple[Vip, ...]
    peers: tuple[str, ...] = ()
    checksum: str = "pseudo"
    lease: float = 2.0
    failback: Failback = Failback()
    version: int = 3
    auth: Auth | None = None
    group: str = ""
    accept: bool = True

    @property
    def sealed(self) -> bool:
        """Do its adverts bear an authentication header?"""
        return self.auth is not None and self.auth.method == "ah"

    @property
    def family(self) -> Family:
        """The family that adverts are sent in: that of the first VIP."""
        return self.vips[0].prefix.family

    @property
    def advertised(self) -> tuple[str, ...]:
        """The addresses that adverts name: the advertised VIPs of the router's family."""
        return tuple(
            vip.prefix.address
            for vip in self.vips
            if vip.advertise and vip.prefix.family is self.family
        )
