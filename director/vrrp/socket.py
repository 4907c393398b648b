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

from director.vrrp.frames import HOP_LIMIT, Datagram, parse_ipv4

PROTOCOL = 112
GROUP = "224.0.0.18"
TOS = 0xC0  # internetwork control, as RFC 9568 asks
IP_PKTINFO, IP_MTU_DISCOVER, IP_MULTICAST_ALL = 8, 10, 49
PRIORITY = 6
READ_SIZE = 2048
BURST_MAX = 64  # datagrams read in one go: a flood must not keep us from our own advert

# What a send may meet while an interface goes down or its address changes: the next advert is soon.
PASSING = {errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV, errno.EADDRNOTAVAIL, errno.EINVAL,
           errno.EPERM, errno.ENOBUFS, errno.EAGAIN, errno.EHOSTUNREACH, errno.ENXIO}  # fmt: skip


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
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, TOS)
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

    def send(self, payload: bytes, destination: str) -> None:
        """Send one advert. A wire that is down loses it, as wires do."""
        control = [(socket.IPPROTO_IP, IP_PKTINFO, self._from)]
        try:
            self.socket.sendmsg(
                [payload], control, socket.MSG_DONTROUTE * (destination == GROUP), (destination, 0)
            )
        except OSError as error:
            if error.errno not in PASSING:
                raise

    def receive(self) -> Iterator[Datagram]:
        """What waits, BURST_MAX at most; nonsense is skipped."""
        for _ in range(BURST_MAX):
            try:
                packet = self.socket.recv(READ_SIZE)
            except OSError as error:
                if error.errno not in PASSING:
                    raise
                return
            if (datagram := parse_ipv4(packet)) is not None:
                yield datagram

    def close(self) -> None:
        """Closing twice does nothing."""
        self.socket.close()


class Announcer:
    """Sends gratuitous ARP and neighbour advertisements: whole frames, on any device."""

    def __init__(self) -> None:
        # Protocol 0: it only sends, nothing is ever queued on it.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)

    def send(self, device: str, frame: bytes) -> None:
        """Send one frame; a device that is down loses it."""
        try:
            self._socket.sendto(frame, (device, 0))
        except OSError as error:
            if error.errno not in PASSING:
                raise

    def close(self) -> None:
        """Closing twice does nothing."""
        self._socket.close()
