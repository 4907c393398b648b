# Routes and rules that move with a virtual router: requests of rtnetlink, own structs.
#
# Both bear the protocol number OURS, so that what we remove is never an operator's. A route is
# added beside others to the same network and before them, never in their place: the kernel's
# "create" alone prepends (fib_trie.c, fib_table_insert), and says EEXIST for the very same route.
#
# A route has no lease, so that it may outlive a director that was killed. Two kinds do not: an IPv4
# route of the main table whose preferred source is a VIP ends with the VIP (fib_semantics.c,
# fib_sync_down_addr: that one table alone), and IPv6 routes can expire (RTA_EXPIRES; the same
# request again sets the clock back, ip6_fib.c).
#
# Source: include/uapi/linux/rtnetlink.h, fib_rules.h.
"""Requests that add and remove routes and rules."""

import errno
import math
import socket
import struct

from director.kernel.addresses import ROUTE_HEAD, ROUTE_OUT, ROUTE_TO
from director.kernel.netlink import CREATE, EXCLUSIVE, attribute, pack, u32
from director.model.address import Family, Prefix
from director.model.vip import Route, RouteRule

OURS = 112  # rtm_protocol: VRRP's own number, which nobody has in rt_protos
NEW_ROUTE, DELETE_ROUTE, NEW_RULE, DELETE_RULE = 24, 25, 32, 33
GATEWAY, METRIC, SOURCE, TABLE, EXPIRES = 5, 6, 7, 15, 23
UNIVERSE, LINK = 0, 253
UNICAST = 1
RULE_HEAD = struct.Struct("=BBBBBxxBI")  # family, two lengths, TOS, table, action, flags
RULE_TO, RULE_FROM, RULE_PRIORITY, RULE_TABLE, RULE_PROTOCOL = 1, 2, 6, 15, 21
LOOK_UP = 1  # the action of a rule
THERE = (errno.EEXIST,)
GONE = (errno.ESRCH, errno.ENOENT, errno.ENODEV)


def encode_route(route: Route, index: int, lease: float) -> bytes:
    """Adds it; `index` of its interface (0: the kernel finds it). EEXIST: it is there."""
    body = _route(route, index)
    if route.source:
        body += attribute(SOURCE, _packed(route.source))
    if route.to.family is Family.IPV6 and lease:
        body += u32(EXPIRES, math.ceil(lease))
    return pack(NEW_ROUTE, CREATE, body)


def encode_route_gone(route: Route, index: int) -> bytes:
    """Removes it, if it is ours."""
    return pack(DELETE_ROUTE, 0, _route(route, index))


def encode_rule(rule: RouteRule) -> bytes:
    """Adds it. EEXIST: it is there."""
    return pack(NEW_RULE, CREATE | EXCLUSIVE, _rule(rule))


def encode_rule_gone(rule: RouteRule) -> bytes:
    """Removes it, if it is ours."""
    return pack(DELETE_RULE, 0, _rule(rule))


def _route(route: Route, index: int) -> bytes:
    family = route.to.family
    near = LINK if family is Family.IPV4 and not route.via else UNIVERSE
    body = ROUTE_HEAD.pack(family, route.to.length, 0, 0, 0, OURS, near, UNICAST, 0)
    body += attribute(ROUTE_TO, _packed(route.to.address)) + u32(TABLE, route.table)
    if index:
        body += u32(ROUTE_OUT, index)
    if route.via:
        body += attribute(GATEWAY, _packed(route.via))
    if route.metric:
        body += u32(METRIC, route.metric)
    return body


def _rule(rule: RouteRule) -> bytes:
    lengths = [0 if one is None else one.length for one in (rule.to, rule.source)]
    body = RULE_HEAD.pack(rule.family, *lengths, 0, 0, LOOK_UP, 0)
    body += _selector(RULE_TO, rule.to) + _selector(RULE_FROM, rule.source)
    body += u32(RULE_PRIORITY, rule.priority) + u32(RULE_TABLE, rule.table)
    return body + attribute(RULE_PROTOCOL, bytes([OURS]))


def _selector(kind: int, prefix: Prefix | None) -> bytes:
    return b"" if prefix is None else attribute(kind, _packed(prefix.address))


def _packed(address: str) -> bytes:
    return socket.inet_pton(Family.IPV6 if ":" in address else Family.IPV4, address)
