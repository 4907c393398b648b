"""Checks: `[defaults.check]`, then `[checks.NAME]`, and tables inside a service."""

import re

from msgspec import UnsetType

from director.config.check_tables import (
    AgentCheckTable,
    AnyCheck,
    DnsCheckTable,
    FileCheckTable,
    HttpCheckTable,
    NoneCheckTable,
    PaceTable,
    PingCheckTable,
    TcpCheckTable,
    UdpCheckTable,
)
from director.config.faults import Findings, Key
from director.config.kinds import Base, read_dns, read_http, read_tcp, read_udp
from director.config.nodes import NodeView
from director.config.readers import (
    check_names,
    element,
    listed,
    pick,
    read_address,
    read_duration,
    read_role,
)
from director.config.schema import FileTable, RealServerTable, ServiceTable
from director.model.check import (
    AgentCheck,
    Check,
    FileCheck,
    NoneCheck,
    Pace,
    PingCheck,
)
from director.units import is_name

ADDRESS_LIKE = re.compile(r"[:.]")
NONE = "none"
SHORTEST = 0.01


class Checks:
    """The named checks of a file, and how to read those that a service writes itself."""

    def __init__(
        self, file: FileTable, views: list[NodeView], ours: NodeView | None, found: Findings
    ) -> None:
        """`ours` is the node that checks, one of `views`; None where none fits."""
        self.found = found
        self.views = views
        self.ours = ours
        self.roles = file.interfaces
        self.defaults = file.defaults.check
        self.pace = self._pace(PaceTable(), ("defaults", "check"))
        check_names(file.checks, ("checks",), found)
        self.named = {
            name: self.read(table, ("checks", name)) for name, table in file.checks.items()
        }
        if NONE in self.named:
            mend = 'rename it; "none" switches an inherited check off'
            found.add(("checks", NONE), '"none" cannot name a check', mend)

    def of(self, table: ServiceTable | RealServerTable, key: Key) -> tuple[Check, ...] | None:
        """What a service, or its entry for one real server, writes; None where it is silent."""
        one, several = table.check, table.checks
        if isinstance(one, UnsetType) and isinstance(several, UnsetType):
            return None
        if not isinstance(one, UnsetType) and not isinstance(several, UnsetType):
            mend = "put all of them into checks and leave check out"
            self.found.add((*key, "check"), "check and checks are both given", mend)
            return ()
        where = (*key, "check") if isinstance(several, UnsetType) else (*key, "checks")
        written: str | AnyCheck | list[str | AnyCheck] | UnsetType
        written = one if isinstance(several, UnsetType) else several
        wanted: list[str | AnyCheck] = listed(written)
        if NONE in wanted:
            if len(wanted) > 1:
                mend = 'write "none" alone, or leave it out'
                self.found.add(where, '"none" stands beside other checks', mend)
            return ()
        read = [
            self.named_or_read(item, element(where, written, index))
            for index, item in enumerate(wanted)
        ]
        return tuple(check for check in read if check is not None)

    def named_or_read(self, item: str | AnyCheck, key: Key) -> Check | None:
        """A check by its name, or the table itself."""
        if not isinstance(item, str):
            return self.read(item, key)
        if item not in self.named and not self.found.within("checks", item):
            mend = self.found.suggest(
                item, self.named, f"add [checks.{item}], or write a table with a kind"
            )
            self.found.add(key, f'no check is named "{item}"', mend)
        return self.named.get(item)

    def read(self, table: AnyCheck, key: Key) -> Check:
        """A check with its pace; what is wrong with it is replaced by the default."""
        base = self._base(table, key)
        match table:
            case TcpCheckTable():
                return read_tcp(table, key, base, self.found)
            case HttpCheckTable():
                return read_http(table, key, base, self.found)
            case DnsCheckTable():
                return read_dns(table, key, base, self.found)
            case UdpCheckTable():
                return read_udp(table, key, base, self.found)
            case PingCheckTable():
                return PingCheck(**base)
            case AgentCheckTable():
                return AgentCheck(**base, send=table.send)
            case FileCheckTable():
                return FileCheck(**base, path=table.path)
            case NoneCheckTable():
                return NoneCheck(**base)

    def _base(self, table: AnyCheck, key: Key) -> Base:
        """What every kind has."""
        address = ""
        if not isinstance(table.address, UnsetType):
            address = read_address(table.address, (*key, "address"), self.found) or ""
        return Base(
            pace=self._pace(table, key),
            port=pick(0, table.port),
            address=address,
            source=self._source(table, (*key, "source")),
            interface=self._interface(table, (*key, "interface")),
        )

    def _source(self, table: AnyCheck, key: Key) -> str:
        """An address, or the node's own on the interface of that role."""
        if isinstance(table.source, UnsetType):
            return ""
        if table.source not in self.roles:
            if is_name(table.source) and not ADDRESS_LIKE.search(table.source):
                read_role(table.source, self.roles, key, self.found)
                return ""
            return read_address(table.source, key, self.found) or ""
        for view in self.views:
            if table.source not in view.addresses:
                fault = f"node {view.name} has no address on {table.source}"
                mend = f"add it to [nodes.{view.name}] addresses, or write another role"
                self.found.add(key, fault, mend)
        return "" if self.ours is None else self.ours.addresses.get(table.source, "")

    def _interface(self, table: AnyCheck, key: Key) -> str:
        role = table.interface
        if isinstance(role, UnsetType) or not read_role(role, self.roles, key, self.found):
            return ""
        return "" if self.ours is None else self.ours.devices.get(role, "")

    def _pace(self, table: PaceTable, key: Key) -> Pace:
        plain = Pace()
        interval = self._seconds(table, "interval", key, plain.interval)
        timeout = self._seconds(table, "timeout", key, plain.timeout)
        if timeout > interval:
            self._too_slow(table, key, timeout, interval)
        return Pace(
            interval=interval,
            timeout=timeout,
            fast_interval=self._seconds(table, "fast_interval", key, interval / 2),
            down_interval=self._seconds(table, "down_interval", key, interval),
            rise=pick(plain.rise, table.rise, self.defaults.rise),
            fall=pick(plain.fall, table.fall, self.defaults.fall),
        )

    def _seconds(self, table: PaceTable, name: str, key: Key, default: float) -> float:
        for written, where in ((table, key), (self.defaults, ("defaults", "check"))):
            text = getattr(written, name)
            if not isinstance(text, UnsetType):
                seconds = read_duration(text, (*where, name), self.found, low=SHORTEST)
                return default if seconds is None else seconds
        return default

    def _too_slow(self, table: PaceTable, key: Key, timeout: float, interval: float) -> None:
        """Told where it was written: here, or once in [defaults.check]."""
        if self.found.within(*key, "interval") or self.found.within(*key, "timeout"):
            return
        given = [
            name
            for name in ("timeout", "interval")
            if not isinstance(getattr(table, name), UnsetType)
        ]
        where = (*key, given[0]) if given else ("defaults", "check", "timeout")
        if not given and isinstance(self.defaults.timeout, UnsetType):
            where = ("defaults", "check", "interval")
        self.found.add(
            where,
            f"timeout {timeout:g}s is above interval {interval:g}s",
            "write a timeout that is not above the interval",
        )
