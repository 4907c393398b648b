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
UDP = ServiceKey(Family.IPV4, Protocol.UDP, "192.0.2.10", 80)
SCTP = ServiceKey(Family.IPV4, Protocol.SCTP, "192.0.2.10", 80)
SIX_WEB = ServiceKey(Family.IPV6, Protocol.TCP, "2001:db8::10", 80)
MARKED = ServiceKey(Family.IPV4, mark=0x4000_0001)
MARKED6 = ServiceKey(Family.IPV6, mark=0x4000_0001)
ONE, TWO = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.12", 80)
SIX = Endpoint("2001:db8:8::11", 80)
WLC = ServiceSettings("wlc")
PLAIN = Destination(weight=100)
IPIP = Destination(forwarding=Forwarding.TUN)
IPIP_THERE = Destination(forwarding=Forwarding.TUN, tunnel=Tunnel())
GUE = Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("gue", 6080))
BY_CALL = Persistence(60, 32, "sip")
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
    "a GUE tunnel that loses its port": (
        [AddService(WEB, WLC), AddDestination(WEB, ONE, GUE)],
        SetDestination(
            WEB, ONE, Destination(weight=2, forwarding=Forwarding.TUN, tunnel=Tunnel("gue"))
        ),
        errno.EINVAL,
    ),
    "a tunnel of the other family that becomes a route": (
        [AddService(WEB, WLC), AddDestination(WEB, SIX, IPIP)],
        SetDestination(WEB, SIX, PLAIN),
        errno.EINVAL,
    ),
    "a mark twice": ([AddService(MARKED, WLC)], AddService(MARKED, WLC), errno.EEXIST),
    "a mark of the other family": ([AddService(MARKED, WLC)], DeleteService(MARKED6), errno.ESRCH),
    "a destination of a mark that is not there": (
        [AddService(MARKED6, WLC)],
        AddDestination(MARKED, ONE, PLAIN),
        errno.ESRCH,
    ),
    "the same address and port, another protocol": (
        [AddService(WEB, WLC), AddService(SCTP, WLC)],
        DeleteService(UDP),
        errno.ESRCH,
    ),
    "another port of a destination": (
        [AddService(MARKED, WLC), AddDestination(MARKED, ONE, PLAIN)],
        SetDestination(MARKED, Endpoint(ONE.address, 0), PLAIN),
        errno.ENOENT,
    ),
    "change to an unknown persistence engine": (
        [AddService(UDP, WLC)],
        SetService(UDP, ServiceSettings("rr", persistence=Persistence(60, 32, "nosuch"))),
        errno.ENOENT,
    ),
    "a negative weight while it serves": (
        [AddService(UDP, WLC), AddDestination(UDP, ONE, PLAIN)],
        SetDestination(UDP, ONE, Destination(weight=-1)),
        errno.ERANGE,
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
    "SCTP": (SCTP, WLC, ONE, PLAIN),
    "SCTP over IPv6": (
        ServiceKey(Family.IPV6, Protocol.SCTP, "2001:db8::10", 80),
        *(WLC, SIX, PLAIN),
    ),
    "UDP": (UDP, WLC, ONE, PLAIN),
    "UDP, persistent by SIP call": (UDP, ServiceSettings("rr", persistence=BY_CALL), ONE, PLAIN),
    "one packet at a time, persistent by SIP call": (
        UDP,
        ServiceSettings("rr", persistence=BY_CALL, one_packet=True),
        *(ONE, PLAIN),
    ),
    "a mark, one packet at a time": (MARKED, ServiceSettings("rr", one_packet=True), ONE, PLAIN),
    "the largest mark": (
        ServiceKey(Family.IPV4, mark=0xFFFFFFFF),
        *(WLC, Endpoint("10.0.8.11", 0), PLAIN),
    ),
    "a mark behind NAT with a port": (
        *(MARKED, WLC, Endpoint("10.0.8.11", 8080)),
        Destination(forwarding=Forwarding.NAT),
    ),
    "a mark, persistent by /48": (
        MARKED6,
        ServiceSettings("wlc", persistence=Persistence(600, 48)),
        *(Endpoint("2001:db8:8::1", 0), PLAIN),
    ),
    "GUE without a checksum": (WEB, WLC, ONE, GUE),
    "GUE over IPv6": (SIX_WEB, WLC, SIX, GUE),
    "GUE for IPv6 over IPv4": (SIX_WEB, WLC, ONE, GUE),
    "GRE with a checksum": (
        *(WEB, WLC, ONE),
        Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("gre", checksum=True)),
    ),
    "an IPv4 tunnel in an IPv6 service": (SIX_WEB, WLC, ONE, IPIP_THERE),
    "the highest thresholds": (
        *(WEB, WLC, ONE),
        Destination(upper_threshold=0xFFFFFFFF, lower_threshold=0xFFFFFFFF),
    ),
    "the longest persistence": (
        *(WEB, ServiceSettings("rr", persistence=Persistence(31 * 86400, 1)), ONE, PLAIN),
    ),
    "any port": (
        ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.10", 0),
        ServiceSettings("rr", persistence=Persistence(60, 32)),
        Endpoint("10.0.8.11", 0),
        PLAIN,
    ),
    "any port of IPv6 and UDP": (
        ServiceKey(Family.IPV6, Protocol.UDP, "2001:db8::10", 0),
        ServiceSettings("rr", persistence=Persistence(60, 128)),
        *(Endpoint("2001:db8:8::1", 0), PLAIN),
    ),
    # Taken as it is, and of no use: the check of the file refuses these (config/traps.py).
    "taken: one packet of TCP": (WEB, ServiceSettings("rr", one_packet=True), ONE, PLAIN),
    "taken: TCP by SIP call": (WEB, ServiceSettings("rr", persistence=BY_CALL), ONE, PLAIN),
    "taken: any port, not persistent": (
        ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.10", 0),
        *(WLC, Endpoint("10.0.8.11", 0), PLAIN),
    ),
    "taken: another port with DR": (WEB, WLC, Endpoint("10.0.8.11", 8080), PLAIN),
    "taken: a weight that does not fit": (WEB, WLC, ONE, Destination(weight=65536)),
    "taken: a port of an ipip tunnel": (
        *(WEB, WLC, ONE),
        Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("ipip", 80, checksum=True)),
    ),
}
