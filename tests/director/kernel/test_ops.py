"""Tests of director.model.ops."""

import errno

import pytest

from director.model.address import Endpoint, Family
from director.model.config import SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Observed,
    Op,
    Refused,
    SetDestination,
    SetService,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
    show,
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
MARKED = ServiceKey(Family.IPV6, mark=7)
ONE = Endpoint("10.0.8.11", 80)
GUE = Destination(
    weight=5,
    forwarding=Forwarding.TUN,
    tunnel=Tunnel("gue", 6080),
    upper_threshold=9,
    lower_threshold=4,
)
RICH = ServiceSettings(
    "mh",
    frozenset({"mh-port", "mh-fallback"}),
    Persistence(300, 24, "sip"),
    one_packet=True,
)
SYNC = SyncSettings(interface="eth2", id=51)

LINES: dict[str, Op] = {
    "tcp/192.0.2.10:80 add, scheduler wlc": AddService(WEB, ServiceSettings("wlc")),
    "fwmark/7 ipv6 set, scheduler mh mh-fallback mh-port one-packet persistence 300s /24 sip": (
        SetService(MARKED, RICH)
    ),
    "tcp/192.0.2.10:80 delete": DeleteService(WEB),
    "tcp/192.0.2.10:80 10.0.8.11:80 add, weight 100 dr": (
        AddDestination(WEB, ONE, Destination(weight=100))
    ),
    "tcp/192.0.2.10:80 10.0.8.11:80 weight 5 tun gue:6080 thresholds 4..9": (
        SetDestination(WEB, ONE, GUE)
    ),
    "tcp/192.0.2.10:80 10.0.8.11:80 delete": DeleteDestination(WEB, ONE),
    "sync master start on eth2, id 51": StartSync("master", SYNC),
    "sync backup stop": StopSync("backup"),
    "sysctl net.ipv4.vs.backup_only = 0": SetSysctl("net.ipv4.vs.backup_only", "0"),
    "timeouts tcp 900s udp 2.5s": SetTimeouts(tcp=900, udp=2.5),
}


@pytest.mark.parametrize(("line", "op"), LINES.items())
def test_an_op_shows_as_one_line(line: str, op: Op) -> None:
    """
    What is changed, and to what.
    """
    assert show(op) == line


def test_a_change_shows_what_was_before() -> None:
    """
    A weight alone as `weight A -> B`; anything else in full.
    """
    ipip = Destination(weight=5, forwarding=Forwarding.TUN, tunnel=Tunnel())
    quiesced = Destination(weight=0)

    assert show(SetDestination(WEB, ONE, quiesced), Destination(weight=100)) == (
        "tcp/192.0.2.10:80 10.0.8.11:80 weight 100 -> 0"
    )
    assert show(SetDestination(WEB, ONE, quiesced), ipip) == (
        "tcp/192.0.2.10:80 10.0.8.11:80 weight 5 tun ipip -> weight 0 dr"
    )


MENDS: dict[str, tuple[Op, int, str]] = {
    "a scheduler": (AddService(WEB, ServiceSettings("mh")), errno.ENOENT, "modprobe ip_vs_mh"),
    "an engine": (SetService(WEB, RICH), errno.ENOENT, "ip_vs_pe_sip"),
    "a family": (AddDestination(WEB, ONE, Destination()), errno.EINVAL, 'forwarding = "tun"'),
    "a tunnel": (AddDestination(WEB, ONE, GUE), errno.EINVAL, "port"),
    "an interface": (StartSync("master", SYNC), errno.ENODEV, "create the interface eth2"),
    "its address": (StartSync("master", SYNC), errno.EADDRNOTAVAIL, "is eth2 up"),
    "a name": (SetSysctl("a.b", "1"), errno.ENOENT, "this kernel has no a.b"),
    "a value": (SetSysctl("a.b", "x"), errno.EINVAL, "'x' is not a value of a.b"),
    "a closed tree": (SetSysctl("a.b", "x"), errno.EROFS, "/etc/sysctl.d"),
    "a race": (DeleteService(WEB), errno.ESRCH, "next round"),
    "anything": (DeleteService(WEB), errno.EIO, "dmesg"),
}


@pytest.mark.parametrize(("op", "code", "part"), MENDS.values(), ids=MENDS)
def test_a_refusal_has_a_mend(op: Op, code: int, part: str) -> None:
    """
    By op and errno.
    """
    assert part in Refused(op, code).mend


def test_a_refusal_is_named() -> None:
    """
    By the errno's name, with the kernel's words where there are any.
    """
    assert Refused(DeleteService(WEB), errno.ESRCH).name == "ESRCH"
    assert Refused(DeleteService(WEB), errno.EINVAL, "no").name == "EINVAL (no)"
    assert Refused(DeleteService(WEB), 9999).name == "errno 9999"


def test_two_observations_share_nothing() -> None:
    """
    Entering something into one leaves the other as it was.
    """
    one, other = Observed(), Observed()

    one.sysctls["a"] = "1"

    assert other == Observed()
