# Virtual services as a service of the file names them: by addresses and ports, or by a mark.
#
# All services are read before any pool is: a real server at an address of any of them is refused,
# wherever it stands.
"""What finds each virtual service, and where the file says so."""

import msgspec
from msgspec import UNSET, UnsetType

from director.config.faults import Findings, Key
from director.config.marks import marks_for
from director.config.matches import read_matches
from director.config.ranges import SPELLING, is_range, parse_range
from director.config.readers import HOST_NAME, element, listed, no_address, pick
from director.config.schema import FileTable, ServiceTable
from director.config.shape import LEAVE_OUT, NOT_BUILT
from director.model.address import Family, canonical, family_of, parse_endpoint
from director.model.match import PORT_MAX, Match
from director.model.service import Protocol, ServiceKey

OUR_MARKS = 0x4000_0000
COMBINATIONS_MAX = 64  # of an address and a port; above that a range is one service of a mark


class Written(msgspec.Struct, frozen=True):
    """What one service names, without what is at fault, and the key of each in the file."""

    virtuals: list[tuple[ServiceKey, Key]]
    matches: list[tuple[Match, Key]]


class Virtuals:
    """Those of all services, by name."""

    def __init__(self, file: FileTable, found: Findings) -> None:
        self._found = found
        self._mark_base = pick(OUR_MARKS, file.kernel.mark_base)
        self.of = {
            name: self._read(table, ("services", name)) for name, table in file.services.items()
        }
        self._mark_ranges()

    def ours(self, virtual: ServiceKey) -> bool:
        """Is its mark one that we took for a range?"""
        return virtual.mark >= self._mark_base

    def _mark_ranges(self) -> None:
        """Give each range its mark, once all are known."""
        ranges = [one for written in self.of.values() for one, _ in written.matches if not one.mark]
        marks = marks_for(ranges, self._mark_base) if ranges else {}
        for written in self.of.values():
            for index, (one, where) in enumerate(written.matches):
                if not one.mark:
                    match = msgspec.structs.replace(one, mark=marks[one])
                    written.matches[index] = (match, where)
                    key = ServiceKey(match.family, mark=match.mark)
                    written.virtuals.append((key, where))

    def _read(self, table: ServiceTable, key: Key) -> Written:
        if not isinstance(table.fwmark, UnsetType):
            return self._marked(table, table.fwmark, key)
        found = self._found
        if table.match is not UNSET:
            mend = "write fwmark = … and family = …, or virtual"
            found.add((*key, "match"), "match says what gets fwmark, and there is none", mend)
        written = table.virtual
        where = (*key, "virtual")
        if not listed(written) and not any(
            found.within(*key, other) for other in ("virtual", "fwmark", "match")
        ):
            found.add(where, "virtual is missing", 'write virtual = "IP:PORT", or fwmark = …')
        if not isinstance(table.family, UnsetType) and not found.within(*key, "fwmark"):
            fault = "family means nothing without fwmark: an address has its own"
            found.add((*key, "family"), fault, "leave it out")
        virtuals: list[tuple[ServiceKey, Key]] = []
        matches: list[tuple[Match, Key]] = []
        for index, text in enumerate(listed(written)):
            at = element(where, written, index)
            if is_range(text):
                one = _range(text, table, at, found)
                if one is not None and one.size > COMBINATIONS_MAX:
                    matches.append((one, at))
                elif one is not None:
                    virtuals += [(key, at) for key in one.multiplied()]
                continue
            virtual = _virtual(text, table, at, found)
            if virtual is not None:
                virtuals.append((virtual, at))
        return Written(virtuals, matches)

    def _marked(self, table: ServiceTable, mark: int, key: Key) -> Written:
        """The kernel has no addresses and no protocol for these: the packets bring their own."""
        found = self._found
        matched = not isinstance(table.match, UnsetType)
        who = "match chooses" if matched else "whoever marks the packets chooses"
        for name in ("virtual", "protocol", "held"):
            if getattr(table, name) is not UNSET and not (matched and name == "held"):
                fault = f"{name} means nothing with fwmark: {who} them"
                found.add((*key, name), fault, f"leave {name} out, or fwmark")
        if mark >= self._mark_base:
            fault = f"marks from {self._mark_base:#x} on are the director's own"
            found.add((*key, "fwmark"), fault, f"write one of 1..{self._mark_base - 1}")
        if isinstance(table.family, UnsetType):
            if not found.within(*key, "family"):
                fault = "family is missing: a mark has one service for each"
                found.add((*key, "family"), fault, 'write family = "ipv4" or "ipv6"')
            return Written([], [])
        family = Family.IPV4 if table.family == "ipv4" else Family.IPV6
        matches = read_matches(table.match, family, mark, (*key, "match"), found)
        return Written([(ServiceKey(family, mark=mark), (*key, "fwmark"))], matches)


def _range(text: str, table: ServiceTable, key: Key, found: Findings) -> Match | None:
    try:
        first, last, low, high = parse_range(text)
    except ValueError as error:
        host = text.rpartition(":")[0]
        mend = f"{no_address(host)[1]}; {SPELLING}" if HOST_NAME.fullmatch(host) else SPELLING
        found.add(key, str(error), mend)
        return None
    if low == 0:
        if _no_persistence(table, key, found):
            return None
        high = PORT_MAX
    return Match(first, last, Protocol[pick("tcp", table.protocol).upper()], low, high)


def _virtual(text: str, table: ServiceTable, key: Key, found: Findings) -> ServiceKey | None:
    if text.startswith("@"):
        mend = f"{LEAVE_OUT}; write the addresses"
        found.add(key, f'a virtual like "{text}" {NOT_BUILT}', mend)
        return None
    try:
        endpoint = parse_endpoint(text, lowest=0)
    except ValueError as error:
        host = text.rpartition(":")[0]
        mend = 'write it as in "192.0.2.10:80" or "[2001:db8::10]:80"'
        if host and not _is_address(host.strip("[]")):
            mend = f"{no_address(host)[1]}; {mend}"
        found.add(key, str(error), mend)
        return None
    if endpoint.port == 0 and _no_persistence(table, key, found):
        return None
    protocol = Protocol[pick("tcp", table.protocol).upper()]
    return ServiceKey(family_of(endpoint.address), protocol, endpoint.address, endpoint.port)


def _no_persistence(table: ServiceTable, key: Key, found: Findings) -> bool:
    """Every port needs it: the kernel takes it without, and then schedules nothing."""
    if table.persistence or found.within(*key[:2], "persistence"):
        return False
    # ip_vs_core.c, ip_vs_schedule
    fault = "port 0 is every port, and the kernel balances that with persistence alone"
    found.add(key, fault, 'write persistence = "5m", or the port')
    return True


def _is_address(text: str) -> bool:
    try:
        canonical(text)
    except ValueError:
        return False
    return True
