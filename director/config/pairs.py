# Routers that differ from node to node in what both have to agree on. Where they do, the nodes do
# not hear each other, and both are active.
"""What the nodes' plays say against each other."""

from collections.abc import Callable
from ipaddress import ip_address
from itertools import combinations

from msgspec import UNSET

from director.config.faults import Findings, Key
from director.config.schema import FileTable
from director.model.vip import Router
from director.vrrp.advert import OWNER

# A key of the file, and what of it has to be the same on all nodes.
AGREED: tuple[tuple[str, Callable[[Router], object]], ...] = (
    ("version", lambda router: router.version),
    ("vrid", lambda router: router.vrid),
    ("auth", lambda router: router.auth and router.auth.method),
    ("interval", lambda router: router.version == 2 and router.interval),
    ("unicast", lambda router: bool(router.peers)),
    ("addresses", lambda router: router.family),
    ("mac", lambda router: router.mac),
)
UNHEARD = "the two would not hear each other"
WHY = {"mac": "every takeover would change the MAC"}


def check_pairs(file: FileTable, plays: dict[str, tuple[Router, ...]], found: Findings) -> None:
    """`plays` maps a node to its routers."""
    _check_groups(file, plays, found)
    first: dict[str, tuple[str, Router]] = {}
    owners: dict[str, str] = {}
    for node, routers in plays.items():
        for router in routers:
            there, other = first.setdefault(router.name, (node, router))
            differing = [field for field, of in AGREED if of(other) != of(router)]
            for field in differing[:1]:  # others may follow from it
                fault = f"{field} differs from that of {there}: {WHY.get(field, UNHEARD)}"
                mend = "write it once, in the router's own table"
                found.add(_key(file, node, router.name, field), fault, mend)
            if file.nodes[node].runs == "keepalived" and router.checksum == "plain":
                fault = f"keepalived 2.2.7 on {node} drops adverts without a pseudo-header"
                mend = 'write checksum = "pseudo" as long as keepalived runs there'
                found.warn(_key(file, node, router.name, "checksum"), fault, mend)
            if router.priority == OWNER and owners.setdefault(router.name, node) != node:
                fault = f"{owners[router.name]} is the owner (priority 255) of vrrp.{router.name}"
                mend = "give one node 255, or none, and the others less"
                found.add(_priority_key(file, node, router.name), fault, mend)


def _check_groups(file: FileTable, plays: dict[str, tuple[Router, ...]], found: Findings) -> None:
    """At equal priority the higher address wins: it has to be the same node's for all members.

    Else each segment is another node's, and as a group lets go when one member does, both would.
    """
    for one, two in combinations(plays, 2):
        there = {router.name: router for router in plays[two]}
        pairs = [(router, there[router.name]) for router in plays[one] if router.name in there]
        first: dict[str, tuple[str, bool]] = {}
        for ours, theirs in pairs:
            # Link-local addresses are found out when the router starts: nothing is known of them.
            known = ours.group and ours.source and theirs.source and ours.family is theirs.family
            if not known or ours.priority != theirs.priority:
                continue
            higher = _number(ours) > _number(theirs)
            name, elsewhere = first.setdefault(ours.group, (ours.name, higher))
            if higher is not elsewhere:
                stronger, weaker = (one, two) if higher else (two, one)
                fault = (
                    f"at equal priority the higher address wins, and {stronger} has it for "
                    f"vrrp.{ours.name} and {weaker} for vrrp.{name} of the same group"
                )
                mend = "give one node the higher priority, or the higher address on both interfaces"
                found.add(_priority_key(file, two, ours.name), fault, mend)


def _number(router: Router) -> int:
    return int(ip_address(router.source))


def _key(file: FileTable, node: str, router: str, field: str) -> Key:
    overlay = file.nodes[node].vrrp.get(router)
    if overlay is not None and getattr(overlay, field) is not UNSET:
        return ("nodes", node, "vrrp", router, field)
    return ("vrrp", router, field)


def _priority_key(file: FileTable, node: str, router: str) -> Key:
    key = _key(file, node, router, "priority")
    if key[0] == "vrrp" and file.vrrp[router].priority is UNSET:
        return ("nodes", node, "priority")
    return key
