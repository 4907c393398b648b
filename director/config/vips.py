"""The addresses of a virtual router, as they are written."""

from ipaddress import ip_address

import msgspec
from msgspec import UNSET

from director.config.faults import Findings, Key
from director.config.nodes import NodeView
from director.config.readers import element, listed, pick, read_prefix, read_role
from director.config.schema import AddressTable, FileTable, RouterOverlay
from director.model.address import Family, Prefix
from director.model.vip import DUMMY, Vip

LABEL_MAX = 15  # include/uapi/linux/if.h, IFNAMSIZ
SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254}  # rtnetlink.h, rt_scope_t
ADVERTISED_MAX = 255  # RFC 9568 section 5.2.5: one byte counts them


class Bare(msgspec.Struct, frozen=True):
    """A VIP without a written length: its interface has to have a network around it."""

    device: str
    address: str
    key: Key


class VipReader:
    """Reads `addresses`, which stand at `key`, for one node."""

    def __init__(
        self, file: FileTable, view: NodeView, table: RouterOverlay, key: Key, found: Findings
    ) -> None:
        self.view = view
        self.roles = file.interfaces
        self.table = table
        self.key = key
        self.found = found
        self.bare: list[Bare] = []

    def read(self) -> tuple[Vip, ...]:
        """Those without a fault."""
        written = self.table.addresses
        key = self.key
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
            if not self.found.within(*key):
                mend = "write at least one address that this router holds"
                self.found.add(key, "addresses is missing", mend)
        elif len(vips) == len(items):
            self._check_first(vips[0], element(key, written, 0))
            self._check_count(vips)
        return tuple(vips)

    def _check_first(self, first: Vip, key: Key) -> None:
        address = first.prefix.address
        if not first.advertise:
            mend = "put an advertised address first; it gives the advert its family"
            self.found.add(key, "the first address is not advertised", mend)
        elif first.prefix.family is Family.IPV6 and not ip_address(address).is_link_local:
            # RFC 9568 section 5.2.9; keepalived refuses its file as well.
            fault = f"a pure IPv6 router needs a link-local first, and {address} is none"
            mend = 'put one first, as in "fe80::100/64", or an IPv4 address'
            self.found.add(key, fault, mend)

    def _check_count(self, vips: list[Vip]) -> None:
        family = vips[0].prefix.family
        count = sum(vip.advertise and vip.prefix.family is family for vip in vips)
        if count > ADVERTISED_MAX:
            fault = (
                f"{count} addresses are advertised, and an advert names {ADVERTISED_MAX} at most"
            )
            mend = "write advertise = false for those that may just move along"
            self.found.add(self.key, fault, mend)

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
        device = self.view.devices[role]
        if self.table.mode in ("dummy", "hook"):
            device = DUMMY
        elif "/" not in text:
            self.bare.append(Bare(device, prefix.address, at))
        if isinstance(item, str):
            return Vip(prefix, device, advertise)
        label = self._label(item, prefix, device, key)
        return Vip(prefix, device, advertise, label, SCOPES[item.scope])

    def _label(self, item: AddressTable, prefix: Prefix, device: str, key: Key) -> str:
        """IPv4 alone has labels and scopes; one that begins with a colon gets the device's name."""
        written = {"label": item.label is not UNSET, "scope": item.scope != "global"}
        for name, there in written.items():
            if there and prefix.family is Family.IPV6:
                fault = f"{prefix.address} cannot have a {name}"
                mend = "leave it out: IPv4 addresses alone have one"
                self.found.add((*key, name), fault, mend)
        label = pick("", item.label)
        label = device + label if label.startswith(":") else label
        if len(label) > LABEL_MAX:
            fault = f'"{label}" is longer than {LABEL_MAX} characters'
            self.found.add((*key, "label"), fault, "write a shorter one")
        return label


def _can_move(address: str) -> bool:
    there = ip_address(address)
    return not (there.is_multicast or there.is_loopback or there.is_unspecified)
