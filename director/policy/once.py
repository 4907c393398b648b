# What the file wants of the kernel where no engine decides: `director apply`, and `plan`.
#
# The engine derives service by service from facts that it has gathered (desired.py). Here is a
# file, a table, and at most what a running engine knows. What differs, and must:
# - Nobody checks, so without an engine every destination has the weight of the file. With one,
#   what it knows of a place counts, and a place that it does not know has had no verdict.
# - Each virtual service is judged as if it were for the first time: hysteresis and slow start have
#   no past here, so of one that is climbing the plan shows the weight at the end of the ramp.
# - Nobody stays to drain. What the file does not name is quiesced, and the next time removed once
#   it is empty.
"""The table of a file without an engine."""

from collections.abc import Iterator, Mapping

import msgspec

from director.model.address import Endpoint
from director.model.check import Health
from director.model.config import Config
from director.model.ops import Observed
from director.model.pool import Member, Place, Service
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    ServiceKey,
    Table,
    VirtualService,
)
from director.policy.desired import NEVER, removed_after
from director.policy.probing import endpoint_of
from director.policy.serving import Course, Judged, judge_serving, turn_of
from director.policy.tunnels import needed_for
from director.policy.weight import Override, Turn, weigh

Overrides = Mapping[tuple[str, str], Override]
Healths = Mapping[Place, Health]


def wanted(
    config: Config, observed: Observed, overrides: Overrides, healths: Healths | None = None
) -> Table:
    """The table that the file wants. `healths` is what an engine knows; None: there is none."""
    table: Table = {}
    known = _Known(config, overrides, healths)
    for service in config.services:
        plain = healths is None and not overrides and _is_plain(service)
        for virtual in service.virtuals:
            find = _destinations(service, virtual, observed, known)
            if plain and virtual not in observed.table:
                find = _as_written(service, virtual)
            table[virtual] = VirtualService(service.settings_for(virtual), dict(find))
    return table


class _Known(msgspec.Struct, frozen=True):
    config: Config
    overrides: Overrides
    healths: Healths | None


def _is_plain(service: Service) -> bool:
    """Do all serve, where all are up and nobody said anything?"""
    return all(member.role == "real" for member in service.pool)


def _as_written(service: Service, virtual: ServiceKey) -> Iterator[tuple[Endpoint, Destination]]:
    """What `_destinations` comes to for a plain service that is not there yet."""
    for member in service.members:
        if (endpoint := endpoint_of(service, member, virtual)) is not None:
            yield endpoint, _programmed(member, member.weight)


def _destinations(
    service: Service,
    virtual: ServiceKey,
    observed: Observed,
    known: _Known,
) -> Iterator[tuple[Endpoint, Destination]]:
    there = observed.table.get(virtual)
    before = there.destinations if there else {}
    pool = [
        (endpoint, member)
        for member in service.pool
        if (endpoint := endpoint_of(service, member, virtual)) is not None
    ]
    judged = [
        Judged(
            endpoint,
            member.name,
            member.role,
            _health(Place(virtual, endpoint), member, known.healths),
            quiesced=_quiesced(known.overrides.get((service.name, member.name))),
        )
        for endpoint, member in pool
    ]
    course = judge_serving(service, judged, Course(), 0.0)
    for one, (endpoint, member) in zip(judged, pool, strict=True):
        override = known.overrides.get((service.name, member.name))
        turn = turn_of(service, one, course)
        standing = before.get(endpoint)
        if override is not None and override.kind == "drain":
            if _is_gone(known.config, observed, Place(virtual, endpoint), standing):
                continue
        elif _is_cut(service, member, one.health, turn, standing):
            continue
        in_kernel = standing.weight if standing else None
        weight = weigh(member.weight, one.health, override, in_kernel, turn=turn)
        yield endpoint, _programmed(member, weight.value)
    named = {endpoint for endpoint, _ in pool}
    for endpoint, standing in before.items():
        if endpoint not in named and not _is_gone(
            known.config, observed, Place(virtual, endpoint), standing
        ):
            yield endpoint, msgspec.structs.replace(standing, weight=0)


def _health(place: Place, member: Member, healths: Healths | None) -> Health:
    if healths is None or not member.checks:
        return "up"
    return healths.get(place, "unknown")


def _quiesced(override: Override | None) -> bool:
    return override is not None and override.quiesces


def _is_gone(
    config: Config, observed: Observed, place: Place, standing: Destination | None
) -> bool:
    """Is it quiesced with nobody left, or gone? One that the peer's word may still need stays."""
    if standing is None:
        return True
    if needed_for(config, observed, observed.table[place.service], standing.forwarding):
        return False
    return standing.quiesced and observed.counters.get(place) == Counters()


def _is_cut(
    service: Service, member: Member, health: Health, turn: Turn, standing: Destination | None
) -> bool:
    """Removed at once, or later and so already."""
    after = removed_after(service, member)
    if health == "down" and turn != "panic":
        return after == 0 or (after < NEVER and standing is None)
    return turn == "waits" and member.role != "real" and after == 0


def _programmed(member: Member, weight: int) -> Destination:
    return Destination(
        weight=weight,
        forwarding=member.forwarding,
        tunnel=member.tunnel if member.forwarding is Forwarding.TUN else None,
        upper_threshold=member.upper_threshold,
        lower_threshold=member.lower_threshold,
    )
