"""The table of `director show`, line by line."""

from collections.abc import Callable

from director.model.shown import Heading, ShownDestination, ShownService, Stats

Cell = int | str
NO_STATS = Stats()

# For each view: what stands over a column, and what in it.
WEIGHTS: dict[str, Callable[[ShownDestination], Cell]] = {
    "weight": lambda one: one.weight,
    "active": lambda one: one.active,
    "inactive": lambda one: one.inactive,
}
PERSISTENT: dict[str, Callable[[ShownDestination], Cell]] = {
    "weight": lambda one: one.weight,
    "persistent": lambda one: one.persistent,
    "active": lambda one: one.active,
    "inactive": lambda one: one.inactive,
}
STATS: dict[str, Callable[[Stats], Cell]] = {
    "conns": lambda one: one.connections,
    "packets in": lambda one: one.packets_in,
    "packets out": lambda one: one.packets_out,
    "bytes in": lambda one: one.bytes_in,
    "bytes out": lambda one: one.bytes_out,
}
RATE: dict[str, Callable[[Stats], Cell]] = {
    "conns/s": lambda one: one.connections_s,
    "packets in/s": lambda one: one.packets_in_s,
    "packets out/s": lambda one: one.packets_out_s,
    "bytes in/s": lambda one: one.bytes_in_s,
    "bytes out/s": lambda one: one.bytes_out_s,
}
COUNTED = {"stats": STATS, "rate": RATE}
PLAIN = {"weights": WEIGHTS, "persistent": PERSISTENT}


def heading_lines(heading: Heading) -> list[str]:
    """Where it comes from, and what holds for the whole table."""
    first = f"{heading.node} at {heading.at}" if heading.node else "from the kernel alone"
    names = ("tcp", "tcp_fin", "udp")
    times = zip(names, heading.timeouts, strict=True)
    words = [f"timeouts {' '.join(f'{name} {seconds:g}s' for name, seconds in times)}"]
    words += [
        f"sync {role} on {one.interface}, id {one.id}" for role, one in sorted(heading.sync.items())
    ]
    first += f"; IPVS {heading.version}, {heading.table_size} buckets for connections"
    return [first, "; ".join(words)]


class Columns:
    """Lines of services in one view: `weights`, `stats`, `rate` or `persistent`."""

    def __init__(self, view: str) -> None:
        self._view = view

    def lines(self, service: ShownService) -> list[str]:
        """The service, its totals where they are shown, and a line for each destination."""
        counted = COUNTED.get(self._view)
        if counted is not None:
            total = self._cells([there(service.stats or NO_STATS) for there in counted.values()])
            rows = [
                self._row(one, [there(one.stats or NO_STATS) for there in counted.values()])
                for one in service.destinations
            ]
            return [_head(service), f"  {'':<40} {total}", *rows]
        plain = PLAIN[self._view]
        rows = [
            self._row(one, [there(one) for there in plain.values()]) for one in service.destinations
        ]
        return [_head(service), *rows]

    def heads(self) -> str:
        """What stands over the columns."""
        names: list[Cell] = list(COUNTED.get(self._view) or PLAIN[self._view])
        return f"  {'real server':<16} {'address':<23} {self._cells(names)}  health"

    def _row(self, one: ShownDestination, values: list[Cell]) -> str:
        name = one.real_server or "-"
        line = f"  {name:<16} {one.address:<23} {self._cells(values)}  {_health(one)}"
        return f"{line}  {_words(one)}".rstrip()

    def _cells(self, values: list[Cell]) -> str:
        return " ".join(f"{value:>12}" for value in values)


def _health(one: ShownDestination) -> str:
    if not one.health:
        return "-"
    wanted = "" if one.wanted in (None, one.weight) else f", wanted weight {one.wanted}"
    by = "" if one.operator == "none" else f", {one.operator} by an operator"
    return f"{one.health}{f' ({one.reason})' if one.reason else ''}{wanted}{by}"


def _words(one: ShownDestination) -> str:
    words = [one.forwarding]
    if tunnel := one.tunnel:
        words.append(f"{tunnel.type}:{tunnel.port}" if tunnel.port else tunnel.type)
    if one.upper_threshold or one.lower_threshold:
        words.append(f"thresholds {one.lower_threshold}..{one.upper_threshold}")
    return " ".join(words)


def _head(service: ShownService) -> str:
    protocol = [] if service.mark else [service.protocol]
    words = [service.name or "-", service.virtual, *protocol, service.scheduler, *service.flags]
    if kept := service.persistence:
        words.append(f"persistent {kept.timeout}s /{kept.prefix} {kept.engine}".rstrip())
    if service.one_packet:
        words.append("one-packet")
    return "  ".join(words)
