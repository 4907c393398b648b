"""Which probes a configuration needs, and which of them judge which destination."""

import hashlib

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
    probed = Endpoint(check.address or endpoint.address, check.port or endpoint.port)
    digest = hashlib.blake2b(msgspec.json.encode(check), digest_size=4).hexdigest()
    kind = check.__struct_config__.tag
    return Target(f"{kind}:{probed}:{digest}", probed, check)


class Probing(msgspec.Struct, frozen=True):
    """All targets by key, the target keys that judge each place, and who uses a target."""

    targets: dict[str, Target]
    judges: dict[Place, tuple[str, ...]]
    users: dict[str, frozenset[str]]


def probing_of(config: Config) -> Probing:
    """Destinations that need the same probe share one target."""
    targets: dict[str, Target] = {}
    judges: dict[Place, tuple[str, ...]] = {}
    users: dict[str, set[str]] = {}
    for service in config.services:
        for place, member in places_of(service):
            wanted = [target_of(check, place.endpoint) for check in member.checks]
            judges[place] = tuple(target.key for target in wanted)
            for target in wanted:
                targets[target.key] = target
                users.setdefault(target.key, set()).add(service.name)
    return Probing(targets, judges, {key: frozenset(names) for key, names in users.items()})


def reprobe(probing: Probing, before: Service, service: Service) -> None:
    """Change `probing` as a service changed its virtual services."""
    for key in {key for place, _ in places_of(before) for key in probing.judges.pop(place)}:
        users = probing.users[key] - {service.name}
        probing.users[key] = users
        if not users:
            del probing.users[key], probing.targets[key]
    for place, member in places_of(service):
        wanted = [target_of(check, place.endpoint) for check in member.checks]
        probing.judges[place] = tuple(target.key for target in wanted)
        for target in wanted:
            probing.targets[target.key] = target
            probing.users[target.key] = probing.users.get(target.key, frozenset()) | {service.name}
