"""Which probes a configuration needs, and which of them judge which destination."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from director.model.address import Endpoint, family_of
from director.model.check import Check, Target
from director.model.config import Config
from director.model.pool import Member, Place, Service
from director.model.service import Forwarding, ServiceKey


def endpoint_of(service: Service, member: Member, virtual: ServiceKey) -> Endpoint | None:
    """Where `member` serves `virtual`; None when it has no address that can.

    A tunnel may carry the other family, and does where that is the whole service: in one of both
    families a real server with one address serves that family alone.
    """
    port = member.port or virtual.port or service.port_of(virtual)
    for address in member.addresses:
        if family_of(address) is virtual.family:
            return Endpoint(address, port)
    alone = all(other.family is virtual.family for other in service.virtuals)
    if alone and member.forwarding is Forwarding.TUN:
        return Endpoint(member.addresses[0], port)
    return None


def places_of(service: Service) -> list[tuple[Place, Member]]:
    """Every destination that the file names for a service."""
    return [
        (Place(virtual, endpoint), member)
        for virtual in service.virtuals
        for member in service.pool
        if (endpoint := endpoint_of(service, member, virtual)) is not None
    ]


def target_of(check: Check, endpoint: Endpoint) -> Target:
    """The probe that judges `endpoint`. Equal probes have equal keys, whoever wants them."""
    probed = endpoint
    if check.address or check.port:
        probed = Endpoint(check.address or endpoint.address, check.port or endpoint.port)
    kind, digest = _mark_of(check)
    return Target(f"{kind}:{probed}:{digest}", probed, check)


@lru_cache(maxsize=4096)  # of a large file most destinations have the same check
def _mark_of(check: Check) -> tuple[str, str]:
    """Its kind, and a digest of all that it says."""
    digest = hashlib.blake2b(msgspec.json.encode(check), digest_size=4).hexdigest()
    return str(check.__struct_config__.tag), digest


class Probing(msgspec.Struct, frozen=True):
    """All targets by key, the target keys that judge each place, and who uses a target.

    `places` has the destinations of each service, so that nobody has to make them anew.
    """

    targets: dict[str, Target]
    judges: dict[Place, tuple[str, ...]]
    users: dict[str, frozenset[str]]
    places: dict[str, list[tuple[Place, Member]]]


def probing_of(config: Config) -> Probing:
    """Destinations that need the same probe share one target."""
    probing = Probing({}, {}, {}, {})
    for service in config.services:
        probe(probing, service)
    return probing


def reprobe(probing: Probing, before: Service, service: Service) -> None:
    """Change `probing` as a service changed its virtual services."""
    unprobe(probing, before)
    probe(probing, service)


def unprobe(probing: Probing, service: Service) -> set[str]:
    """Take a service out; the keys of the targets that nobody uses any more."""
    gone = set()
    places = probing.places.pop(service.name)
    for key in {key for place, _ in places for key in probing.judges.pop(place)}:
        users = probing.users[key] - {service.name}
        probing.users[key] = users
        if not users:
            del probing.users[key], probing.targets[key]
            gone.add(key)
    return gone


def probe(probing: Probing, service: Service) -> set[str]:
    """Put a service in; the keys of the targets that nobody used before."""
    alone = frozenset((service.name,))  # one for all: 160,000 sets are 35 MB
    fresh = set()
    places = probing.places[service.name] = places_of(service)
    for place, member in places:
        keys = probing.judges[place] = tuple(_aim(probing, place, member.checks))
        for key in keys:
            if key not in probing.users:
                fresh.add(key)
            users = probing.users.get(key, alone)
            probing.users[key] = users if service.name in users else users | alone
    return fresh


def _aim(probing: Probing, place: Place, checks: Iterable[Check]) -> Iterable[str]:
    """The key of each check's target, the very string that finds it."""
    for check in checks:
        target = target_of(check, place.endpoint)
        yield probing.targets.setdefault(target.key, target).key
