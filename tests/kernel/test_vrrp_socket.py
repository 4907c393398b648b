"""Sockets of the vrrp process on a real interface."""

import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import msgspec
import pytest

from director.errors import NoRight
from director.kernel import links
from director.kernel.addresses import Addresses, Link
from director.model.address import Prefix
from director.model.vip import Router, Vip
from director.vrrp.advert import GROUP, Advert
from director.vrrp.advert_socket import PRIORITY, open_socket
from director.vrrp.frames import INTERNETWORK_CONTROL
from director.vrrp.packet import encode
from director.vrrp.socket import Announcer, passing

pytestmark = pytest.mark.kernel

DEVICE = "vrrp0"
US = "10.9.1.1"
ROUTER = Router(
    name="web",
    vrid=1,
    interface=DEVICE,
    source=US,
    priority=100,
    interval=1.0,
    vips=(Vip(Prefix("10.9.1.9", 24), DEVICE),),
)
PDU = encode(
    Advert(vrid=1, priority=100, interval=1.0, addresses=("10.9.1.9",)),
    source=US,
    destination=GROUP,
)


@pytest.fixture
def index() -> Iterator[int]:
    """Of a device that has our address."""
    links.ensure_dummy(DEVICE)
    subprocess.run(["/usr/sbin/ip", "addr", "add", f"{US}/24", "dev", DEVICE], check=True)
    addresses = Addresses()
    yield addresses.links()[DEVICE].index
    addresses.close()
    links.remove_link(DEVICE)


def test_adverts_go_before_other_traffic(index: int) -> None:
    """
    Setting the type of service sets a priority, so that ours has to be set after it.
    """
    opened = open_socket(ROUTER, index, US)
    with socket.socket(fileno=os.dup(opened.fileno)) as same:
        tos = same.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)
        priority = same.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY)
    opened.close()

    assert (tos, priority) == (INTERNETWORK_CONTROL, PRIORITY)


def test_what_the_world_does_to_a_send_is_an_errno(index: int) -> None:
    """
    0 while all is well; an address that is not ours, an interface that is down, or gone: a value.
    """
    opened = open_socket(ROUTER, index, US)
    foreign = open_socket(ROUTER, index, "10.9.1.77")
    codes = [opened.send(PDU, GROUP), foreign.send(PDU, GROUP)]
    subprocess.run(["/usr/sbin/ip", "link", "set", DEVICE, "down"], check=True)
    codes.append(opened.send(PDU, GROUP))
    links.remove_link(DEVICE)
    codes.append(opened.send(PDU, GROUP))
    nothing = list(opened.receive(64))
    opened.close()
    foreign.close()

    assert codes[0] == 0
    assert all(codes[1:])
    assert nothing == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        opened.send(PDU, GROUP)


def test_a_bug_is_no_fault_of_the_world() -> None:
    """
    A closed descriptor raises; a network that is down does not.
    """
    assert passing(OSError(errno.ENETDOWN, "down")) == errno.ENETDOWN
    with pytest.raises(OSError, match="bad"):
        passing(OSError(errno.EBADF, "bad"))


def test_an_interface_that_is_not_there_raises(index: int) -> None:
    """
    And leaves no socket open (-W error would tell).
    """
    with pytest.raises(OSError, match="No such device"):
        open_socket(msgspec.structs.replace(ROUTER, interface="nothing0"), index, US)


def test_an_announcer_never_waits(index: int) -> None:
    """
    More frames than any queue holds, on a device that is there, one that was never there, and one
    that goes away: no time passes (by name the kernel would run modprobe for each frame).
    """
    announcer = Announcer()
    here = Link(index, DEVICE, bytes(6), up=True)
    never = Link(99_999, "nothing0", bytes(6), up=True)
    start = time.monotonic()
    for link in (here, never):
        for _ in range(1000):
            announcer.send(link, bytes(60))
    links.remove_link(DEVICE)
    for _ in range(1000):
        announcer.send(here, bytes(60))
    took = time.monotonic() - start

    assert announcer._sockets == {index: None, 99_999: None}
    announcer.close()
    announcer.close()
    assert took < 2


def test_an_announcer_reaches_the_device(index: int) -> None:
    """
    The frame leaves as it is.
    """
    frame = bytes(range(60))
    announcer = Announcer()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
        wire.bind((DEVICE, 3))
        wire.settimeout(2)
        announcer.send(Link(index, DEVICE, bytes(6), up=True), frame)
        while wire.recv(2048) != frame:
            pass
    announcer.close()


def test_without_the_right_the_announcer_says_what_is_missing() -> None:
    """
    As one who is nobody.
    """
    code = "import os; from director.vrrp.socket import Announcer; os.setuid(65534); Announcer()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert NoRight.__name__ in done.stderr
    assert "needs raw sockets" in done.stderr
