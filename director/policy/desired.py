"""From facts to the table that we want."""

from functools import lru_cache

import msgspec

from director.model.address import Endpoint
from director.model.pool import Member, Place, Service
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    Table,
    VirtualService,
)
from director.policy.facts import Facts
from director.policy.serving import (
    Course,
    Judged,
    Serving,
    due_at,
    judge_serving,
    ramp_of,
    turn_of,
)
from director.policy.tunnels import needed_for
from director.policy.verdict import Verdict
from director.policy.weight import Override, Weight, weigh

NEVER = float("inf")


class Row(msgspec.Struct, frozen=True, gc=False):
    """One destination that the file names: what it should be, and why.

    At `cut_at` it has failed for so long, or been drained for so long, that it is not there at all.
    """

    place: Place
    member: Member
    verdict: Verdict
    weight: Weight
    override: Override | None
    cut_at: float = NEVER
    removed: bool = False


class DesiredService(msgspec.Struct, frozen=True, gc=False):
    """One service of the file: its part of the table, a row for each destination, and the next
    instant at which time alone would change it. `courses` is for the next time (`learn_courses`).
    """

    table: Table
    rows: tuple[Row, ...]
    next_at: float = NEVER
    courses: dict[ServiceKey, Course] = {}

    @property
    def met(self) -> bool:
        """Are enough real servers up, of every virtual service?"""
        return all(course.met for course in self.courses.values())

    @property
    def serving(self) -> Serving | None:
        """Who serves; of several virtual services the one that is worst off."""
        there = {course.serving for course in self.courses.values()}
        worst: tuple[Serving, ...] = ("none", "sorry", "panic", "real")
        return next((one for one in worst if one in there), None)


def derive(facts: Facts, name: str, now: float) -> DesiredService:
    """The whole desired state of one service, from scratch."""
    service = facts.services[name]
    by_virtual: dict[ServiceKey, list[_Seen]] = {virtual: [] for virtual in service.virtuals}
    for place, member in facts.probing.places[name]:
        by_virtual[place.service].append(_look(facts, service, place, member, now))
    courses = {
        virtual: judge_serving(
            service,
            (one.judged for one in seen),
            facts.courses.get(virtual, Course()),
            now,
        )
        for virtual, seen in by_virtual.items()
    }
    rows = tuple(
        _row(facts, service, one, courses[virtual], now)
        for virtual, seen in by_virtual.items()
        for one in seen
    )
    wanted: dict[ServiceKey, dict[Endpoint, Destination]] = {
        virtual: {} for virtual in service.virtuals
    }
    for row in rows:
        if not row.removed:
            wanted[row.place.service][row.place.endpoint] = _destination(row)
    instants = [row.override.until for row in rows if row.override and row.override.until > now]
    instants += [row.cut_at for row in rows if not row.removed]
    instants += [due_at(service, course, now) for course in courses.values()]
    decided = all(row.verdict.health != "unknown" for row in rows)
    for virtual in service.virtuals:
        for endpoint, since in facts.leaving.get(virtual, {}).items():
            place = Place(virtual, endpoint)
            remains, gone_at = _leaving(facts, place, since, service.drain, now)
            if not decided:  # what serves now may be all there is
                remains = _standing(facts, place)
            if remains is not None:
                wanted[virtual][endpoint] = remains
                instants.append(gone_at)
    table = {
        virtual: VirtualService(service.settings_for(virtual), ends)
        for virtual, ends in wanted.items()
    }
    return DesiredService(table, rows, min(instants, default=NEVER), courses)


class _Seen(msgspec.Struct, frozen=True, gc=False):
    """A destination before anything is decided."""

    place: Place
    member: Member
    verdict: Verdict
    override: Override | None

    @property
    def judged(self) -> Judged:
        quiesced = self.override is not None and self.override.quiesces
        member = self.member
        return Judged(self.place.endpoint, member.name, member.role, self.verdict.health, quiesced)


def _look(facts: Facts, service: Service, place: Place, member: Member, now: float) -> _Seen:
    override = facts.overrides.get((service.name, member.name))
    if override is not None and override.is_over(now):
        override = None
    return _Seen(place, member, facts.verdict(place, service.checks_need), override)


def _row(facts: Facts, service: Service, seen: _Seen, course: Course, now: float) -> Row:
    place, member, override = seen.place, seen.member, seen.override
    turn = turn_of(service, seen.judged, course)
    weight = weigh(
        member.weight,
        seen.verdict.health,
        override,
        facts.weight_in_kernel(place),
        turn=turn,
        agent=seen.verdict.share,
        ramp=ramp_of(service, place.endpoint, course, now),
    )
    cut_at = NEVER
    if override is not None and override.kind == "drain":
        cut_at = _drained_at(facts, place, member, override)
    elif seen.verdict.health == "down" and turn != "panic":
        cut_at = facts.down_since(place, service.checks_need) + removed_after(service, member)
    elif turn == "waits" and member.role != "real" and not removed_after(service, member):
        cut_at = now  # of UDP: its clients would stay with it for ever
    return Row(place, member, seen.verdict, weight, override, cut_at, removed=cut_at <= now)


def _drained_at(facts: Facts, place: Place, member: Member, override: Override) -> float:
    """When a drained destination goes: once it is empty, and at its deadline in any case."""
    if member.forwarding is Forwarding.TUN and facts.config.sync is not None:
        return NEVER  # entries that the peer has may still need it
    return 0.0 if is_empty(facts, place) else override.until


def is_empty(facts: Facts, place: Place) -> bool:
    """Is a destination quiesced in the kernel, or gone, and has nobody any more?

    Neither connections nor templates of persistent clients. False while nothing was counted since
    it was quiesced.
    """
    weight = facts.weight_in_kernel(place)
    if weight is None or facts.observed is None:
        return True
    counters = facts.observed.counters.get(place)
    return weight == 0 and counters == Counters()


def removed_after(service: Service, member: Member) -> float:
    """Seconds of failure after which a destination is removed, with its connections.

    NEVER: it is quiesced alone. A TCP client sees that its server is silent, and a false alarm that
    cut it would cost more than it saves; one of UDP may send into the dark for ever, and its "flow"
    has nothing to lose. A tunnel's destination stays, for entries that the peer synced need it.
    """
    datagrams = service.settings.one_packet or service.protocol is Protocol.UDP
    tunnelled = member.forwarding is Forwarding.TUN
    if service.on_fail == "remove" or (service.on_fail == "auto" and datagrams and not tunnelled):
        return 0.0
    return NEVER if service.cut_after is None else service.cut_after


def _destination(row: Row) -> Destination:
    member = row.member
    if member.forwarding is Forwarding.DR and not member.upper_threshold:
        return _direct(row.weight.value)
    return Destination(
        weight=row.weight.value,
        forwarding=member.forwarding,
        tunnel=member.tunnel if member.forwarding is Forwarding.TUN else None,
        upper_threshold=member.upper_threshold,
        lower_threshold=member.lower_threshold,
    )


@lru_cache(maxsize=4096)
def _direct(weight: int) -> Destination:
    """What most destinations are, one object for all that are equal."""
    return Destination(weight=weight, forwarding=Forwarding.DR)


def _standing(facts: Facts, place: Place) -> Destination | None:
    """What the kernel has there."""
    assert facts.observed is not None
    service = facts.observed.table.get(place.service)
    return service.destinations.get(place.endpoint) if service else None


def _leaving(
    facts: Facts, place: Place, since: float, drain: float, now: float
) -> tuple[Destination | None, float]:
    """A destination that the file does not name: quiesced until it is empty, then not wanted.

    And the instant at which time alone would change this. None also when it is gone already.
    """
    there = _standing(facts, place)
    if there is None:
        return None, NEVER
    assert facts.observed is not None
    gone_at = since + drain
    over = is_empty(facts, place) or now >= gone_at
    service = facts.observed.table[place.service]
    if needed := needed_for(facts.config, facts.observed, service, there.forwarding):
        gone_at = since + needed
        over = is_empty(facts, place) and now >= gone_at
    if there.quiesced and over:
        return None, gone_at
    return msgspec.structs.replace(there, weight=0), gone_at
