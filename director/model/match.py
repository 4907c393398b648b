"""Packets that the director marks itself, so that one virtual service has all of them."""

from collections.abc import Iterator
from ipaddress import ip_address

import msgspec

from director.model.address import Family, family_of
from director.model.service import Protocol, ServiceKey

PORT_MAX = 65535


class Match(msgspec.Struct, frozen=True, order=True):
    """Packets to the addresses `first` to `last` and the ports `low` to `high` get `mark`.

    Addresses are canonical, and of one family. 0 to 65535 is every port.
    """

    first: str
    last: str
    protocol: Protocol
    low: int
    high: int
    mark: int = 0

    @property
    def family(self) -> Family:
        return family_of(self.first)

    @property
    def size(self) -> int:
        """How many virtual services it would be without a mark: one for each address and port."""
        first, last = self.bounds
        return (last - first + 1) * len(self._ports)

    @property
    def _ports(self) -> range:
        return range(1) if self.low == 0 else range(self.low, self.high + 1)

    def multiplied(self) -> Iterator[ServiceKey]:
        """Those virtual services. Every port of an address is one: its port 0."""
        first, last = self.bounds
        for number in range(last - first + 1):
            address = str(ip_address(self.first) + number)
            for port in self._ports:
                yield ServiceKey(self.family, self.protocol, address, port)

    @property
    def bounds(self) -> tuple[int, int]:
        """The first and the last address as numbers."""
        return int(ip_address(self.first)), int(ip_address(self.last))

    @property
    def port(self) -> int:
        """Its port, where it has one alone; else 0."""
        return self.low if self.low == self.high else 0

    def has(self, address: str) -> bool:
        """Is this canonical address one of its own?"""
        first, last = self.bounds
        return family_of(address) is self.family and first <= int(ip_address(address)) <= last

    def covers(self, key: ServiceKey) -> bool:
        """Would a packet for this virtual service get the mark? That then decides (mark first).

        One of every port is what no other service has: there is no harm in covering a part of it.
        """
        return (
            key.protocol is self.protocol
            and key.port > 0
            and self.low <= key.port <= self.high
            and self.has(key.address)
        )

    def __str__(self) -> str:
        addresses = self.first if self.first == self.last else f"{self.first}-{self.last}"
        ports = f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"
        if (self.low, self.high) == (0, PORT_MAX):
            ports = "0"
        host = f"[{addresses}]" if self.family is Family.IPV6 else addresses
        return f"{host}:{ports}"
