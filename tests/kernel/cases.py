"""What the kernel refuses, and what it reads back, case by case."""

import errno

from director.model.address import Endpoint, Family
from director.model.config import SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Op,
    SetDestination,
    SetService,
    SetSysctl,
    StartSync,
    StopSync,
)
from director.model.service import (
    Destination,
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Tunnel,
)

WEB = ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.10", 80)
OTHER = ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.11", 80)
DNS6 = ServiceKey(Family.IPV6, Protocol.UDP, "2001:db8::10", 53)
MARKED = ServiceKey(Family.IPV4, mark=0x4000_0001)
MARKED6 = ServiceKey(Family.IPV6, mark=0x4000_0001)
ONE, TWO = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.12", 80)
SIX = Endpoint("2001:db8:8::11", 80)
WLC = ServiceSettings("wlc")
PLAIN = Destination(weight=100)
IPIP = Destination(forwarding=Forwarding.TUN)
IPIP_THERE = Destination(forwarding=Forwarding.TUN, tunnel=Tunnel())
LO = SyncSettings(interface="lo", id=51)


# What the kernel refuses: what was done before, the op, the errno.
REFUSALS: dict[str, tuple[list[Op], Op, int]] = {
    "a service twice": ([AddService(WEB, WLC)], AddService(WEB, WLC), errno.EEXIST),
    "set a service that is not there": ([], SetService(WEB, WLC), errno.ESRCH),
    "delete a service that is not there": ([], DeleteService(WEB), errno.ESRCH),
    "an unknown scheduler": ([], AddService(WEB, ServiceSettings("nosuch")), errno.ENOENT),
    "change to an unknown scheduler": (
        [AddService(WEB, WLC)],
        SetService(WEB, ServiceSettings("nosuch")),
        errno.ENOENT,
    ),
    "an unknown persistence engine": (
        [],
        AddService(WEB, ServiceSettings("rr", persistence=Persistence(60, 32, "nosuch"))),
        errno.ENOENT,
    ),
    "an IPv6 client network of /0": (
        [],
        AddService(DNS6, ServiceSettings("rr", persistence=Persistence(60, 0))),
        errno.EINVAL,
    ),
    "a destination without its service": ([], AddDestination(WEB, ONE, PLAIN), errno.ESRCH),
    "a destination twice": (
        [AddService(WEB, WLC), AddDestination(WEB, ONE, PLAIN)],
        AddDestination(WEB, ONE, PLAIN),
        errno.EEXIST,
    ),
    "set a destination that is not there": (
        [AddService(WEB, WLC)],
        SetDestination(WEB, ONE, PLAIN),
        errno.ENOENT,
    ),
    "delete a destination that is not there": (
        [AddService(WEB, WLC), AddDestination(WEB, ONE, PLAIN)],
        DeleteDestination(WEB, TWO),
        errno.ENOENT,
    ),
    "a negative weight": (
        [AddService(WEB, WLC)],
        AddDestination(WEB, ONE, Destination(weight=-1)),
        errno.ERANGE,
    ),
    "a lower threshold above the upper": (
        [AddService(WEB, WLC)],
        AddDestination(WEB, ONE, Destination(lower_threshold=2, upper_threshold=1)),
        errno.ERANGE,
    ),
    "a lower threshold without an upper": (
        [AddService(WEB, WLC)],
        AddDestination(WEB, ONE, Destination(lower_threshold=1)),
        errno.ERANGE,
    ),
    "a GUE tunnel without a port": (
        [AddService(WEB, WLC)],
        AddDestination(WEB, ONE, Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("gue"))),
        errno.EINVAL,
    ),
    "the other family without a tunnel": (
        [AddService(WEB, WLC)],
        AddDestination(WEB, SIX, PLAIN),
        errno.EINVAL,
    ),
    "the other family while a sync daemon runs": (
        [AddService(WEB, WLC), StartSync("backup", LO)],
        AddDestination(WEB, SIX, IPIP),
        errno.EINVAL,
    ),
    "a sync daemon while there is the other family": (
        [AddService(WEB, WLC), AddDestination(WEB, SIX, IPIP)],
        StartSync("backup", LO),
        errno.EINVAL,
    ),
    "a sync daemon twice": ([StartSync("master", LO)], StartSync("master", LO), errno.EEXIST),
    "a sync daemon that does not run": ([StartSync("master", LO)], StopSync("backup"), errno.ESRCH),
    "a sync daemon on no interface": (
        [],
        StartSync("master", SyncSettings(interface="nosuch0")),
        errno.ENODEV,
    ),
    "a sysctl that is not there": ([], SetSysctl("net.ipv4.vs.nosuch", "1"), errno.ENOENT),
}


ROUND_TRIPS: dict[str, tuple[ServiceKey, ServiceSettings, Endpoint, Destination]] = {
    "direct route": (WEB, WLC, ONE, PLAIN),
    "quiesced": (WEB, WLC, ONE, Destination(weight=0)),
    "the heaviest": (WEB, WLC, ONE, Destination(weight=65535)),
    "NAT to another port": (
        WEB,
        ServiceSettings("wrr"),
        Endpoint("10.0.8.11", 8080),
        Destination(forwarding=Forwarding.NAT),
    ),
    "IPIP": (WEB, WLC, ONE, IPIP_THERE),
    "GUE": (
        WEB,
        WLC,
        ONE,
        Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("gue", 6080, checksum=True)),
    ),
    "GRE": (WEB, WLC, ONE, Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("gre"))),
    "thresholds": (WEB, WLC, ONE, Destination(upper_threshold=1000, lower_threshold=800)),
    "an IPv6 tunnel in an IPv4 service": (WEB, WLC, SIX, IPIP_THERE),
    "IPv6, one-packet": (
        DNS6,
        ServiceSettings("rr", one_packet=True),
        Endpoint("2001:db8:8::1", 53),
        PLAIN,
    ),
    "IPv6, persistent by /64": (
        DNS6,
        ServiceSettings("wlc", persistence=Persistence(360, 64)),
        SIX,
        PLAIN,
    ),
    "persistent by /24": (
        WEB,
        ServiceSettings("sh", frozenset({"sh-port"}), Persistence(300, 24)),
        ONE,
        PLAIN,
    ),
    "both flags of mh": (
        WEB,
        ServiceSettings("mh", frozenset({"mh-port", "mh-fallback"})),
        ONE,
        PLAIN,
    ),
    "a mark": (MARKED, WLC, Endpoint("10.0.8.11", 0), PLAIN),
    "a mark of IPv6": (MARKED6, WLC, Endpoint("2001:db8:8::1", 0), PLAIN),
    "no scheduler": (WEB, ServiceSettings("none"), ONE, PLAIN),
    "SCTP": (ServiceKey(Family.IPV4, Protocol.SCTP, "192.0.2.10", 80), WLC, ONE, PLAIN),
    "any port": (
        ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.10", 0),
        ServiceSettings("rr", persistence=Persistence(60, 32)),
        Endpoint("10.0.8.11", 0),
        PLAIN,
    ),
}
