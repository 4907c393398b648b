"""Services: virtual addresses, the pool of real servers, and what both inherit."""

from collections import Counter

import msgspec
from msgspec import UnsetType

from director.config.checks import Checks
from director.config.clients import read_allow
from director.config.faults import Findings, Key
from director.config.masquerade import read_masquerade, read_masquerade_as
from director.config.readers import (
    check_names,
    element,
    listed,
    pick,
    read_duration,
    read_share,
)
from director.config.schema import (
    DefaultsTable,
    FileTable,
    PersistenceTable,
    RealServerTable,
    ServiceTable,
    SorryTable,
)
from director.config.servers import Servers
from director.config.spellings import Flag
from director.config.virtuals import Virtuals, Written
from director.model.address import family_of
from director.model.check import Check, TcpCheck
from director.model.pool import Member, Service
from director.model.service import (
    Forwarding,
    Persistence,
    ServiceKey,
    ServiceSettings,
    Tunnel,
)

OFF = "off"
DRAIN = 300.0
WEIGHT = 100
PERSISTENCE_LONGEST = 31 * 86400.0


class Pools:
    """Reads services; holds what they share."""

    def __init__(
        self,
        file: FileTable,
        virtuals: Virtuals,
        checks: Checks,
        servers: Servers,
        found: Findings,
    ) -> None:
        self.found = found
        self.virtuals = virtuals
        self.checks = checks
        self.servers = servers
        self.defaults = file.defaults
        self.default_checks: tuple[Check, ...] = (TcpCheck(pace=checks.pace),)
        self.drain = DRAIN
        if not isinstance(file.defaults.drain, UnsetType):
            self.drain = self._drain(file.defaults.drain, ("defaults", "drain"))
        self.cut_after = self._cut_after(file.defaults, ("defaults",), None)
        check_names(file.services, ("services",), found)

    def read(self, name: str, table: ServiceTable) -> Service | None:
        """One service, or None when a fault left too little of it."""
        key: Key = ("services", name)
        written = self.virtuals.of[name]
        flags: list[Flag] = listed(table.scheduler_flags)
        settings = ServiceSettings(
            scheduler=pick("wlc", table.scheduler, self.defaults.scheduler),
            flags=frozenset(flags),
            persistence=self._persistence(table, key),
            one_packet=table.one_packet,
        )
        self._check_flags(table, settings, key)
        members, sorry = self._pool(table, settings, key)
        virtuals = self._virtuals(written, members, table, key)
        allow = read_allow(table, virtuals, key, self.found)
        whole = members if sorry is None else [*members, sorry]
        masquerade = read_masquerade(table, virtuals, whole, key, self.found)
        masquerade_as = read_masquerade_as(table, virtuals, key, self.found)
        drain = self.drain
        if not isinstance(table.drain, UnsetType):
            drain = self._drain(table.drain, (*key, "drain"))
        if not (virtuals or written.follows) or not members:
            return None
        netmask6 = 128
        if isinstance(table.persistence, PersistenceTable):
            netmask6 = table.persistence.netmask6
        return Service(
            name=name,
            virtuals=tuple(virtuals),
            settings=settings,
            members=tuple(members),
            checks_need=table.checks_need,
            quorum=table.quorum,
            hysteresis=table.hysteresis,
            slow_start=self._slow_start(table, key),
            sorry=sorry,
            panic_below=self._panic_below(table, key),
            drain=drain,
            on_fail=pick("auto", table.on_fail, self.defaults.on_fail),
            cut_after=self._cut_after(table, key, self.cut_after),
            netmask6=netmask6,
            matches=tuple(match for match, _ in written.matches),
            allow=allow,
            masquerade=masquerade,
            masquerade_as=masquerade_as,
            follows=tuple(follow for follow, _ in written.follows),
        )

    def _virtuals(
        self, written: Written, members: list[Member], table: ServiceTable, key: Key
    ) -> list[ServiceKey]:
        """Those that the file names; of followed interfaces, in the families of the pool.

        Our nftables sets are made when the file is read, and these addresses come later.
        """
        if written.follows:
            written.keep_families({family_of(one) for each in members for one in each.addresses})
        for name in ("allow", "masquerade") if written.follows else ():
            if not isinstance(getattr(table, name), UnsetType):
                fault = f"{name} knows no addresses of an interface that come and go"
                self.found.add((*key, name), fault, "write the addresses into virtual")
        return [virtual for virtual, _ in written.virtuals]

    def _drain(self, text: str, key: Key) -> float:
        seconds = read_duration(text, key, self.found)
        return DRAIN if seconds is None else seconds

    def _cut_after(
        self, table: ServiceTable | DefaultsTable, key: Key, outer: float | None
    ) -> float | None:
        if isinstance(table.cut_after, UnsetType):
            return outer
        if table.cut_after == OFF:
            return None
        return read_duration(table.cut_after, (*key, "cut_after"), self.found)

    def _persistence(self, table: ServiceTable, key: Key) -> Persistence | None:
        written = table.persistence
        if isinstance(written, UnsetType):
            return None
        where, text, prefix, engine = (*key, "persistence"), written, 32, ""
        if isinstance(written, PersistenceTable):
            where, text, prefix = (*where, "timeout"), written.timeout, written.netmask
            engine = pick("", written.engine)
        assert isinstance(text, str)
        seconds = read_duration(
            text, where, self.found, low=1, high=PERSISTENCE_LONGEST, whole=True
        )
        return None if seconds is None else Persistence(int(seconds), prefix, engine)

    def _check_flags(self, table: ServiceTable, settings: ServiceSettings, key: Key) -> None:
        flags: list[Flag] = listed(table.scheduler_flags)
        for index, flag in enumerate(flags):
            owner = flag.partition("-")[0]
            if owner != settings.scheduler:
                self.found.add(
                    element((*key, "scheduler_flags"), table.scheduler_flags, index),
                    f"{flag} does not fit scheduler {settings.scheduler}",
                    f'write scheduler = "{owner}", or leave the flag out',
                )

    def _slow_start(self, table: ServiceTable, key: Key) -> float:
        if isinstance(table.slow_start, UnsetType):
            return 0.0
        return read_duration(table.slow_start, (*key, "slow_start"), self.found) or 0.0

    def _panic_below(self, table: ServiceTable, key: Key) -> float | None:
        if isinstance(table.panic_below, UnsetType):
            return None
        return read_share(table.panic_below, (*key, "panic_below"), self.found)

    def _pool(
        self, table: ServiceTable, settings: ServiceSettings, key: Key
    ) -> tuple[list[Member], Member | None]:
        """The real servers, and the sorry server."""
        where = (*key, "real_servers")
        written = table.real_servers
        if not listed(written) and not self.found.within(*where):
            mend = "write real_servers = [ … ] with at least one"
            self.found.add(where, "there are no real servers", mend)
        read = self.checks.of(table, key)
        checks = self.default_checks if read is None else read
        weight = pick(
            1 if settings.scheduler == "sh" else WEIGHT, table.weight, self.defaults.weight
        )
        forwarding = pick("dr", table.forwarding, self.defaults.forwarding)
        if table.tunnel and forwarding != "tun" and not _tunnels(table):
            fault = f"tunnel means nothing with forwarding {forwarding}"
            mend = 'write forwarding = "tun", or leave tunnel out'
            self.found.add((*key, "tunnel"), fault, mend)
        tunnel = self._tunnel(table, key)
        plain = Member(
            name="",
            addresses=(),
            weight=weight,
            forwarding=Forwarding(forwarding),
            tunnel=tunnel,
            checks=checks,
        )
        members: list[Member] = []
        items: list[str | RealServerTable] = listed(written)
        for index, item in enumerate(items):
            member = self._member(item, plain, element(where, written, index))
            if member is not None:
                members.append(member)
        plain = Member(name="", addresses=(), forwarding=Forwarding(forwarding), role="sorry")
        return _told_apart(members), self._sorry(table, settings, plain, key)

    def _sorry(
        self, table: ServiceTable, settings: ServiceSettings, plain: Member, key: Key
    ) -> Member | None:
        written = table.sorry_server
        if isinstance(written, UnsetType):
            return None
        where: Key = (*key, "sorry_server")
        if isinstance(written, str):
            written, inside = SorryTable(server=written), where
        else:
            inside = (*where, "server")
        entry = RealServerTable(
            server=written.server,
            weight=written.weight,
            port=written.port,
            forwarding=written.forwarding,
            check=written.check,
            checks=written.checks,
        )
        weight = 1 if settings.scheduler == "sh" else WEIGHT
        checks = self.default_checks if pick("tcp", table.protocol) == "tcp" else ()
        return self._read_member(
            entry, msgspec.structs.replace(plain, weight=weight, checks=checks), where, inside
        )

    def _tunnel(self, table: ServiceTable, key: Key) -> Tunnel:
        written = table.tunnel
        if isinstance(written, UnsetType):
            return Tunnel()
        port = pick(0, written.port)
        if written.type == "gue" and not port and not self.found.within(*key, "tunnel", "port"):
            fault = "gue needs the port that the real servers take it at"
            self.found.add((*key, "tunnel"), fault, 'write tunnel = { type = "gue", port = … }')
        if written.type != "gue" and port:
            fault = f"{written.type} has no port"
            self.found.add((*key, "tunnel", "port"), fault, 'leave it out, or write type = "gue"')
        if written.type == "ipip" and written.checksum:
            mend = 'leave it out, or write type = "gue" or "gre"'
            self.found.add((*key, "tunnel", "checksum"), "ipip has no checksum", mend)
        return Tunnel(written.type, port, written.checksum)

    def _member(self, item: str | RealServerTable, plain: Member, key: Key) -> Member | None:
        if isinstance(item, str):
            return self._read_member(RealServerTable(server=item), plain, key, key)
        return self._read_member(item, plain, key, (*key, "server"))

    def _read_member(
        self, entry: RealServerTable, plain: Member, key: Key, named: Key
    ) -> Member | None:
        """The entry at `key`, which says at `named` whom it means."""
        server = self.servers.of(entry.server, named)
        if server is None or not server.addresses:
            return None
        port = server.port if isinstance(entry.port, UnsetType) else entry.port
        if server.port and port != server.port:
            fault = f'port {port} and "{entry.server}" name two ports'
            self.found.add((*key, "port"), fault, "write one of the two")
            port = 0
        if entry.lower_threshold and entry.lower_threshold > entry.upper_threshold:
            fault = f"{entry.lower_threshold} is above upper_threshold {entry.upper_threshold}"
            mend = "write a lower_threshold that is not above upper_threshold"
            self.found.add((*key, "lower_threshold"), fault, mend)
        forwarding = plain.forwarding
        if not isinstance(entry.forwarding, UnsetType):
            forwarding = Forwarding(entry.forwarding)
        checks = plain.checks
        if not (isinstance(entry.check, UnsetType) and isinstance(entry.checks, UnsetType)):
            checks = self.checks.of(entry, key) or ()
        return Member(
            name=server.name,
            addresses=server.addresses,
            port=port,
            weight=plain.weight if isinstance(entry.weight, UnsetType) else entry.weight,
            forwarding=forwarding,
            tunnel=plain.tunnel if forwarding is Forwarding.TUN else None,
            upper_threshold=entry.upper_threshold,
            lower_threshold=entry.lower_threshold,
            checks=checks,
            role="backup" if entry.backup else plain.role,
        )


def _tunnels(table: ServiceTable) -> bool:
    return any(
        isinstance(item, RealServerTable) and item.forwarding == "tun"
        for item in listed(table.real_servers)
    )


def _told_apart(members: list[Member]) -> list[Member]:
    """Members with a name each: one machine at two ports is called `app1:8443` and `app1:8444`."""
    if not any(member.port for member in members):
        return members
    times = Counter(member.name for member in members)
    return [
        msgspec.structs.replace(member, name=f"{member.name}:{member.port}")
        if member.port and times[member.name] > 1
        else member
        for member in members
    ]
