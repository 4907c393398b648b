"""Services on all addresses of an interface."""

import msgspec

from director.model.address import Family
from director.model.check import TcpCheck
from director.model.config import Config
from director.model.pool import Follow, Member, Service
from director.model.service import Forwarding, Protocol, ServiceKey, ServiceSettings
from director.policy.desired import derive
from director.policy.facts import Facts
from director.policy.following import followed
from director.policy.probing import probing_of

VIP = ServiceKey(Family.IPV4, address="192.0.2.10", port=8080)
FOLLOW = Follow("eth0", Protocol.TCP, 8080)
WEB1 = Member(
    name="web1", addresses=("10.0.8.11",), forwarding=Forwarding.NAT, checks=(TcpCheck(),)
)
SERVICE = Service(
    name="web",
    virtuals=(VIP,),
    settings=ServiceSettings(),
    members=(WEB1,),
    follows=(FOLLOW,),
)


def key(address: str) -> ServiceKey:
    family = Family.IPV6 if ":" in address else Family.IPV4
    return ServiceKey(family, address=address, port=8080)


def addresses(*found: str, device: str = "eth0") -> dict[str, set[str]]:
    return {device: set(found), "eth9": {"198.51.100.9"}}


def names(service: Service) -> list[str]:
    return [one.address for one in service.virtuals]


def facts_of(*services: Service) -> Facts:
    return Facts(Config(node="lb1", interfaces={}, services=services or (SERVICE,)))


def test_each_address_of_the_interface_is_a_virtual_service() -> None:
    """After the VIPs, which are there in any case; those of other interfaces are not."""
    there = followed(SERVICE, addresses("192.0.2.3", "192.0.2.2", "192.0.2.10"), ())

    assert names(there) == ["192.0.2.10", "192.0.2.2", "192.0.2.3"]
    assert set(there.virtuals) == {VIP, key("192.0.2.2"), key("192.0.2.3")}


def test_what_cannot_be_balanced_is_left_out() -> None:
    """Link-local and loopback addresses, another family than the real servers', another's."""
    wild = addresses("fe80::1", "169.254.7.7", "127.0.0.1", "2001:db8::2", "192.0.2.2", "192.0.2.7")

    assert names(followed(SERVICE, wild, {key("192.0.2.7")})) == ["192.0.2.10", "192.0.2.2"]


def test_ipv6_where_a_real_server_has_it() -> None:
    """Both families of one interface."""
    both = msgspec.structs.replace(WEB1, addresses=("10.0.8.11", "2001:db8:8::11"))
    service = msgspec.structs.replace(SERVICE, members=(both,))

    there = followed(service, addresses("fe80::1", "2001:db8::2"), ())

    assert names(there) == ["192.0.2.10", "2001:db8::2"]


def test_an_address_comes_and_goes() -> None:
    """The service is touched, what is wanted has it, and no longer; the second time is no news."""
    facts = facts_of()

    assert facts.learn_addresses(addresses("192.0.2.2")) == {"web"}
    assert facts.learn_addresses(addresses("192.0.2.2")) == set()
    assert list(derive(facts, "web", 0.0).table) == [VIP, key("192.0.2.2")]

    assert facts.learn_addresses({}) == {"web"}
    assert list(derive(facts, "web", 0.0).table) == [VIP]


def test_probes_are_what_the_file_would_have_them_be() -> None:
    """After any change: as if the file named the addresses that are there."""
    alone = msgspec.structs.replace(SERVICE, virtuals=())
    other = msgspec.structs.replace(SERVICE, name="two", virtuals=(VIP,), follows=())
    facts = facts_of(alone, other)
    assert len(facts.probing.targets) == 1

    for there in (("192.0.2.2",), ("192.0.2.2", "192.0.2.3"), (), ("192.0.2.3",), ()):
        facts.learn_addresses(addresses(*there))
        services = tuple(facts.services.values())
        want = probing_of(msgspec.structs.replace(facts.config, services=services))
        assert facts.probing == want


def test_an_address_that_the_file_gives_to_another_service_stays_there() -> None:
    """And two that follow one interface do not share one."""
    other = msgspec.structs.replace(SERVICE, name="two", virtuals=(key("192.0.2.2"),), follows=())
    again = msgspec.structs.replace(SERVICE, name="three", virtuals=())
    facts = facts_of(SERVICE, other, again)

    facts.learn_addresses(addresses("192.0.2.2", "192.0.2.3"))

    assert {name: names(one) for name, one in facts.services.items()} == {
        "web": ["192.0.2.10", "192.0.2.3"],
        "two": ["192.0.2.2"],
        "three": [],
    }
