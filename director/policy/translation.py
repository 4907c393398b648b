# Masquerading: NAT real servers see a client as an address that moves with the VIP, and so answer
# the director, whatever their routes and wherever the client is.
#
# Rules of this room:
# 1. One rule and one map, whatever the number of services: place and client's network to address.
# 2. IPVS has changed the destination by then (its own NAT is in LOCAL_IN), and what it was stands
#    in the original direction of the connection: net.ipv4.vs.conntrack is 1 (model/profile.py).
#    Packets of DR still have the VIP as destination, and are left alone.
# 3. Never a node's own address. Ports are kept where they are free, so that the peer's netfilter,
#    which has never heard of a connection, makes the same of its next packet (ip-sysctl,
#    nf_conntrack_tcp_loose) and it goes on after a move.
# 4. Answers that come before that packet are nobody's yet, and the stack would reset them: they are
#    dropped, and the real server says it again.
"""The chains that translate clients' addresses."""

from director.model.address import Family, family_of
from director.model.config import Config
from director.model.pool import Service
from director.model.service import Forwarding, ServiceKey
from director.policy.nftset import FAMILIES, KINDS, Ports, a_set
from director.policy.probing import places_of

SOURCE_NAT = 100  # linux/netfilter_ipv4.h, NF_IP_PRI_NAT_SRC
BEHIND_IPVS = 101


def translation(config: Config, family: Family) -> list[str]:
    """Sets and chains for one family; nothing where nobody is masqueraded."""
    ports = Ports(config)
    kind, word = KINDS[family], FAMILIES[family]
    rows: set[str] = set()
    addresses: set[str] = set()
    answers: set[str] = set()
    sources: set[str] = set()
    for service in config.services:
        for key in service.virtuals if service.masquerade else ():
            if key.family is not family:
                continue
            source = source_of(service, key)
            addresses.add(key.address)
            sources.add(source)
            rows |= {
                f"{key.address} . {key.protocol.name.lower()} . {span} . {network} : {source}"
                for span in ports.of(key)
                for network in service.masquerade
                if network.family is family
            }
        answers |= _answers(service, family) if service.masquerade else set()
    if not rows:
        return []
    place = f"{kind} . inet_proto . inet_service"
    asked = f"ct original {word} daddr . ct protocol . ct original proto-dst . {word} saddr"
    answer = f"{word} saddr . meta l4proto . th sport"
    protocols = "meta l4proto { tcp, udp, sctp }"
    return [
        a_set("sources", f"{place} . {kind} : {kind}", sorted(rows), "interval"),
        a_set("translated", kind, sorted(addresses)),
        a_set("stand_ins", kind, sorted(sources)),
        a_set("answering", place, sorted(answers)),
        "  chain translate {",
        f"    type nat hook postrouting priority {SOURCE_NAT}; policy accept;",
        f"    {protocols} {word} daddr != @translated snat to {asked} map @sources",
        "  }",
        "  chain unasked {",
        f"    type filter hook input priority {BEHIND_IPVS}; policy accept;",
        f"    {word} daddr @stand_ins {answer} @answering counter drop",
        "  }",
    ]


def source_of(service: Service, key: ServiceKey) -> str:
    """What real servers see in place of a client of a virtual address."""
    named = (one for one in service.masquerade_as if family_of(one) is key.family)
    return next(named, key.address)


def _answers(service: Service, family: Family) -> set[str]:
    """Where answers come from. Of every port there is no telling."""
    return {
        f"{place.endpoint.address} . {place.service.protocol.name.lower()} . {place.endpoint.port}"
        for place, member in places_of(service)
        if member.forwarding is Forwarding.NAT
        and place.service.family is family
        and place.endpoint.port
    }
