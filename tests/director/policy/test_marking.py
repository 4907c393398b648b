"""The part of the ruleset that sets marks."""

import msgspec

from director.model.address import Family
from director.model.config import Config
from director.model.match import PORT_MAX, Match
from director.model.pool import Service
from director.model.service import Protocol, ServiceKey, ServiceSettings
from director.policy.firewall import digest_in, ruleset
from director.policy.marking import marking

MATCHES = (
    Match("192.0.2.12", "192.0.2.12", Protocol.TCP, 21, 21, 20),
    Match("192.0.2.12", "192.0.2.20", Protocol.UDP, 30000, 31000, 20),
    Match("2001:db8::", "2001:db8::ffff", Protocol.SCTP, 0, PORT_MAX, 0x40000001),
)


def config(*matches: Match) -> Config:
    service = Service(
        name="ftp",
        virtuals=tuple({ServiceKey(one.family, mark=one.mark): None for one in matches}),
        settings=ServiceSettings(),
        members=(),
        matches=matches,
    )
    return Config(node="lb1", interfaces={}, services=(service,))


def test_a_map_and_two_chains() -> None:
    """For packets that come in, and for those of clients on the director itself."""
    kind = "ipv4_addr . inet_proto . inet_service : mark"
    elements = "192.0.2.12 . tcp . 21 : 0x14, 192.0.2.12-192.0.2.20 . udp . 30000-31000 : 0x14"

    assert marking(config(*MATCHES), Family.IPV4) == [
        f"  map marks {{ type {kind}; flags interval; elements = {{ {elements} }}; }}",
        "  chain mark_prerouting {",
        "    type filter hook prerouting priority -150; policy accept;",
        "    meta mark set ip daddr . meta l4proto . th dport map @marks",
        "  }",
        "  chain mark_output {",
        "    type filter hook output priority -150; policy accept;",
        "    meta mark set ip daddr . meta l4proto . th dport map @marks",
        "  }",
    ]


def test_each_family_has_its_own() -> None:
    """IPv6 in the table of IPv6."""
    lines = marking(config(*MATCHES), Family.IPV6)

    assert "{ 2001:db8::-2001:db8::ffff . sctp . 0-65535 : 0x40000001 }" in lines[0]
    assert lines[3] == "    meta mark set ip6 daddr . meta l4proto . th dport map @marks"


def test_more_services_are_not_more_rules() -> None:
    """A thousand of them are elements of the same map."""
    many = tuple(
        msgspec.structs.replace(MATCHES[0], low=port, high=port) for port in range(1, 1001)
    )

    assert len(marking(config(*many), Family.IPV4)) == len(marking(config(*MATCHES), Family.IPV4))


def test_where_nothing_is_marked_there_is_nothing() -> None:
    """No chain that would look at each packet, and no table."""
    assert marking(config(MATCHES[2]), Family.IPV4) == []
    assert ruleset(config(MATCHES[2]), Family.IPV4) == ""


def test_it_is_part_of_the_ruleset() -> None:
    """Without a virtual router too; and another mark is another digest."""
    other = msgspec.structs.replace(MATCHES[0], mark=21)
    texts = [ruleset(config(one), Family.IPV4) for one in (MATCHES[0], other)]

    assert "\n".join(marking(config(MATCHES[0]), Family.IPV4)) in texts[0]
    assert digest_in(texts[0]) != digest_in(texts[1])


def test_the_order_of_services_does_not_matter() -> None:
    """The same elements, the same text: nothing is loaded anew."""
    turned = config(*reversed(MATCHES))

    assert marking(turned, Family.IPV4) == marking(config(*MATCHES), Family.IPV4)
