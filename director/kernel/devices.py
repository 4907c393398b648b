# The device that has a virtual router's MAC: a macvlan on the interface of its adverts.
#
# Rules of this room:
# 1. Bytes out, and what the kernel refused as an errno. Who asks for what is in vrrp/veil.py.
#
# What one does not expect:
# - Mode bridge, and not private as keepalived has it. In private mode a frame that comes from the
#   wire with the MAC of our own macvlan is given to that macvlan alone (macvlan.c,
#   macvlan_handle_frame): a rival's adverts, which bear the same MAC, would never reach the
#   interface, and two active routers never hear each other.
# - A macvlan that is down is not in the parent's table and its MAC is not in the card's filter: it
#   is as if it was not there.
# - No IPv6 address of its own (addr_gen_mode none): detection, router solicitations and reports of
#   groups would leave with the virtual MAC, and the switch would move it.
# - rp_filter 2: the way back to a client leads over the interface, and `all` may be strict.
#
# Source: include/uapi/linux/if_link.h, ip.h.
"""Requests that make, raise, lower and remove a macvlan."""

from director.kernel.addresses import (
    INFO_KIND,
    IS_UP,
    LINK_ADDRESS,
    LINK_HEAD,
    LINK_INFO,
    LINK_NAME,
    NEW_LINK,
)
from director.kernel.netlink import CREATE, EXCLUSIVE, attribute, nest, pack, text, u32
from director.model.address import Family

DELETE_LINK = 17
LINK_PARENT, OF_FAMILIES = 5, 26
INFO_DATA = 2
MACVLAN_MODE, BRIDGE = 1, 4
IPV4_CONF = 1
RP_FILTER, ARP_ANNOUNCE, ARP_IGNORE, PROMOTE = 8, 18, 19, 20
IPV6_GENERATION, NO_GENERATION = 8, b"\1"
MANNERS = {RP_FILTER: 2, ARP_ANNOUNCE: 2, ARP_IGNORE: 1, PROMOTE: 1}


def encode_macvlan(name: str, parent: int, mac: bytes) -> bytes:
    """A macvlan of this name and MAC on the device with the index `parent`; it is down."""
    info = nest(LINK_INFO, text(INFO_KIND, "macvlan"), nest(INFO_DATA, u32(MACVLAN_MODE, BRIDGE)))
    body = LINK_HEAD.pack(0, 0, 0, 0, 0) + text(LINK_NAME, name)
    body += u32(LINK_PARENT, parent) + attribute(LINK_ADDRESS, mac) + info
    return pack(NEW_LINK, CREATE | EXCLUSIVE, body)


def encode_manners(index: int, family: Family) -> bytes:
    """How it behaves in one family; EAFNOSUPPORT is the answer of a host without that family."""
    if family is Family.IPV4:
        what = nest(IPV4_CONF, *(u32(key, value) for key, value in MANNERS.items()))
    else:
        what = attribute(IPV6_GENERATION, NO_GENERATION)
    body = LINK_HEAD.pack(0, 0, index, 0, 0) + nest(OF_FAMILIES, nest(family, what))
    return pack(NEW_LINK, 0, body)


def encode_up(index: int, *, up: bool) -> bytes:
    """Raise or lower it."""
    return pack(NEW_LINK, 0, LINK_HEAD.pack(0, 0, index, IS_UP * up, IS_UP))


def encode_gone(index: int) -> bytes:
    """Remove it."""
    return pack(DELETE_LINK, 0, LINK_HEAD.pack(0, 0, index, 0, 0))
