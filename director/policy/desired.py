"""From facts to the table that we want."""

import msgspec

from director.model.address import Endpoint
from director.model.pool import Member, Place, Service
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Protocol,
    Table,
    VirtualService,
)
from director.policy.facts import Facts
from director.policy.probing import places_of
from director.policy.verdict import Verdict
from director.policy.weight import Override, Weight, weigh

NEVER = float("inf")


class Row(msgspec.Struct, frozen=True):
    """One destination that the file names: what it should be, and why.

    At `cut_at` it has failed for so long that it is not there at all.
    """

    place: Place
    member: Member
    verdict: Verdict
    weight: Weight
    override: Override | None
    cut_at: float = NEVER
    removed: bool = False


class DesiredService(msgspec.Struct, frozen=True):
    """One service of the file: its part of the table, a row for each destination, and the next
    instant at which time alone would change it."""

    table: Table
    rows: tuple[Row, ...]
    next_at: float = NEVER


def derive(facts: Facts, name: str, now: float) -> DesiredService:
    """The whole desired state of one service, from scratch."""
    service = facts.services[name]
    rows = tuple(_row(facts, service, place, member, now) for place, member in places_of(service))
    destinations: dict[Place, Destination] = {
        row.place: _destination(row) for row in rows if not row.removed
    }
    instants = [row.override.until for row in rows if row.override and row.override.until]
    instants += [row.cut_at for row in rows if not row.removed]
    next_at = min(instants, default=NEVER)
    for place, since in facts.leaving.items():
        if place.service in service.virtuals:
            gone_at = since + service.drain
            if (remains := _leaving(facts, place, gone_at, now)) is not None:
                destinations[place] = remains
                next_at = min(next_at, gone_at)
    table = {
        virtual: VirtualService(
            service.settings_for(virtual), _under(virtual_places(destinations, virtual))
        )
        for virtual in service.virtuals
    }
    return DesiredService(table, rows, next_at)


def virtual_places(
    destinations: dict[Place, Destination], virtual: object
) -> dict[Place, Destination]:
    """The destinations of one virtual service."""
    return {place: there for place, there in destinations.items() if place.service == virtual}


def _under(destinations: dict[Place, Destination]) -> dict[Endpoint, Destination]:
    return {place.endpoint: destination for place, destination in destinations.items()}


def _row(facts: Facts, service: Service, place: Place, member: Member, now: float) -> Row:
    verdict = facts.verdict(place, service.checks_need)
    override = facts.overrides.get((service.name, member.name))
    if override is not None and override.until and override.until <= now:
        override = None
    weight = weigh(member.weight, verdict.health, override, facts.weight_in_kernel(place))
    cut_at = NEVER
    if verdict.health == "down":
        cut_at = facts.down_since(place, service.checks_need) + removed_after(service, member)
    return Row(place, member, verdict, weight, override, cut_at, removed=cut_at <= now)


def removed_after(service: Service, member: Member) -> float:
    """Seconds of failure after which a destination is removed, with its connections.

    NEVER: it is quiesced alone. A TCP client sees that its server is silent, and a false alarm that
    cut it would cost more than it saves; one of UDP may send into the dark for ever, and its "flow"
    has nothing to lose. A tunnel's destination stays, for entries that the peer synced need it.
    """
    datagrams = service.settings.one_packet or service.virtuals[0].protocol is Protocol.UDP
    tunnelled = member.forwarding is Forwarding.TUN
    if service.on_fail == "remove" or (service.on_fail == "auto" and datagrams and not tunnelled):
        return 0.0
    return NEVER if service.cut_after is None else service.cut_after


def _destination(row: Row) -> Destination:
    member = row.member
    return Destination(
        weight=row.weight.value,
        forwarding=member.forwarding,
        tunnel=member.tunnel if member.forwarding is Forwarding.TUN else None,
        upper_threshold=member.upper_threshold,
        lower_threshold=member.lower_threshold,
    )


def _leaving(facts: Facts, place: Place, gone_at: float, now: float) -> Destination | None:
    """A destination that the file does not name: quiesced until it is empty, then not wanted.

    It stays in any case while a named one has no verdict: what serves now may be all there is.
    """
    assert facts.observed is not None
    there = facts.observed.table[place.service].destinations[place.endpoint]
    if not facts.is_decided():
        return there
    counters = facts.observed.counters.get(place, Counters())
    empty = counters.active + counters.inactive == 0
    if there.quiesced and (empty or now >= gone_at):
        return None
    return msgspec.structs.replace(there, weight=0)
