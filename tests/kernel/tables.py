"""Random IPVS tables that the kernel takes as they are."""

from hypothesis import strategies as st
from msgspec import structs

from director.model.address import Endpoint, Family
from director.model.service import (
    Destination,
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Table,
    Tunnel,
    VirtualService,
)

SCHEDULERS = (
    *(
        "rr",
        "wrr",
        "lc",
        "wlc",
        "lblc",
        "lblcr",
        "sh",
        "mh",
        "dh",
        "sed",
        "nq",
        "fo",
        "ovf",
        "none",
    ),
)
FLAGS = {"sh": ("sh-port", "sh-fallback"), "mh": ("mh-port", "mh-fallback")}
ENGINES = ("", "sip")
PORTS = st.integers(1, 65535)
SMALL = st.integers(0, 65535)


def addresses(family: Family) -> st.SearchStrategy[str]:
    """Documentation addresses that no other test uses."""
    if family is Family.IPV4:
        return st.integers(1, 254).map("203.0.113.{}".format)
    return st.integers(1, 0xFFFF).map("2001:db8:113::{:x}".format)


@st.composite
def keys(draw: st.DrawFn) -> ServiceKey:
    family = draw(st.sampled_from(Family))
    if draw(st.booleans()):
        return ServiceKey(family, mark=draw(st.integers(1, 0xFFFFFFFF)))
    protocol = draw(st.sampled_from(Protocol))
    return ServiceKey(family, protocol, draw(addresses(family)), draw(st.just(0) | PORTS))


@st.composite
def service_settings(draw: st.DrawFn, family: Family) -> ServiceSettings:
    scheduler = draw(st.sampled_from(SCHEDULERS))
    flags = draw(st.frozensets(st.sampled_from(FLAGS.get(scheduler, ("flag-1", "flag-3")))))
    prefix = st.integers(1, family.bits)
    engines = st.sampled_from(ENGINES)
    persistence = st.builds(Persistence, st.integers(1, 100_000), prefix, engines)
    return ServiceSettings(scheduler, flags, draw(st.none() | persistence), draw(st.booleans()))


@st.composite
def destinations(draw: st.DrawFn, *, mixed: bool = False) -> Destination:
    """One of the family of its service, or of the other one: by a tunnel alone."""
    forwarding = Forwarding.TUN if mixed else draw(st.sampled_from(Forwarding))
    kinds = st.builds(Tunnel, st.sampled_from(("gue", "gre", "ipip")), PORTS, st.booleans())
    tunnel = draw(kinds) if forwarding is Forwarding.TUN else None
    lower, upper = sorted((draw(SMALL), draw(SMALL)))
    return Destination(
        weight=draw(SMALL),
        forwarding=forwarding,
        tunnel=tunnel,
        upper_threshold=upper,
        lower_threshold=lower,
    )


@st.composite
def virtual_services(draw: st.DrawFn, key: ServiceKey) -> VirtualService:
    there: dict[Endpoint, Destination] = {}
    for family in draw(st.lists(st.sampled_from(Family), max_size=4)):
        endpoint = Endpoint(draw(addresses(family)), draw(st.just(0) | PORTS))
        there[endpoint] = draw(destinations(mixed=family is not key.family))
    return VirtualService(draw(service_settings(key.family)), there)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A few services with a few destinations each: all that the kernel takes."""
    chosen = draw(st.lists(keys(), max_size=3, unique=True))
    return {key: draw(virtual_services(key)) for key in chosen}


@st.composite
def sensible_services(draw: st.DrawFn, key: ServiceKey) -> VirtualService:
    """What a file can say, and ipvsadm as well: a port of its own is NAT's, a tunnel's GUE's."""
    settings = draw(service_settings(key.family))
    udp = key.protocol is Protocol.UDP
    kept = settings.persistence
    if not kept and not key.mark and not key.port:
        kept = Persistence(60, key.family.bits)
    settings = structs.replace(settings, persistence=kept, one_packet=settings.one_packet and udp)
    service = draw(virtual_services(key))
    there: dict[Endpoint, Destination] = {}
    for endpoint, one in service.destinations.items():
        port = endpoint.port if one.forwarding is Forwarding.NAT and key.port else key.port
        if (tunnel := one.tunnel) and tunnel.type != "gue":
            tunnel = Tunnel(tunnel.type, 0, tunnel.checksum and tunnel.type == "gre")
        there[Endpoint(endpoint.address, port)] = structs.replace(one, tunnel=tunnel)
    return VirtualService(settings, there)


@st.composite
def sensible_tables(draw: st.DrawFn) -> Table:
    """As `tables`, without what makes no sense; ipvsadm says marks from 2**31 on as negative."""
    low = keys().filter(lambda key: key.mark < 1 << 31)
    chosen = draw(st.lists(low, max_size=3, unique=True))
    return {key: draw(sensible_services(key)) for key in chosen}
