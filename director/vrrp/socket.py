# Adverts and announcements on the wire.
#
# One raw socket a router, bound to its device. The source address is given with each datagram
# (IP_PKTINFO): binding the socket to it would make the kernel drop multicast on arrival.
# IP_MULTICAST_ALL is switched off, or the socket hears groups that others on this host joined.
"""Sockets of the vrrp process."""

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress

from director.errors import NoRight
from director.kernel.addresses import Link
from director.vrrp.frames import HOP_LIMIT, Datagram, parse_ipv4

PROTOCOL = 112
GROUP = "224.0.0.18"
TOS = 0xC0  # internetwork control, as RFC 9568 asks
SO_SNDBUFFORCE = 32
SEND_BUFFER = 4 * 1024 * 1024  # bytes: the usual 208 KiB hold 277 frames, 200 VIPs burst with 600
IP_PKTINFO, IP_MTU_DISCOVER, IP_MULTICAST_ALL = 8, 10, 49
PRIORITY = 6
READ_SIZE = 2048
BURST_MAX = 64  # datagrams read in one go: a flood must not keep us from our own advert

# Errors that a bug of ours makes. Whatever else a send or a read meets is the world's doing (a wire
# that is down, an address that is gone, a filter, a full queue): the next advert is soon.
OURS = {errno.EBADF, errno.ENOTSOCK, errno.EFAULT, errno.EOPNOTSUPP}


class AdvertSocket:
    """Sends and receives the adverts of one virtual router over IPv4. Raises OSError."""

    def __init__(self, device: str, index: int, source: str, peers: Sequence[str]) -> None:
        self._destinations = tuple(peers) or (GROUP,)
        # struct in_pktinfo: interface, source, (unused) destination
        self._from = struct.pack("=I4s4s", index, socket.inet_aton(source), b"\0" * 4)
        self.socket = socket.socket(
            socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, PROTOCOL
        )
        try:
            self._prepare(device, index, multicast=not peers)
        except OSError:
            self.socket.close()
            raise

    def _prepare(self, device: str, index: int, *, multicast: bool) -> None:
        sock = self.socket
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, TOS)
        # After IP_TOS, which sets a priority of its own (ip_sockglue.c, __ip_sock_set_tos).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, HOP_LIMIT)
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        if multicast:
            group = struct.pack("=4s4sI", socket.inet_aton(GROUP), b"\0" * 4, index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, group)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOP_LIMIT)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)

    @property
    def destinations(self) -> tuple[str, ...]:
        """Whom an advert goes to: the group, or each peer."""
        return self._destinations

    def send(self, payload: bytes, destination: str) -> int:
        """Send one advert; 0, or the errno with which it was lost."""
        control = [(socket.IPPROTO_IP, IP_PKTINFO, self._from)]
        try:
            self.socket.sendmsg(
                [payload], control, socket.MSG_DONTROUTE * (destination == GROUP), (destination, 0)
            )
        except OSError as error:
            return passing(error)
        return 0

    def receive(self) -> Iterator[Datagram]:
        """What waits, BURST_MAX at most; nonsense is skipped."""
        for _ in range(BURST_MAX):
            try:
                packet = self.socket.recv(READ_SIZE)
            except OSError as error:
                passing(error)
                return
            if (datagram := parse_ipv4(packet)) is not None:
                yield datagram

    def close(self) -> None:
        """Closing twice does nothing."""
        self.socket.close()


class Announcer:
    """Sends gratuitous ARP and neighbour advertisements: whole frames, on any device.

    It never waits: what a full queue does not take is lost, and a burst says it more than once.

    One socket a device, by its index. To send by name would have the kernel look the name up for
    each frame, and for a device that is gone run modprobe each time (dev_ioctl.c, dev_load): 600
    of these for a burst of 200 VIPs, while our adverts wait.

    Raises NoRight.
    """

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket | None] = {}
        self._open().close()

    def send(self, link: Link, frame: bytes) -> None:
        """Send one frame; a device that is down or gone loses it."""
        if link.index not in self._sockets:
            self._sockets[link.index] = self._bound(link.name)
        bound = self._sockets[link.index]
        if bound is None:
            return
        try:
            bound.send(frame)
        except OSError as error:
            if passing(error) in (errno.ENXIO, errno.ENODEV):
                bound.close()  # it is gone: one that is made anew has another index
                self._sockets[link.index] = None

    def close(self) -> None:
        """Closing twice does nothing."""
        for bound in self._sockets.values():
            if bound is not None:
                bound.close()
        self._sockets.clear()

    def _bound(self, device: str) -> socket.socket | None:
        bound = self._open()
        try:
            bound.bind((device, 0))
        except OSError as error:
            bound.close()
            passing(error)
            return None
        return bound

    def _open(self) -> socket.socket:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            # Protocol 0: it only sends, nothing is ever queued on it.
            opened = socket.socket(socket.AF_PACKET, kind, 0)
        except PermissionError:
            raise NoRight(
                "playing VRRP needs raw sockets",
                mend="run it as root, or with CAP_NET_RAW and CAP_NET_ADMIN",
            ) from None
        with suppress(PermissionError):  # a user namespace may not; then a big burst loses some
            opened.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)
        return opened


def passing(error: OSError) -> int:
    """The errno of a fault that passes. Raises it again when it is a bug."""
    if error.errno in OURS or error.errno is None:
        raise error
    return error.errno
