"""The whole of our tables, as this host's nft and kernel take them: no machine is booted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill.host import HostNamespace, run_folder
from director.drill.places import Place
from director.model.address import Family, Prefix
from director.model.config import Config
from director.model.match import Match
from director.model.pool import Member, Service
from director.model.service import Forwarding, Protocol, ServiceKey, ServiceSettings
from director.model.vip import Router, Vip
from director.policy.firewall import ruleset

pytestmark = pytest.mark.drill

VIPS = {Family.IPV4: "192.0.2.10", Family.IPV6: "2001:db8::10"}
ALL = {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}
APP = Member(
    name="app1", addresses=("10.0.8.21", "2001:db8:8::21"), port=8443, forwarding=Forwarding.NAT
)
CLIENTS = (Prefix("10.0.0.0", 8), Prefix("2001:db8:a::", 48))
EVERYBODY = (Prefix("0.0.0.0", 0), Prefix("::", 0))
ROUTERS = tuple(
    Router(
        name=f"r{vrid}",
        vrid=vrid,
        interface="eth0",
        source=source,
        priority=100,
        interval=0.1,
        vips=(Vip(Prefix(VIPS[family], family.bits), "eth0"),),
    )
    for vrid, source, family in ((4, "192.0.2.2", Family.IPV4), (6, "fe80::2", Family.IPV6))
)


def services(family: Family) -> list[Service]:
    """One of each kind, all with allowed clients."""
    vip = VIPS[family]
    keys = {
        "web": ServiceKey(family, Protocol.TCP, vip, 443),
        "dns": ServiceKey(family, Protocol.UDP, vip, 53),
        "every": ServiceKey(family, Protocol.TCP, vip),
        "matched": ServiceKey(family, mark=20),
    }
    match = Match(vip, vip, Protocol.SCTP, 30000, 31000, 20)
    return [
        Service(
            name=name,
            virtuals=(key,),
            settings=ServiceSettings(),
            members=(APP,),
            allow=CLIENTS,
            masquerade=() if key.mark else EVERYBODY,
            matches=(match,) if key.mark else (),
        )
        for name, key in keys.items()
    ]


@pytest.fixture
def place() -> Iterator[Place]:
    with (
        run_folder(Path(".build", "drill")) as folder,
        HostNamespace("rules", folder) as place,
    ):
        place.ip(["link add eth0 type veth peer name eth1"])
        yield place


@pytest.mark.parametrize("family", Family)
def test_nft_takes_all_of_it_and_takes_it_again(place: Place, family: Family) -> None:
    """Every set, map and chain together; the second time replaces the first."""
    config = Config(node="lb1", interfaces={}, services=tuple(services(family)), routers=ROUTERS)
    rules = place.folder / f"{family.name}.nft"
    rules.write_text(ruleset(config, family))

    for _ in range(2):
        place.run(["nft", "-f", str(rules)])
    shown = place.run(["nft", "list", "ruleset"]).stdout

    assert shown.count("table ip") == 1
    for chain in ("unknown", "mark_prerouting", "mark_output", "allow", "translate", "unasked"):
        assert shown.count(f"chain {chain} {{") == 1
    vip = VIPS[family]
    assert f"{vip} . tcp . 444-65535 . {ALL[family]} : {vip}" in shown
    assert shown.count("map @sources") == 1
    assert shown.count("@allowed_marks") == 1
