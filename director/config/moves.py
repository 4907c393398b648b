"""What moves beside the addresses of a virtual router: its routes and rules."""

from ipaddress import ip_address, ip_network

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.readers import element, listed, pick, read_address, read_prefix, read_role
from director.config.schema import RouteTable, RuleTable
from director.model.address import Prefix, family_of
from director.model.vip import Route, RouteRule, Vip

MAIN = 254


def read_routes(
    written: RouteTable | list[RouteTable] | UnsetType,
    key: Key,
    devices: dict[str, str],
    vips: tuple[Vip, ...],
    found: Findings,
) -> tuple[Route, ...]:
    """`devices` maps roles to this node's devices; `vips` are those of the router."""
    routes = []
    tables: list[RouteTable] = listed(written)
    for index, table in enumerate(tables):
        route = _route(table, element(key, written, index), devices, vips, found)
        if route is not None:
            routes.append(route)
    return tuple(routes)


def read_rules(
    written: RuleTable | list[RuleTable] | UnsetType, key: Key, found: Findings
) -> tuple[RouteRule, ...]:
    """The rules of a router."""
    rules = []
    tables: list[RuleTable] = listed(written)
    for index, table in enumerate(tables):
        rule = _rule(table, element(key, written, index), found)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _route(
    table: RouteTable, key: Key, devices: dict[str, str], vips: tuple[Vip, ...], found: Findings
) -> Route | None:
    to = _network(table.to, (*key, "to"), found)
    via = _address(table.via, (*key, "via"), found)
    source = _address(table.source, (*key, "source"), found)
    role = pick("", table.interface)
    if to is None or via is None or source is None:
        return None
    if role and not read_role(role, devices, (*key, "interface"), found):
        return None
    if not via and not role:
        found.add(key, "the route leads nowhere", "add via = GATEWAY, or interface = ROLE")
        return None
    if via and not role and ip_address(via).is_link_local:
        found.add(key, f"{via} is on every link", "add interface = ROLE")
        return None
    if any(family_of(one) is not to.family for one in (via, source) if one):
        _mixed("this route", key, found)
        return None
    if source and source not in [vip.prefix.address for vip in vips]:
        mend = "write one of the addresses of this router: the route ends with it"
        found.add((*key, "source"), f"{source} is no address of this virtual router", mend)
        return None
    return Route(
        to=to,
        via=via,
        interface=devices[role] if role else "",
        source=source,
        table=pick(MAIN, table.table),
        metric=pick(0, table.metric),
    )


def _rule(table: RuleTable, key: Key, found: Findings) -> RouteRule | None:
    source, to = table.source, table.to
    if isinstance(source, UnsetType) and isinstance(to, UnsetType):
        found.add(key, "the rule fits every packet", "add from = or to = and a network")
        return None
    networks: list[Prefix | None] = []
    for text, name in ((source, "from"), (to, "to")):
        if isinstance(text, UnsetType):
            networks.append(None)
        elif (network := _network(text, (*key, name), found)) is None:
            return None
        else:
            networks.append(network)
    if len({network.family for network in networks if network is not None}) > 1:
        _mixed("this rule", key, found)
        return None
    return RouteRule(source=networks[0], to=networks[1], table=table.table, priority=table.priority)


def _mixed(what: str, key: Key, found: Findings) -> None:
    fault = f"the addresses of {what} are of two families"
    found.add(key, fault, "write one for IPv4 and one for IPv6")


def _address(text: str | UnsetType, key: Key, found: Findings) -> str | None:
    """Empty when there is none; None when it is at fault."""
    return "" if isinstance(text, UnsetType) else read_address(text, key, found)


def _network(text: str, key: Key, found: Findings) -> Prefix | None:
    prefix = read_prefix(text, key, found)
    if prefix is None:
        return None
    network = ip_network(str(prefix), strict=False)
    if str(network.network_address) != prefix.address:
        found.add(
            key, f"{prefix} is no network: bits are set behind /{prefix.length}", f"write {network}"
        )
        return None
    return prefix
