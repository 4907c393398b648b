# What a drill's network is, as values.
#
# Addresses: 192.0.2.0/24 is TEST-NET-1 (RFC 5737); the 10.0.0.0/8 ones never leave the run.
"""The plan of a drill's network, and that of the standard pair."""

import msgspec

# A node can speak from its IPv6 addresses at once.
MEMBER_SYSCTLS = {
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
}
# Otherwise the client drops the answers of DR real servers: they come in on another interface than
# the one that leads to the VIP. Some hosts hand rp_filter on to their namespaces.
FIELD_SYSCTLS = {
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
}
IFNAMSIZ_MAX = 15


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the network.

    `addresses` (with their prefix length) by network: the first network is eth0, and so on.
    `routes` are as `ip route add` takes them; `sysctls` go by dotted name.
    """

    name: str
    addresses: dict[str, tuple[str, ...]]
    routes: tuple[str, ...] = ()
    sysctls: dict[str, str] = {}
    memory: int = 512


class LabSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A whole network. Directors are machines; the field is the client and the real servers."""

    networks: tuple[str, ...]
    directors: tuple[Member, ...] = ()
    field: tuple[Member, ...] = ()
    needs_tunnel: bool = False

    def __post_init__(self) -> None:
        names = [member.name for member in self.members]
        assert len(set(names)) == len(names)
        for member in self.members:
            for network in member.addresses:
                assert network in self.networks
                assert len(f"{member.name}-{network}") <= IFNAMSIZ_MAX

    @property
    def members(self) -> tuple[Member, ...]:
        """All of them; the place in this order makes their MAC addresses."""
        return (*self.directors, *self.field)


def pair_spec(*, needs_tunnel: bool = False) -> LabSpec:
    """Two directors, a client, three real servers for DR and one for NAT.

    The client is the real servers' way back, too: what a DR server answers reaches it over
    `servers` and not through a director. `app1` goes by 10.0.8.1, which the directors shall hold.
    `needs_tunnel` adds `far1`, for TUN.
    """
    far = [_server("far1", "10.0.8.41", "10.0.8.254")] if needs_tunnel else []
    client = Member(
        name="client",
        addresses={"front": ("192.0.2.100/24",), "servers": ("10.0.8.254/24",)},
        sysctls={"net.ipv4.ip_forward": "1"},
    )
    webs = [_server(f"web{number}", f"10.0.8.{10 + number}", "10.0.8.254") for number in (1, 2, 3)]
    return LabSpec(
        networks=("front", "servers", "ha"),
        directors=(_director("lb1", 2), _director("lb2", 3)),
        field=(client, *webs, _server("app1", "10.0.8.21", "10.0.8.1"), *far),
        needs_tunnel=needs_tunnel,
    )


def _director(name: str, host: int) -> Member:
    addresses: dict[str, tuple[str, ...]] = {
        "front": (f"192.0.2.{host}/24",),
        "servers": (f"10.0.8.{host}/24",),
        "ha": (f"10.0.9.{host}/24",),
    }
    return Member(name=name, addresses=addresses)


def _server(name: str, address: str, gateway: str) -> Member:
    return Member(
        name=name,
        addresses={"servers": (f"{address}/24",)},
        routes=(f"default via {gateway}",),
    )
