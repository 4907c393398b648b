"""`masquerade`: whose connections reach NAT real servers from an address that moves."""

from collections.abc import Collection

from msgspec import UnsetType

from director.config.clients import collapsed, read_networks
from director.config.faults import Findings, Key
from director.config.readers import element, listed, read_address
from director.config.schema import ServiceTable
from director.model.address import Family, Prefix, family_of, parse_prefix
from director.model.pool import Member
from director.model.service import Forwarding, ServiceKey

EVERYBODY = {Family.IPV4: Prefix("0.0.0.0", 0), Family.IPV6: Prefix("::", 0)}
NEVER, ALWAYS, HAIRPIN = WORDS = ("never", "always", "hairpin")


def read_masquerade(
    table: ServiceTable,
    virtuals: Collection[ServiceKey],
    members: Collection[Member],
    key: Key,
    found: Findings,
) -> tuple[Prefix, ...]:
    """The networks of the clients that are masqueraded; empty where none are."""
    written, where = table.masquerade, (*key, "masquerade")
    if isinstance(written, UnsetType) or written == NEVER:
        if not isinstance(table.masquerade_as, UnsetType) and not found.within(*where):
            fault = "masquerade_as means nothing where nobody is masqueraded"
            found.add(
                (*key, "masquerade_as"), fault, 'write masquerade = "always", or leave it out'
            )
        return ()
    _refuse(table, virtuals, members, where, found)
    families = {virtual.family for virtual in virtuals}
    if written == ALWAYS:
        return tuple(EVERYBODY[family] for family in sorted(families))
    if written == HAIRPIN:
        hosts = [parse_prefix(address) for member in members for address in member.addresses]
        return collapsed([host for host in hosts if host.family in families])
    if not listed(written) and not found.within(*where):
        found.add(where, "no network is named", f'write networks, or "{NEVER}"')
    words = [text for text in listed(written) if text in WORDS]
    if words:
        fault = f'"{words[0]}" stands beside networks'
        found.add(where, fault, f'write masquerade = "{words[0]}", or networks alone')
        return ()
    if isinstance(written, str) and written.isalpha():
        known = f"write one of: {', '.join(WORDS)}, or networks"
        mend = found.suggest(written, WORDS, known)
        found.add(where, f'"{written}" is none of: {", ".join(WORDS)}', mend)
        return ()
    return read_networks(written, where, virtuals, found)


def _refuse(
    table: ServiceTable,
    virtuals: Collection[ServiceKey],
    members: Collection[Member],
    where: Key,
    found: Findings,
) -> None:
    """What has no masquerading, and why."""
    if members and all(one.forwarding is not Forwarding.NAT for one in members):
        fault = "masquerade without a NAT real server: with dr and tun they answer clients directly"
        found.add(where, fault, 'leave it out, or write forwarding = "nat"')
    elif any(virtual.mark for virtual in virtuals):
        fault = "masquerade finds its connections by virtual address, and a mark has none"
        mend = 'write virtual = "IP:PORT" in place of fwmark and match, or leave it out'
        found.add(where, fault, mend)
    elif table.one_packet:
        # ip_vs_nfct.c, ip_vs_update_conntrack: "Never alter conntrack for OPS conns".
        fault = "masquerade needs connections that are tracked, and one_packet has none"
        found.add(where, fault, "leave one of the two out")


def read_masquerade_as(
    table: ServiceTable, virtuals: Collection[ServiceKey], key: Key, found: Findings
) -> tuple[str, ...]:
    """The addresses, at most one of each family, that stand in for clients; else it is the VIP."""
    written, where = table.masquerade_as, (*key, "masquerade_as")
    read: list[str] = []
    for index, text in enumerate(listed(written)):
        here = element(where, written, index)
        address = read_address(text, here, found)
        if address is None:
            continue
        if family_of(address) in map(family_of, read):
            found.add(here, "a second address of one family", "write one of each family")
        elif family_of(address) not in {virtual.family for virtual in virtuals}:
            fault = f"{address} is of a family that no virtual address here has"
            found.add(here, fault, "leave it out")
        read.append(address)
    return tuple(read)
