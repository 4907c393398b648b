"""The file as each node reads it."""

from director.config.faults import Findings, Key
from director.config.readers import check_names, read_address, read_role
from director.config.schema import FileTable, NodeTable


class NodeView:
    """The file as one node reads it: its devices and its fixed addresses by role."""

    def __init__(self, file: FileTable, name: str, found: Findings) -> None:
        self.name = name
        self.table = file.nodes.get(name, NodeTable())
        self.key: Key = ("nodes", name)
        self.devices = dict(file.interfaces)
        for role, device in self.table.interfaces.items():
            if read_role(role, file.interfaces, (*self.key, "interfaces", role), found):
                self.devices[role] = device
        self.addresses: dict[str, str] = {}
        for role, text in self.table.addresses.items():
            key = (*self.key, "addresses", role)
            address = read_address(text, key, found)
            if read_role(role, file.interfaces, key, found) and address is not None:
                self.addresses[role] = address


def read_views(file: FileTable, found: Findings) -> list[NodeView]:
    """All nodes; their names, and what they say about routers that the file does not have."""
    check_names(file.nodes, ("nodes",), found)
    check_names(file.interfaces, ("interfaces",), found)
    check_names(file.vrrp, ("vrrp",), found)
    for node, table in file.nodes.items():
        for name in table.vrrp:
            if name not in file.vrrp and not found.within("vrrp", name):
                mend = found.suggest(name, file.vrrp, f"add [vrrp.{name}], or remove this")
                fault = f'no virtual router is named "{name}"'
                found.add(("nodes", node, "vrrp", name), fault, mend)
    return [NodeView(file, name, found) for name in file.nodes]
