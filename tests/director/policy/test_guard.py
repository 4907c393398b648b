"""`allow`, as text. What the kernel makes of it is in tests/kernel and tests/pair."""

import msgspec

from director.model.address import Family, Prefix
from director.model.config import Config
from director.model.pool import Service
from director.model.service import Protocol, ServiceKey, ServiceSettings
from director.policy.firewall import costs, digest_in, ruleset
from director.policy.guard import guard

NETWORKS = (Prefix("10.0.0.0", 8), Prefix("198.51.100.7", 32), Prefix("2001:db8:a::", 48))
WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
DNS = ServiceKey(Family.IPV4, Protocol.UDP, "192.0.2.10", 53)
WEB6 = ServiceKey(Family.IPV6, address="2001:db8::10", port=80)
OTHER = ServiceKey(Family.IPV4, address="192.0.2.11", port=443)
EVERY = ServiceKey(Family.IPV4, address="192.0.2.11")
MARKED = ServiceKey(Family.IPV4, mark=20)


def service(name: str, *keys: ServiceKey, allow: tuple[Prefix, ...] = NETWORKS) -> Service:
    return Service(
        name=name, virtuals=keys, settings=ServiceSettings(), members=(), drain=0.0, allow=allow
    )


def config(*services: Service) -> Config:
    return Config(node="lb1", interfaces={}, services=services)


def test_one_rule_for_all_services() -> None:
    """Places that are guarded, and who may come to each; services for all are in neither set."""
    there = config(service("web", WEB, DNS, WEB6), service("other", OTHER, allow=()))

    lines = guard(there, Family.IPV4)

    place = "ipv4_addr . inet_proto . inet_service"
    here = "ip daddr . meta l4proto . th dport"
    guarded = "192.0.2.10 . tcp . 80, 192.0.2.10 . udp . 53"
    allowed = (
        "192.0.2.10 . tcp . 80 . 10.0.0.0/8, 192.0.2.10 . tcp . 80 . 198.51.100.7/32, "
        "192.0.2.10 . udp . 53 . 10.0.0.0/8, 192.0.2.10 . udp . 53 . 198.51.100.7/32"
    )
    assert lines == [
        f"  set guarded {{ type {place}; flags interval; elements = {{ {guarded} }}; }}",
        f"  set allowed {{ type {place} . ipv4_addr; flags interval; elements = {{ {allowed} }}; }}",
        "  chain allow {",
        "    type filter hook input priority 97; policy accept;",
        f'    iifname != "lo" {here} @guarded {here} . ip saddr != @allowed counter drop',
        "  }",
    ]


def test_each_family_has_its_own_clients() -> None:
    """IPv6 clients are judged in the other table."""
    lines = guard(config(service("web", WEB, WEB6)), Family.IPV6)

    assert "elements = { 2001:db8::10 . tcp . 80 . 2001:db8:a::/48 }" in lines[1]


def test_every_port_is_what_no_other_service_has() -> None:
    """As IPVS looks them up: the exact port first, whoever may come there."""
    every = service("every", EVERY, allow=NETWORKS[:1])

    lines = guard(config(every, service("other", OTHER, allow=())), Family.IPV4)

    places = "192.0.2.11 . tcp . 0-442, 192.0.2.11 . tcp . 444-65535"
    assert f"elements = {{ {places} }}" in lines[0]


def test_every_port_but_the_first_and_the_last() -> None:
    """Neighbours leave no empty interval, and a single port is none."""
    taken = [msgspec.structs.replace(EVERY, port=port) for port in (2, 3, 65535)]
    every = service("every", EVERY, allow=NETWORKS[:1])

    lines = guard(config(every, service("taken", *taken, allow=())), Family.IPV4)

    places = "192.0.2.11 . tcp . 0-1, 192.0.2.11 . tcp . 4-65534"
    assert f"elements = {{ {places} }}" in lines[0]


def test_a_mark_is_matched_as_ipvs_does() -> None:
    """There are no addresses to know it by."""
    lines = guard(config(service("ftp", MARKED)), Family.IPV4)

    assert lines[1] == (
        "  set allowed_marks { type mark . ipv4_addr; flags interval; "
        "elements = { 20 . 10.0.0.0/8, 20 . 198.51.100.7/32 }; }"
    )
    assert "meta mark @guarded_marks meta mark . ip saddr != @allowed_marks" in lines[4]


def test_who_nobody_may_come_to_is_still_guarded() -> None:
    """No networks of a family: the set of those who may come is empty, and is text all the same."""
    lines = guard(config(service("web", WEB6, allow=NETWORKS[:1])), Family.IPV6)

    assert lines[1].endswith("inet_service . ipv6_addr; flags interval; }")


def test_without_allow_there_is_no_chain() -> None:
    """And with it there is a table also where no virtual router is."""
    nobody = config(service("web", WEB, allow=()))

    assert guard(nobody, Family.IPV4) == []
    assert digest_in(ruleset(config(service("web", WEB)), Family.IPV4))
    assert "open to everybody: web" in costs(config(service("web", WEB)))[0]
    assert not any("open" in cost for cost in costs(nobody))
