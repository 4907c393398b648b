"""`virtual = "@front:8080"`: what right files mean."""

from director.model.config import Config
from director.model.pool import Follow, Service
from director.model.service import Protocol
from director.policy.probing import probing_of
from tests.director.config.test_resolve import CHECKS, VIRTUAL, WEB, config_of

SERVICE = f"{VIRTUAL}\n{WEB}\n{CHECKS}"
NAT = f'forwarding = "nat"\n{WEB}'
OVERLAY = ("priority = 100", 'priority = 100\ninterfaces = { front = "ens18" }')


def following(virtual: str, *edits: tuple[str, str], pool: str = NAT, node: str = "lb1") -> Config:
    return config_of((SERVICE, f"virtual = {virtual}\n{pool}"), *edits, node=node)


def web(config: Config) -> Service:
    return config.services[0]


def names(config: Config) -> list[str]:
    return [str(key) for key in web(config).virtuals]


def test_the_vips_of_an_interface_are_there_from_the_start() -> None:
    """On both nodes, whoever holds them; the gateway on another interface is not one of them."""
    for node in ("lb1", "lb2"):
        config = following('"@front:8080"', OVERLAY, node=node)
        assert names(config) == ["tcp/192.0.2.10:8080", "tcp/192.0.2.11:8080"]


def test_each_node_follows_its_own_device() -> None:
    """The role is one, the devices are two."""
    devices = {
        node: web(following('"@front:8080"', OVERLAY, node=node)).follows for node in ("lb1", "lb2")
    }

    assert devices == {
        "lb1": (Follow("eth0", Protocol.TCP, 8080),),
        "lb2": (Follow("ens18", Protocol.TCP, 8080),),
    }


def test_an_interface_without_vips_has_nothing_yet() -> None:
    """Its addresses come with the interface; nothing is probed before."""
    config = following('"@ha:8080"')

    assert (names(config), web(config).protocol) == ([], Protocol.TCP)
    assert not any("8080" in key for key in probing_of(config).targets)


def test_beside_other_virtuals() -> None:
    """One pool for all of them."""
    config = following('["192.0.2.10:80", "@servers:80"]')

    assert names(config) == ["tcp/192.0.2.10:80", "tcp/10.0.8.1:80"]


def test_vips_of_a_family_that_nobody_serves_are_left_out() -> None:
    """The pool has IPv4 alone."""
    six = ('  "192.0.2.11/24",', '  "192.0.2.11/24", "2001:db8:0:2::10",')

    assert names(following('"@front:8080"', six)) == [
        "tcp/192.0.2.10:8080",
        "tcp/192.0.2.11:8080",
    ]


def test_vips_of_a_virtual_mac_are_those_of_the_interface() -> None:
    """They are on a device of their own; on a dummy they are nobody's."""
    veiled = ("vrid = 51\n", 'vrid = 51\nmac = "virtual"\n')
    dummy = ("vrid = 51\n", 'vrid = 51\nmode = "dummy"\n')

    assert len(names(following('"@front:8080"', veiled))) == 2
    assert names(following('"@front:8080"', dummy)) == []
