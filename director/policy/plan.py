# The difference between the table that we want and the one that is there, as ordered operations.
#
# Invariants (each a property in tests/director/policy/test_plan.py):
# 1. Capacity comes before loss: services and destinations are added and raised before any is
#    lowered or removed, so that a plan cut anywhere (a crash) leaves no service dark that serves at
#    both ends.
# 2. What is there is edited in place. Nothing is removed to be added again: deleting the last
#    service of a family unregisters IPVS's netfilter hooks, and every connection stops
#    (ip_vs_ctl.c, ip_vs_del_service).
# 3. A service that we do not want is not ours to remove: `diff` never deletes one.
"""Plan: from observed to desired."""

from itertools import chain

from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    Op,
    SetDestination,
    SetService,
)
from director.model.service import ServiceKey, Table, VirtualService


def diff(desired: Table, observed: Table) -> tuple[Op, ...]:
    """What to do, in this order, so that `observed` holds all of `desired`."""
    gains: list[Op] = []
    losses: list[Op] = []
    services: list[Op] = []
    for key, wanted in desired.items():
        there = observed.get(key)
        if there is None:
            services.append(AddService(key, wanted.settings))
            there = VirtualService(wanted.settings, {})
        elif there.settings != wanted.settings:
            services.append(SetService(key, wanted.settings))
        _diff_destinations(key, wanted, there, gains, losses)
    return tuple(chain(services, gains, losses))


def _diff_destinations(
    key: ServiceKey,
    wanted: VirtualService,
    there: VirtualService,
    gains: list[Op],
    losses: list[Op],
) -> None:
    for endpoint, destination in wanted.destinations.items():
        before = there.destinations.get(endpoint)
        if before is None:
            gains.append(AddDestination(key, endpoint, destination))
        elif before != destination:
            side = losses if destination.weight < before.weight else gains
            side.append(SetDestination(key, endpoint, destination))
    losses.extend(
        DeleteDestination(key, endpoint)
        for endpoint in there.destinations
        if endpoint not in wanted.destinations
    )
