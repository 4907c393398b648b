# The pulse: what makes the kernel tell the peer of the last new connection, too.
#
# The sync daemon sends a message when it is full; one that is not it sends when it is two seconds
# old (ip_vs_sync.c, IPVS_SYNC_FLUSH_TIME; no sysctl). So the last connections of a quiet director
# are unknown to the peer for two seconds, and a power cut loses them. Nothing can be told to flush,
# but whatever makes a record pushes the records before it out. So messages are made small
# (MAXLEN), and the engine sends a few UDP datagrams through a service of our own on the loopback,
# each a new flow to IPVS, each a record. Seen: 3 to 7 ms in place of 1.9 s.
#
# Rules of this room:
# 1. A flow is reported when its first packet comes, and not again before the refresh period is
#    over (ip_vs_sync_conn_needed): so the source port goes round, slower than that.
# 2. A beat has as many datagrams as records fit into a message: whatever lies in the open one then
#    leaves.
# 3. Both directors have the service, so that the peer's entries find it, and each sends from an
#    address of its own: the two never share a flow. All of it is 127.0.0.0/8 and leaves no machine.
"""The service and the datagrams that keep sync messages moving."""

import hashlib
import math

import msgspec

from director.model.address import Endpoint, Family
from director.model.config import Config, SyncSettings
from director.model.service import (
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Table,
    VirtualService,
)

ADDRESS = "127.88.0.1"
PORT = 8849
KEY = ServiceKey(Family.IPV4, protocol=Protocol.UDP, address=ADDRESS, port=PORT)
TABLE: Table = {
    KEY: VirtualService(
        ServiceSettings("rr"),
        {Endpoint(ADDRESS, PORT): Destination(weight=1, forwarding=Forwarding.DR)},
    )
}
HEADER, RECORD = 8, 36  # bytes: of a sync message, of an IPv4 connection in it (ip_vs_sync.c)
MAXLEN = HEADER + 4 * RECORD  # four records: a busy director sends a quarter of the datagrams of 1
EVERY = 0.05  # seconds
DATAGRAMS_MAX = 160.0  # a second
FIRST_PORT, PORTS_MAX = 10000, 30000
MARGIN = 2.0  # seconds beyond the refresh period until a port is used again


class Pulse(msgspec.Struct, frozen=True):
    """`count` datagrams each `every` seconds, from `source` and `ports` ports in turn."""

    source: str
    count: int
    every: float
    ports: int

    def port(self, number: int) -> int:
        """The source port of a datagram; they are counted from 0."""
        return FIRST_PORT + number % self.ports


def pulse_of(config: Config) -> Pulse | None:
    """What this node has to send while it is active; None where nothing is synced, or wanted."""
    sync = config.sync
    if sync is None or not sync.pulse:
        return None
    count = records(sync)
    every = max(EVERY, count / DATAGRAMS_MAX)
    flows = count / every * (sync.refresh + MARGIN)
    return Pulse(_source(config.node), count, every, min(PORTS_MAX, math.ceil(flows)))


def pulse_table(config: Config) -> Table:
    """The service of ours, on both nodes."""
    return TABLE if pulse_of(config) else {}


def records(sync: SyncSettings) -> int:
    """How many records of IPv4 connections a sync message has room for; at least one."""
    return max(1, (sync.maxlen - HEADER) // RECORD)


def _source(node: str) -> str:
    """A loopback address of this node's own: by its name, and never in 127.88.0.0/24."""
    first, second = hashlib.sha256(node.encode()).digest()[:2]
    return f"127.88.{first % 254 + 1}.{second}"
