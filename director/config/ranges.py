"""Addresses and ports of which a service has many: how the file spells them."""

from ipaddress import ip_address, ip_network

from director.model.address import canonical, family_of

SPELLING = 'write it as in "192.0.2.10-192.0.2.20:80", "192.0.2.16/28:80" or "192.0.2.10:8000-8100"'


def is_range(text: str) -> bool:
    """Does a virtual spell more than one address and one port?"""
    return "-" in text or "/" in text


def parse_addresses(text: str) -> tuple[str, str]:
    """The first and the last: of one address, of `192.0.2.10-192.0.2.20`, of `192.0.2.16/28`.

    Raises ValueError.
    """
    if "/" in text:
        if "%" in text or not text.partition("/")[2].isdigit():
            raise ValueError(f"{text!r} is no network")
        network = ip_network(text)
        return str(network[0]), str(network[-1])
    low, dash, high = text.partition("-")
    first = canonical(low)
    last = canonical(high) if dash else first
    if family_of(first) is not family_of(last):
        raise ValueError(f"{first} and {last} are of two families")
    if int(ip_address(first)) > int(ip_address(last)):
        raise ValueError(f"{first} is above {last}")
    return first, last


def parse_ports(text: str, *, lowest: int = 1) -> tuple[int, int]:
    """The first and the last: of one port, which is `lowest` or more, or of `8000-8100`.

    Raises ValueError.
    """
    low, dash, high = text.partition("-")
    ports = (low, high) if dash else (low, low)
    if not all(port.isascii() and port.isdigit() and len(port) <= 5 for port in ports):
        raise ValueError(f"{text!r} is no port and no range of ports")
    first, last = int(ports[0]), int(ports[1])
    if dash:
        lowest = 1
    for port in (first, last):
        if not lowest <= port <= 65535:
            raise ValueError(f"port {port} is outside {lowest}..65535")
    if first > last:
        raise ValueError(f"port {first} is above {last}")
    return first, last


def parse_range(text: str) -> tuple[str, str, int, int]:
    """`ADDRESSES:PORTS` or `[ADDRESSES6]:PORTS`: first, last, low, high. Raises ValueError."""
    host, colon, ports = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host) != bracketed:
        raise ValueError(f"{text!r} is not ADDRESSES:PORTS or [ADDRESSES6]:PORTS")
    return *parse_addresses(host[1:-1] if bracketed else host), *parse_ports(ports, lowest=0)
