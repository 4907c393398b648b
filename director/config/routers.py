"""Virtual routers, as each node plays them."""

import math
from ipaddress import ip_address

import msgspec
from msgspec import UNSET, UnsetType

from director.config.faults import Findings, Key
from director.config.readers import (
    check_names,
    element,
    listed,
    pick,
    read_address,
    read_duration,
    read_prefix,
    read_role,
)
from director.config.schema import AddressTable, FileTable, NodeTable, RouterOverlay
from director.config.shape import NOT_BUILT
from director.model.address import Family, family_of
from director.model.vip import Failback, Router, Vip
from director.vrrp.rules import active_down

DEFAULT_PRIORITY = 100  # RFC 9568 section 5.2.4
DEFAULT_INTERVAL = 1.0  # RFC 9568 section 6.1: 100 centiseconds
INTERVALS = (0.01, 40.95)  # RFC 9568 section 5.2.7: 12 bits of centiseconds


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


class Bare(msgspec.Struct, frozen=True):
    """A VIP without a written length: its interface has to have a network around it."""

    device: str
    address: str
    key: Key


class RouterReader:
    """Reads one `[vrrp.NAME]` for one node; a fault stands where that node's value does."""

    def __init__(
        self, file: FileTable, view: NodeView, views: list[NodeView], name: str, found: Findings
    ) -> None:
        base = file.vrrp[name]
        self.name = name
        self.view = view
        self.peers = [other for other in views if other is not view]
        self.found = found
        self.overlay = view.table.vrrp.get(name, RouterOverlay())
        self.roles = file.interfaces
        differs = {
            field: getattr(self.overlay, field)
            for field in self.overlay.__struct_fields__
            if not isinstance(getattr(self.overlay, field), UnsetType)
        }
        self.table = msgspec.structs.replace(base, **differs)
        priority = view.table.priority
        if "priority" not in differs and isinstance(self.table.priority, UnsetType):
            self.table = msgspec.structs.replace(self.table, priority=priority)
        self.bare: list[Bare] = []

    def key(self, field: str) -> Key:
        """Where this node's value of a field stands."""
        if getattr(self.overlay, field) not in (UNSET, None):
            return ("nodes", self.view.name, "vrrp", self.name, field)
        return ("vrrp", self.name, field)

    def read(self) -> Router | None:
        """The router, or None when a fault left too little of it."""
        interval = self._interval()
        priority = pick(DEFAULT_PRIORITY, self.table.priority)
        role, vips = self._role(), self._vips()
        vrid = self.table.vrid
        failback, lease = self._failback(), self._lease(priority, interval)
        if isinstance(vrid, UnsetType):
            self._missing("vrid", "write vrid = 1..255, the same on both nodes")
        source = self._source(role)
        peers = self._peers(role)
        if isinstance(vrid, UnsetType) or not vips or not source or role is None:
            return None
        return Router(
            name=self.name,
            vrid=vrid,
            interface=self.view.devices[role],
            source=source,
            priority=priority,
            interval=interval,
            vips=vips,
            peers=peers,
            checksum=pick("pseudo", self.table.checksum),
            lease=lease,
            failback=failback,
        )

    def _missing(self, field: str, mend: str) -> None:
        if not self.found.within(*self.key(field)):
            self.found.add(self.key(field), f"{field} is missing", mend)

    def _role(self) -> str | None:
        role = self.table.interface
        if isinstance(role, UnsetType):
            self._missing("interface", "write interface = and a role of [interfaces]")
            return None
        return role if read_role(role, self.roles, self.key("interface"), self.found) else None

    def _source(self, role: str | None) -> str | None:
        if role is None:
            return None
        address = self.view.addresses.get(role)
        where: Key = ("nodes", self.view.name, "addresses", role)
        if address is None:
            if not self.found.within(*where):
                fault = f"vrrp.{self.name} needs an address of {self.view.name} on {role}"
                self.found.add(where, fault, f'add {role} = "IP" to addresses of this node')
            return None
        if family_of(address) is not Family.IPV4:
            fault = f"vrrp.{self.name} sends IPv4 adverts, and {address} is IPv6"
            self.found.add(where, fault, "write this node's IPv4 address there")
            return None
        return address

    def _peers(self, role: str | None) -> tuple[str, ...]:
        if self.table.unicast is not True or role is None:
            return ()
        peers = tuple(other.addresses[role] for other in self.peers if role in other.addresses)
        if not peers:
            fault = f"no other node has an address on {role}"
            mend = "add the other node to [nodes], or leave unicast out"
            self.found.add(self.key("unicast"), fault, mend)
        return peers

    def _interval(self) -> float:
        text = self.table.interval
        if isinstance(text, UnsetType):
            return DEFAULT_INTERVAL
        key = self.key("interval")
        low, high = INTERVALS
        interval = read_duration(text, key, self.found, low=low, high=high)
        if interval is None:
            return DEFAULT_INTERVAL
        if abs(interval * 100 - round(interval * 100)) > 1e-6:
            fault = f"{text} is not a whole number of centiseconds"
            self.found.add(key, fault, 'write a multiple of 10ms, as in "100ms"')
        return round(interval * 100) / 100

    def _lease(self, priority: int, interval: float) -> float:
        text = pick("auto", self.table.lease)
        automatic = max(2.0, math.ceil(active_down(priority, interval) + 1))
        if text == "auto":
            return float(automatic)
        if text == "off":
            return 0.0
        lease = read_duration(text, self.key("lease"), self.found, low=1.0, whole=True)
        return float(automatic) if lease is None else lease

    def _failback(self) -> Failback:
        table = self.table.failback
        if isinstance(table, UnsetType):
            return Failback()
        key = self.key("failback")
        plain = Failback()
        if isinstance(table.after, UnsetType):
            return Failback(table.when, plain.after)
        if table.when != "after":
            fault = f'after means nothing with when = "{table.when}"'
            self.found.add((*key, "after"), fault, "leave after out")
        after = read_duration(table.after, (*key, "after"), self.found)
        return Failback(table.when, plain.after if after is None else after)

    def _vips(self) -> tuple[Vip, ...]:
        written = self.table.addresses
        key = self.key("addresses")
        vips: list[Vip] = []
        seen: dict[str, Key] = {}
        items: list[str | AddressTable] = listed(written)
        for index, item in enumerate(items):
            where = element(key, written, index)
            vip = self._vip(item, where)
            if vip is None:
                continue
            if vip.prefix.address in seen:
                fault = f"{vip.prefix.address} stands twice"
                self.found.add(where, fault, "remove one", also=seen[vip.prefix.address])
                continue
            seen[vip.prefix.address] = where
            vips.append(vip)
        if not items:
            self._missing("addresses", "write at least one address that this router holds")
        elif len(vips) == len(items):
            self._check_first(vips[0], element(key, written, 0))
        return tuple(vips)

    def _check_first(self, first: Vip, key: Key) -> None:
        if first.prefix.family is Family.IPV6:
            mend = "put an IPv4 address first; this version has IPv6 addresses after it"
            fault = f"a virtual router whose first address is IPv6 {NOT_BUILT}"
            self.found.add(key, fault, mend)
        elif not first.advertise:
            mend = "put an advertised address first; it gives the advert its family"
            self.found.add(key, "the first address is not advertised", mend)

    def _vip(self, item: str | AddressTable, key: Key) -> Vip | None:
        text, role, advertise = (
            (item, UNSET, True)
            if isinstance(item, str)
            else (item.address, item.interface, item.advertise)
        )
        at = key if isinstance(item, str) else (*key, "address")
        prefix = read_prefix(text, at, self.found)
        if isinstance(role, str):
            if not read_role(role, self.roles, (*key, "interface"), self.found):
                return None
        else:
            role = self.table.interface
        if prefix is None or not isinstance(role, str) or role not in self.roles:
            return None
        if not _can_move(prefix.address):
            mend = "write an address that a host can have"
            self.found.add(at, f"{prefix.address} cannot be a virtual address", mend)
            return None
        if "/" not in text:
            self.bare.append(Bare(self.view.devices[role], prefix.address, at))
        return Vip(prefix, self.view.devices[role], advertise)


def _can_move(address: str) -> bool:
    there = ip_address(address)
    return not (there.is_multicast or there.is_loopback or there.is_unspecified)


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


class Play(msgspec.Struct, frozen=True):
    """The routers as one node plays them, and where each VIP is written."""

    routers: tuple[Router, ...]
    bare: tuple[Bare, ...]


def read_routers(file: FileTable, view: NodeView, views: list[NodeView], found: Findings) -> Play:
    """All routers for one node, and what they say against each other."""
    readers = [RouterReader(file, view, views, name, found) for name in file.vrrp]
    pairs = [(reader, reader.read()) for reader in readers]
    vrids: dict[tuple[str, int], Key] = {}
    holders: dict[str, tuple[str, Key]] = {}
    for reader, router in pairs:
        if router is None:
            continue
        where = reader.key("vrid")
        other = vrids.setdefault((router.interface, router.vrid), where)
        if other != where:
            fault = f"vrid {router.vrid} is used twice on {router.interface}"
            found.add(where, fault, "give each virtual router there its own", also=other)
        for vip in router.vips:
            key = reader.key("addresses")
            holder, elsewhere = holders.setdefault(vip.prefix.address, (router.name, key))
            if holder != router.name:
                fault = f"{vip.prefix.address} is held by vrrp.{holder} already"
                found.add(key, fault, "let one virtual router hold it", also=elsewhere)
    return Play(
        tuple(router for _, router in pairs if router is not None),
        tuple(bare for reader in readers for bare in reader.bare),
    )
