# What one key of a service says against another, where the kernel would refuse it, or take it and
# do something else than is meant. What services say against routers and each other is in cross.py.
#
# Source, where no other is named: net/netfilter/ipvs of Linux 6.1, by the names of its functions.
"""Combinations that a service cannot have, and some that it probably does not want."""

from collections.abc import Collection

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import listed
from director.config.schema import FileTable, RealServerTable, ServiceTable
from director.model.config import SyncSettings
from director.model.pool import Service
from director.model.service import Forwarding, Protocol

# Bits of the table that `sh` fills with as many of a destination in a row as it has weight
# (ip_vs_sh.c, IP_VS_SH_TAB_SIZE).
SH_SLOTS = 256
UNWEIGHTED = ("rr", "lc", "dh")


class Traps:
    """Checks of single services; `syncs` are the nodes' own [sync], where there is one."""

    def __init__(self, file: FileTable, syncs: Collection[SyncSettings], found: Findings) -> None:
        self.found = found
        self.file = file
        self.syncs = syncs

    def check(self, service: Service) -> None:
        """All that can be said about a service once it is read."""
        table = self.file.services[service.name]
        key: Key = ("services", service.name)
        self._datagrams(service, key)
        self._checks(service, table, key)
        self._failure(service, table, key)
        self._persistence(service, key)
        self._weights(service, key)

    def _datagrams(self, service: Service, key: Key) -> None:
        """What is for UDP alone (ip_vs_schedule, ip_vs_sip_fill_param)."""
        protocol = service.virtuals[0].protocol
        if protocol is Protocol.UDP:
            return
        if service.settings.one_packet:
            fault = f"one_packet is for UDP, and this is {protocol.name}: it would do nothing"
            mend = 'write protocol = "udp", or leave one_packet out'
            self.found.add((*key, "one_packet"), fault, mend)
        kept = service.settings.persistence
        if kept is not None and kept.engine:
            fault = f"engine {kept.engine} reads UDP alone: {protocol.name} would be dropped"
            mend = 'write protocol = "udp", or leave engine out'
            self.found.add((*key, "persistence", "engine"), fault, mend)

    def _checks(self, service: Service, table: ServiceTable, key: Key) -> None:
        """A TCP check to a UDP port proves nothing, so there it has to be written."""
        protocol = service.virtuals[0].protocol
        if protocol is not Protocol.TCP and self._silent(table, key):
            fault = f"what is checked by default is TCP, and this is {protocol.name}"
            mend = 'write check = { kind = "tcp", port = … }, or checks = "none"'
            self.found.add((*key, "protocol"), fault, mend)

    def _silent(self, table: ServiceTable, key: Key) -> bool:
        """Has a real server no check but the default one, by nobody's word?"""
        if _says(table) or any(self.found.within(*key, one) for one in CHECK_KEYS):
            return False
        entries: list[str | RealServerTable] = listed(table.real_servers)
        return not all(isinstance(one, RealServerTable) and _says(one) for one in entries)

    def _failure(self, service: Service, table: ServiceTable, key: Key) -> None:
        for name, means in (
            ("on_fail", service.on_fail == "remove"),
            ("cut_after", service.cut_after is not None),
        ):
            tunnelled = any(one.forwarding is Forwarding.TUN for one in service.members)
            if means and tunnelled and self.syncs:
                # A synced entry whose destination is gone keeps its tunnel method and has no
                # destination, and ip_vs_tunnel_xmit reads cp->dest->tun_type unasked.
                fault = f"{name} removes a tunnel's destination, and with [sync] the peer's"
                fault += " connections may still need it"
                mend = f'write on_fail = "quiesce" and cut_after = "off" for {service.name}'
                self.found.add(_where(table, key, name), fault, mend)
        if table.on_fail == "remove" and not isinstance(table.cut_after, UnsetType):
            fault = 'cut_after means nothing with on_fail = "remove": that cuts at once'
            self.found.add((*key, "cut_after"), fault, "write one of the two")

    def _persistence(self, service: Service, key: Key) -> None:
        if service.settings.persistence and any(sync.refresh == 0 for sync in self.syncs):
            # ip_vs_sync_conn goes on to the template after each packet, and nothing but the
            # refresh period keeps ip_vs_sync_conn_needed from reporting that one again.
            fault = 'with refresh = "0s" in [sync], each packet of a persistent client is a report'
            mend = 'write refresh = "10s" in [sync], or leave it out'
            self.found.warn((*key, "persistence"), fault, mend)

    def _weights(self, service: Service, key: Key) -> None:
        weights = [member.weight for member in service.members]
        scheduler = service.settings.scheduler
        if scheduler == "sh" and sum(weights) > SH_SLOTS:
            fault = f"sh has {SH_SLOTS} slots, and the weights are {sum(weights)} together:"
            fault += " the last real servers get fewer, or none"
            mend = "write small weights, as in weight = 1"
            self.found.warn((*key, "real_servers"), fault, mend)
        if scheduler in UNWEIGHTED and len(set(weights) - {0}) > 1:
            fault = f"{scheduler} knows no weights: each real server gets the same"
            mend = f'write scheduler = "{"wlc" if scheduler == "lc" else "wrr"}", or equal weights'
            self.found.warn((*key, "real_servers"), fault, mend)


CHECK_KEYS = ("check", "checks", "real_servers")


def _says(table: ServiceTable | RealServerTable) -> bool:
    return not (isinstance(table.check, UnsetType) and isinstance(table.checks, UnsetType))


def _where(table: ServiceTable, key: Key, name: str) -> Key:
    """Where it is written: in the service, or in what all start from."""
    if isinstance(getattr(table, name), UnsetType):
        return ("defaults", name)
    return (*key, name)
