"""What `director export` says, the real `ipvsadm -R` makes the same table of; and what is counted."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings

from director.cli.main import main
from director.drill.places import eventually
from director.kernel.hands import KernelHands
from director.kernel.look import KernelLook, SeenService
from director.model.address import Endpoint, Family
from director.model.ops import AddDestination, AddService, DeleteService
from director.model.service import (
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Table,
)
from director.model.shown import Stats
from director.policy.plan import diff
from tests.kernel.tables import sensible_tables

pytestmark = pytest.mark.kernel

IPVSADM = "/usr/sbin/ipvsadm"
ECHO = ServiceKey(Family.IPV4, Protocol.UDP, "127.0.0.2", 7007)
QUIET = ServiceKey(Family.IPV4, Protocol.UDP, "127.0.0.2", 7008)
SERVER = Endpoint("127.0.0.3", 7009)
DATAGRAM = b"x" * 100


@pytest.fixture
def hands() -> Iterator[KernelHands]:
    """The kernel; what the case made is removed."""
    kernel = KernelHands()
    yield kernel
    clear(kernel)
    kernel.close()


def clear(hands: KernelHands) -> None:
    hands.apply([DeleteService(key) for key in hands.observe().table])


@given(table=sensible_tables())
@given_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_exported_is_restored(
    hands: KernelHands, capsys: pytest.CaptureFixture[str], table: Table
) -> None:
    """
    Thresholds included, which ipvsadm's own -S leaves out.
    """
    try:
        assert hands.apply(diff(table, {})) == []
        before = hands.observe().table
        capsys.readouterr()

        assert main(["export", "--runtime", "/nowhere"]) == 0
        text = capsys.readouterr().out
        clear(hands)
        subprocess.run([IPVSADM, "-R"], input=text, text=True, check=True)

        assert hands.observe().table == before
    finally:
        clear(hands)


def counted(look: KernelLook, key: ServiceKey) -> SeenService | None:
    found = look.service(key, stats=True)
    return found if found and found.stats and found.stats.connections else None


def test_what_is_counted_and_zeroed(hands: KernelHands) -> None:
    """A datagram through a service: packets and bytes of it and of its destination; then none."""
    nat = Destination(forwarding=Forwarding.NAT)
    ops = [AddService(key, ServiceSettings("rr")) for key in (ECHO, QUIET)]
    assert hands.apply([*ops, *(AddDestination(one.key, SERVER, nat) for one in ops)]) == []
    look = KernelLook()

    with (
        socket.socket(type=socket.SOCK_DGRAM) as server,
        socket.socket(type=socket.SOCK_DGRAM) as us,
    ):
        server.bind((SERVER.address, SERVER.port))
        server.settimeout(10)
        us.sendto(DATAGRAM, (ECHO.address, ECHO.port))
        server.recv(1000)
    # The kernel adds up what its processors have counted every two seconds (ip_vs_est.c).
    found = eventually(lambda: counted(look, ECHO), 10, "the datagram is counted")
    quiet = look.service(QUIET, stats=True)
    assert quiet is not None
    (destination,) = found.destinations

    for stats in (found.stats, destination.stats):
        assert stats is not None
        assert (stats.connections, stats.packets_in, stats.bytes_in) == (1, 1, 128)
    assert quiet.stats == Stats()
    assert destination.counters.inactive == 1

    look.zero([ECHO, ServiceKey(Family.IPV4, mark=4711)])
    zeroed = look.service(ECHO, stats=True)
    assert zeroed is not None
    assert (zeroed.stats, zeroed.destinations[0].stats) == (Stats(), Stats())
    assert look.service(ServiceKey(Family.IPV4, mark=4711)) is None
    look.close()


def test_the_connections_are_told(
    hands: KernelHands, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As /proc has them; 69, since no engine told the rest."""
    nat = Destination(forwarding=Forwarding.NAT)
    assert (
        hands.apply([AddService(ECHO, ServiceSettings("rr")), AddDestination(ECHO, SERVER, nat)])
        == []
    )
    with socket.socket(type=socket.SOCK_DGRAM) as us:
        us.sendto(DATAGRAM, (ECHO.address, ECHO.port))

    assert main(["show", "--connections", "udp/127.0.0.2:7007", "--runtime", str(tmp_path)]) == 69

    said = capsys.readouterr().out.split()
    assert said[0] == "udp"
    assert said[2:4] == [str(Endpoint(ECHO.address, ECHO.port)), str(SERVER)]
