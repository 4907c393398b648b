"""config: what moves beside the addresses, and how they look."""

from pathlib import Path

import pytest

from director.config.load import check_text
from director.errors import ConfigError
from director.model.address import Prefix
from director.model.config import Config
from director.model.event import Mover
from director.model.vip import DUMMY, Route, Router, RouteRule, Vip

PAIR = (Path(__file__).parent / "pair.toml").read_text()
AFTER = "vrid = 51\n"
LAST = '  { address = "10.0.8.1/24", interface = "servers", advertise = false },\n'


def config_of(lines: str = "", address: str = "") -> Config:
    text = PAIR.replace(AFTER, f"{AFTER}{lines}\n").replace(
        LAST, f"{LAST}  {address},\n" if address else LAST
    )
    return check_text(text, node="lb1").config


def router_of(lines: str = "", address: str = "") -> Router:
    return config_of(lines, address).routers[0]


def test_routes_and_rules_move_with_a_router() -> None:
    """Devices for roles; the main table unless another is named."""
    router = router_of(
        'routes = { to = "203.0.113.0/24", via = "192.0.2.1", interface = "front", source = "192.0.2.10" }\n'
        "rules = [\n"
        '  { from = "192.0.2.10", table = 100, priority = 1000 },\n'
        '  { to = "2001:db8::/32", table = 101, priority = 1001 },\n'
        "]"
    )

    assert router.routes == (
        Route(
            to=Prefix("203.0.113.0", 24),
            via="192.0.2.1",
            interface="eth0",
            source="192.0.2.10",
            table=254,
        ),
    )
    assert router.rules == (
        RouteRule(source=Prefix("192.0.2.10", 32), table=100, priority=1000),
        RouteRule(to=Prefix("2001:db8::", 32), table=101, priority=1001),
    )


@pytest.mark.parametrize(
    ("address", "vip"),
    [
        (
            '{ address = "192.0.2.13", label = ":old", scope = "link" }',
            Vip(Prefix("192.0.2.13", 32), "eth0", label="eth0:old", scope=253),
        ),
        (
            '{ address = "192.0.2.13", label = "front:web" }',
            Vip(Prefix("192.0.2.13", 32), "eth0", label="front:web"),
        ),
        ('{ address = "192.0.2.13", scope = "host" }', Vip(Prefix("192.0.2.13", 32), "eth0", scope=254)),
    ],
)  # fmt: skip
def test_labels_and_scopes(address: str, vip: Vip) -> None:
    """A label that begins with a colon follows the name of this node's device."""
    assert router_of(address=address).vips[-1] == vip


def test_in_mode_dummy_every_vip_is_on_the_dummy() -> None:
    """Whatever interface the adverts use."""
    router = router_of('mode = "dummy"')

    assert (router.mode, router.interface) == ("dummy", "eth0")
    assert {vip.interface for vip in router.vips} == {DUMMY}


def test_in_mode_hook_a_command_is_told() -> None:
    """The addresses are on the dummy; the command tells the world."""
    config = config_of('mode = "hook"\nhook = { run = ["/bin/move", "-v"], timeout = "3s" }')

    assert config.movers == (Mover("web", ("/bin/move", "-v"), 3.0),)
    (router,) = config.routers
    assert (router.mode, router.announced) == ("hook", False)
    assert {vip.interface for vip in router.vips} == {DUMMY}


FAULTS = {
    'routes = [{ to = "203.0.113.0/24" }]': "routes[0]: the route leads nowhere",
    'routes = [{ to = "203.0.113.7/24", interface = "front" }]': "routes[0].to: 203.0.113.7/24 is no network",
    'routes = [{ to = "203.0.113.0/24", via = "2001:db8::1" }]': "routes[0]: the addresses of this route are of two",
    'routes = [{ to = "203.0.113.0/24", via = "gw" }]': 'routes[0].via: "gw" is not an address',
    'routes = [{ to = "203.0.113.0/24", interface = "back" }]': 'routes[0].interface: [interfaces] has no role "back"',
    'routes = [{ to = "2001:db8::/32", via = "fe80::1" }]': "routes[0]: fe80::1 is on every link",
    'routes = [{ to = "203.0.113.0/24", via = "192.0.2.1", source = "192.0.2.2" }]': "routes[0].source: 192.0.2.2 is no address of this",
    "rules = [{ table = 1, priority = 1 }]": "rules[0]: the rule fits every packet",
    'rules = [{ from = "192.0.2.10", to = "2001:db8::1", table = 1, priority = 1 }]': "rules[0]: the addresses of this rule are of two",
    'rules = [{ from = "192.0.2.10/24", table = 1, priority = 1 }]': "rules[0].from: 192.0.2.10/24 is no network",
    'rules = [{ from = "192.0.2.10", priority = 1 }]': "rules[0].table: table is missing",
    'rules = [{ from = "192.0.2.10", table = 0, priority = 1 }]': "rules[0].table: 0 is outside",
    'mode = "hook"': 'hook: mode = "hook" needs the command that moves',
    'hook = { run = ["/bin/move"] }': 'hook: a command that moves addresses is run with mode = "hook"',
    'mode = "dummy"\nhook = { run = ["/bin/move"] }': 'hook: a command that moves addresses is run with mode = "hook"',
    'mode = "hook"\nhook = { run = ["move"] }': 'hook.run[0]: "move" is not the whole path',
    'mode = "hook"\nhook = { run = ["/bin/move"] }\nmac = "virtual"': 'mac: a virtual MAC answers ARP, and with mode = "hook"',
}


@pytest.mark.parametrize(("line", "said"), FAULTS.items(), ids=FAULTS)
def test_what_cannot_be_is_refused(line: str, said: str) -> None:
    """With the key and the fault."""
    with pytest.raises(ConfigError) as caught:
        router_of(line)

    assert [said in str(fault) for fault in caught.value.faults] == [True], caught.value.faults


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ('{ address = "2001:db8:0:2::10", label = ":old" }', "label: 2001:db8:0:2::10 cannot have a label"),
        ('{ address = "2001:db8:0:2::10", scope = "link" }', "scope: 2001:db8:0:2::10 cannot have a scope"),
        ('{ address = "192.0.2.13", label = ":elevenchars" }', 'label: "eth0:elevenchars" is longer than 15'),
        ('{ address = "192.0.2.13", label = "a b" }', "label"),
    ],
)  # fmt: skip
def test_what_an_address_cannot_look_like(address: str, said: str) -> None:
    """IPv6 has neither label nor scope in the kernel; a label has 15 characters."""
    with pytest.raises(ConfigError) as caught:
        router_of(address=address)

    assert [said in str(fault) for fault in caught.value.faults] == [True], caught.value.faults
