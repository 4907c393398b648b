"""Tests of director.config: what right files mean."""

from pathlib import Path

import msgspec
import pytest

from director.config.kernel import automatic_resync
from director.config.load import check_text
from director.errors import ConfigError
from director.model.address import Family, Prefix
from director.model.check import Check, HttpCheck, Pace, TcpCheck
from director.model.config import Config, KernelSettings, SyncSettings
from director.model.pool import Member, Service
from director.model.service import (
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Tunnel,
)
from director.model.vip import Auth, Failback, Router, Vip
from director.policy.probing import places_of, probing_of
from director.policy.pulse import MAXLEN
from director.vrrp.rules import active_down

PAIR = (Path(__file__).parent / "pair.toml").read_text()
PACE = Pace(interval=2.0, fast_interval=1.0, down_interval=2.0, timeout=1.0, rise=2, fall=3)
HEALTH = HttpCheck(pace=PACE, path="/healthz", host="www.example.com", status=((200, 299),))
WEB = 'real_servers = ["web1", { server = "web2", weight = 50 }]'
VIRTUAL = 'virtual = "192.0.2.10:80"'
CHECKS = 'checks = ["health"]'


def config_of(*edits: tuple[str, str], node: str = "lb1") -> Config:
    text = PAIR
    for old, new in edits:
        assert text.count(old) == 1
        text = text.replace(old, new)
    return check_text(text, node=node).config


def web_of(*edits: tuple[str, str]) -> Service:
    return config_of(*edits).services[0]


def test_the_pair() -> None:
    """The whole of a right file, as lb1 sees it."""
    loaded = check_text(PAIR, node="lb1")
    config = loaded.config

    assert loaded.warnings == ()
    assert (config.node, config.file) == ("lb1", "director.toml")
    assert config.interfaces == {"front": "eth0", "servers": "eth1", "ha": "eth2"}
    assert config.sync == SyncSettings(interface="eth2", id=51, maxlen=MAXLEN, pulse=True)
    assert config.kernel == KernelSettings()
    assert config.routers == (
        Router(
            name="web",
            vrid=51,
            interface="eth0",
            source="192.0.2.2",
            priority=150,
            interval=0.1,
            vips=(
                Vip(Prefix("192.0.2.10", 32), "eth0"),
                Vip(Prefix("192.0.2.11", 24), "eth0"),
                Vip(Prefix("10.0.8.1", 24), "eth1", advertise=False),
            ),
            lease=2.0,
            failback=Failback("after", 60.0),
        ),
    )
    assert config.services[0] == Service(
        name="web",
        virtuals=(ServiceKey(Family.IPV4, address="192.0.2.10", port=80),),
        settings=ServiceSettings("wlc"),
        members=(
            Member(name="web1", addresses=("10.0.8.11",), checks=(HEALTH,)),
            Member(name="web2", addresses=("10.0.8.12",), weight=50, checks=(HEALTH,)),
        ),
    )
    api = config.services[1]
    assert api.settings == ServiceSettings("mh", frozenset({"mh-port", "mh-fallback"}))
    assert [(m.name, m.addresses, m.port, m.forwarding) for m in api.members] == [
        ("app1", ("10.0.8.21",), 8443, Forwarding.NAT),
        ("10.0.8.22", ("10.0.8.22",), 8443, Forwarding.NAT),
    ]
    assert api.members[0].checks == (TcpCheck(pace=PACE),)


def test_a_node_overlays() -> None:
    """Devices, routers and sync may differ on a node; the other node does not see it."""
    edit = (
        "priority = 100",
        (
            'priority = 100\ninterfaces = { front = "ens18" }\n'
            'sync = { ttl = 3 }\nvrrp.web = { priority = 200, interval = "1s" }'
        ),
    )
    config = config_of(edit, node="lb2")
    router = config.routers[0]

    assert config.interfaces["front"] == router.interface == router.vips[0].interface == "ens18"
    assert (router.priority, router.interval, router.source) == (200, 1.0, "192.0.2.3")
    assert config.sync == SyncSettings(interface="eth2", id=51, ttl=3, maxlen=MAXLEN, pulse=True)
    assert config_of(edit).routers == config_of().routers


PRIORITIES = {
    "the node's": ("", "", 100),
    "the router's before the node's": ("priority = 120\n", "", 120),
    "the overlay's before both": ("priority = 120\n", "\nvrrp.web.priority = 130", 130),
}


@pytest.mark.parametrize(("router", "node", "want"), PRIORITIES.values(), ids=PRIORITIES)
def test_priority(router: str, node: str, want: int) -> None:
    """Who says the priority of a router on a node, nearest first."""
    edits = (("vrid = 51\n", "vrid = 51\n" + router), ("priority = 100", f"priority = 100{node}"))

    assert config_of(*edits, node="lb2").routers[0].priority == want


def test_without_an_interval_a_power_cut_costs_less_than_half_a_second() -> None:
    """Version 3: 100 ms. Version 2 has whole seconds."""
    (router,) = config_of(('interval = "100ms"\n', "")).routers

    assert router.interval == 0.1
    assert active_down(router.priority, router.interval) < 0.5


def test_version_2() -> None:
    """Whole seconds, and where the secret is: the secret itself is nowhere in it."""
    edit = (
        'interval = "100ms"',
        'version = 2\nauth = { method = "ah", secret_file = "/etc/director/vrrp.secret" }',
    )

    (router,) = config_of(edit).routers

    assert (router.version, router.interval, router.lease) == (2, 1.0, 5.0)
    assert router.auth == Auth("ah", "/etc/director/vrrp.secret")
    assert router.sealed
    assert not config_of().routers[0].sealed


IPV6 = ("addresses = [\n", 'addresses = [\n"fe80::10/64", "2001:db8::10/64",\n')


def test_an_ipv6_router_sends_from_what_its_interface_has() -> None:
    """Found out at run time; what it advertises are the IPv6 addresses, the others move along."""
    (router,) = config_of(IPV6).routers

    assert (router.family, router.source, router.peers) == (Family.IPV6, "", ())
    assert router.advertised == ("fe80::10", "2001:db8::10")
    assert len(router.vips) == 5


@pytest.mark.parametrize("address", ["fe80::2", "2001:db8::2"])
def test_an_ipv6_router_may_be_told_its_link_local(address: str) -> None:
    """The node's address of that interface, where it is one; any other cannot be a source."""
    own = ('front = "192.0.2.2"', f'front = "{address}"')

    (router,) = config_of(IPV6, own).routers

    assert router.source == ("fe80::2" if address == "fe80::2" else "")


def test_ipv6_by_unicast_has_a_role_of_its_own() -> None:
    """Two roles may name one device: its IPv4 addresses and its IPv6 ones."""
    edits = [
        ('ha = "eth2"\n', 'ha = "eth2"\nfront6 = "eth0"\n'),
        ('front = "192.0.2.2"', 'front = "192.0.2.2", front6 = "2001:db8::2"'),
        ('front = "192.0.2.3"', 'front = "192.0.2.3", front6 = "2001:db8::3"'),
        ('interface = "front"', 'interface = "front6"\nunicast = true'),
    ]

    (router,) = config_of(IPV6, *edits).routers

    assert (router.source, router.peers) == ("2001:db8::2", ("2001:db8::3",))
    assert {vip.interface for vip in router.vips[:2]} == {"eth0"}


def test_one_vrid_serves_both_families_of_an_interface() -> None:
    """They are two virtual routers (RFC 9568 section 5.2.3), and so are their groups' members."""
    other = """
[vrrp.web6]
interface = "front"
vrid = 51
addresses = ["fe80::10"]
group = "edge"
"""
    edits = [
        ("vrid = 51", 'vrid = 51\ngroup = "edge"'),
        ("[real_servers]", other + "[real_servers]"),
    ]

    web, web6 = config_of(*edits).routers

    assert (web.vrid, web6.vrid) == (51, 51)
    assert (web.group, web6.group) == ("edge", "edge")


def test_an_owner() -> None:
    """Priority 255, on one of the nodes."""
    assert config_of(("priority = 150", "priority = 255")).routers[0].priority == 255


def test_a_virtual_mac() -> None:
    """The VIPs of the router's interface are on the device that has it; others stay."""
    (web,) = config_of(("vrid = 51\n", 'vrid = 51\nmac = "virtual"\n')).routers

    assert (web.interface, web.device) == ("eth0", "vr4-51-eth0")
    assert [vip.interface for vip in web.vips] == ["vr4-51-eth0", "vr4-51-eth0", "eth1"]
    assert web.virtual_mac.hex(":") == "00:00:5e:00:01:33"


def test_the_name_of_a_device_fits_whatever_the_interface_is_called() -> None:
    """And differs from that of another interface, family and VRID."""
    (web,) = config_of(("vrid = 51\n", 'vrid = 255\nmac = "virtual"\n')).routers
    names = {
        msgspec.structs.replace(web, interface=name).device
        for name in ("eth0", "enp0s31f6", "enp0s31f7", "x" * 15)
    }

    assert len(names) == 4
    assert max(map(len, names)) == 15


LEASES = {
    # interval 100 ms, priority 150: active_down 0.3414 s; interval 1 s: 3.4141 s
    "auto, short": ("", "100ms", 2.0),
    "auto, a second": ("", "1s", 5.0),
    "auto, longest": ("", "40.95s", 141.0),
    "off": ('lease = "off"', "100ms", 0.0),
    "written": ('lease = "10s"', "100ms", 10.0),
}


@pytest.mark.parametrize(("lease", "interval", "want"), LEASES.values(), ids=LEASES)
def test_lease(lease: str, interval: str, want: float) -> None:
    """At least 2 s, and a second more than a backup waits, in whole seconds."""
    edits = (("vrid = 51\n", f"vrid = 51\n{lease}\n"), ('"100ms"', f'"{interval}"'))

    assert config_of(*edits).routers[0].lease == want


FAILBACKS = {
    "default": ("", Failback("after", 60.0)),
    "now": ('failback = { when = "now" }', Failback("now", 60.0)),
    "never": ('failback = { when = "never" }', Failback("never", 60.0)),
    "after": ('failback = { when = "after", after = "5m" }', Failback("after", 300.0)),
    "after alone": ('failback = { after = "5s" }', Failback("after", 5.0)),
}


@pytest.mark.parametrize(("text", "want"), FAILBACKS.values(), ids=FAILBACKS)
def test_failback(text: str, want: Failback) -> None:
    """When a stronger node takes back: after 60 s of listening unless written."""
    assert config_of(("vrid = 51\n", f"vrid = 51\n{text}\n")).routers[0].failback == want


def test_unicast_takes_its_peers_from_the_nodes() -> None:
    """The other nodes' addresses on the router's interface."""
    edit = ("vrid = 51\n", 'vrid = 51\nunicast = true\nchecksum = "plain"\n')

    assert config_of(edit).routers[0].peers == ("192.0.2.3",)
    assert config_of(edit, node="lb2").routers[0].peers == ("192.0.2.2",)
    assert config_of(edit).routers[0].checksum == "plain"


def test_kernel() -> None:
    """Durations in seconds, sysctls as text."""
    kernel = config_of(
        (
            "[sync]\n",
            (
                '[kernel]\nsysctls = "report"\nresync = "5s"\nmin_resync = "0s"\nforeign = "keep"\n'
                'timeouts = { tcp = "15m", tcp_fin = "2m" }\n'
                'sysctl = { "net.ipv4.vs.sync_ports" = 2, "net.a/b" = "x" }\n[sync]\n'
            ),
        )
    ).kernel

    assert kernel == KernelSettings(
        sysctls="report",
        resync=5.0,
        timeouts=(900.0, 120.0, 0.0),
        sysctl={"net.ipv4.vs.sync_ports": "2", "net.a/b": "x"},
    )


def test_sync() -> None:
    """Every key of [sync]."""
    sync = config_of(
        (
            'interface = "ha"\nid = 51\n',
            (
                'interface = "ha"\nid = 7\ngroup = "224.0.0.99"\nport = 8849\nttl = 2\nmaxlen = 1400\n'
                'refresh = "20s"\nthreshold = [3, 50]\n'
            ),
        )
    ).sync

    assert sync == SyncSettings(
        interface="eth2",
        id=7,
        group="224.0.0.99",
        port=8849,
        ttl=2,
        maxlen=1400,
        refresh=20.0,
        threshold=(3, 50),
        pulse=True,
    )


@pytest.mark.parametrize(("services", "want"), [(0, 2.0), (1000, 2.0), (20000, 30.0)])
def test_automatic_resync(services: int, want: float) -> None:
    """The two points that the contract names."""
    assert automatic_resync(services) == want


ENTRIES = {
    "a name": ('"web1"', ("web1", "10.0.8.11", 0)),
    "a name and a port": ('"web1:80"', ("web1", "10.0.8.11", 80)),
    "an address": ('"10.0.8.99"', ("10.0.8.99", "10.0.8.99", 0)),
    "an address and a port": ('"10.0.8.99:80"', ("10.0.8.99", "10.0.8.99", 80)),
    "a table": ('{ server = "web1", port = 80 }', ("web1", "10.0.8.11", 80)),
    "the same port twice": ('{ server = "web1:80", port = 80 }', ("web1", "10.0.8.11", 80)),
}


@pytest.mark.parametrize("whole", [True, False], ids=["X", "[X]"])
@pytest.mark.parametrize(("text", "want"), ENTRIES.values(), ids=ENTRIES)
def test_a_real_server(text: str, want: tuple[str, str, int], *, whole: bool) -> None:
    """All spellings of a pool's entry, alone and in a list."""
    (member,) = web_of((WEB, f"real_servers = {text if whole else f'[{text}]'}")).members

    assert (member.name, *member.addresses, member.port) == want


def test_ipv6() -> None:
    """Both families in one service: addresses are canonical, and clients' networks fit each."""
    web = web_of(
        ('  "192.0.2.10",', '  "192.0.2.10", "2001:DB8::0:10/64",'),
        ('web1 = "10.0.8.11"', 'web1 = ["10.0.8.11", "2001:db8:8::11"]'),
        (VIRTUAL, 'virtual = ["192.0.2.10:80", "[2001:DB8:0::10]:80"]'),
        (WEB, 'real_servers = ["web1", "web2", "[2001:db8:8::0:12]:80"]'),
        (CHECKS, 'persistence = { timeout = "5m", netmask = 24, netmask6 = 64 }'),
    )
    four, six = web.virtuals

    assert six == ServiceKey(Family.IPV6, address="2001:db8::10", port=80)
    assert [member.addresses for member in web.members] == [
        ("10.0.8.11", "2001:db8:8::11"),
        ("10.0.8.12",),
        ("2001:db8:8::12",),
    ]
    assert web.settings_for(four).persistence == Persistence(300, 24)
    assert web.settings_for(six).persistence == Persistence(300, 64)


PROTOCOLS = {"tcp": Protocol.TCP, "udp": Protocol.UDP, "sctp": Protocol.SCTP}


@pytest.mark.parametrize(("word", "protocol"), PROTOCOLS.items())
def test_protocol(word: str, protocol: Protocol) -> None:
    """Of every virtual service of the service."""
    web = web_of((VIRTUAL, f'virtual = ["192.0.2.10:80", "192.0.2.11:80"]\nprotocol = "{word}"'))

    assert web.virtuals == (
        ServiceKey(Family.IPV4, protocol, "192.0.2.10", 80),
        ServiceKey(Family.IPV4, protocol, "192.0.2.11", 80),
    )


def test_two_protocols_at_one_address_are_two_services() -> None:
    """TCP and UDP of one address and port, as DNS has them."""
    config = config_of((VIRTUAL, 'virtual = "192.0.2.11:443"\nprotocol = "udp"'))

    assert [str(service.virtuals[0]) for service in config.services] == [
        "udp/192.0.2.11:443",
        "tcp/192.0.2.11:443",
    ]


def test_one_packet_and_a_persistence_engine() -> None:
    """What UDP has alone."""
    web = web_of(
        (VIRTUAL, f'{VIRTUAL}\nprotocol = "udp"\none_packet = true'),
        (CHECKS, f'{CHECKS}\npersistence = {{ timeout = "1m", engine = "sip" }}'),
    )

    assert web.settings == ServiceSettings(
        "wlc", persistence=Persistence(60, 32, "sip"), one_packet=True
    )


def test_a_mark() -> None:
    """Found by family and mark alone; real servers get no port, and are checked at one that is said."""
    text = 'fwmark = 20\nfamily = "ipv4"\ncheck = { kind = "tcp", port = 21 }'
    web = web_of((VIRTUAL, text), (CHECKS, 'persistence = "10m"'))

    assert web.virtuals == (ServiceKey(Family.IPV4, mark=20),)
    assert web.settings.persistence == Persistence(600, 32)
    assert [str(place.endpoint) for place, _ in places_of(web)] == ["10.0.8.11:0", "10.0.8.12:0"]
    assert [
        str(one.endpoint)
        for one in probing_of(config_of((VIRTUAL, text), (CHECKS, ""))).targets.values()
    ][:2] == ["10.0.8.11:21", "10.0.8.12:21"]


def test_one_mark_of_both_families() -> None:
    """They are two services."""
    text = 'fwmark = 20\nfamily = "ipv4"\nchecks = "none"\n'
    other = '[services.six]\nfwmark = 20\nfamily = "ipv6"\nchecks = "none"\nreal_servers = "2001:db8:8::1"\n'
    config = config_of((VIRTUAL, text), (CHECKS, other))

    assert [str(one.virtuals[0]) for one in config.services] == [
        "fwmark/20",
        "fwmark/20 ipv6",
        "tcp/192.0.2.11:443",
    ]


def test_real_servers_of_a_mark_behind_nat_may_have_a_port() -> None:
    """All that has the mark goes there."""
    text = 'fwmark = 20\nfamily = "ipv4"\nforwarding = "nat"'
    web = web_of((VIRTUAL, text), (WEB, 'real_servers = ["web1:8080"]'))

    assert [str(place.endpoint) for place, _ in places_of(web)] == ["10.0.8.11:8080"]


def test_every_port() -> None:
    """Port 0, with persistence."""
    web = web_of(
        (VIRTUAL, 'virtual = ["192.0.2.10:0", "192.0.2.11:0"]\npersistence = "5m"'),
        (CHECKS, 'check = { kind = "tcp", port = 21 }'),
    )

    assert [(key.address, key.port) for key in web.virtuals] == [
        ("192.0.2.10", 0),
        ("192.0.2.11", 0),
    ]
    assert {place.endpoint.port for place, _ in places_of(web)} == {0}


TUNNELS = {
    "nothing is written": ("", Tunnel()),
    "ipip": ('tunnel = { type = "ipip" }', Tunnel()),
    "gue": ('tunnel = { type = "gue", port = 6080 }', Tunnel("gue", 6080)),
    "gue, summed": (
        'tunnel = { type = "gue", port = 6080, checksum = true }',
        Tunnel("gue", 6080, True),
    ),
    "gre": ('tunnel = { type = "gre" }', Tunnel("gre")),
    "gre, summed": ('tunnel = { type = "gre", checksum = true }', Tunnel("gre", 0, True)),
}


@pytest.mark.parametrize(("text", "want"), TUNNELS.values(), ids=TUNNELS)
def test_tunnels(text: str, want: Tunnel) -> None:
    """Every real server that is reached by one has the service's; the others have none."""
    servers = 'real_servers = ["web1", { server = "web2", forwarding = "dr" }]'
    web = web_of((WEB, servers), (CHECKS, f'{CHECKS}\nforwarding = "tun"\n{text}'))

    assert [member.tunnel for member in web.members] == [want, None]


def test_a_tunnel_may_carry_the_other_family() -> None:
    """Without [sync], and where the service has that one family; else each serves its own."""
    sync = ('[sync]\ninterface = "ha"\nid = 51\n', "")
    six = ('web1 = "10.0.8.11"', 'web1 = "2001:db8:8::11"')
    web = web_of(sync, six, (CHECKS, f'{CHECKS}\nforwarding = "tun"'))
    both = web_of(
        *(sync, six),
        (VIRTUAL, 'virtual = ["192.0.2.10:80", "[2001:db8::10]:80"]\nheld = "elsewhere"'),
        (CHECKS, f'{CHECKS}\nforwarding = "tun"'),
    )

    assert [str(place.endpoint) for place, _ in places_of(web)] == [
        "[2001:db8:8::11]:80",
        "10.0.8.12:80",
    ]
    assert [str(place.endpoint) for place, _ in places_of(both)] == [
        "10.0.8.12:80",
        "[2001:db8:8::11]:80",
    ]


FAILURES = {
    "nothing is written": ("", "", ("auto", None)),
    "by default": ('on_fail = "quiesce"\ncut_after = "1m"', "", ("quiesce", 60.0)),
    "by the service": ("", 'on_fail = "remove"', ("remove", None)),
    "the service before the default": (
        'on_fail = "remove"\ncut_after = "1m"',
        'on_fail = "quiesce"\ncut_after = "off"',
        ("quiesce", None),
    ),
    "cut at once": ("", 'cut_after = "0s"', ("auto", 0.0)),
}


@pytest.mark.parametrize(("outer", "inner", "want"), FAILURES.values(), ids=FAILURES)
def test_what_is_done_with_who_fails(
    outer: str, inner: str, want: tuple[str, float | None]
) -> None:
    """Each key from the service, else from [defaults]; "off" is never."""
    web = web_of(
        ("[defaults.check]", f"[defaults]\n{outer}\n[defaults.check]"),
        (CHECKS, f"{CHECKS}\n{inner}"),
    )

    assert (web.on_fail, web.cut_after) == want


def test_persistence_in_short() -> None:
    """One duration: a client is one address, in both families."""
    web = web_of((CHECKS, 'persistence = "90s"'))
    six = ServiceKey(Family.IPV6, address="2001:db8::10", port=80)

    assert web.settings.persistence == Persistence(90, 32)
    assert web.settings_for(six).persistence == Persistence(90, 128)


def test_inheritance() -> None:
    """[defaults], then the service, then its entry; each key by itself."""
    web = web_of(
        (
            "[defaults.check]",
            (
                '[defaults]\nscheduler = "wrr"\nweight = 7\nforwarding = "tun"\ndrain = "1m"\n'
                'on_fail = "quiesce"\n[defaults.check]'
            ),
        ),
        (
            WEB,
            (
                'weight = 8\nreal_servers = ["web1", { server = "web2", weight = 9, forwarding = "dr",'
                " upper_threshold = 10, lower_threshold = 8 }]"
            ),
        ),
    )

    assert web.settings.scheduler == "wrr"
    assert web.drain == 60.0
    assert web.members[0] == Member(
        name="web1",
        addresses=("10.0.8.11",),
        weight=8,
        forwarding=Forwarding.TUN,
        tunnel=Tunnel(),
        checks=(HEALTH,),
    )
    assert web.members[1] == Member(
        name="web2",
        addresses=("10.0.8.12",),
        weight=9,
        forwarding=Forwarding.DR,
        upper_threshold=10,
        lower_threshold=8,
        checks=(HEALTH,),
    )


def test_weight_of_source_hashing() -> None:
    """1 where the scheduler is sh and nobody wrote a weight; 100 elsewhere."""
    plain = (WEB, 'scheduler = "sh"\nscheduler_flags = "sh-port"\nreal_servers = "web1"')

    assert [member.weight for member in web_of(plain).members] == [1]
    assert [member.weight for member in web_of((WEB, 'real_servers = "web1"')).members] == [100]


FAST = Pace(interval=1.0, fast_interval=0.5, down_interval=1.0, timeout=0.5, rise=1, fall=3)
CHECK_CASES: dict[str, tuple[str, tuple[Check, ...]]] = {
    "none is written: tcp": ("", (TcpCheck(pace=PACE),)),
    "one by name": ('check = "health"', (HEALTH,)),
    "switched off": ('checks = "none"', ()),
    "switched off in a list": ('checks = ["none"]', ()),
    "a table": (
        'check = { kind = "http", port = 8080, address = "10.0.8.99", status = [200, "301-302"] }',
        (HttpCheck(pace=PACE, port=8080, address="10.0.8.99", status=((200, 200), (301, 302))),),
    ),
    "a table's own pace": (
        'check = { kind = "tcp", interval = "1s", timeout = "500ms", rise = 1 }',
        (TcpCheck(pace=FAST),),
    ),
    "several": ('checks = ["health", { kind = "tcp" }]', (HEALTH, TcpCheck(pace=PACE))),
}


@pytest.mark.parametrize(("text", "want"), CHECK_CASES.values(), ids=CHECK_CASES)
def test_checks(text: str, want: tuple[Check, ...]) -> None:
    """What a service writes about its checks, and what each real server gets of it."""
    web = web_of((CHECKS, f'{text}\nchecks_need = "any"'))

    assert [member.checks for member in web.members] == [want, want]
    assert web.checks_need == "any"


def test_a_real_server_has_checks_of_its_own() -> None:
    """An entry's checks replace those of its service; they do not add to them."""
    web = web_of((WEB, 'real_servers = ["web1", { server = "web2", check = "none" }]'))

    assert [member.checks for member in web.members] == [(HEALTH,), ()]


def test_one_machine_at_two_ports() -> None:
    """Both places can be told apart by name."""
    members = config_of(('"10.0.8.22:8443"', '"app1:8444"')).services[1].members

    assert [member.name for member in members] == ["app1:8443", "app1:8444"]


def test_an_address_that_another_machine_holds() -> None:
    """held = "elsewhere" lets a service stand on an address that no virtual router has."""
    web = web_of((VIRTUAL, 'virtual = "198.51.100.1:80"\nheld = "elsewhere"'))

    assert web.virtuals[0].address == "198.51.100.1"


def test_allowed_networks_do_not_overlap() -> None:
    """nftables refuses those; an address is a network of its own."""
    allow = (
        'allow = ["10.1.0.0/16", "10.0.0.0/8", "198.51.100.7", "192.168.1.0/24", "192.168.0.0/24"]'
    )

    assert [str(one) for one in web_of((WEB, f"{allow}\n{WEB}")).allow] == [
        "10.0.0.0/8",
        "192.168.0.0/23",
        "198.51.100.7/32",
    ]
    assert web_of().allow == ()


MASQUERADES = {
    "never": ('"never"', []),
    "always, by family": ('"always"', ["0.0.0.0/0"]),
    "hairpin, its own real servers": ('"hairpin"', ["10.0.8.21/32", "10.0.8.22/32"]),
    "networks": ('["10.0.8.0/25", "10.0.8.128/25", "192.0.2.7"]', ["10.0.8.0/24", "192.0.2.7/32"]),
    "one network": ('"10.0.8.0/25"', ["10.0.8.0/25"]),
}


@pytest.mark.parametrize(("text", "want"), MASQUERADES.values(), ids=MASQUERADES)
def test_masquerade(text: str, want: list[str]) -> None:
    """Whatever the word, it is the networks of the clients that are meant."""
    api = config_of(('mh-fallback"]\n', f'mh-fallback"]\nmasquerade = {text}\n')).services[1]

    assert [str(one) for one in api.masquerade] == want
    assert api.masquerade_as == ()


def test_masquerade_as_an_address_that_moves_with_the_vip() -> None:
    """As with the gateway, which real servers reach without a route."""
    edit = 'mh-fallback"]\nmasquerade = "always"\nmasquerade_as = "10.0.8.1"\n'

    assert config_of(('mh-fallback"]\n', edit)).services[1].masquerade_as == ("10.0.8.1",)


KEPT = {
    'keep_networks = "10.96.0.0/12"': "",
    'keep_networks = ["10.96.0.0/12", "2001:db8:1::/48"]': "",
    'keep_networks = ["10.96.0.1/12"]': "has host bits set",
    'keep_networks = ["192.0.2.0/24"]': "is never touched",
    'keep_networks = ["0.0.0.0/0"]': "is never touched",
}


@pytest.mark.parametrize(("line", "fault"), KEPT.items(), ids=KEPT)
def test_kept_networks(line: str, fault: str) -> None:
    """Networks, none of which has a virtual service of the file."""
    text = PAIR.replace("[sync]", f"[kernel]\n{line}\n[sync]", 1)
    try:
        check_text(text, node="lb1")
        faults: list[str] = []
    except ConfigError as error:
        faults = [one.fault for one in error.faults]

    assert all(fault and fault in one for one in faults)
    assert bool(faults) == bool(fault)
