# Virtual services as a service of the file names them: by addresses and ports, or by a mark.
#
# All services are read before any pool is: a real server at an address of any of them is refused,
# wherever it stands.
"""What finds each virtual service, and where the file says so."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from director.config.faults import Findings, Key
from director.config.marks import marks_for
from director.config.matches import read_matches
from director.config.ranges import SPELLING, is_range, parse_ports, parse_range
from director.config.readers import HOST_NAME, element, listed, no_address, pick, read_role
from director.config.schema import FileTable, ServiceTable
from director.model.address import Family, canonical, family_of, parse_endpoint
from director.model.match import PORT_MAX, Match
from director.model.pool import Follow
from director.model.service import Protocol, ServiceKey

OUR_MARKS = 0x4000_0000
COMBINATIONS_MAX = 64  # of an address and a port; above that a range is one service of a mark


class Written(msgspec.Struct, frozen=True):
    """What one service names, without what is at fault, and the key of each in the file."""

    virtuals: list[tuple[ServiceKey, Key]]
    matches: list[tuple[Match, Key]]
    follows: list[tuple[Follow, Key]] = []

    def keep_families(self, families: Collection[Family]) -> None:
        """Of what stands on an interface, leave out what no real server could serve."""
        followed = {where for _, where in self.follows}
        self.virtuals[:] = [
            (virtual, where)
            for virtual, where in self.virtuals
            if where not in followed or virtual.family in families
        ]


class Virtuals:
    """Those of all services, by name. `vips`: what routers hold on the interface of each role."""

    def __init__(self, file: FileTable, vips: Mapping[str, Sequence[str]], found: Findings) -> None:
        self._found = found
        self._roles = file.interfaces
        self._vips = vips
        self._followed: dict[Follow, Key] = {}
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
        there = Written([], [], [])
        for index, text in enumerate(listed(written)):
            self._enter(text, table, element(where, written, index), there)
        return there

    def _enter(self, text: str, table: ServiceTable, key: Key, there: Written) -> None:
        """One of `virtual`: an interface, a range, or an address and a port."""
        if text.startswith("@"):
            follow = self._follow(text, table, key)
            if follow is not None:
                there.follows.append((follow, key))
                there.virtuals.extend((one, key) for one in self._on_interface(follow))
        elif is_range(text):
            match = _range(text, table, key, self._found)
            if match is not None and match.size > COMBINATIONS_MAX:
                there.matches.append((match, key))
            elif match is not None:
                there.virtuals.extend((one, key) for one in match.multiplied())
        else:
            virtual = _virtual(text, table, key, self._found)
            if virtual is not None:
                there.virtuals.append((virtual, key))

    def _follow(self, text: str, table: ServiceTable, key: Key) -> Follow | None:
        """`@front:8080`: that port of all addresses of an interface."""
        role, _, written = text[1:].rpartition(":")
        try:
            port, last = parse_ports(written)
        except ValueError as error:
            port, last = 0, 0
            fault = str(error)
        else:
            fault = "an interface takes one port"
        if port != last or not port:
            mend = 'write it as in "@front:8080"; of every port the director could not be reached'
            self._found.add(key, fault, mend)
            return None
        if not read_role(role, self._roles, key, self._found):
            return None
        follow = Follow(role, Protocol[pick("tcp", table.protocol).upper()], port)
        other = self._followed.setdefault(follow, key)
        if other != key:
            fault = f"{text} is a virtual service of {other[1]} already"
            self._found.add(key, fault, "keep one of the two", also=other)
            return None
        return follow

    def _on_interface(self, follow: Follow) -> Iterator[ServiceKey]:
        """VIPs there are in the table of both nodes, whoever holds them now."""
        for address in self._vips.get(follow.interface, ()):
            yield ServiceKey(family_of(address), follow.protocol, address, follow.port)

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
