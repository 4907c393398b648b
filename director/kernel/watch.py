# What changes on links and addresses, told by the kernel instead of asked for.
#
# Rules of this room:
# 1. Events are hints, the kernel's tables are the truth: who gets LOST reads everything anew, and
#    everybody does so now and then all the same.
# 2. Nothing waits in here, and a turn reads READS_MAX datagrams at most: a storm of events (a
#    thousand containers that start) must not keep an advert.
#
# What one does not expect:
# - A bridge tells of its ports as RTM_NEWLINK and RTM_DELLINK of family AF_BRIDGE to the same group
#   (br_netlink.c, br_ifinfo_notify): such a DELLINK means "left the bridge", and the device stays.
# - Each refresh of a lease is an event, ours too: a thousand VIPs would wake us two thousand times
#   a second. A filter in the kernel drops them. IPv4 says on whose request it acts (nlmsg_pid is
#   the asker's port); IPv6 never does (addrconf.c, inet6_ifa_notify), but no foreign hand is likely
#   to leave NODAD and a preferred lifetime of 0 on an address, as we do.
# - Loss of carrier is told at once when none was told in the last second; else up to a second later
#   (link_watch.c, linkwatch_schedule_work: one round a second for all devices together).
# - A datagram that does not fit the socket's queue is dropped, and the next recv says ENOBUFS.
"""Events of links and addresses in this network namespace."""

import errno
import socket
import struct
from collections.abc import Iterator

import msgspec

from director.kernel.addresses import (
    DELETE_ADDRESS,
    NEW_ADDRESS,
    NO_DETECTION,
    Held,
    Link,
    decode_address,
    decode_link,
)
from director.kernel.bpf import (
    AND,
    DROP,
    EQUAL,
    LOAD_BYTE,
    LOAD_HALF,
    LOAD_WORD,
    PASS,
    Op,
    assemble,
    attach,
)
from director.kernel.netlink import ROUTE, Garbled, messages, widen
from director.model.address import Family

NEW_LINK, DELETE_LINK = 16, 17
AF_UNSPEC = b"\0"
# include/uapi/linux/rtnetlink.h: the old bit masks of RTNLGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR
GROUPS = 0x1 | 0x10 | 0x100
DEPRECATED = 0x20
READS_MAX = 128
READ_SIZE = 32 * 1024

KIND_AT, ASKER_AT, FAMILY_AT, FLAGS_AT = 4, 12, 16, 18


class LinkIs(msgspec.Struct, frozen=True):
    """A link that is new, or has changed."""

    link: Link


class LinkGone(msgspec.Struct, frozen=True):
    """The link of this index is no more."""

    index: int


class AddressIs(msgspec.Struct, frozen=True):
    """Somebody else added an address, or changed its lease; `valid` in seconds, 0 is for ever."""

    held: Held
    valid: float


class AddressGone(msgspec.Struct, frozen=True):
    """An address was removed, or its lease has ended."""

    held: Held


class Lost(msgspec.Struct, frozen=True):
    """There were more events than the queue holds: read everything anew."""


Event = LinkIs | LinkGone | AddressIs | AddressGone | Lost


class Watch:
    """Wait until `fileno` is readable, then `read`. `port`: whose own requests are no news.

    Raises OSError when the kernel gives no socket.
    """

    def __init__(self, port: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, ROUTE)
        widen(self._socket)
        attach(self._socket, silence(port))
        self._socket.bind((0, GROUPS))
        self._buffer = bytearray(READ_SIZE)
        self._view = memoryview(self._buffer)

    def close(self) -> None:
        """Closing twice does nothing."""
        self._socket.close()

    @property
    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._socket.fileno()

    def read(self) -> list[Event]:
        """What waits, in order; never waits itself. When it gives READS_MAX, more may be there."""
        found: list[Event] = []
        for _ in range(READS_MAX):
            try:
                size, sender = self._socket.recvfrom_into(self._buffer)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found.append(Lost())
                continue
            if sender[0] == 0:  # anybody may send to a netlink socket; 0 is the kernel
                found += decode(self._view[:size])
        return found


def decode(data: memoryview) -> list[Event]:
    """The events of one datagram; [Lost()] for what is none."""
    try:
        return list(_events(data))
    except Garbled:
        return [Lost()]


def _events(data: memoryview) -> Iterator[Event]:
    for kind, _, _, body in messages(data):
        if kind in (NEW_LINK, DELETE_LINK):
            if bytes(body[:1]) != AF_UNSPEC:  # a bridge tells of a port
                continue
            link = decode_link(body)
            yield LinkIs(link) if kind == NEW_LINK else LinkGone(link.index)
        elif kind in (NEW_ADDRESS, DELETE_ADDRESS):
            there = decode_address(body)
            if there is not None and kind == NEW_ADDRESS:
                yield AddressIs(*there)
            elif there is not None:
                yield AddressGone(there[0])


def silence(port: int) -> bytes:
    """The filter that drops NEWADDR of our own making; all else passes.

    The kernel loads what it filters as big-endian, netlink is in host order: so are the values.
    """
    ours = int.from_bytes(struct.pack("=I", port), "big")
    new_address = int.from_bytes(struct.pack("=H", NEW_ADDRESS), "big")
    vip6 = NO_DETECTION | DEPRECATED
    return assemble(
        [
            Op(LOAD_HALF, KIND_AT),
            Op(EQUAL, new_address, no="pass"),
            Op(LOAD_BYTE, FAMILY_AT),
            Op(EQUAL, Family.IPV6, no="ask"),
            Op(LOAD_BYTE, FLAGS_AT),
            Op(AND, vip6),
            Op(EQUAL, vip6, yes="drop", no="pass"),
            "ask",
            Op(LOAD_WORD, ASKER_AT),
            Op(EQUAL, ours, yes="drop", no="pass"),
            "pass",
            PASS,
            "drop",
            DROP,
        ]
    )
