# Which clients a service means, by their networks.
"""Client networks of a service: who may come."""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import element, listed, read_prefix
from director.config.schema import ServiceTable
from director.model.address import Family, Prefix, parse_prefix
from director.model.service import ServiceKey

ANYBODY = {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}


def read_allow(
    table: ServiceTable, virtuals: Collection[ServiceKey], key: Key, found: Findings
) -> tuple[Prefix, ...]:
    """Who may come to a service; empty where that is everybody."""
    written, where = table.allow, (*key, "allow")
    if isinstance(written, UnsetType):
        return ()
    if not listed(written) and not found.within(*where):
        mend = "write the clients' networks, or leave allow out: all may come then"
        found.add(where, "nobody would be allowed", mend)
    networks = read_networks(written, where, virtuals, found)
    told = {network.family for network in networks}
    for virtual in virtuals:
        if told and virtual.family not in told and not found.within(*where):
            fault = f"no client of {virtual} would be allowed: the list names none of its family"
            mend = f'add their networks; "{ANYBODY[virtual.family]}" is everybody'
            found.add(where, fault, mend)
    return networks


def read_networks(
    written: str | list[str], key: Key, virtuals: Collection[ServiceKey], found: Findings
) -> tuple[Prefix, ...]:
    """Networks as the kernel's sets take them: sorted, and none within another."""
    families = {virtual.family for virtual in virtuals}
    read: list[Prefix] = []
    for index, text in enumerate(listed(written)):
        where = element(key, written, index)
        network = read_network(text, where, found)
        if network is None:
            continue
        if families and network.family not in families:
            fault = f"{text} is of a family that no virtual address here has"
            found.warn(where, fault, "leave it out, or add a virtual address of that family")
        read.append(network)
    return collapsed(read)


def read_network(text: str, key: Key, found: Findings) -> Prefix | None:
    """One network, or one address."""
    prefix = read_prefix(text, key, found)
    if prefix is None:
        return None
    network = ip_network(str(prefix), strict=False)
    if str(network) != str(prefix):
        mend = f'write "{network}", or "{prefix.address}" for that one address'
        found.add(key, f"{text} has bits behind its length", mend)
        return None
    return prefix


def collapsed(networks: Collection[Prefix]) -> tuple[Prefix, ...]:
    """The same addresses, with no network within another or beside its other half.

    nftables refuses intervals that overlap.
    """
    v4 = [IPv4Network(str(one)) for one in networks if one.family is Family.IPV4]
    v6 = [IPv6Network(str(one)) for one in networks if one.family is Family.IPV6]
    texts = [*map(str, collapse_addresses(v4)), *map(str, collapse_addresses(v6))]
    return tuple(parse_prefix(text) for text in texts)
