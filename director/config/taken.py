"""Addresses that are something else already."""

from director.config.readers import listed
from director.config.schema import AddressTable, FileTable, RouterOverlay
from director.config.virtuals import Virtuals
from director.model.address import canonical


def written_vips(file: FileTable) -> dict[str, str]:
    """The addresses of all virtual routers, also of those at fault elsewhere, and whose each is."""
    tables: list[tuple[str, RouterOverlay]] = [*file.vrrp.items()]
    for node in file.nodes.values():
        tables.extend(node.vrrp.items())
    held: dict[str, str] = {}
    for name, table in tables:
        items: list[str | AddressTable] = listed(table.addresses)
        for item in items:
            address = _canonical((item if isinstance(item, str) else item.address).split("/")[0])
            if address is not None:
                held.setdefault(address, name)
    return held


class Taken:
    """What cannot be a real server's address. `nodes` maps fixed addresses to node names."""

    def __init__(self, file: FileTable, nodes: dict[str, str], virtuals: Virtuals) -> None:
        self._by_address = {address: f"is node {name} itself" for address, name in nodes.items()}
        for address, router in written_vips(file).items():
            self._by_address[address] = f"is a VIP of vrrp.{router}"
        self._ranges = []
        for name, written in virtuals.of.items():
            why = f"is a virtual address of services.{name}"
            for virtual, _ in written.virtuals:
                self._by_address.setdefault(virtual.address, why)
            self._ranges += [(match, why) for match, _ in written.matches]

    def why(self, address: str) -> str | None:
        """Why an address cannot be a real server's; None where it can.

        Not in what the director marks either: its own checks would be marked, and balanced.
        """
        if (why := self._by_address.get(address)) is not None:
            return why
        return next((why for match, why in self._ranges if match.has(address)), None)


def _canonical(text: str) -> str | None:
    try:
        return canonical(text)
    except ValueError:
        return None
