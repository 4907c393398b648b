"""VIPs and virtual routers as the file describes them."""

from zlib import crc32

import msgspec

from director.model.address import Family, Prefix

NAME_MAX = 15  # include/uapi/linux/if.h, IFNAMSIZ
DUMMY = "director-dummy"  # holds the VIPs of routers that announce nothing


class Vip(msgspec.Struct, frozen=True):
    """An address that moves with its virtual router, and the interface (device) that holds it.

    `label` is what old tools call it ("" is the device's name), `scope` how far it is valid (a
    number of rtnetlink: 0 everywhere, 253 on the link, 254 on the host); IPv4 alone has them.
    """

    prefix: Prefix
    interface: str
    advertise: bool = True
    label: str = ""
    scope: int = 0


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A route that is there while the router is active.

    `interface` is a device ("": the kernel finds it by `via`); `via` is empty for what is on the
    link. `source` is the preferred one, a VIP, and ends the route with the VIP.
    """

    to: Prefix
    via: str = ""
    interface: str = ""
    source: str = ""
    table: int = 254
    metric: int = 0

    def __str__(self) -> str:
        via = f" via {self.via}" if self.via else ""
        return f"route {self.to}{via} table {self.table}"


class RouteRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is there while the router is active: packets from `source`, to `to`, or both."""

    source: Prefix | None = None
    to: Prefix | None = None
    table: int
    priority: int

    @property
    def family(self) -> Family:
        named = self.source or self.to
        assert named is not None
        return named.family

    def __str__(self) -> str:
        ends = [f"{word} {one}" for word, one in (("from", self.source), ("to", self.to)) if one]
        return f"rule {self.priority} {' '.join(ends)} table {self.table}"


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
    none. `routes` and `rules` move along. In `mode` "dummy" and "hook" the VIPs are on a dummy
    device, and announced to nobody. `mac` is `interface` or `virtual`: then the VIPs of `interface`
    are on the `device` that has the virtual MAC, and adverts leave from there. `accept`: VIPs take
    packets for themselves (RFC 9568 Accept_Mode), which IPVS needs.
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
    routes: tuple[Route, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    mode: str = "addresses"
    mac: str = "interface"

    @property
    def sealed(self) -> bool:
        """Do its adverts bear an authentication header?"""
        return self.auth is not None and self.auth.method == "ah"

    @property
    def announced(self) -> bool:
        """Do we tell the world where its VIPs are? Else routing does, or a command."""
        return self.mode == "addresses"

    @property
    def device(self) -> str:
        """Where the VIPs of its interface are: the interface, or the device of its virtual MAC."""
        return self.interface if self.mac == "interface" else self.veil

    @property
    def veil(self) -> str:
        """The name of the device that has, or would have, the virtual MAC."""
        front = f"vr{4 if self.family is Family.IPV4 else 6}-{self.vrid}-"
        if len(front) + len(self.interface) <= NAME_MAX:
            return front + self.interface
        return f"{front}{crc32(self.interface.encode()):08x}"[:NAME_MAX]

    @property
    def virtual_mac(self) -> bytes:
        """The MAC of this virtual router, the same on every node (RFC 9568 section 7.3)."""
        return bytes([0, 0, 0x5E, 0, 1 if self.family is Family.IPV4 else 2, self.vrid])

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


def goes_on(before: Router, now: Router) -> bool:
    """Is it the same virtual router to the others, under other terms, with a VIP in common?"""
    same = all(
        getattr(before, field) == getattr(now, field)
        for field in ("name", "vrid", "interface", "version", "group", "mode", "mac")
    )
    return same and not set(before.vips).isdisjoint(now.vips)
