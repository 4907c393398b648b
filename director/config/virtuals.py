"""Virtual services as a service of the file names them: by addresses and ports, or by a mark."""

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import element, listed, no_address, pick
from director.config.schema import ServiceTable
from director.config.shape import LEAVE_OUT, NOT_BUILT
from director.model.address import Family, canonical, family_of, parse_endpoint
from director.model.service import Protocol, ServiceKey

OUR_MARKS = 0x4000_0000  # the default of [kernel] mark_base


def read_virtuals(table: ServiceTable, key: Key, found: Findings) -> list[ServiceKey]:
    """What finds each virtual service of `table` in the kernel; what is wrong is left out."""
    if not isinstance(table.fwmark, UnsetType):
        return _marked(table, table.fwmark, key, found)
    written = table.virtual
    where = (*key, "virtual")
    if not listed(written) and not any(
        found.within(*key, other) for other in ("virtual", "fwmark", "match")
    ):
        found.add(where, "virtual is missing", 'write virtual = "IP:PORT", or fwmark = …')
    if not isinstance(table.family, UnsetType) and not found.within(*key, "fwmark"):
        fault = "family means nothing without fwmark: an address has its own"
        found.add((*key, "family"), fault, "leave it out")
    read = [
        _virtual(text, table, element(where, written, index), found)
        for index, text in enumerate(listed(written))
    ]
    return [virtual for virtual in read if virtual is not None]


def _marked(table: ServiceTable, mark: int, key: Key, found: Findings) -> list[ServiceKey]:
    """The kernel has no addresses and no protocol for these: the packets bring their own."""
    for name in ("virtual", "protocol", "held"):
        if not isinstance(getattr(table, name), UnsetType):
            fault = f"{name} means nothing with fwmark: whoever marks the packets chooses them"
            found.add((*key, name), fault, f"leave {name} out, or fwmark")
    if mark >= OUR_MARKS:
        fault = f"marks from {OUR_MARKS:#x} on are the director's own"
        found.add((*key, "fwmark"), fault, f"write one of 1..{OUR_MARKS - 1}")
    if isinstance(table.family, UnsetType):
        if not found.within(*key, "family"):
            fault = "family is missing: a mark has one service for each"
            found.add((*key, "family"), fault, 'write family = "ipv4" or "ipv6"')
        return []
    return [ServiceKey(Family.IPV4 if table.family == "ipv4" else Family.IPV6, mark=mark)]


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
    persistent = table.persistence or found.within(*key[:2], "persistence")
    if endpoint.port == 0 and not persistent:
        # The kernel takes it and then schedules nothing (ip_vs_core.c, ip_vs_schedule).
        fault = "port 0 is every port, and the kernel balances that with persistence alone"
        found.add(key, fault, 'write persistence = "5m", or the port')
        return None
    protocol = Protocol[pick("tcp", table.protocol).upper()]
    return ServiceKey(family_of(endpoint.address), protocol, endpoint.address, endpoint.port)


def _is_address(text: str) -> bool:
    try:
        canonical(text)
    except ValueError:
        return False
    return True
