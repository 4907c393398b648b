# The two sync daemons: `master` tells the peer of our connections, `backup` hears of its.
#
# Both run on both directors all the time, so that a failover starts nothing. Starting or stopping
# one takes rtnl and can wait: the engine does it, never the vrrp process.
#
# Source: ip_vs_sync.c, ip_vs_ctl.c (ip_vs_genl_new_daemon). What one does not expect:
# - MCAST_PORT is in host order, unlike every other port of this family.
# - Nothing can be changed while it runs: stop and start. A master that stops throws away what it
#   had gathered and not sent (up to 2 s of news).
# - A daemon that is stopped before its thread ever ran is stopped, and *no answer comes*:
#   kthread_stop gives EINTR, and netlink then sends neither ACK nor error. A blocking read would
#   hang (as keepalived 2.2.7 was seen to do, its VIP on both nodes). So silence means stopped.
# - What the kernel does not check: an id above 255, a maxlen too small for a record.
# - The sender binds to the first IPv4 address that the interface has at the start. Of an interface
#   that was made anew the daemon knows nothing: start it again.
# - What was left to the kernel (0, "") reads back as the kernel's choice: port 8848, group
#   224.0.0.81, a TTL of 1, and a maxlen made from the interface's MTU.
"""Observe, start and stop the sync daemons."""

import socket

from director.kernel.codec import GENERIC_HEADER
from director.kernel.ipvs import Ipvs
from director.kernel.netlink import (
    SILENCE,
    Garbled,
    attribute,
    attributes,
    nest,
    number,
    text,
    u16,
    u32,
    words,
)
from director.model.config import SyncSettings
from director.model.ops import Refused, StartSync, StopSync

NEW_DAEMON, DEL_DAEMON, GET_DAEMON = 9, 10, 11
DAEMON = 3
STATE, INTERFACE, SYNC_ID, MAXLEN, GROUP, GROUP6, PORT, TTL = range(1, 9)
ROLES = {"master": 1, "backup": 2}
ROLE_NAMES = {number: role for role, number in ROLES.items()}


def observe(ipvs: Ipvs) -> dict[str, SyncSettings]:
    """The daemons that run, by role. Raises OSError, Torn, Garbled."""
    return dict(ipvs.collect(GET_DAEMON, b"", decode, dump=True))


def start(ipvs: Ipvs, op: StartSync) -> list[Refused]:
    """Start one. ENODEV: no such interface; EEXIST: it runs already, perhaps on other settings."""
    return ipvs.command(op, NEW_DAEMON, encode(op.role, op.settings))


def stop(ipvs: Ipvs, op: StopSync) -> list[Refused]:
    """Stop one. ESRCH: it does not run."""
    refused = ipvs.command(op, DEL_DAEMON, nest(DAEMON, u32(STATE, ROLES[op.role])))
    return [one for one in refused if one.errno != SILENCE.errno]


def encode(role: str, settings: SyncSettings) -> bytes:
    """The attributes of NEW_DAEMON; what is 0 or empty is left to the kernel."""
    found = [
        u32(STATE, ROLES[role]),
        text(INTERFACE, settings.interface),
        u32(SYNC_ID, settings.id),
    ]
    if settings.maxlen:
        found.append(u16(MAXLEN, settings.maxlen))
    if ":" in settings.group:
        found.append(attribute(GROUP6, socket.inet_pton(socket.AF_INET6, settings.group)))
    elif settings.group:
        found.append(attribute(GROUP, socket.inet_pton(socket.AF_INET, settings.group)))
    if settings.port:
        found.append(u16(PORT, settings.port))
    if settings.ttl:
        found.append(attribute(TTL, bytes([settings.ttl])))
    return nest(DAEMON, *found)


def decode(body: memoryview) -> tuple[str, SyncSettings]:
    """One answer of a GET_DAEMON dump. Raises Garbled."""
    found = attributes(attributes(body[GENERIC_HEADER:]).get(DAEMON) or b"")
    role = ROLE_NAMES.get(number(found.get(STATE) or b""))
    if role is None or INTERFACE not in found:
        raise Garbled("a sync daemon without role or interface")
    return role, SyncSettings(
        interface=words(found[INTERFACE]),
        id=number(found.get(SYNC_ID) or b""),
        port=number(found.get(PORT) or b""),
        ttl=number(found.get(TTL) or b""),
        maxlen=number(found.get(MAXLEN) or b""),
        group=_group(found.get(GROUP6) or found.get(GROUP)),
    )


def _group(data: memoryview | None) -> str:
    if data is None:
        return ""
    family = {4: socket.AF_INET, 16: socket.AF_INET6}.get(len(data))
    if family is None:
        raise Garbled(f"a multicast group of {len(data)} bytes")
    return socket.inet_ntop(family, data)
