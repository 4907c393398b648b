"""The ruleset: text, tables and who may be asked."""

import msgspec
import pytest

from director.model.address import Family, Prefix
from director.model.config import Config
from director.model.pool import Service
from director.model.service import Protocol, ServiceKey, ServiceSettings
from director.model.vip import Router, Vip
from director.policy.firewall import chances, costs, digest, digest_in, ruleset

ROUTER = Router(
    name="web",
    vrid=51,
    interface="eth0",
    source="192.0.2.2",
    priority=150,
    interval=0.1,
    vips=(
        Vip(Prefix("192.0.2.10", 32), "eth0"),
        Vip(Prefix("10.0.8.1", 24), "eth1", advertise=False),
        Vip(Prefix("2001:db8::10", 128), "eth0"),
    ),
)
ROUTER6 = msgspec.structs.replace(
    ROUTER,
    name="six",
    vrid=6,
    interface="eth1",
    source="fe80::2",
    vips=(Vip(Prefix("2001:db8::10", 128), "eth1"),),
)


VEILED = msgspec.structs.replace(
    ROUTER6, mac="virtual", vips=(Vip(Prefix("2001:db8::10", 128), "vr6-6-eth1"),)
)


MARKED = ServiceKey(Family.IPV4, mark=20)


def service(*keys: ServiceKey) -> Service:
    return Service(name="web", virtuals=keys, settings=ServiceSettings(), members=(), drain=0.0)


def key(address: str, port: int, protocol: Protocol = Protocol.TCP) -> ServiceKey:
    family = Family.IPV6 if ":" in address else Family.IPV4
    return ServiceKey(family, protocol=protocol, address=address, port=port)


def config(*routers: Router) -> Config:
    keys = (
        key("192.0.2.10", 443),
        key("192.0.2.10", 80),
        key("192.0.2.10", 53, Protocol.UDP),
        key("2001:db8::10", 80),
    )
    return Config(node="lb1", interfaces={}, services=(service(*keys),), routers=routers)


def test_the_ruleset_as_nft_reads_it() -> None:
    """One transaction: our table goes and comes; a map and a rule a router, one set of services."""
    body = """\
  map chance_51_65746830 { type ipv4_addr : ipv4_addr; flags timeout; }
  set services { type ipv4_addr . inet_service; elements = { 192.0.2.10 . 80, 192.0.2.10 . 443 }; }
  set lost { type inet_proto; flags timeout; }
  set taken { type inet_proto; flags timeout; }
  chain unknown {
    type filter hook input priority 101; policy accept;
    iifname "eth0" ip daddr . tcp dport @services tcp flags & (syn | ack) != syn \
dup to ip daddr map @chance_51_65746830 counter drop
    meta l4proto @lost ip daddr . tcp dport @services counter drop
    meta l4proto @taken ip daddr . tcp dport @services counter drop
  }"""
    head = "add table ip director\ndelete table ip director\ntable ip director {\n"

    text = ruleset(config(ROUTER), Family.IPV4)

    assert text == f'{head}  comment "{digest(body)}"\n{body}\n}}\n'
    assert digest_in(text) == digest(body)


def test_every_port_and_marks_are_ours_too() -> None:
    """Of every port what no other service has; a mark is of TCP as far as packets are."""
    services = (service(key("192.0.2.10", 80), key("192.0.2.10", 0)), service(MARKED))
    there = msgspec.structs.replace(config(ROUTER), services=services)

    text = ruleset(there, Family.IPV4)

    places = "192.0.2.10 . 0-79, 192.0.2.10 . 81-65535, 192.0.2.10 . 80"
    assert f"flags interval; elements = {{ {places} }};" in text
    assert "set marked { type mark; elements = { 20 }; }" in text
    assert text.count("meta l4proto tcp meta mark @marked tcp flags") == 1
    assert text.count("meta l4proto tcp meta mark @marked counter drop") == 2
    assert "@marked" not in ruleset(there, Family.IPV6)


def test_over_ipv6_the_device_is_named() -> None:
    """A link-local peer is no address without one."""
    text = ruleset(config(ROUTER6), Family.IPV6)

    assert 'dup to ip6 daddr map @chance_6_65746831 device "eth1" counter drop' in text
    assert "{ 2001:db8::10 . 80 }" in text


def test_with_a_virtual_mac_packets_come_by_its_device_and_the_peer_is_on_the_interface() -> None:
    """As clients send to that MAC, and adverts name an address of the interface."""
    text = ruleset(config(VEILED), Family.IPV6)

    assert 'iifname "vr6-6-eth1" ip6 daddr' in text
    assert 'map @chance_6_65746831 device "eth1" counter drop' in text


@pytest.mark.parametrize(
    ("routers", "family"),
    [((), Family.IPV4), ((ROUTER,), Family.IPV6), ((ROUTER6,), Family.IPV4)],
    ids=["no router", "adverts of the other family", "the other way round"],
)
def test_where_nobody_was_before_there_is_a_shield_alone(
    routers: tuple[Router, ...], family: Family
) -> None:
    """No map and no second chance; a table can be lost all the same."""
    text = ruleset(config(*routers), family)

    assert "dup to" not in text
    assert text.count("counter drop") == 2
    assert costs(config()) == ("clients are reset where the IPVS table is lost",)


def test_where_there_is_nothing_to_say_there_is_no_table() -> None:
    """An empty text, and no digest in it: nothing of TCP, and services that all may come to."""
    services = (service(key("192.0.2.10", 53, Protocol.UDP)),)
    quiet = msgspec.structs.replace(config(ROUTER), services=services)

    assert [ruleset(quiet, family) for family in Family] == ["", ""]
    assert digest_in("") == ""
    assert costs(quiet) == ()


def test_whom_to_ask_is_known_on_the_adverts_own_wire() -> None:
    """Neither for a gateway on another interface, nor for the other family."""
    assert chances(ROUTER, Family.IPV4) == ("192.0.2.10",)
    assert chances(ROUTER, Family.IPV6) == ()
    assert chances(ROUTER6, Family.IPV6) == ("2001:db8::10",)


def test_the_digest_tells_rulesets_apart() -> None:
    """Another service, another digest; the same file, the same."""
    one = config(ROUTER)
    other = msgspec.structs.replace(one, services=(service(key("192.0.2.10", 81)),))
    scripts = [ruleset(there, Family.IPV4) for there in (one, other, config(ROUTER))]

    digests = [digest_in(script) for script in scripts]

    assert digests[0] == digests[2] != digests[1]
