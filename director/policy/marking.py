# What the director marks, so that one virtual service of the mark has all of it.
#
# Rules of this room:
# 1. One map and two rules a family, however many services: the kernel looks a packet up once.
# 2. A packet that is in no element keeps the mark that it came with: a map without an answer ends
#    the rule before it sets anything.
# 3. Before IPVS, which looks at the mark in local input and, for clients on the director itself, in
#    local output (ip_vs_core.c, ip_vs_ops4: priorities 99 and -98): at -150, where mangle has been.
# 4. The chain of output is of the type `filter` and not `route`: nobody is to be routed anew for a
#    mark that is meant for IPVS.
"""The part of our nftables tables that sets marks."""

from director.model.address import Family
from director.model.config import Config
from director.model.match import Match

MANGLE = -150  # include/uapi/linux/netfilter_ipv4.h, NF_IP_PRI_MANGLE
WORDS = {Family.IPV4: ("ip", "ipv4_addr"), Family.IPV6: ("ip6", "ipv6_addr")}


def marking(config: Config, family: Family) -> list[str]:
    """A map and the chains that ask it, as lines of a table; none where nothing is marked.

    Concatenations with intervals are a set of their own kind, fast at any size (Linux 5.6,
    nft_set_pipapo.c).
    """
    matches = sorted(
        match for one in config.services for match in one.matches if match.family is family
    )
    if not matches:
        return []
    word, kind = WORDS[family]
    elements = ", ".join(map(_element, matches))
    rule = f"    meta mark set {word} daddr . meta l4proto . th dport map @marks"
    kinds = f"{kind} . inet_proto . inet_service : mark"
    return [
        f"  map marks {{ type {kinds}; flags interval; elements = {{ {elements} }}; }}",
        *(
            line
            for hook in ("prerouting", "output")
            for line in (
                f"  chain mark_{hook} {{",
                f"    type filter hook {hook} priority {MANGLE}; policy accept;",
                rule,
                "  }",
            )
        ),
    ]


def _element(match: Match) -> str:
    addresses = match.first if match.first == match.last else f"{match.first}-{match.last}"
    ports = f"{match.low}" if match.low == match.high else f"{match.low}-{match.high}"
    return f"{addresses} . {match.protocol.name.lower()} . {ports} : {match.mark:#x}"
