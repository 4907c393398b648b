# Why a dead destination of UDP is removed, and one of TCP is not: seen with real datagrams.
#
# All on one machine: clients, balancer and real servers are sockets of its own (IPVS balances what
# leaves, too: ip_vs_local_request4), each real server at an address of its own on `lo`, by NAT.
"""One client's datagrams, while its real server fails."""

import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from director.kernel.hands import KernelHands
from director.model.address import Endpoint, Family
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Op,
    SetDestination,
    SetSysctl,
)
from director.model.service import (
    Destination,
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
)

pytestmark = pytest.mark.kernel

VIP = "198.51.100.10"
REALS = (Endpoint("198.51.100.21", 5353), Endpoint("198.51.100.22", 5353))
NAT = Destination(forwarding=Forwarding.NAT)
DNS = ServiceKey(Family.IPV4, Protocol.UDP, VIP, 53)
LOST_AFTER = 1.0  # seconds: on one machine that is for ever
EXPIRE = "net.ipv4.vs.expire_nodest_conn"
KEPT = "net.ipv4.vs.expire_quiescent_template"
PLAIN = ServiceSettings("rr")
ONE_BY_ONE = ServiceSettings("rr", one_packet=True)
PERSISTENT = ServiceSettings("rr", persistence=Persistence(60, 32))


class Scene:
    """A client with one port, and the real servers."""

    def __init__(self, kernel: KernelHands, stack: ExitStack) -> None:
        self.kernel = kernel
        self.servers: dict[Endpoint, socket.socket] = {}
        for real in REALS:
            server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            server.bind((real.address, real.port))
            server.setblocking(False)
            self.servers[real] = server
        self.client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.client.bind((VIP, 0))

    def ask(self, port: int = 53) -> Endpoint | None:
        """Who gets a datagram of the client; None when it is lost, or IPVS drops it at once."""
        try:
            self.client.sendto(b"?", (VIP, port))
        except PermissionError:
            return None
        ready, _, _ = select.select(list(self.servers.values()), [], [], LOST_AFTER)
        for real, server in self.servers.items():
            if server in ready:
                server.recv(16)
                return real
        return None

    def apply(self, *ops: Op) -> None:
        assert self.kernel.apply(ops) == []


@pytest.fixture
def scene() -> Iterator[Scene]:
    """The addresses on `lo`, the sysctls of the profile, an empty table; all is put back."""
    kernel = KernelHands()
    before = kernel.observe((EXPIRE, KEPT)).sysctls
    addresses = [VIP, *(real.address for real in REALS)]
    for address in addresses:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    kernel.apply([SetSysctl(EXPIRE, "1"), SetSysctl(KEPT, "1")])
    with ExitStack() as stack:
        yield Scene(kernel, stack)
    kernel.apply([DeleteService(key) for key in kernel.observe().table])
    kernel.apply([SetSysctl(name, value) for name, value in before.items()])
    for address in addresses:
        subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)
    kernel.close()


MARK = ServiceKey(Family.IPV4, mark=20)
EVERY = ServiceKey(Family.IPV4, Protocol.UDP, VIP, 0)


def serve(scene: Scene, settings: ServiceSettings = PLAIN) -> None:
    scene.apply(AddService(DNS, settings), *(AddDestination(DNS, real, NAT) for real in REALS))


def other(real: Endpoint | None) -> Endpoint:
    assert real in REALS
    return REALS[1 - REALS.index(real)]


def test_a_quiesced_destination_keeps_its_client(scene: Scene) -> None:
    """
    Weight 0 alone leaves a client of UDP with its dead server, however often it asks.
    """
    serve(scene)
    first = scene.ask()
    assert first is not None

    scene.apply(SetDestination(DNS, first, Destination(weight=0, forwarding=Forwarding.NAT)))

    assert {scene.ask() for _ in range(10)} == {first}


@pytest.mark.parametrize("settings", [PLAIN, PERSISTENT], ids=["plain", "persistent"])
def test_a_removed_destination_lets_its_client_go(scene: Scene, settings: ServiceSettings) -> None:
    """
    The client's next datagrams reach another server, and one of them may be lost.
    """
    serve(scene, settings)
    first = scene.ask()
    assert first is not None

    scene.apply(DeleteDestination(DNS, first))

    got = [scene.ask() for _ in range(10)]
    assert got.count(None) <= 1
    assert set(got) - {None} == {other(first)}


def test_one_packet_at_a_time_goes_to_everybody(scene: Scene) -> None:
    """
    One client, one port: each datagram is a choice of its own.
    """
    serve(scene, ONE_BY_ONE)

    asked = [scene.ask() for _ in range(10)]

    assert sorted(map(str, asked)) == sorted(map(str, REALS * 5))


@pytest.mark.parametrize("port", [0, 5353], ids=["its own", "the real server's"])
def test_a_mark_finds_its_service(scene: Scene, port: int) -> None:
    """
    Whatever the port that was asked; a real server behind NAT has that one, or one of its own.
    """
    (real, _) = REALS
    scene.apply(AddService(MARK, PLAIN), AddDestination(MARK, Endpoint(real.address, port), NAT))
    assert scene.ask(5353) is None

    scene.client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 20)

    assert scene.ask(5353) == real
    assert scene.ask(53) == (real if port else None)


@pytest.mark.parametrize(
    ("settings", "served"), [(PERSISTENT, True), (PLAIN, False)], ids=["persistent", "not"]
)
def test_every_port_is_balanced_with_persistence_alone(
    scene: Scene, settings: ServiceSettings, *, served: bool
) -> None:
    """
    One client is at one server, on any port; without persistence the kernel takes the service and
    serves nobody, which is why the check of the file refuses it.
    """
    places = [AddDestination(EVERY, Endpoint(real.address, 0), NAT) for real in REALS]
    scene.apply(AddService(EVERY, settings), *places)

    asked = {scene.ask(5353) for _ in range(3)}

    assert len(asked) == 1
    assert (asked != {None}) is served
