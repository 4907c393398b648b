# Adverts of virtual routers that this node does not play.
#
# A router's own socket gives it its VRID and nothing else (filter.py), so that others wake
# nobody. To count them costs no wake-up either: one socket more an interface and family passes what
# all those drop, nobody waits on it, and it is read once a second, READS_MAX at most. What does not
# fit its buffer the kernel has counted.
#
# Other VRIDs are normal on a wire: another pair may live there. So they are a number, and only one
# that names a VIP of ours is told: then the nodes of one pair disagree about their VRID.
#
# No group is joined here: a raw socket hears those that any socket of the host has joined
# (IP_MULTICAST_ALL, igmp.c, ip_mc_sf_allow), and our routers have. Sealed ones (AH)
# are not counted.
"""Counts adverts with a wrong VRID, and tells those that name our VIPs."""

import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

from director.kernel.bpf import attach
from director.model.address import Family
from director.model.vip import Router
from director.vrrp import filter as packet_filter
from director.vrrp.advert import PROTOCOL
from director.vrrp.advert_socket import READ_SIZE
from director.vrrp.frames import packed, parse_ipv4
from director.vrrp.tally import Tally

NAME = "wrong-vrid"
READS_MAX = 64
SO_MEMINFO, DROPS_AT, MEMINFO = 55, 8, struct.Struct("=9I")
HEAD = 8  # bytes of a PDU before its addresses

Place = tuple[str, Family]
Open = Callable[[str, Family, bytes], socket.socket]


class Strays:
    """`play` says what is ours; `read` is to be called now and then."""

    def __init__(self, open_socket: Open | None = None) -> None:
        self.count = 0
        self._open = open_socket or _opened
        self._sockets: dict[Place, socket.socket] = {}
        self._missing: dict[Place, bytes] = {}
        self._vips: dict[Place, dict[bytes, str]] = {}
        self._drops: dict[Place, int] = {}
        self._ours = Tally("adverts of another VRID that name VIPs of ours")

    def play(self, routers: Sequence[Router]) -> None:
        """These are ours; all others are strays."""
        self.close()
        vrids: dict[Place, set[int]] = {}
        for router in routers:
            place = (router.interface, router.family)
            vrids.setdefault(place, set()).add(router.vrid)
            for address in router.advertised:
                self._vips.setdefault(place, {})[packed(address)] = router.name
        for place, ours in vrids.items():
            self._missing[place] = packet_filter.of_others(ours, place[1])

    def read(self, now: float) -> None:
        """Count what has come; a socket that cannot be opened is tried again."""
        for place, program in list(self._missing.items()):
            with suppress(OSError):  # the interface is not there: that is told elsewhere
                self._sockets[place] = self._open(*place, program)
                del self._missing[place]
        for place, opened in self._sockets.items():
            for _ in range(READS_MAX):
                try:
                    self._heard(place, opened.recv(READ_SIZE), now)
                except OSError:  # nothing more, or a wire that went down: both pass
                    break
            self._count_drops(place, opened)

    def close(self) -> None:
        """Forget all but the count."""
        for opened in self._sockets.values():
            opened.close()
        for of_places in (self._sockets, self._missing, self._vips, self._drops):
            of_places.clear()

    def _heard(self, place: Place, packet: bytes, now: float) -> None:
        self.count += 1
        family = place[1]
        datagram = parse_ipv4(packet) if family is Family.IPV4 else None
        pdu = datagram.payload if datagram else packet
        size = family.bits // 8
        named = (pdu[at : at + size] for at in range(HEAD, len(pdu), size))
        whose = {self._vips[place][one] for one in named if one in self._vips[place]}
        for name in sorted(whose):
            self._ours.add(f"VRID {pdu[1]} with a VIP of {name}", now)

    def _count_drops(self, place: Place, opened: socket.socket) -> None:
        with suppress(OSError):
            data = opened.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
            drops = MEMINFO.unpack(data)[DROPS_AT]
            self.count += drops - self._drops.get(place, 0)
            self._drops[place] = drops


def _opened(device: str, family: Family, program: bytes) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    domain = socket.AF_INET if family is Family.IPV4 else socket.AF_INET6
    opened = socket.socket(domain, kind, PROTOCOL)
    try:
        attach(opened, program)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    except OSError:
        opened.close()
        raise
    return opened
