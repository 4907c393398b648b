"""`masquerade`, as text. What the kernel makes of it is in tests/pair."""

import msgspec

from director.model.address import Family, Prefix
from director.model.config import Config
from director.model.pool import Member, Service
from director.model.profile import profile
from director.model.service import Forwarding, ServiceKey, ServiceSettings
from director.policy.firewall import comes_first, costs
from director.policy.translation import translation

VIRTUAL = ServiceKey(Family.IPV4, address="192.0.2.11", port=443)
VIRTUAL6 = ServiceKey(Family.IPV6, address="2001:db8::11", port=443)
APP = Member(
    name="app1", addresses=("10.0.8.21", "2001:db8:8::21"), port=8443, forwarding=Forwarding.NAT
)
WEB = Member(name="web1", addresses=("10.0.8.11",))
SERVICE = Service(
    name="api",
    virtuals=(VIRTUAL, VIRTUAL6),
    settings=ServiceSettings(),
    members=(APP, WEB),
    masquerade=(Prefix("0.0.0.0", 0), Prefix("::", 0)),
)


def config(*services: Service) -> Config:
    return Config(node="lb1", interfaces={}, services=services)


def test_one_rule_and_one_map_for_all_services() -> None:
    """Place and client to the VIP; what comes from a NAT real server and nobody asked is dropped."""
    lines = translation(config(SERVICE), Family.IPV4)

    place = "ipv4_addr . inet_proto . inet_service"
    asked = "ct original ip daddr . ct protocol . ct original proto-dst . ip saddr"
    snat = f"meta l4proto {{ tcp, udp, sctp }} ip daddr != @translated snat to {asked} map @sources"
    drop = "ip daddr @stand_ins ip saddr . meta l4proto . th sport @answering counter drop"
    row = "192.0.2.11 . tcp . 443 . 0.0.0.0/0 : 192.0.2.11"
    kind = f"{place} . ipv4_addr : ipv4_addr"
    assert lines == [
        f"  map sources {{ type {kind}; flags interval; elements = {{ {row} }}; }}",
        "  set translated { type ipv4_addr; elements = { 192.0.2.11 }; }",
        "  set stand_ins { type ipv4_addr; elements = { 192.0.2.11 }; }",
        f"  set answering {{ type {place}; elements = {{ 10.0.8.21 . tcp . 8443 }}; }}",
        "  chain translate {",
        "    type nat hook postrouting priority 100; policy accept;",
        f"    {snat}",
        "  }",
        "  chain unasked {",
        "    type filter hook input priority 101; policy accept;",
        f"    {drop}",
        "  }",
    ]


def test_a_named_address_stands_in_for_its_family() -> None:
    """The other family's clients are seen as the VIP."""
    named = msgspec.structs.replace(SERVICE, masquerade_as=("2001:db8::12",))

    four, six = (translation(config(named), family)[0] for family in Family)

    assert four.endswith("0.0.0.0/0 : 192.0.2.11 }; }")
    assert six.endswith("2001:db8::11 . tcp . 443 . ::/0 : 2001:db8::12 }; }")


def test_every_port_of_an_address() -> None:
    """But those of other services; which answers belong to it cannot be told."""
    member = msgspec.structs.replace(APP, port=0)
    every = ServiceKey(Family.IPV4, address="192.0.2.11")
    masked = msgspec.structs.replace(SERVICE, virtuals=(every,), members=(member,))
    other = msgspec.structs.replace(SERVICE, name="other", virtuals=(VIRTUAL,), masquerade=())

    lines = translation(config(masked, other), Family.IPV4)

    assert "192.0.2.11 . tcp . 0-442 . 0.0.0.0/0 : 192.0.2.11, " in lines[0]
    assert "192.0.2.11 . tcp . 443 ." not in lines[0]
    assert "elements" not in lines[3]


def test_who_masquerades_nobody_has_no_chain_and_no_conntrack() -> None:
    """Connection tracking costs, and holds for all services of a network namespace."""
    never = msgspec.structs.replace(SERVICE, masquerade=())

    assert translation(config(never), Family.IPV4) == []
    assert not comes_first(config(never))
    assert "net.ipv4.vs.conntrack" not in profile(config(never))
    assert comes_first(config(SERVICE))
    assert profile(config(SERVICE))["net.ipv4.vs.conntrack"] == "1"
    assert not any("masqueraded" in cost for cost in costs(config(never)))
    masked = "nobody is masqueraded: api, api, api, api, api and 2 more"
    assert costs(config(*[SERVICE] * 7))[0] == masked
