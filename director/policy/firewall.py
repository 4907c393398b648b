# The director's own nftables tables, as text for `nft -f`.
#
# Rules of this room:
# 1. Text in one piece, for one transaction: what was there of ours goes and the new comes at once.
#    Other people's tables are never named.
# 2. Its digest stands in it as the table's comment, so that whoever looks needs no second nft to
#    see whether it is the one that is wanted.
# 3. Sets and maps, so that the number of rules grows with virtual routers and not with services.
# 4. `ip` and `ip6` and not `inet`: dup exists for these two alone (nft_dup_ipv4.c, nft_dup_ipv6.c).
#
# The second chance. A handshake that is half open when a VIP moves is known to the old active
# alone: the kernel syncs connections once they are established. Its next packet comes to the new
# active, whose IPVS does not know it and lets it fall through to local input, and the stack would
# answer RST. So behind IPVS (whose hooks are at 98 and 99: ip_vs_core.c, ip_vs_ops4) a rule sends
# such packets to the one who was active before, who keeps the VIP mute and forwards them. Whom to
# send them to is an element of the map, that vrrp puts there before it takes the VIP, and that
# ends by itself sooner than the other's linger: two nodes never send one packet to and fro.
#
# The shield. Where IPVS does not know a service or a connection, the stack answers RST, and the
# client gives up what the next second might have saved. While a set holds an element, such packets
# are dropped, and the client sends them again. The engine opens one set when it starts and when it
# has lost its table, vrrp the other when it takes over; both end by themselves, since to who comes
# back with a connection that nobody has a reset is the better answer.
"""The ruleset that a configuration asks for."""

import hashlib

from director.model.address import Family
from director.model.config import Config
from director.model.service import Protocol
from director.model.vip import Router
from director.policy.guard import guard
from director.policy.marking import marking
from director.policy.nftset import FAMILIES, KINDS, Ports, a_set
from director.policy.translation import translation

TABLE = "director"
BEHIND_IPVS = 101
NAMES_MAX = 5
LOST, TAKEN = "lost", "taken"  # the engine's set, and vrrp's


def chance_map(router: Router) -> str:
    """The name of the map of a router's VIPs to whom was active before: what nft and vrrp share."""
    return f"chance_{router.vrid}_{router.interface.encode().hex()}"


def ruleset(config: Config, family: Family) -> str:
    """The script that replaces our table of one family; empty when there is nothing to say."""
    body = [
        *_unknown(config, family),
        *marking(config, family),
        *guard(config, family),
        *translation(config, family),
    ]
    if not body:
        return ""
    word = FAMILIES[family]
    text = "\n".join(body)
    return (
        f"add table {word} {TABLE}\ndelete table {word} {TABLE}\n"
        f'table {word} {TABLE} {{\n  comment "{digest(text)}"\n{text}\n}}\n'
    )


def comes_first(config: Config) -> bool:
    """Must the tables stand before the first service does?

    Else clients come in that should not, or their connections stay as they began.
    """
    return any(service.allow or service.masquerade for service in config.services)


def costs(config: Config) -> tuple[str, ...]:
    """What is lost where our tables cannot be: the worst first, nothing where none is wanted."""
    open_to_all = [service.name for service in config.services if service.allow]
    masked = [service.name for service in config.services if service.masquerade]
    found = (
        (open_to_all, f"services are open to everybody: {_some(open_to_all)}"),
        (masked, f"nobody is masqueraded: {_some(masked)}"),
        (
            any(_matches(config, one.family) for one in config.routers if chances(one, one.family)),
            "no second chance for half-open handshakes at a hand-over",
        ),
        (
            any(_matches(config, family) for family in FAMILIES),
            "clients are reset where the IPVS table is lost",
        ),
    )
    return tuple(text for there, text in found if there)


def _matches(config: Config, family: Family) -> dict[str, str]:
    """What finds packets of TCP for our services: how to match them, and the set for that."""
    word, ports = FAMILIES[family], Ports(config)
    keys = {key for one in config.services for key in one.virtuals if key.family is family}
    places = [
        f"{key.address} . {span}"
        for key in sorted(keys)
        if key.protocol is Protocol.TCP and not key.mark
        for span in ports.of(key)
    ]
    marks = [f"{key.mark}" for key in sorted(keys) if key.mark]
    found: dict[str, str] = {}
    if places:
        flags = "interval" if any("-" in place for place in places) else ""
        kind = f"{KINDS[family]} . inet_service"
        found[f"{word} daddr . tcp dport @services"] = a_set("services", kind, places, flags)
    if marks:
        found["meta l4proto tcp meta mark @marked"] = a_set("marked", "mark", marks)
    return found


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
    return ", ".join(names[:NAMES_MAX]) + more


def _unknown(config: Config, family: Family) -> list[str]:
    """Maps, sets and chain for what IPVS does not know."""
    matches = _matches(config, family)
    if not matches:
        return []
    routers = [router for router in config.routers if chances(router, family)]
    kind, word = KINDS[family], FAMILIES[family]
    rules = [_chance(one, match, word) for one in routers for match in matches]
    rules += [
        f"meta l4proto @{name} {match} counter drop" for name in (LOST, TAKEN) for match in matches
    ]
    return [
        *(a_set(chance_map(one), f"{kind} : {kind}", flags="timeout") for one in routers),
        *matches.values(),
        *(a_set(name, "inet_proto", flags="timeout") for name in (LOST, TAKEN)),
        "  chain unknown {",
        f"    type filter hook input priority {BEHIND_IPVS}; policy accept;",
        *(f"    {rule}" for rule in rules),
        "  }",
    ]


def digest(text: str) -> str:
    """What tells one ruleset from another."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_in(script: str) -> str:
    """The digest that stands in a script of `ruleset`; of an empty one, none."""
    return script.partition('comment "')[2].partition('"')[0]


def chances(router: Router, family: Family) -> tuple[str, ...]:
    """The VIPs of one family that a peer could still serve: those on the adverts' own wire.

    Whom to ask is known by the source of its adverts, so it is of the adverts' family.
    """
    if router.family is not family:
        return ()
    return tuple(
        vip.prefix.address
        for vip in router.vips
        if vip.prefix.family is family and vip.interface == router.device
    )


def _chance(router: Router, match: str, word: str) -> str:
    """SYNs are new connections: they are IPVS's, and never on their way to somebody else."""
    # IPv6 names the device: the peer's address is a link-local one.
    device = f' device "{router.interface}"' if word == "ip6" else ""
    return (
        f'iifname "{router.device}" {match} '
        "tcp flags & (syn | ack) != syn "
        f"dup to {word} daddr map @{chance_map(router)}{device} counter drop"
    )
