"""Random IPVS tables that the kernel takes as they are."""

from hypothesis import strategies as st

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

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "mh", "dh", "sed", "nq", "fo", "ovf", "lblc")
FLAGS = {"sh": ("sh-port", "sh-fallback"), "mh": ("mh-port", "mh-fallback")}
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
    return ServiceKey(family, protocol, draw(addresses(family)), draw(PORTS))


@st.composite
def service_settings(draw: st.DrawFn, family: Family) -> ServiceSettings:
    scheduler = draw(st.sampled_from(SCHEDULERS))
    flags = draw(st.frozensets(st.sampled_from(FLAGS.get(scheduler, ("flag-1", "flag-3")))))
    prefix = st.integers(1, family.bits)
    persistence = st.builds(Persistence, st.integers(1, 100_000), prefix)
    return ServiceSettings(scheduler, flags, draw(st.none() | persistence), draw(st.booleans()))


@st.composite
def destinations(draw: st.DrawFn) -> Destination:
    forwarding = draw(st.sampled_from(Forwarding))
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
    endpoints = st.builds(Endpoint, addresses(key.family), PORTS)
    there = draw(st.dictionaries(endpoints, destinations(), max_size=4))
    return VirtualService(draw(service_settings(key.family)), there)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A few services with a few destinations each, of one family a service."""
    chosen = draw(st.lists(keys(), max_size=3, unique=True))
    return {key: draw(virtual_services(key)) for key in chosen}
