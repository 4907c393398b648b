# Not by our own decoder alone: ipvsadm says what is in the kernel, in its own words.
"""What we write, ipvsadm reads, and the other way round."""

import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings

from director.kernel.hands import KernelHands
from director.model.address import Endpoint, Family
from director.model.ops import AddDestination, AddService, DeleteService, Op
from director.model.service import (
    Destination,
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Table,
    Tunnel,
    VirtualService,
)
from tests.kernel.saved import saved
from tests.kernel.tables import sensible_tables

pytestmark = pytest.mark.kernel

IPVSADM = "/usr/sbin/ipvsadm"
WEB = ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.20", 80)
DNS6 = ServiceKey(Family.IPV6, Protocol.UDP, "2001:db8::20", 53)
MARKED6 = ServiceKey(Family.IPV6, mark=77)
ONE = Endpoint("10.0.8.21", 80)

# Options of ipvsadm -A, and of -a when there is a destination, as `ipvsadm -Sn` says them.
Case = tuple[ServiceKey, ServiceSettings, str, Endpoint, Destination, str]
CASES: dict[str, Case] = {
    "NAT": (
        *(WEB, ServiceSettings("wlc"), "-t 192.0.2.20:80 -s wlc"),
        *(Endpoint("10.0.8.21", 8080), Destination(weight=7, forwarding=Forwarding.NAT)),
        "-r 10.0.8.21:8080 -m -w 7",
    ),
    "DR with thresholds": (
        *(WEB, ServiceSettings("rr"), "-t 192.0.2.20:80 -s rr"),
        *(ONE, Destination(weight=0, upper_threshold=9, lower_threshold=4)),
        "-r 10.0.8.21:80 -g -w 0 -x 9 -y 4",
    ),
    "GUE": (
        *(WEB, ServiceSettings("wrr"), "-t 192.0.2.20:80 -s wrr"),
        ONE,
        Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("gue", 6080, checksum=True)),
        "-r 10.0.8.21:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum",
    ),
    "IPIP": (
        *(WEB, ServiceSettings("wrr"), "-t 192.0.2.20:80 -s wrr"),
        *(ONE, Destination(forwarding=Forwarding.TUN, tunnel=Tunnel())),
        "-r 10.0.8.21:80 -i -w 1 --tun-type ipip",
    ),
    "persistence by /24, flags of sh": (
        WEB,
        ServiceSettings("sh", frozenset({"sh-port", "sh-fallback"}), Persistence(300, 24)),
        "-t 192.0.2.20:80 -s sh -p 300 -M 255.255.255.0 -b sh-fallback,sh-port",
        *(ONE, Destination(), "-r 10.0.8.21:80 -g -w 1"),
    ),
    "IPv6, one-packet": (
        *(DNS6, ServiceSettings("rr", one_packet=True), "-u [2001:db8::20]:53 -s rr -o"),
        *(Endpoint("2001:db8:8::1", 53), Destination(), "-r [2001:db8:8::1]:53 -g -w 1"),
    ),
    "SCTP": (
        ServiceKey(Family.IPV4, Protocol.SCTP, "192.0.2.20", 80),
        *(ServiceSettings("rr"), "--sctp-service 192.0.2.20:80 -s rr"),
        *(ONE, Destination(), "-r 10.0.8.21:80 -g -w 1"),
    ),
    "one packet, by SIP call": (
        ServiceKey(Family.IPV4, Protocol.UDP, "192.0.2.20", 5060),
        ServiceSettings("rr", persistence=Persistence(60, 32, "sip"), one_packet=True),
        "-u 192.0.2.20:5060 -s rr -p 60 --pe sip -o",
        *(Endpoint("10.0.8.21", 5060), Destination(), "-r 10.0.8.21:5060 -g -w 1"),
    ),
    "every port": (
        ServiceKey(Family.IPV4, Protocol.TCP, "192.0.2.20", 0),
        ServiceSettings("rr", persistence=Persistence(300, 32)),
        "-t 192.0.2.20:0 -s rr -p 300",
        *(Endpoint("10.0.8.21", 0), Destination(), "-r 10.0.8.21:0 -g -w 1"),
    ),
    "GRE": (
        *(WEB, ServiceSettings("wrr"), "-t 192.0.2.20:80 -s wrr"),
        *(ONE, Destination(forwarding=Forwarding.TUN, tunnel=Tunnel("gre"))),
        "-r 10.0.8.21:80 -i -w 1 --tun-type gre --tun-nocsum",
    ),
    "the other family": (
        *(WEB, ServiceSettings("wrr"), "-t 192.0.2.20:80 -s wrr"),
        Endpoint("2001:db8:8::1", 80),
        Destination(forwarding=Forwarding.TUN, tunnel=Tunnel()),
        "-r [2001:db8:8::1]:80 -i -w 1 --tun-type ipip",
    ),
    "a mark of IPv6, persistent by /64": (
        MARKED6,
        ServiceSettings("wlc", persistence=Persistence(60, 64)),
        "-f 77 -6 -s wlc -p 60 -M 64",
        *(Endpoint("2001:db8:8::1", 0), Destination(), "-r [2001:db8:8::1]:0 -g -w 1"),
    ),
}


def ipvsadm(*arguments: str, stdin: str = "") -> str:
    done = subprocess.run(
        [IPVSADM, *arguments], input=stdin, check=True, capture_output=True, text=True
    )
    return done.stdout


@pytest.fixture
def hands() -> Iterator[KernelHands]:
    """The kernel; what the case made is removed."""
    kernel = KernelHands()
    yield kernel
    kernel.apply([DeleteService(key) for key in kernel.observe().table])
    kernel.close()


def words(line: str) -> set[str]:
    """Options with their values, in any order."""
    return {" ".join(option.split()) for option in f" {line}".split(" -")}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ipvsadm_reads_what_we_wrote(hands: KernelHands, case: Case) -> None:
    """
    `ipvsadm -Sn` names the same scheduler, flags, persistence, method, weight and tunnel.
    """
    key, settings, service, endpoint, destination, server = case
    ops: list[Op] = [AddService(key, settings), AddDestination(key, endpoint, destination)]
    assert hands.apply(ops) == []

    said = ipvsadm("-Sn").splitlines()

    found = service.split(" -s ")[0]
    # ipvsadm 1.31 saves no thresholds; the way back (below) has them.
    saved = server.split(" -x ")[0]
    assert [words(line) for line in said] == [words(f"-A {service}"), words(f"-a {found} {saved}")]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_we_read_what_ipvsadm_wrote(hands: KernelHands, case: Case) -> None:
    """
    What `ipvsadm -R` was told is what we observe.
    """
    key, settings, service, endpoint, destination, server = case
    found = service.split(" -s ")[0]

    ipvsadm("-R", stdin=f"-A {service}\n-a {found} {server}\n")

    assert hands.observe().table == {key: VirtualService(settings, {endpoint: destination})}


def lines_of(text: list[str]) -> list[frozenset[str]]:
    """Lines whose order, and that of their words, says nothing."""
    return sorted((frozenset(words(line)) for line in text), key=sorted)


def flush(hands: KernelHands) -> None:
    hands.apply([DeleteService(key) for key in hands.observe().table])


RANDOM = given_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@RANDOM
@given(table=sensible_tables())
def test_ipvsadm_reads_a_random_table(hands: KernelHands, table: Table) -> None:
    """
    What we built is what `ipvsadm -Sn` saves.
    """
    ops: list[Op] = []
    for key, service in table.items():
        ops.append(AddService(key, service.settings))
        ops += [AddDestination(key, at, there) for at, there in service.destinations.items()]
    try:
        refused = hands.apply(ops)
        said = ipvsadm("-Sn").splitlines()
    finally:
        flush(hands)

    assert refused == []
    assert lines_of(said) == lines_of(saved(table, thresholds=False))


@RANDOM
@given(table=sensible_tables())
def test_we_read_a_random_table_of_ipvsadm(hands: KernelHands, table: Table) -> None:
    """
    What `ipvsadm -R` built is what we observe.
    """
    try:
        ipvsadm("-R", stdin="\n".join([*saved(table, thresholds=True), ""]))
        observed = hands.observe().table
    finally:
        flush(hands)

    assert observed == table
