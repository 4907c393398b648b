# Who may come to a service (`allow`): one rule, whatever the number of services.
#
# Rules of this room:
# 1. It stands in the input hook, right before IPVS (98 and 99: ip_vs_core.c, ip_vs_ops4): it sees
#    what IPVS would see, with the mark that IPVS would look at and with fragments put together.
# 2. It holds for each packet and remembers nothing. So a list that becomes shorter ends what is
#    established, and both directors judge alike before and after a move.
# 3. Only what is for a virtual service is looked at. Answers to our own probes come to a node's own
#    address, and what the director sends to itself comes by the loopback device.
"""The chain that drops clients whom a service does not know."""

from collections.abc import Iterator

from director.model.address import Family, Prefix
from director.model.config import Config
from director.model.service import ServiceKey
from director.policy.nftset import FAMILIES, KINDS, Ports, a_set

BEFORE_IPVS = 97


def guard(config: Config, family: Family) -> list[str]:
    """Sets and chain for one family; nothing when every service is for everybody."""
    ports = Ports(config)
    guarded: list[str] = []
    allowed: list[str] = []
    marks: list[str] = []
    allowed_marks: list[str] = []
    for key, network in _guarded(config, family):
        if key.mark:
            marks.append(f"{key.mark}")
            allowed_marks += [f"{key.mark} . {one}" for one in network]
            continue
        places = [f"{key.address} . {key.protocol.name.lower()} . {span}" for span in ports.of(key)]
        guarded += places
        allowed += [f"{place} . {one}" for place in places for one in network]
    kind, word = KINDS[family], FAMILIES[family]
    sets: list[str] = []
    rules: list[str] = []
    if guarded:
        place = f"{kind} . inet_proto . inet_service"
        here = f"{word} daddr . meta l4proto . th dport"
        sets.append(a_set("guarded", place, sorted(guarded), "interval"))
        sets.append(a_set("allowed", f"{place} . {kind}", sorted(allowed), "interval"))
        rules.append(f"{here} @guarded {here} . {word} saddr != @allowed")
    if marks:
        sets.append(a_set("guarded_marks", "mark", sorted(marks)))
        sets.append(a_set("allowed_marks", f"mark . {kind}", sorted(allowed_marks), "interval"))
        rules.append(f"meta mark @guarded_marks meta mark . {word} saddr != @allowed_marks")
    if not rules:
        return []
    return [
        *sets,
        "  chain allow {",
        f"    type filter hook input priority {BEFORE_IPVS}; policy accept;",
        *(f'    iifname != "lo" {rule} counter drop' for rule in rules),
        "  }",
    ]


def _guarded(config: Config, family: Family) -> Iterator[tuple[ServiceKey, tuple[Prefix, ...]]]:
    for service in config.services:
        if service.allow:
            for key in service.virtuals:
                if key.family is family:
                    yield key, tuple(one for one in service.allow if one.family is family)
