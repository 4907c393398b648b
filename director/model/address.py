"""Addresses and ports as values: literal, canonical text, no host names."""

import ipaddress
import re
from enum import IntEnum
from functools import lru_cache

import msgspec


class Family(IntEnum):
    """Address families, with the numbers of include/linux/socket.h."""

    IPV4 = 2
    IPV6 = 10

    @property
    def bits(self) -> int:
        return 32 if self is Family.IPV4 else 128


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")


def canonical(text: str) -> str:
    """The one spelling of an address (`2001:DB8::0:1` is `2001:db8::1`).

    Raises ValueError for what is no literal address, or has a zone.
    """
    # IPv4 has one spelling alone. ipaddress takes ten times as long, and a file may have 160,000.
    return text if _IPV4.fullmatch(text) else _other_canonical(text)


@lru_cache(maxsize=65536)
def _other_canonical(text: str) -> str:
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return str(ipaddress.ip_address(text))


def family_of(address: str) -> Family:
    """The family of a canonical address."""
    return Family.IPV6 if ":" in address else Family.IPV4


class Endpoint(msgspec.Struct, frozen=True, order=True, gc=False):
    """An address and a port: how the kernel finds a destination."""

    address: str
    port: int

    def __str__(self) -> str:
        if family_of(self.address) is Family.IPV6:
            return f"[{self.address}]:{self.port}"
        return f"{self.address}:{self.port}"


def parse_endpoint(text: str, *, lowest: int = 1) -> Endpoint:
    """`192.0.2.1:80` or `[2001:db8::1]:80`, with a port from `lowest` on. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or (":" in host) != bracketed:
        raise ValueError(f"{text!r} is not IP:PORT or [IP6]:PORT")
    number = int(port)
    if not lowest <= number <= 65535:
        raise ValueError(f"port {port} is outside {lowest}..65535")
    return Endpoint(canonical(host[1:-1] if bracketed else host), number)


class Prefix(msgspec.Struct, frozen=True, order=True, gc=False):
    """An address with the length of its network, as an interface holds it."""

    address: str
    length: int

    @property
    def family(self) -> Family:
        return family_of(self.address)

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"


def parse_prefix(text: str) -> Prefix:
    """`192.0.2.10` (a host: /32 or /128) or `10.0.8.1/24`. Raises ValueError."""
    host, slash, length = text.partition("/")
    address = canonical(host)
    bits = family_of(address).bits
    if slash and not (length.isascii() and length.isdigit() and int(length) <= bits):
        raise ValueError(f"/{length} is not a length between 0 and {bits}")
    return Prefix(address, int(length) if slash else bits)
