# Sets and maps of our tables, as nft reads them, and which ports a virtual service has.
"""Sets of nftables, as text."""

from collections import defaultdict
from collections.abc import Iterable

from director.model.address import Family
from director.model.config import Config
from director.model.service import Protocol, ServiceKey

FAMILIES = {Family.IPV4: "ip", Family.IPV6: "ip6"}
KINDS = {Family.IPV4: "ipv4_addr", Family.IPV6: "ipv6_addr"}
PORT_MAX = 65535


def a_set(name: str, kind: str, elements: Iterable[str] = (), flags: str = "") -> str:
    """A line that defines a set, or a map where `kind` is `KEY : VALUE`."""
    word = "map" if " : " in kind else "set"
    held = ", ".join(elements)
    parts = [f"type {kind};", f"flags {flags};" if flags else ""]
    parts.append(f"elements = {{ {held} }};" if held else "")
    return f"  {word} {name} {{ {' '.join(part for part in parts if part)} }}"


class Ports:
    """The ports of virtual services: of port 0, all that no other service of the address has."""

    def __init__(self, config: Config) -> None:
        self._exact: dict[tuple[str, Protocol], set[int]] = defaultdict(set)
        for service in config.services:
            for key in service.virtuals:
                if key.port:
                    self._exact[key.address, key.protocol].add(key.port)

    def of(self, key: ServiceKey) -> tuple[str, ...]:
        """As nft writes them, without overlaps: `("443",)` or `("0-442", "444-65535")`."""
        if key.port:
            return (str(key.port),)
        spans: list[str] = []
        first = 0
        for port in [*sorted(self._exact[key.address, key.protocol]), PORT_MAX + 1]:
            if first < port:
                spans.append(f"{first}-{port - 1}" if first < port - 1 else f"{first}")
            first = port + 1
        return tuple(spans)
