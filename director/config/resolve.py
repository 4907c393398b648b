# From the file as written to the Config of one node.
#
# Order matters twice: nodes and routers come first, since services are held against the addresses
# there, and every node is read, not only ours, since both directors carry one file and a fault on
# the other one should be told here.
"""The document, resolved for one node, or its faults."""

from ipaddress import ip_address

import msgspec
from msgspec import UNSET, UnsetType

from director.config.checks import Checks
from director.config.cross import Crossing
from director.config.faults import Findings, Key
from director.config.hooks import read_hooks
from director.config.keepalived import keepalived_text
from director.config.kernel import check_kept, read_kernel
from director.config.nodes import NodeView, read_views
from director.config.pairs import check_pairs
from director.config.pools import Pools
from director.config.readers import pick, read_address, read_duration, read_role
from director.config.routers import Play, read_routers
from director.config.schema import FileTable, SyncTable
from director.config.servers import Servers
from director.config.shape import shape, show
from director.config.taken import Taken
from director.config.traps import Traps, check_sysctls
from director.config.vips import Bare
from director.config.virtuals import Virtuals
from director.model.config import Config, SyncSettings
from director.model.pool import Service
from director.model.vip import Router
from director.policy.pulse import MAXLEN


class Resolved(msgspec.Struct, frozen=True):
    """A Config, where each VIP without a length is written, and what other nodes must be told.

    `keepalived` maps a node that runs it to a piece of its file.
    """

    config: Config | None
    bare: tuple[Bare, ...]
    keepalived: dict[str, str] = {}


def resolve(raw: dict[str, object], node: str | None, host: str, found: Findings) -> Resolved:
    """The whole document for one node. `config` is None when a fault left too little.

    `raw` is used up: nothing is left in it.
    """
    _check_format(raw, found)
    raw["format"] = 1
    file = shape(raw, FileTable, found)
    raw.clear()
    assert file is not None
    views = read_views(file, found)
    fixed = _fixed_addresses(views, found)
    plays = {view.name: read_routers(file, view, views, found) for view in views}
    check_pairs(file, {name: play.routers for name, play in plays.items()}, found)
    all_routers = [router for play in plays.values() for router in play.routers]
    _check_vips(file, all_routers, fixed, found)
    syncs = {view.name: _sync(file, view, found) for view in views}
    kernel = read_kernel(file, found)
    hooks = read_hooks(file, found)
    daemons = [sync for sync in syncs.values() if sync is not None]
    services = _services(file, all_routers, daemons, fixed, found)
    check_kept(kernel, services, found)
    name = _this_node(file, node, host, found)
    if name is None:
        return Resolved(None, ())
    ours = next(view for view in views if view.name == name)
    play: Play = plays[name]
    config = Config(
        node=name,
        runs=pick("director", ours.table.runs),
        interfaces=ours.devices,
        services=tuple(services),
        routers=play.routers,
        sync=syncs[name],
        kernel=kernel,
        hooks=hooks,
    )
    keepalived = {
        view.name: keepalived_text(view.name, plays[view.name].routers, syncs[view.name])
        for view in views
        if view.table.runs == "keepalived"
    }
    return Resolved(config, play.bare, keepalived)


def _check_format(raw: dict[str, object], found: Findings) -> None:
    mend = "begin the file with format = 1"
    if "format" not in raw:
        found.add(("format",), "format is missing", mend)
    elif next(iter(raw)) != "format":
        found.add(("format",), "format is not the first key", mend)
    elif raw["format"] != 1 or isinstance(raw["format"], bool | float):
        fault = f"format {show(raw['format'])} is not one that this version reads"
        found.add(("format",), fault, "write format = 1")


def _this_node(file: FileTable, node: str | None, host: str, found: Findings) -> str | None:
    if not file.nodes:
        if not found.within("nodes"):
            mend = "add [nodes.NAME] for each director"
            found.add(("nodes",), "there are no nodes", mend)
        return None
    known = ", ".join(file.nodes)
    if node is not None:
        if node in file.nodes:
            return node
        found.add(("nodes",), f'no node is named "{node}"', f"write --node and one of: {known}")
        return None
    for name in (host, host.partition(".")[0]):
        if name in file.nodes:
            return name
    mend = f"write --node and one of: {known}; or name a node as this host is named"
    found.add(("nodes",), f'no node is named like this host, "{host}"', mend)
    return None


def _fixed_addresses(views: list[NodeView], found: Findings) -> dict[str, str]:
    """Every node's own addresses, and whose each is."""
    owners: dict[str, tuple[str, Key]] = {}
    for view in views:
        for role, address in view.addresses.items():
            key: Key = (*view.key, "addresses", role)
            owner, where = owners.setdefault(address, (view.name, key))
            if where != key:
                fault = f"{address} is an address of {owner} already"
                found.add(key, fault, "give each interface of each node its own", also=where)
    return {address: owner for address, (owner, _) in owners.items()}


def _check_vips(
    file: FileTable, routers: list[Router], fixed: dict[str, str], found: Findings
) -> None:
    for router in routers:
        for vip in router.vips:
            owner = fixed.get(vip.prefix.address)
            if owner is not None and router.name in file.vrrp:
                fault = f"{vip.prefix.address} is node {owner}'s own address"
                mend = "a virtual router moves its addresses; write one that no node owns"
                found.add(("vrrp", router.name, "addresses"), fault, mend)


def _sync(file: FileTable, view: NodeView, found: Findings) -> SyncSettings | None:
    base = file.sync
    if isinstance(base, UnsetType):
        if not isinstance(view.table.sync, UnsetType):
            found.add((*view.key, "sync"), "there is no [sync] to differ from", "add [sync]")
        return None
    over = pick(SyncTable(), view.table.sync)

    def key(field: str) -> Key:
        where: Key = ("sync",) if getattr(over, field) is UNSET else (*view.key, "sync")
        return (*where, field)

    written = {name: getattr(over, name) for name in over.__struct_fields__}
    table = msgspec.structs.replace(
        base, **{name: value for name, value in written.items() if value is not UNSET}
    )
    plain = SyncSettings(interface="")
    role = pick("", table.interface)
    if not role:
        found.add(key("interface"), "interface is missing", "write a role of [interfaces]")
    known = bool(role) and read_role(role, file.interfaces, key("interface"), found)
    refresh: float | None = plain.refresh
    if not isinstance(table.refresh, UnsetType):
        refresh = read_duration(table.refresh, key("refresh"), found, whole=True, high=86400.0)
    low, high = pick([0, 0], table.threshold)
    if high and low >= high:
        fault = f"threshold [{low}, {high}] never tells the peer"
        found.add(key("threshold"), fault, "write a first number below the second, or [0, 0]")
    pulse = table.pulse is not False
    return SyncSettings(
        interface=view.devices[role] if known else "",
        id=pick(0, table.id),
        port=pick(0, table.port),
        ttl=pick(0, table.ttl),
        maxlen=pick(MAXLEN if pulse else 0, table.maxlen),
        group=_group(table, key("group"), found),
        refresh=plain.refresh if refresh is None else refresh,
        threshold=(low, high),
        pulse=pulse,
    )


def _group(table: SyncTable, key: Key, found: Findings) -> str:
    if isinstance(table.group, UnsetType):
        return ""
    group = read_address(table.group, key, found)
    if group is not None and not ip_address(group).is_multicast:
        mend = "write a multicast address, as in 224.0.0.81"
        found.add(key, f"{group} is not a multicast address", mend)
    return group or ""


def _services(
    file: FileTable,
    routers: list[Router],
    syncs: list[SyncSettings],
    fixed: dict[str, str],
    found: Findings,
) -> list[Service]:
    virtuals = Virtuals(file, found)
    crossing = Crossing(file, virtuals, routers, found)
    checks = Checks(file, found)
    servers = Servers(file, Taken(file, fixed, virtuals), found)
    pools = Pools(file, virtuals, checks, servers, found)
    read = [pools.read(name, table) for name, table in file.services.items()]
    services = [service for service in read if service is not None]
    traps = Traps(file, syncs, found)
    for service in services:
        crossing.check(service)
        traps.check(service)
    crossing.check_marks()
    check_sysctls(file, services, found, synced=bool(syncs))
    return services
