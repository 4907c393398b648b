"""Checks: `[defaults.check]`, then `[checks.NAME]`, and tables inside a service."""

import re

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import (
    check_names,
    element,
    listed,
    pick,
    read_address,
    read_duration,
)
from director.config.schema import (
    AnyCheck,
    FileTable,
    HttpCheckTable,
    PaceTable,
    RealServerTable,
    ServiceTable,
)
from director.model.check import Check, HttpCheck, Pace, TcpCheck

STATUS = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?")
NONE = "none"
SHORTEST = 0.01


class Checks:
    """The named checks of a file, and how to read those that a service writes itself."""

    def __init__(self, file: FileTable, found: Findings) -> None:
        self.found = found
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
        pace = self._pace(table, key)
        port = pick(0, table.port)
        address = ""
        if not isinstance(table.address, UnsetType):
            address = read_address(table.address, (*key, "address"), self.found) or ""
        if not isinstance(table, HttpCheckTable):
            return TcpCheck(pace=pace, port=port, address=address)
        return HttpCheck(
            pace=pace,
            port=port,
            address=address,
            path=table.path,
            host=pick("", table.host),
            status=self._statuses(table, (*key, "status")) or HttpCheck().status,
        )

    def _statuses(self, table: HttpCheckTable, key: Key) -> tuple[tuple[int, int], ...]:
        ranges: list[tuple[int, int]] = []
        for index, item in enumerate(listed(table.status)):
            match = STATUS.fullmatch(str(item))
            low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if low > high:
                mend = 'write one status or a range, as in 200 or "200-299"'
                where = element(key, table.status, index)
                self.found.add(where, f'"{item}" is not an HTTP status', mend)
            else:
                ranges.append((low, high))
        return tuple(ranges)

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
