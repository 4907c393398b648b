# What one key of a service says against another, where the kernel would refuse it, or take it and
# do something else than is meant. What services say against routers and each other is in cross.py.
#
# Source, where no other is named: net/netfilter/ipvs of Linux 6.1, by the names of its functions.
"""Combinations that a service cannot have, and some that it probably does not want."""

from collections.abc import Collection, Sequence

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import listed
from director.config.schema import FileTable, RealServerTable, ServiceTable
from director.model.check import AgentCheck
from director.model.config import SyncSettings
from director.model.pool import Service
from director.model.profile import VS
from director.model.service import Forwarding, Protocol
from director.policy.desired import NEVER, removed_after
from director.policy.probing import places_of

# Bits of the table that `sh` fills with as many of a destination in a row as it has weight
# (ip_vs_sh.c, IP_VS_SH_TAB_SIZE).
SH_SLOTS = 256
UNWEIGHTED = ("rr", "lc", "dh")
HASHING = ("mh", "sh")
REBUILT = (*HASHING, "dh")  # their table is made anew with each weight


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
        self._serving(service, key)

    def _datagrams(self, service: Service, key: Key) -> None:
        """What is for UDP alone (ip_vs_schedule, ip_vs_sip_fill_param)."""
        protocol, kept = service.protocol, service.settings.persistence
        if protocol is None:
            if kept is not None and kept.engine:
                fault = f"engine {kept.engine} reads UDP: all else that has the mark is dropped"
                mend = "mark packets of UDP alone, or leave engine out"
                self.found.warn((*key, "persistence", "engine"), fault, mend)
            return
        if protocol is Protocol.UDP:
            return
        if service.settings.one_packet:
            fault = f"one_packet is for UDP, and this is {protocol.name}: it would do nothing"
            mend = 'write protocol = "udp", or leave one_packet out'
            self.found.add((*key, "one_packet"), fault, mend)
        if kept is not None and kept.engine:
            fault = f"engine {kept.engine} reads UDP alone: {protocol.name} would be dropped"
            mend = 'write protocol = "udp", or leave engine out'
            self.found.add((*key, "persistence", "engine"), fault, mend)

    def _checks(self, service: Service, table: ServiceTable, key: Key) -> None:
        """A TCP check to a UDP port proves nothing, and one to port 0 is none."""
        if any(self.found.within(*key, one) for one in CHECK_KEYS):
            return
        protocol = service.protocol
        silent = _silent(table)
        mend = 'write check = { kind = "tcp", port = … }, or checks = "none"'
        if silent and protocol is not Protocol.TCP and (protocol or service.matches):
            this = protocol.name if protocol else "several"
            fault = f"what is checked by default is TCP, and this is {this}"
            self.found.add((*key, "match" if _written(table, "match") else "protocol"), fault, mend)
        elif not all(service.port_of(one) for one in service.virtuals) and any(
            place.endpoint.port == 0 and any(check.port == 0 for check in member.checks)
            for place, member in places_of(service)
        ):
            fault = f"{service.spell(service.virtuals[0])} has no port that could be checked"
            where = next((one for one in ("check", "checks") if _written(table, one)), "check")
            if silent:
                where = "fwmark" if _written(table, "fwmark") else "virtual"
            self.found.add((*key, where), fault, mend)

    def _failure(self, service: Service, table: ServiceTable, key: Key) -> None:
        for name, means in (
            ("on_fail", service.on_fail == "remove"),
            ("cut_after", service.cut_after is not None),
        ):
            if not means or not self.syncs:
                continue
            if any(one.forwarding is Forwarding.TUN for one in service.members):
                # What would have to go through a tunnel is dropped when its synced entry has no
                # destination, for good (ip_vs_xmit.c, __ip_vs_get_out_rt).
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

    def _serving(self, service: Service, key: Key) -> None:
        if service.slow_start and service.settings.scheduler in REBUILT:
            fault = f"each step of a ramp would have {service.settings.scheduler} move clients"
            self.found.add((*key, "slow_start"), fault, "leave it out, or write another scheduler")
        asked = any(isinstance(one, AgentCheck) for each in service.pool for one in each.checks)
        if asked and service.settings.scheduler in REBUILT:
            fault = (
                f"each weight that an agent asks for has {service.settings.scheduler} move clients"
            )
            mend = "write another check, or another scheduler"
            self.found.add((*key, "scheduler"), fault, mend)
        if service.sorry is not None and service.panic_below is not None:
            fault = "when all fail, either the sorry server serves or all real servers do"
            self.found.add((*key, "panic_below"), fault, "leave this or sorry_server out")
        if all(member.role == "backup" for member in service.members):
            fault = "every real server is a backup: there is nobody to stand in for"
            self.found.add((*key, "real_servers"), fault, "take backup from one of them")

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


def check_sysctls(
    file: FileTable, services: Sequence[Service], found: Findings, *, synced: bool
) -> None:
    """Single values of [kernel] sysctl that the rest of the file does not go with."""
    values = {
        name.replace("/", ".").removeprefix(VS): (name, value)
        for name, value in file.kernel.sysctl.items()
    }

    def says(short: str, value: int) -> Key | None:
        name, there = values.get(short, ("", ""))
        return ("kernel", "sysctl", name) if str(there) == str(value) else None

    if synced and (key := says("backup_only", 1)):
        # sysctl_backup_only is true while a backup daemon runs, though a master runs too (ip_vs.h).
        fault = "with [sync] both daemons run, and backup_only = 1 then switches IPVS off"
        found.add(key, fault, "leave it out, or [sync]")
    masked = [one.name for one in services if one.masquerade]
    if masked and (key := says("conntrack", 0)):
        fault = f"masquerading is done by connection tracking, and {masked[0]} wants it"
        found.add(key, fault, f"leave it out, or masquerade of {', '.join(masked)}")
    stray = sorted({one.settings.scheduler for one in services} - set(HASHING))
    if stray and (key := says("sloppy_tcp", 1)):
        fault = f"a packet of no known connection goes to any real server, with {', '.join(stray)}"
        found.warn(key, fault, "leave it out, or write mh or sh everywhere: they find the same one")
    cut = (
        member for one in services for member in one.members if removed_after(one, member) < NEVER
    )
    if (key := says("expire_nodest_conn", 0)) and next(cut, None):
        fault = "connections to a removed destination then hang until they time out, and this file"
        fault += " removes those that fail"
        found.warn(key, fault, "leave it out: it is 1 by itself")


CHECK_KEYS = ("check", "checks", "real_servers")


def _written(table: ServiceTable | RealServerTable, name: str) -> bool:
    return not isinstance(getattr(table, name), UnsetType)


def _says(table: ServiceTable | RealServerTable) -> bool:
    return _written(table, "check") or _written(table, "checks")


def _silent(table: ServiceTable) -> bool:
    """Has a real server no check but the default one, by nobody's word?"""
    entries: list[str | RealServerTable] = listed(table.real_servers)
    heard = all(isinstance(one, RealServerTable) and _says(one) for one in entries)
    return not _says(table) and not heard


def _where(table: ServiceTable, key: Key, name: str) -> Key:
    """Where it is written: in the service, or in what all start from."""
    return (*key, name) if _written(table, name) else ("defaults", name)
