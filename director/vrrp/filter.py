# Which packets a socket of ours is given at all: those of its virtual router.
#
# Every raw socket of protocol 112 gets a copy of every advert on the wire. With twenty routers a
# node that is twenty wake-ups for each advert, nineteen of them for nothing; so the kernel is told
# what to look for. It never judges an advert: what is wrong with one of ours has to be counted.
#
# An IPv4 raw socket filters from the IP header on (raw.c, raw_rcv), an IPv6 one from what follows
# the extension headers (ip6_input.c, ip6_protocol_deliver_rcu). What is too short to name a router
# is dropped: a load beyond the end of a packet ends the program with 0.
"""Which adverts a socket is given."""

from collections.abc import Collection

from director.kernel.bpf import (
    DROP,
    EQUAL,
    HEADER_LENGTH_TO_X,
    LOAD_BYTE,
    LOAD_BYTE_AFTER_X,
    PASS,
    Op,
    assemble,
)
from director.model.address import Family
from director.vrrp.authentication import AH_LENGTH

_VRID_AT = 1  # in a PDU of either version
NOTHING = assemble([DROP])


def of_router(vrid: int, family: Family, *, sealed: bool = False) -> bytes:
    """The program that lets pass what is meant for this VRID; `sealed`: behind an AH (IPv4)."""
    load = _load(_VRID_AT + (AH_LENGTH if sealed else 0), family)
    return assemble([*load, Op(EQUAL, vrid, no="other"), PASS, "other", DROP])


def of_others(vrids: Collection[int], family: Family) -> bytes:
    """The program that lets pass what is meant for none of these (255 at most)."""
    ours = [Op(EQUAL, vrid, yes="ours") for vrid in sorted(vrids)]
    return assemble([*_load(_VRID_AT, family), *ours, PASS, "ours", DROP])


def _load(at: int, family: Family) -> list[Op]:
    """A byte of the payload."""
    if family is Family.IPV6:
        return [Op(LOAD_BYTE, at)]
    return [Op(HEADER_LENGTH_TO_X, 0), Op(LOAD_BYTE_AFTER_X, at)]
