"""Marks that the director sets: what right files mean."""

from director.model.address import Family
from director.model.match import PORT_MAX, Match
from director.model.pool import Service
from director.model.service import Protocol, ServiceKey
from director.policy.probing import places_of, probing_of
from tests.director.config.test_resolve import CHECKS, VIRTUAL, WEB, config_of, web_of

TCP, UDP = Protocol.TCP, Protocol.UDP


def marked(match: str, more: str = 'checks = "none"') -> Service:
    return web_of((VIRTUAL, f'fwmark = 20\nfamily = "ipv4"\nmatch = {match}\n{more}'), (CHECKS, ""))


def endpoints(service: Service) -> list[str]:
    return [str(place.endpoint) for place, _ in places_of(service)]


def test_a_match() -> None:
    """Addresses, networks and ranges; one port, several, or all; a number or a string."""
    web = marked(
        '[{ address = "192.0.2.10", ports = ["21", "30000-31000", 990] },\n'
        '{ address = "192.0.2.10-192.0.2.11", protocol = "udp", ports = 53 },\n'
        '{ address = "192.0.2.10/31", protocol = "sctp" }]'
    )

    assert web.virtuals == (ServiceKey(Family.IPV4, mark=20),)
    assert web.matches == (
        Match("192.0.2.10", "192.0.2.10", TCP, 21, 21, 20),
        Match("192.0.2.10", "192.0.2.10", TCP, 30000, 31000, 20),
        Match("192.0.2.10", "192.0.2.10", TCP, 990, 990, 20),
        Match("192.0.2.10", "192.0.2.11", UDP, 53, 53, 20),
        Match("192.0.2.10", "192.0.2.11", Protocol.SCTP, 0, PORT_MAX, 20),
    )
    assert web.protocol is None
    assert endpoints(web) == ["10.0.8.11:0", "10.0.8.12:0"]


def test_with_one_port_the_real_servers_have_it_too() -> None:
    """Then they are checked there by default."""
    text = f'fwmark = 20\nfamily = "ipv4"\nmatch = {{ address = "192.0.2.10", ports = 80 }}\n{WEB}'
    config = config_of((f"{VIRTUAL}\n{WEB}\n{CHECKS}", text))
    web = config.services[0]

    assert (web.protocol, endpoints(web)) == (TCP, ["10.0.8.11:80", "10.0.8.12:80"])
    assert "tcp:10.0.8.11:80" in {key.rpartition(":")[0] for key in probing_of(config).targets}


def test_a_match_of_what_somebody_else_holds() -> None:
    """As with an address of a service."""
    web = marked('{ address = "203.0.113.0/24" }', 'held = "elsewhere"\nchecks = "none"')

    assert [str(match) for match in web.matches] == ["203.0.113.0-203.0.113.255:0"]


def test_a_match_of_ipv6() -> None:
    """Its network, however large."""
    text = (
        'fwmark = 20\nfamily = "ipv6"\nheld = "elsewhere"\nchecks = "none"\n'
        'match = { address = "2001:db8:9::/64", ports = "80-81" }'
    )
    web = web_of((VIRTUAL, text), (WEB, 'real_servers = ["2001:db8:8::1"]'), (CHECKS, ""))

    (match,) = web.matches
    assert (match.family, match.first) == (Family.IPV6, "2001:db8:9::")
    assert str(match) == "[2001:db8:9::-2001:db8:9:0:ffff:ffff:ffff:ffff]:80-81"


def test_what_stands_beside_a_match() -> None:
    """Another port, another protocol, another address, and every port that is left."""
    beside = (
        '\n[services.two]\nvirtual = ["192.0.2.10:23", "192.0.2.11:21", "192.0.2.10:0"]\n'
        'persistence = "5m"\nchecks = "none"\nreal_servers = "web1"\n'
        '[services.three]\nvirtual = "192.0.2.10:21"\nprotocol = "udp"\n'
        'checks = "none"\nreal_servers = "web1"\n'
        '[services.four]\nfwmark = 4\nfamily = "ipv4"\nchecks = "none"\nreal_servers = "web1"\n'
        'match = { address = "192.0.2.10", ports = ["20", "24-30"] }\n'
    )
    text = (
        f'fwmark = 20\nfamily = "ipv4"\n{WEB}\nchecks = "none"\n'
        f'match = {{ address = "192.0.2.10", ports = "21-22" }}{beside}'
    )
    config = config_of((f"{VIRTUAL}\n{WEB}\n{CHECKS}", text))

    assert [one.name for one in config.services] == ["web", "two", "three", "four", "api"]


def test_the_marks_from_which_on_are_ours() -> None:
    """One below is the operator's."""
    base = "[kernel]\nmark_base = 0x100\n[services.web]"
    text = 'fwmark = 0xff\nfamily = "ipv4"'

    config = config_of(("[services.web]", base), (VIRTUAL, text), (CHECKS, 'checks = "none"'))

    assert config.services[0].virtuals[0].mark == 255
