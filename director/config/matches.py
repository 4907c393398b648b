"""`match`: the packets that the director marks; and no packet may be two services'."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.ranges import parse_addresses, parse_ports
from director.config.readers import element, listed
from director.config.schema import MatchTable
from director.config.spellings import Port
from director.model.address import Family, family_of
from director.model.match import PORT_MAX, Match
from director.model.service import Protocol, ServiceKey

Placed = tuple[Match, Key]
# All with the same addresses and protocol, by their first port.
Group = list[Placed]


def read_matches(
    written: MatchTable | list[MatchTable] | UnsetType,
    family: Family,
    mark: int,
    key: Key,
    found: Findings,
) -> list[Placed]:
    """What gets `mark`, without what is at fault."""
    matches: list[Placed] = []
    if isinstance(written, list) and not written:
        found.add(key, "match matches nothing", 'write match = { address = "192.0.2.12" }')
    for index, table in enumerate(listed(written)):
        where = element(key, written, index)
        try:
            first, last = parse_addresses(table.address)
        except ValueError as error:
            mend = 'write it as in "192.0.2.12", "192.0.2.12-192.0.2.20" or "192.0.2.16/28"'
            found.add((*where, "address"), str(error), mend)
            continue
        if family_of(first) is not family:
            fault = f"{table.address} is not of the service's family"
            mend = "a mark has one service for each family: make another for this"
            found.add((*where, "address"), fault, mend)
            continue
        for (low, high), at in _ports(table, where, found):
            protocol = Protocol[table.protocol.upper()]
            matches.append((Match(first, last, protocol, low, high, mark), at))
    return matches


def _ports(table: MatchTable, key: Key, found: Findings) -> Iterator[tuple[tuple[int, int], Key]]:
    if isinstance(table.ports, UnsetType):
        yield (0, PORT_MAX), key
        return
    ports: list[Port | str] = listed(table.ports)
    if not ports:
        found.add((*key, "ports"), "there are no ports", "leave ports out for all of them")
    for index, text in enumerate(ports):
        where = element((*key, "ports"), table.ports, index)
        try:
            yield parse_ports(str(text)), where
        except ValueError as error:
            found.add(where, str(error), 'write it as in "21" or "30000-31000"')


def check_overlaps(
    placed: Iterable[Placed], virtuals: dict[ServiceKey, Key], found: Findings
) -> None:
    """No packet may have two marks, nor may a mark take what another service names.

    The kernel looks for a service of the mark first (ip_vs_ctl.c, ip_vs_service_find).
    """
    groups = _grouped(placed)
    for (match, where), (earlier, other) in _overlapping(groups):
        fault = f"{match} overlaps with {earlier}: a packet has one mark"
        found.add(where, fault, "let each packet match once", also=other)
    wide = [group for group in groups if group[0][0].first != group[0][0].last]
    singles = {
        (group[0][0].protocol, group[0][0].first): group for group in groups if group not in wide
    }
    for virtual, where in virtuals.items() if groups else ():
        if virtual.mark:
            continue
        candidates = wide
        if (single := singles.get((virtual.protocol, virtual.address))) is not None:
            candidates = [*wide, single]
        for group in candidates:
            if not group[0][0].has(virtual.address):
                continue
            covering = next((one for one in group if one[0].covers(virtual)), None)
            if covering is not None:
                fault = f"{virtual} would get none of the packets that {covering[0]} marks"
                mend = "let each packet be one service's"
                found.add(where, fault, mend, also=covering[1])


def _grouped(placed: Iterable[Placed]) -> list[Group]:
    groups: dict[tuple[Protocol, str, str], Group] = {}
    for one in placed:
        match = one[0]
        groups.setdefault((match.protocol, match.first, match.last), []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: one[0].low)
    return list(groups.values())


def _overlapping(groups: list[Group]) -> Iterator[tuple[Placed, Placed]]:
    """Pairs that share a packet: within each group, and between those that share an address."""
    for group in groups:
        widest = group[0]
        for one in group[1:]:
            if one[0].low <= widest[0].high:
                yield one, widest
            widest = max(widest, one, key=lambda there: there[0].high)
    open_ones: list[Group] = []
    for group in sorted(groups, key=lambda one: (one[0][0].family, one[0][0].bounds)):
        match = group[0][0]
        open_ones = [one for one in open_ones if one[0][0].has(match.first)]
        for other in open_ones:
            if other[0][0].protocol is match.protocol and (pair := _shared(group, other)):
                yield pair
        open_ones.append(group)


def _shared(group: Group, other: Group) -> tuple[Placed, Placed] | None:
    """The first of one that shares a port with one of the other."""
    ends = [there[0].high for there in other]
    for one in group:
        at = bisect_left(ends, one[0].low)
        if at < len(other) and other[at][0].low <= one[0].high:
            return one, other[at]
    return None
