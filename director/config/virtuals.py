"""Virtual services as a service of the file names them: by addresses and ports."""

from director.config.faults import Findings, Key
from director.config.readers import element, listed, no_address, pick
from director.config.schema import ServiceTable
from director.config.shape import LEAVE_OUT, NOT_BUILT
from director.model.address import canonical, family_of, parse_endpoint
from director.model.service import Protocol, ServiceKey


def read_virtuals(table: ServiceTable, key: Key, found: Findings) -> list[ServiceKey]:
    """What finds each virtual service of `table` in the kernel; what is wrong is left out."""
    written = table.virtual
    where = (*key, "virtual")
    if not listed(written) and not any(
        found.within(*key, other) for other in ("virtual", "fwmark", "match")
    ):
        found.add(where, "virtual is missing", 'write virtual = "IP:PORT"')
    protocol = Protocol[pick("tcp", table.protocol).upper()]
    read = [
        _virtual(text, protocol, element(where, written, index), found)
        for index, text in enumerate(listed(written))
    ]
    return [virtual for virtual in read if virtual is not None]


def _virtual(text: str, protocol: Protocol, key: Key, found: Findings) -> ServiceKey | None:
    if text.startswith("@"):
        mend = f"{LEAVE_OUT}; write the addresses"
        found.add(key, f'a virtual like "{text}" {NOT_BUILT}', mend)
        return None
    try:
        endpoint = parse_endpoint(text)
    except ValueError as error:
        host = text.rpartition(":")[0]
        mend = 'write it as in "192.0.2.10:80" or "[2001:db8::10]:80"'
        if host and not _is_address(host.strip("[]")):
            mend = f"{no_address(host)[1]}; {mend}"
        found.add(key, str(error), mend)
        return None
    return ServiceKey(family_of(endpoint.address), protocol, endpoint.address, endpoint.port)


def _is_address(text: str) -> bool:
    try:
        canonical(text)
    except ValueError:
        return False
    return True
