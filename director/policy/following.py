# Services on all addresses of an interface, as they come and go (kube-proxy's NodePort).
#
# VIPs of that interface are not among what is followed: the file names them, and both directors
# have them in their tables all the time, whoever holds them now. Nor are addresses that mean
# nothing elsewhere: link-local ones need their interface said, which IPVS cannot.
"""Which virtual services an interface's addresses make."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import ip_address

import msgspec

from director.model.address import family_of
from director.model.pool import Service
from director.model.service import ServiceKey

Addresses = Mapping[str, Collection[str]]


def followed(service: Service, addresses: Addresses, taken: Collection[ServiceKey]) -> Service:
    """`service`, which the file made, with a virtual service for each address that is there now.

    `addresses` of each device. What is `taken` is another service's by the file's own word.
    """
    families = {family_of(address) for one in service.members for address in one.addresses}
    found = dict.fromkeys(service.virtuals)
    for follow in service.follows:
        for address in sorted(_lasting(addresses.get(follow.interface, ()))):
            key = ServiceKey(family_of(address), follow.protocol, address, follow.port)
            if key.family in families and key not in taken:
                found[key] = None
    return msgspec.structs.replace(service, virtuals=tuple(found))


def followed_all(
    services: Iterable[Service], addresses: Addresses, named: Iterable[ServiceKey]
) -> Iterator[Service]:
    """The same of several, the first one first; `named` is what the file itself names."""
    taken = set(named)
    for service in services:
        found = followed(service, addresses, taken)
        taken.update(found.virtuals)
        yield found


def _lasting(addresses: Iterable[str]) -> Iterable[str]:
    for address in addresses:
        there = ip_address(address)
        if not there.is_link_local and not there.is_loopback:
            yield address
