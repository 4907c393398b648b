"""From the kernel's table, and what the engine knows of it, to what is shown, and back."""

from collections.abc import Iterable, Iterator

from director.model.address import Endpoint, Family, parse_endpoint
from director.model.ops import Observed
from director.model.pool import Place
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    VirtualService,
)
from director.model.shown import Heading, ShownDestination, ShownService, Stats
from director.policy.desired import Row
from director.policy.weight import Override

NOTHING = Counters()


def show_service(
    key: ServiceKey,
    settings: ServiceSettings,
    destinations: Iterable[ShownDestination],
    *,
    name: str = "",
    stats: Stats | None = None,
) -> ShownService:
    """One virtual service."""
    return ShownService(
        name=name,
        virtual=f"fwmark {key.mark}" if key.mark else str(Endpoint(key.address, key.port)),
        protocol="any" if key.mark else key.protocol.name.lower(),
        family=key.family.name.lower(),
        mark=key.mark,
        scheduler=settings.scheduler,
        flags=tuple(sorted(settings.flags)),
        persistence=settings.persistence,
        one_packet=settings.one_packet,
        stats=stats,
        destinations=tuple(destinations),
    )


def show_destination(
    endpoint: Endpoint,
    there: Destination,
    counters: Counters = NOTHING,
    *,
    row: Row | None = None,
    stats: Stats | None = None,
) -> ShownDestination:
    """One destination; `row` is what the engine makes of it, where the file names it."""
    override = row.override if row else None
    return ShownDestination(
        address=str(endpoint),
        real_server=row.member.name if row else "",
        forwarding=there.forwarding.value,
        tunnel=there.tunnel,
        weight=there.weight,
        upper_threshold=there.upper_threshold,
        lower_threshold=there.lower_threshold,
        health=row.verdict.health if row else None,
        reason=row.verdict.reason if row else "",
        wanted=row.weight.value if row else None,
        operator=override.kind if override else "none",
        operator_weight=_spelled(override),
        active=counters.active,
        inactive=counters.inactive,
        persistent=counters.persistent,
        stats=stats,
    )


def _spelled(override: Override | None) -> str:
    if override is None or override.kind != "weight":
        return ""
    return f"{override.weight}{'%' if override.percent else ''}"


def override_of(shown: ShownDestination) -> Override | None:
    """The operator's word about it."""
    if shown.operator == "none":
        return None
    digits = shown.operator_weight.removesuffix("%")
    percent = digits != shown.operator_weight
    return Override(shown.operator, int(digits or 0), percent)


def key_of(shown: ShownService) -> ServiceKey:
    """How the kernel finds it. Raises ValueError for what `show_service` never makes."""
    family = Family[shown.family.upper()]
    if shown.mark:
        return ServiceKey(family, mark=shown.mark)
    endpoint = parse_endpoint(shown.virtual, lowest=0)
    return ServiceKey(family, Protocol[shown.protocol.upper()], endpoint.address, endpoint.port)


def service_of(shown: ShownService) -> VirtualService:
    """Its settings and destinations."""
    settings = ServiceSettings(
        shown.scheduler, frozenset(shown.flags), shown.persistence, shown.one_packet
    )
    destinations = {
        parse_endpoint(one.address, lowest=0): Destination(
            weight=one.weight,
            forwarding=Forwarding(one.forwarding),
            tunnel=one.tunnel,
            upper_threshold=one.upper_threshold,
            lower_threshold=one.lower_threshold,
        )
        for one in shown.destinations
    }
    return VirtualService(settings, destinations)


def enter_shown(
    observed: Observed, shown: ShownService
) -> Iterator[tuple[Place, ShownDestination]]:
    """Put it into `observed`; the place of each destination, and what was shown of it."""
    key = key_of(shown)
    there = observed.table[key] = service_of(shown)
    for endpoint, one in zip(there.destinations, shown.destinations, strict=True):
        place = Place(key, endpoint)
        observed.counters[place] = Counters(one.active, one.inactive, one.persistent)
        yield place, one


def heading_of(
    observed: Observed, version: str, table_size: int, *, node: str = "", at: str = ""
) -> Heading:
    """What stands before the services; told by the engine where there is a node."""
    return Heading(
        source="engine" if node else "kernel",
        node=node,
        at=at,
        timeouts=observed.timeouts,
        sync=observed.sync,
        sysctls=observed.sysctls,
        version=version,
        table_size=table_size,
    )
