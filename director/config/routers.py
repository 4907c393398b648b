"""Virtual routers, as each node plays them."""

import math
from ipaddress import ip_address

import msgspec
from msgspec import UNSET, UnsetType

from director.config.adverts import read_auth, read_interval
from director.config.faults import Findings, Key
from director.config.hooks import read_mover
from director.config.moves import read_routes, read_rules
from director.config.nodes import NodeView
from director.config.readers import pick, read_duration, read_role
from director.config.schema import FileTable, RouterOverlay
from director.config.vips import Bare, VipReader
from director.model.address import Family, family_of
from director.model.event import Mover
from director.model.vip import Failback, Router
from director.units import is_name
from director.vrrp.rules import active_down

DEFAULT_PRIORITY = 100  # RFC 9568 section 5.2.4


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
        self.priority_key = self.key("priority")
        if "priority" not in differs and isinstance(self.table.priority, UnsetType):
            self.table = msgspec.structs.replace(self.table, priority=view.table.priority)
            self.priority_key = (*view.key, "priority")
        self.mover: Mover | None = None
        self.vips = VipReader(file, view, self.table, self.key("addresses"), found)

    def key(self, field: str) -> Key:
        """Where this node's value of a field stands."""
        if getattr(self.overlay, field) not in (UNSET, None):
            return ("nodes", self.view.name, "vrrp", self.name, field)
        return ("vrrp", self.name, field)

    def read(self) -> Router | None:
        """The router, or None when a fault left too little of it."""
        router = self._read()
        return router and self._veiled(router)

    def _read(self) -> Router | None:
        version = pick(3, self.table.version)
        interval = read_interval(
            self.table.interval,
            version,
            self.key("interval"),
            self.found,
            version_key=self.key("version"),
        )
        priority = pick(DEFAULT_PRIORITY, self.table.priority)
        role, vips = self._role(), self.vips.read()
        auth = read_auth(self.table.auth, version, self.key("auth"), self.found)
        vrid, group = self.table.vrid, self._group()
        self.mover = read_mover(self.name, self.table, self.key, self.found)
        failback, lease = self._failback(), self._lease(priority, interval, version)
        if isinstance(vrid, UnsetType):
            self._missing("vrid", "write vrid = 1..255, the same on both nodes")
        routes = read_routes(
            self.table.routes, self.key("routes"), self.view.devices, vips, self.found
        )
        rules = read_rules(self.table.rules, self.key("rules"), self.found)
        family = vips[0].prefix.family if vips else Family.IPV4
        if version == 2 and family is Family.IPV6:
            mend = "leave version out, or put an IPv4 address first"
            self.found.add(self.key("version"), "version 2 is for IPv4 alone", mend)
        source = self._source(role, family)
        peers = self._peers(role, family)
        if isinstance(vrid, UnsetType) or not vips or source is None or role is None:
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
            version=version,
            auth=auth,
            group=group,
            mode=pick("addresses", self.table.mode),
            routes=routes,
            rules=rules,
            mac=pick("interface", self.table.mac),
        )

    def _veiled(self, router: Router) -> Router:
        """With a virtual MAC the VIPs of its interface are on the device that has it."""
        if router.mac == "interface":
            return router
        if router.peers:
            # A switch learns where the MAC is from adverts to everybody.
            fault = "a virtual MAC needs multicast adverts, and unicast = true sends others"
            self.found.add(self.key("mac"), fault, "leave mac or unicast out")
        if not router.announced:
            fault = f'a virtual MAC answers ARP, and with mode = "{router.mode}" nobody does'
            self.found.add(self.key("mac"), fault, "leave mac or mode out")
        vips = tuple(
            msgspec.structs.replace(vip, interface=router.device)
            if vip.interface == router.interface
            else vip
            for vip in router.vips
        )
        return msgspec.structs.replace(router, vips=vips)

    def _missing(self, field: str, mend: str) -> None:
        if not self.found.within(*self.key(field)):
            self.found.add(self.key(field), f"{field} is missing", mend)

    def _role(self) -> str | None:
        role = self.table.interface
        if isinstance(role, UnsetType):
            self._missing("interface", "write interface = and a role of [interfaces]")
            return None
        return role if read_role(role, self.roles, self.key("interface"), self.found) else None

    def _source(self, role: str | None, family: Family) -> str | None:
        """This node's address there; "" where it is found out when the router starts."""
        if role is None:
            return None
        address = self.view.addresses.get(role)
        where: Key = ("nodes", self.view.name, "addresses", role)
        if family is Family.IPV6 and self.table.unicast is not True:
            # RFC 9568 section 5.1.2.1: the link-local one. Each node has its own, of its MAC, and
            # it is there whenever the interface is.
            own = address is not None and ip_address(address).is_link_local
            return address if own and family_of(address or "") is family else ""
        if address is None:
            if not self.found.within(*where):
                fault = f"vrrp.{self.name} needs an address of {self.view.name} on {role}"
                self.found.add(where, fault, f'add {role} = "IP" to addresses of this node')
            return None
        if family_of(address) is not family:
            fault = f"vrrp.{self.name} sends {_show(family)} adverts, and {address} is none"
            mend = f"write this node's {_show(family)} address there, or give the router a role "
            self.found.add(where, fault, mend + "of its own, for the same device")
            return None
        return address

    def _peers(self, role: str | None, family: Family) -> tuple[str, ...]:
        if self.table.unicast is not True or role is None:
            return ()
        there = [other.addresses[role] for other in self.peers if role in other.addresses]
        peers = tuple(address for address in there if family_of(address) is family)
        if not peers:
            fault = f"no other node has an {_show(family)} address on {role}"
            mend = "add the other node to [nodes], or leave unicast out"
            self.found.add(self.key("unicast"), fault, mend)
        return peers

    def _group(self) -> str:
        group = pick("", self.table.group)
        if group and not is_name(group):
            mend = "write at most 63 of a-z 0-9 _ . - and begin with a letter or a digit"
            self.found.add(self.key("group"), f'"{group}" is not a name', mend)
            return ""
        return group

    def _lease(self, priority: int, interval: float, version: int) -> float:
        text = pick("auto", self.table.lease)
        automatic = max(2.0, math.ceil(active_down(priority, interval, version) + 1))
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


def _show(family: Family) -> str:
    return "IPv4" if family is Family.IPV4 else "IPv6"


class Play(msgspec.Struct, frozen=True):
    """The routers as one node plays them, where each VIP is written, and who else moves some."""

    routers: tuple[Router, ...]
    bare: tuple[Bare, ...]
    movers: tuple[Mover, ...]


def read_routers(file: FileTable, view: NodeView, views: list[NodeView], found: Findings) -> Play:
    """All routers for one node, and what they say against each other."""
    readers = [RouterReader(file, view, views, name, found) for name in file.vrrp]
    pairs = [(reader, reader.read()) for reader in readers]
    read = [(reader, router) for reader, router in pairs if router is not None]
    vrids: dict[tuple[str, Family, int], Key] = {}
    holders: dict[tuple[str, str], tuple[str, Key]] = {}
    groups: dict[str, tuple[Router, Key]] = {}
    for reader, router in read:
        where = reader.key("vrid")
        other = vrids.setdefault((router.interface, router.family, router.vrid), where)
        if other != where:
            fault = f"vrid {router.vrid} is used twice on {router.interface}"
            found.add(where, fault, "give each virtual router there its own", also=other)
        _check_holders(reader, router, holders, found)
        if router.group:
            _check_group(reader, router, groups, found)
    return Play(
        tuple(router for _, router in read),
        tuple(bare for reader in readers for bare in reader.vips.bare),
        tuple(reader.mover for reader in readers if reader.mover is not None),
    )


def _check_holders(
    reader: RouterReader,
    router: Router,
    holders: dict[tuple[str, str], tuple[str, Key]],
    found: Findings,
) -> None:
    """A VIP belongs to one router; a link-local one may be there once on each interface."""
    key = reader.key("addresses")
    for vip in router.vips:
        address = vip.prefix.address
        there = vip.interface if ip_address(address).is_link_local else ""
        holder, elsewhere = holders.setdefault((address, there), (router.name, key))
        if holder != router.name:
            fault = f"{address} is held by vrrp.{holder} already"
            found.add(key, fault, "let one virtual router hold it", also=elsewhere)


def _check_group(
    reader: RouterReader, router: Router, groups: dict[str, tuple[Router, Key]], found: Findings
) -> None:
    """Its members have one priority on a node, or the pair would pull them apart."""
    key = reader.priority_key
    first, elsewhere = groups.setdefault(router.group, (router, key))
    if first.priority != router.priority:
        fault = (
            f"vrrp.{router.name} has priority {router.priority} on {reader.view.name} and "
            f"vrrp.{first.name} of the same group has {first.priority}"
        )
        mend = "give all members of a group one priority on a node"
        found.add(key, fault, mend, also=elsewhere)
