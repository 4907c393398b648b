# Addresses on interfaces, by rtnetlink: added with a kernel lease, refreshed in one batch.
#
# Rules of this room:
# 1. It serves the vrrp process: own structs, no pyroute2, no waiting.
# 2. A VIP is held with a finite valid lifetime. When nobody refreshes it the kernel itself takes it
#    away (devinet.c, check_lifetime; addrconf.c, addrconf_verify_rtnl), whatever became of us.
# 3. What the kernel refuses is a value: the errno, by what was held.
#
# What one does not expect:
# - NLM_F_REPLACE on an address that is there changes its lifetimes and, for IPv4, nothing else.
# - A VIP brings no prefix route (IFA_F_NOPREFIXROUTE): for IPv6 the route to its network would be
#   *the one of the fixed address*, and a VIP that was held for ever and then gets a lease would
#   give that route its own lifetime (addrconf.c, modify_prefix_route; seen on 6.1 and 6.18).
# - IPv6: preferred lifetime 0, so that the VIP is never chosen as the source of our own
#   connections; no duplicate address detection (IFA_F_NODAD), for its last owner may hold it, mute,
#   a bit longer.
# - A valid lifetime of 0 is refused; for ever is 0xffffffff. 0 means for ever to us.
# - The kernel counts whole seconds, and looks up to about half a second late.
#
# Source: include/uapi/linux/if_addr.h, if_link.h, rtnetlink.h.
"""Addresses and links of this network namespace."""

import errno
import math
import os
import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

import msgspec

from director.kernel.netlink import (
    BATCH,
    CREATE,
    DUMP,
    EXCLUSIVE,
    REPLACE,
    ROUTE,
    Garbled,
    Socket,
    Torn,
    attribute,
    attributes,
    nest,
    pack,
    text,
    u32,
    words,
)
from director.model.address import Family, Prefix, canonical, family_of

NEW_LINK, GET_LINK, NEW_ADDRESS, DELETE_ADDRESS, GET_ADDRESS = 16, 18, 20, 21, 22
ADDRESS, LOCAL, LABEL, CACHE_INFO, FLAGS = 1, 2, 3, 6, 8
NO_DETECTION, NO_PREFIX_ROUTE = 0x02, 0x200
DETECTION_FAILED, DEPRECATED, TENTATIVE = 0x08, 0x20, 0x40
LINK_SCOPE = 253
LINK_ADDRESS, LINK_NAME, LINK_INFO, LINK_CARRIER = 1, 3, 18, 33
INFO_KIND = 1
IS_UP = 1
FOR_EVER = 0xFFFFFFFF
ADDRESS_HEAD = struct.Struct("=BBBBI")
LINK_HEAD = struct.Struct("=BxHiII")
LIFETIMES = struct.Struct("=IIII")
GET_ROUTE = 26
ROUTE_TO, ROUTE_OUT = 1, 4
ROUTE_LOCAL = 2
# family, two lengths, TOS, table, protocol, scope, type, flags
ROUTE_HEAD = struct.Struct("=BBBBBBBBI")


class Held(msgspec.Struct, frozen=True, order=True):
    """An address on a device, by its index."""

    index: int
    prefix: Prefix


class Look(NamedTuple):
    """What an IPv4 address shows beside itself: its label ("": none), its scope."""

    label: str = ""
    scope: int = 0


PLAIN = Look()
NO_LOOKS: Mapping[Held, Look] = {}


class Link(msgspec.Struct, frozen=True):
    """An interface: its index, MAC (empty: none), and whether it is up with carrier."""

    index: int
    name: str
    mac: bytes
    up: bool


class Addresses:
    """Adds, refreshes, removes and lists addresses. Not for two threads at once."""

    def __init__(self) -> None:
        self._socket = Socket(ROUTE)

    def close(self) -> None:
        """Closing twice does nothing."""
        self._socket.close()

    def hold(
        self, held: Sequence[Held], lease: float, looks: Mapping[Held, Look] = NO_LOOKS
    ) -> dict[Held, int]:
        """Add or refresh; `lease` in seconds, rounded up, 0 is for ever. What was refused.

        `looks`: labels and scopes of new ones; what is there keeps what it has.
        """
        requests = [encode_hold(one, lease, looks.get(one, PLAIN)) for one in held]
        return self._each(held, requests)

    def request(self, requests: Sequence[bytes]) -> list[int]:
        """Send any requests of rtnetlink; the errno of each, 0 when it was done."""
        return [
            answer.errno
            for start in range(0, len(requests), BATCH)
            for answer in self._socket.transact(requests[start : start + BATCH])
        ]

    def release(self, held: Sequence[Held]) -> dict[Held, int]:
        """Remove; one that is not there is no fault. What was refused."""
        requests = [pack(DELETE_ADDRESS, 0, _place(one)) for one in held]
        gone = (errno.EADDRNOTAVAIL, errno.ENODEV)
        refused = self._each(held, requests)
        return {one: code for one, code in refused.items() if code not in gone}

    def all(self) -> dict[Held, float]:
        """Every address there is, with the seconds it is still valid (0: for ever)."""
        request = pack(GET_ADDRESS, DUMP, ADDRESS_HEAD.pack(0, 0, 0, 0, 0))
        return dict(filter(None, self._socket.collect(request, decode_address)))

    def link_local(self, index: int) -> str:
        """The IPv6 link-local address to send from on a device; empty while there is none.

        None of our VIPs: they are deprecated (preferred lifetime 0). From one that is still looked
        for on the segment (tentative) nothing can be sent.
        """
        request = pack(GET_ADDRESS, DUMP, ADDRESS_HEAD.pack(Family.IPV6, 0, 0, 0, 0))
        found = self._socket.collect(request, lambda body: decode_link_local(body, index))
        return min(filter(None, found), default="")

    def links(self) -> dict[str, Link]:
        """Every interface by name."""
        request = pack(GET_LINK, DUMP, LINK_HEAD.pack(0, 0, 0, 0, 0))
        return {link.name: link for link in self._socket.collect(request, decode_link)}

    def dummy(self, name: str) -> int:
        """The index of the dummy device of this name, made and raised if need be. Raises OSError.

        A first one has the kernel load the module, which takes milliseconds.
        """
        body = LINK_HEAD.pack(0, 0, 0, IS_UP, IS_UP) + text(LINK_NAME, name)
        kind = nest(LINK_INFO, text(INFO_KIND, "dummy"))
        (made,) = self._socket.transact([pack(NEW_LINK, CREATE | EXCLUSIVE, body + kind)])
        if made.errno == errno.EEXIST:
            (made,) = self._socket.transact([pack(NEW_LINK, 0, body)])
        if made.errno:
            raise OSError(made.errno, made.text or os.strerror(made.errno))
        look = pack(GET_LINK, 0, LINK_HEAD.pack(0, 0, 0, 0, 0) + text(LINK_NAME, name))
        (link,) = self._socket.collect(look, decode_link)
        return link.index

    @property
    def port(self) -> int:
        """The netlink port that our requests come from."""
        return self._socket.port

    def is_local(self, address: str, index: int) -> bool:
        """Is it an address of this node, on whichever interface? `index` is of the one asked for.

        One look-up of the route to it: a dump would read the thousand VIPs beside it.
        """
        family = family_of(address)
        head = ROUTE_HEAD.pack(family, family.bits, 0, 0, 0, 0, 0, 0, 0)
        body = head + attribute(ROUTE_TO, socket.inet_pton(family, address))
        if ip_address(address).is_link_local and family is Family.IPV6:
            body += u32(ROUTE_OUT, index)  # it means nothing without its interface
        try:
            kinds = self._socket.collect(pack(GET_ROUTE, 0, body), _route_kind)
        except OSError:  # no route at all
            return False
        except Torn:  # it cannot be known now: nothing has happened
            return True
        return ROUTE_LOCAL in kinds

    def _each(self, held: Sequence[Held], requests: Sequence[bytes]) -> dict[Held, int]:
        refused = {}
        for start in range(0, len(requests), BATCH):
            answers = self._socket.transact(requests[start : start + BATCH])
            for one, answer in zip(held[start : start + BATCH], answers, strict=True):
                if answer.errno:
                    refused[one] = answer.errno
        return refused


@lru_cache(maxsize=8192)  # a thousand VIPs are refreshed twice a second with the same bytes
def encode_hold(held: Held, lease: float, look: Look = PLAIN) -> bytes:
    """The request that adds an address or refreshes its lease."""
    ipv6 = held.prefix.family is Family.IPV6
    valid = math.ceil(lease) if lease else FOR_EVER
    preferred = 0 if ipv6 else valid
    flags = NO_PREFIX_ROUTE | (NO_DETECTION if ipv6 else 0)
    body = (
        _place(held, look.scope)
        + (text(LABEL, look.label) if look.label else b"")
        + u32(FLAGS, flags)
        + attribute(CACHE_INFO, LIFETIMES.pack(preferred, valid, 0, 0))
    )
    return pack(NEW_ADDRESS, CREATE | REPLACE, body)


def _place(held: Held, scope: int = 0) -> bytes:
    prefix = held.prefix
    address = socket.inet_pton(prefix.family, prefix.address)
    head = ADDRESS_HEAD.pack(prefix.family, prefix.length, 0, scope, held.index)
    return head + attribute(LOCAL, address) + attribute(ADDRESS, address)


def decode_address(body: memoryview) -> tuple[Held, float] | None:
    """One answer of GET_ADDRESS; None for another family. Raises Garbled."""
    if len(body) < ADDRESS_HEAD.size:
        raise Garbled(f"an address of {len(body)} bytes")
    number, length, _, _, index = ADDRESS_HEAD.unpack_from(body)
    if number not in (Family.IPV4, Family.IPV6):
        return None
    family = Family(number)
    found = attributes(body[ADDRESS_HEAD.size :])
    # LOCAL is the address itself; of a point-to-point link ADDRESS is the other end's.
    address = bytes(found.get(LOCAL) or found.get(ADDRESS) or b"")
    lifetimes = bytes(found.get(CACHE_INFO) or b"")
    if len(address) * 8 != family.bits or len(lifetimes) != LIFETIMES.size:
        raise Garbled("an address without address or lifetimes")
    _, valid, _, _ = LIFETIMES.unpack(lifetimes)
    prefix = Prefix(canonical(socket.inet_ntop(family, address)), length)
    return Held(index, prefix), 0.0 if valid == FOR_EVER else float(valid)


def decode_link_local(body: memoryview, index: int) -> str:
    """The address in one answer of GET_ADDRESS, if it is link-local, usable, and on this device."""
    known = decode_address(body)
    if known is None or known[0].index != index or known[0].prefix.family is not Family.IPV6:
        return ""
    _, _, flags, scope, _ = ADDRESS_HEAD.unpack_from(body)
    long = bytes(attributes(body[ADDRESS_HEAD.size :]).get(FLAGS) or b"")
    if len(long) == 4:  # the head has only the first eight flags
        flags = int.from_bytes(long, sys.byteorder)
    usable = not flags & (DETECTION_FAILED | DEPRECATED | TENTATIVE)
    return known[0].prefix.address if scope == LINK_SCOPE and usable else ""


def _route_kind(body: memoryview) -> int:
    if len(body) < ROUTE_HEAD.size:
        raise Garbled(f"a route of {len(body)} bytes")
    kind: int = ROUTE_HEAD.unpack_from(body)[7]
    return kind


def decode_link(body: memoryview) -> Link:
    """One answer of GET_LINK. Raises Garbled."""
    if len(body) < LINK_HEAD.size:
        raise Garbled(f"a link of {len(body)} bytes")
    _, _, index, flags, _ = LINK_HEAD.unpack_from(body)
    found = attributes(body[LINK_HEAD.size :])
    if LINK_NAME not in found:
        raise Garbled("a link without a name")
    carrier = bytes(found.get(LINK_CARRIER) or b"\1") != b"\0"
    return Link(
        index,
        words(found[LINK_NAME]),
        bytes(found.get(LINK_ADDRESS) or b""),
        bool(flags & IS_UP) and carrier,
    )


def networks(addresses: Iterable[Held], links: dict[str, Link]) -> dict[str, list[Prefix]]:
    """The prefixes that each device has, by its name."""
    names = {link.index: name for name, link in links.items()}
    found: dict[str, list[Prefix]] = {name: [] for name in links}
    for held in addresses:
        if held.index in names:
            found[names[held.index]].append(held.prefix)
    return found
