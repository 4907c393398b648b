# Adverts on the wire, for one virtual router.
#
# One raw socket a router, bound to its device. The source address is given with each datagram
# (IP_PKTINFO): binding the socket to it would make the kernel drop multicast on arrival.
# IP_MULTICAST_ALL is switched off, or the socket hears groups that others on this host joined.
#
# - Version 2 has a second socket, for the protocol that the router does not speak (AH, or the plain
#   one): what comes there is refused, but a pair whose nodes disagree about authentication is then
#   told so by a counter, and not by two active nodes and silence.
# - With an authentication header we write the IP header ourselves (IP_HDRINCL), since it is sealed.
# - Over IPv6 the kernel could fill in and check checksums (IPV6_CHECKSUM). It is not asked to: we
#   know both addresses of the pseudo-header, and what the kernel drops nobody counts.
"""Sockets of adverts: IPv4 and IPv6."""

import errno
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress

import msgspec

from director.kernel.bpf import attach
from director.kernel.netlink import widen
from director.model.address import Family
from director.model.vip import Router
from director.vrrp import filter as packet_filter
from director.vrrp.advert import AH_PROTOCOL, GROUP, GROUP_V6, PROTOCOL
from director.vrrp.frames import (
    HOP_LIMIT,
    INTERNETWORK_CONTROL,
    Datagram,
    address_text,
    packed,
    parse_ipv4,
)
from director.vrrp.socket import passing

IP_PKTINFO, IP_MTU_DISCOVER, IP_MULTICAST_ALL = 8, 10, 49
IPV6_MULTICAST_ALL, IPV6_FREEBIND = 29, 78
DOWN = (errno.ENETDOWN, errno.ENETUNREACH, errno.ENODEV)  # how a device that is down refuses
PRIORITY = 6
READ_SIZE = 8192  # 255 IPv6 addresses are 4,088 bytes
RECEIVE_BUFFER = 1024 * 1024  # bytes: the usual 208 KiB hold 277 adverts, 28 ms of a flood
BACKLOG_MAX = 4096  # more datagrams than the buffer holds
IN_PKTINFO = struct.Struct("=I4s4s")  # interface, source, (unused) destination
IN6_PKTINFO = struct.Struct("=16sI")
ANCILLARY = socket.CMSG_SPACE(IN6_PKTINFO.size) + socket.CMSG_SPACE(4)


class AdvertSocket:
    """Sends and receives the adverts of one virtual router."""

    def __init__(self, destinations: tuple[str, ...], *sockets: socket.socket) -> None:
        self.destinations = destinations
        self._sockets = sockets

    @property
    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._sockets[0].fileno()

    def send(self, packet: bytes, destination: str) -> int:
        """Send one advert; 0, or the errno with which it was lost."""
        raise NotImplementedError

    def receive(self, most: int) -> Iterator[Datagram]:
        """What waits, so many at most; nonsense is skipped."""
        raise NotImplementedError

    def only_send(self, family: Family) -> None:
        """From any address of this node, and nothing is received any more. Raises OSError."""
        for one in self._sockets:
            attach(one, packet_filter.NOTHING)
            if family is Family.IPV6:  # a link-local address is another interface's
                one.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)

    def close(self) -> None:
        """Closing twice does nothing."""
        for one in self._sockets:
            one.close()


OpenSocket = Callable[[Router, int, str], AdvertSocket]


def open_socket(router: Router, index: int, source: str) -> AdvertSocket:
    """For a router that sends from `source` on the device with this index. Raises OSError."""
    if router.mac == "virtual":
        return VeiledSocket(router, index, source)
    if router.family is Family.IPV6:
        return Ipv6Socket(router, index, source)
    return Ipv4Socket(router, index, source)


class Ipv4Socket(AdvertSocket):
    """Over IPv4. What it sends is a PDU, or the whole packet where the router seals."""

    def __init__(self, router: Router, index: int, source: str) -> None:
        self._from = IN_PKTINFO.pack(index, packed(source), bytes(4))
        sealed = router.sealed
        kinds = [sealed, not sealed] if router.version == 2 else [False]
        opened = [_bound(router, sealed=kind) for kind in kinds]
        super().__init__(router.peers or (GROUP,), *opened)
        try:
            for one in opened:
                _prepare_ipv4(one, router, index)
            if sealed:
                opened[0].setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        except OSError:
            self.close()
            raise
        _forget(opened)

    def send(self, packet: bytes, destination: str) -> int:
        control = [(socket.IPPROTO_IP, IP_PKTINFO, self._from)]
        direct = socket.MSG_DONTROUTE * (destination == GROUP)
        try:
            self._sockets[0].sendmsg([packet], control, direct, (destination, 0))
        except OSError as error:
            return passing(error)
        return 0

    def receive(self, most: int) -> Iterator[Datagram]:
        for one in self._sockets:
            for _ in range(most):
                try:
                    packet = one.recv(READ_SIZE)
                except OSError as error:
                    passing(error)
                    break
                if (datagram := parse_ipv4(packet)) is not None:
                    yield datagram


class Ipv6Socket(AdvertSocket):
    """Over IPv6."""

    def __init__(self, router: Router, index: int, source: str) -> None:
        self._index = index
        self._from = IN6_PKTINFO.pack(packed(source), index)
        opened = _bound(router, sealed=False)
        super().__init__(router.peers or (GROUP_V6,), opened)
        try:
            _prepare_ipv6(opened, router, index)
        except OSError:
            self.close()
            raise
        _forget([opened])

    def send(self, packet: bytes, destination: str) -> int:
        control = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, self._from)]
        # The scope is of use to link-local destinations, and no harm to others.
        where = (destination, 0, 0, self._index)
        try:
            self._sockets[0].sendmsg([packet], control, 0, where)
        except OSError as error:
            return passing(error)
        return 0

    def receive(self, most: int) -> Iterator[Datagram]:
        for _ in range(most):
            try:
                payload, control, _, sender = self._sockets[0].recvmsg(READ_SIZE, ANCILLARY)
            except OSError as error:
                passing(error)
                return
            if (datagram := _ipv6_datagram(payload, control, sender[0])) is not None:
                yield datagram


class VeiledSocket(AdvertSocket):
    """Hears on the interface, and speaks from the device with the virtual MAC, while that is up.

    Who yields has lowered it before his last word, which leaves from the interface: sent with the
    virtual MAC it would have the switch move that back.
    """

    def __init__(self, router: Router, index: int, source: str) -> None:
        self._plain = open_socket(msgspec.structs.replace(router, mac="interface"), index, source)
        super().__init__(self._plain.destinations)
        device = msgspec.structs.replace(router, mac="interface", interface=router.device)
        try:
            self._veiled = open_socket(device, socket.if_nametoindex(device.interface), source)
            self._veiled.only_send(router.family)
        except OSError:
            self._plain.close()
            raise

    @property
    def fileno(self) -> int:
        return self._plain.fileno

    def send(self, packet: bytes, destination: str) -> int:
        code = self._veiled.send(packet, destination)
        return self._plain.send(packet, destination) if code in DOWN else code

    def receive(self, most: int) -> Iterator[Datagram]:
        return self._plain.receive(most)

    def close(self) -> None:
        self._plain.close()
        self._veiled.close()


def _ipv6_datagram(
    payload: bytes, control: list[tuple[int, int, bytes]], source: str
) -> Datagram | None:
    """None when the kernel did not say with which hop limit and to whom it came."""
    said = {kind: data for level, kind, data in control if level == socket.IPPROTO_IPV6}
    hops, where = said.get(socket.IPV6_HOPLIMIT, b""), said.get(socket.IPV6_PKTINFO, b"")
    if len(hops) != 4 or len(where) != IN6_PKTINFO.size:
        return None
    return Datagram(
        source=address_text(packed(source.partition("%")[0])),
        destination=address_text(where[:16]),
        ttl=int(struct.unpack("=i", hops)[0]),
        protocol=PROTOCOL,
        payload=payload,
    )


def _bound(router: Router, *, sealed: bool) -> socket.socket:
    family = socket.AF_INET if router.family is Family.IPV4 else socket.AF_INET6
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    opened = socket.socket(family, kind, AH_PROTOCOL if sealed else PROTOCOL)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, router.interface.encode())
        attach(opened, packet_filter.of_router(router.vrid, router.family, sealed=sealed))
        widen(opened, RECEIVE_BUFFER)
    except OSError:
        opened.close()
        raise
    return opened


def _prepare_ipv4(opened: socket.socket, router: Router, index: int) -> None:
    def put(option: int, value: int | bytes) -> None:
        opened.setsockopt(socket.IPPROTO_IP, option, value)

    put(socket.IP_TOS, INTERNETWORK_CONTROL)
    # After IP_TOS, which sets a priority of its own (ip_sockglue.c, __ip_sock_set_tos).
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
    put(IP_MTU_DISCOVER, 0)
    put(socket.IP_TTL, HOP_LIMIT)
    put(IP_MULTICAST_ALL, 0)
    if not router.peers:
        group = struct.pack("=4s4sI", packed(GROUP), bytes(4), index)
        put(socket.IP_ADD_MEMBERSHIP, group)
        put(socket.IP_MULTICAST_IF, group)
        put(socket.IP_MULTICAST_TTL, HOP_LIMIT)
        put(socket.IP_MULTICAST_LOOP, 0)


def _prepare_ipv6(opened: socket.socket, router: Router, index: int) -> None:
    def put(option: int, value: int | bytes) -> None:
        opened.setsockopt(socket.IPPROTO_IPV6, option, value)

    put(socket.IPV6_TCLASS, INTERNETWORK_CONTROL)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, PRIORITY)
    put(socket.IPV6_UNICAST_HOPS, HOP_LIMIT)
    put(socket.IPV6_RECVHOPLIMIT, 1)
    put(socket.IPV6_RECVPKTINFO, 1)
    put(IPV6_MULTICAST_ALL, 0)
    if not router.peers:
        put(socket.IPV6_JOIN_GROUP, struct.pack("=16sI", packed(GROUP_V6), index))
        put(socket.IPV6_MULTICAST_IF, index)
        put(socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        put(socket.IPV6_MULTICAST_LOOP, 0)


def _forget(opened: list[socket.socket]) -> None:
    """What came between opening and binding is of any interface, and of any router."""
    for one in opened:
        with suppress(BlockingIOError):
            for _ in range(BACKLOG_MAX):
                one.recv(READ_SIZE)
