"""policy/real_server: what a real server needs, and what is not prepared for it."""

import pytest

from director.errors import ConfigError
from director.model.address import Family, Prefix
from director.model.config import Config
from director.model.match import Match
from director.model.pool import Member, Service
from director.model.service import Forwarding, Protocol, ServiceKey, ServiceSettings, Tunnel
from director.model.vip import Router, Vip
from director.policy.real_server import Setup, setup_of

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
SIX = ServiceKey(Family.IPV6, address="2001:db8::10", port=80)
MARK = ServiceKey(Family.IPV4, mark=20)
ROUTER = Router(
    name="web",
    vrid=51,
    interface="eth0",
    source="192.0.2.2",
    priority=100,
    interval=1.0,
    vips=(
        Vip(Prefix("192.0.2.10", 32), "eth0"),
        Vip(Prefix("192.0.2.11", 32), "eth0"),
        Vip(Prefix("2001:db8::10", 128), "eth0"),
        Vip(Prefix("10.0.8.1", 24), "eth1", advertise=False),
    ),
)


def setup(
    *virtuals: ServiceKey,
    addresses: tuple[str, ...] = ("10.0.8.11",),
    forwarding: Forwarding = Forwarding.DR,
    tunnel: Tunnel | None = None,
) -> Setup:
    member = Member(name="web1", addresses=addresses, forwarding=forwarding, tunnel=tunnel)
    service = Service(name="web", virtuals=virtuals, settings=ServiceSettings(), members=(member,))
    config = Config(node="lb1", interfaces={}, services=(service,), routers=(ROUTER,))
    return setup_of(config, "web1")


def test_it_takes_the_vips_of_its_own_families() -> None:
    """One with an IPv4 address alone has no part in the IPv6 service."""
    assert setup(WEB, SIX).vips == ("192.0.2.10",)
    assert setup(WEB, SIX, addresses=("10.0.8.11", "2001:db8:8::11")).vips == (
        "192.0.2.10",
        "2001:db8::10",
    )


def test_with_a_mark_it_takes_every_vip_of_the_family() -> None:
    """Whoever marks chooses the address; the gateway of NAT real servers is none of them."""
    assert setup(MARK).vips == ("192.0.2.10", "192.0.2.11")


def test_with_a_mark_of_ours_it_takes_what_is_marked() -> None:
    """Each address of a match, and no other VIP."""
    assert matched("192.0.2.11", "192.0.2.13").vips == ("192.0.2.11", "192.0.2.12", "192.0.2.13")


def test_a_network_is_not_put_on_a_device() -> None:
    """It is refused with what does it."""
    with pytest.raises(ConfigError) as caught:
        matched("10.0.0.0", "10.0.255.255")

    assert "ip route add local" in caught.value.faults[0].mend


def matched(first: str, last: str) -> Setup:
    member = Member(name="web1", addresses=("10.0.8.11",), forwarding=Forwarding.DR)
    service = Service(
        name="web",
        virtuals=(MARK,),
        settings=ServiceSettings(),
        members=(member,),
        matches=(Match(first, last, Protocol.TCP, 80, 81, MARK.mark),),
    )
    config = Config(node="lb1", interfaces={}, services=(service,), routers=(ROUTER,))
    return setup_of(config, "web1")


OTHERS = {
    # (tunnel, virtual, real server, what is said of it)
    "gue": (
        Tunnel("gue", 6080),
        WEB,
        "10.0.8.11",
        "ip fou add port 6080 gue; ip link set tunl0 up",
    ),
    "gre": (Tunnel("gre"), WEB, "10.0.8.11", "ip link set gre0 up"),
    "IPv6": (Tunnel(), SIX, "2001:db8:8::11", "ip link set ip6tnl0 up"),
    "IPv6 in IPv4": (Tunnel(), SIX, "10.0.8.11", "ip link set sit0 up"),
    "IPv4 in IPv6": (Tunnel(), WEB, "2001:db8:8::11", "ip link set ip6tnl0 up"),
}


@pytest.mark.parametrize(("tunnel", "virtual", "address", "mend"), OTHERS.values(), ids=OTHERS)
def test_other_tunnels_are_told_how_to_be_made(
    tunnel: Tunnel, virtual: ServiceKey, address: str, mend: str
) -> None:
    """What is not prepared is not half prepared: it is refused, with the commands for it."""
    with pytest.raises(ConfigError) as caught:
        setup(virtual, addresses=(address,), forwarding=Forwarding.TUN, tunnel=tunnel)

    assert mend in caught.value.faults[0].mend


def test_ipip_over_ipv4_is_prepared() -> None:
    """With the tunnel's device and its filter."""
    there = setup(WEB, forwarding=Forwarding.TUN, tunnel=Tunnel())

    assert there.tunnel
    assert there.sysctls["net.ipv4.conf.tunl0.rp_filter"] == "0"
