"""What `director status` shows, made from facts and the desired state."""

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from director.model.address import Endpoint
from director.model.ops import Observed, Refused, show
from director.model.pool import Service
from director.model.service import Counters, Destination, ServiceKey
from director.model.state import (
    ConfigState,
    DestinationState,
    Finding,
    KernelState,
    ProcessState,
    ProgramState,
    QuorumState,
    RefusedState,
    RouterState,
    ServiceState,
    State,
    SyncState,
    WeightState,
)
from director.policy.desired import DesiredService, Row
from director.policy.facts import Facts
from director.policy.pulse import KEY as PULSE
from director.policy.sysctls import sysctl_findings
from director.wire.messages import Role

LATE_LEAST = 3  # late adverts within an hour that are worth a word
YEAR_10000 = 253402300800.0


def rfc3339(wall: float) -> str:
    """UTC, to the millisecond; empty for an instant that has not been, or is on no calendar."""
    if not 0 < wall < YEAR_10000:
        return ""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine knows beside its facts. Instants in wall-clock seconds."""

    at: float
    loaded_at: float
    roles: tuple[Role, ...]
    processes: tuple[ProcessState, ...]
    refused: tuple[Refused, ...] = ()
    repairs: dict[str, int] = {}
    leaving: tuple[ServiceKey, ...] = ()
    lacking: tuple[Finding, ...] = ()
    programs: tuple[ProgramState, ...] = ()


def frame_of(facts: Facts, around: Surroundings, findings: Iterable[Finding]) -> State:
    """The state without its services; `findings` are what is not well with those."""
    sync = _sync_state(facts.observed)
    every = (
        *around.lacking,
        *findings,
        *_router_findings(around.roles),
        *_conflict_findings(around.roles),
        *_late_findings(around.roles),
        *_refusal_findings(around.refused),
        *_sync_findings(facts, sync),
        *_program_findings(around.programs),
        *(sysctl_findings(facts.config, facts.observed) if facts.observed else ()),
    )
    return State(
        node=facts.config.node,
        at=rfc3339(around.at),
        config=ConfigState(facts.config.digest, rfc3339(around.loaded_at)),
        well=not any(finding.severity != "notice" for finding in every),
        findings=every,
        virtual_routers=tuple(_router_state(role) for role in around.roles),
        services=(),
        sync=sync,
        kernel=KernelState(
            tuple(_foreign(facts, around.leaving)),
            _refusals(around.refused),
            repaired=sum(around.repairs.values()),
            repairs=around.repairs,
            leaving=tuple(str(key) for key in sorted(around.leaving)),
        ),
        processes=around.processes,
        programs=around.programs,
    )


def show_virtual(service: Service, key: ServiceKey) -> str:
    """A virtual service as the file spells it."""
    if not key.mark:
        return str(Endpoint(key.address, key.port))
    return service.spell(key).replace("fwmark/", "fwmark ")


def service_state(
    service: Service, wanted: DesiredService, observed: Observed | None
) -> ServiceState:
    """One service of the file, its destinations in the file's order."""
    rows = wanted.rows
    up = min((_up(rows, virtual) for virtual in service.virtuals), default=0)
    forwarding = sorted({member.forwarding.value for member in service.pool})
    return ServiceState(
        name=service.name,
        virtual=tuple(show_virtual(service, key) for key in service.virtuals),
        protocol=service.protocol.name.lower() if service.protocol else "any",
        scheduler=service.settings.scheduler,
        forwarding=" ".join(forwarding),
        quorum=QuorumState(wanted.met, up, service.quorum),
        serving=wanted.serving or ("real" if any(row.weight.value for row in rows) else "none"),
        destinations=tuple(_destination_state(service, row, observed) for row in rows),
    )


def _up(rows: tuple[Row, ...], virtual: ServiceKey) -> int:
    """Real servers of a virtual service that are up."""
    ours = (row for row in rows if row.place.service == virtual and row.member.role != "sorry")
    return len({row.member.name for row in ours if row.verdict.health == "up"})


def _destination_state(service: Service, row: Row, observed: Observed | None) -> DestinationState:
    there = observed.table.get(row.place.service) if observed else None
    destination = there.destinations.get(row.place.endpoint) if there else None
    counters = observed.counters.get(row.place) if observed else None
    counted = counters or Counters()
    return DestinationState(
        real_server=row.member.name,
        virtual=show_virtual(service, row.place.service),
        address=str(row.place.endpoint),
        weight=WeightState(
            configured=row.member.weight,
            wanted=row.weight.value,
            kernel=destination.weight if destination else None,
            because=(*row.weight.because, *_end_of(row, destination, counters)),
        ),
        health=row.verdict.health,
        reason=row.verdict.reason,
        since=rfc3339(row.verdict.since),
        operator=row.override.kind if row.override else "none",
        active=counted.active,
        inactive=counted.inactive,
        outcomes=row.verdict.outcomes,
    )


def _end_of(row: Row, there: Destination | None, counters: Counters | None) -> tuple[str, ...]:
    """Has a drain, or a failure, come to its end?"""
    if row.removed:
        return ("removed",)
    drained = row.override is not None and row.override.kind == "drain"
    empty = there is not None and there.quiesced and counters == Counters()
    return ("empty",) if drained and empty else ()


def _router_state(role: Role) -> RouterState:
    return RouterState(
        role.router,
        role.vrid,
        role.role,
        role.priority,
        rfc3339(role.since),
        role.addresses,
        role.peer,
        role.conflicts,
        role.late,
    )


def _sync_state(observed: Observed | None) -> SyncState:
    running = observed.sync if observed else {}
    return SyncState(master="master" in running, backup="backup" in running)


def _foreign(facts: Facts, leaving: tuple[ServiceKey, ...]) -> list[str]:
    if facts.observed is None:
        return []
    ours = {PULSE, *leaving, *(key for one in facts.services.values() for key in one.virtuals)}
    return [str(key) for key in sorted(key for key in facts.observed.table if key not in ours)]


def _refusals(refused: tuple[Refused, ...]) -> tuple[RefusedState, ...]:
    return tuple(RefusedState(show(one.op), one.name, one.mend) for one in refused)


def findings_of(service: ServiceState) -> Iterator[Finding]:
    """What is not well with a service, and how to mend it."""
    for there in service.destinations:
        if there.health == "down":
            yield Finding(
                "warning",
                f"{service.name}/{there.real_server}",
                f"down: {there.reason} ({there.address})",
                f"look at {there.address} on {there.real_server}; "
                "it comes back by itself once its check passes",
            )
    up, need = service.quorum.up, service.quorum.need
    if service.serving == "panic":
        total = len({one.real_server for one in service.destinations})
        fault = f"all serve, whatever their checks say: {up} of {total} are up"
        mend = "bring real servers up; or mend the check, when they are well"
        yield Finding("alarm", service.name, fault, mend)
    elif not service.quorum.met:
        what = "the sorry server serves" if service.serving == "sorry" else "too few real servers"
        fault = f"{what}: {up} up, {need} needed"
        yield Finding("alarm", service.name, fault, "bring real servers up")


def _router_findings(roles: tuple[Role, ...]) -> list[Finding]:
    return [
        Finding(
            "alarm",
            role.router,
            f"takes no part: {role.reason or role.role}",
            "see `ip link` for the interface, and the log of the vrrp process",
        )
        for role in roles
        if role.role in ("fault", "off")
    ]


def _conflict_findings(roles: tuple[Role, ...]) -> list[Finding]:
    return [
        Finding(
            "alarm",
            role.router,
            f"two are active: {role.conflict}",
            "let IP protocol 112 pass between the directors; a MAC that is no director's has to "
            "give the address up, or (a real server) not answer ARP for it: see "
            "`director real-server verify` there",
        )
        for role in roles
        if role.conflict
    ]


def _late_findings(roles: tuple[Role, ...]) -> list[Finding]:
    """Three late adverts in an hour are no accident: a longer interval rides them out."""
    return [
        Finding(
            "notice",
            role.router,
            f"{role.late} adverts were late within an hour, the worst {role.late_gap:.2f} s after "
            "the last",
            f'interval = "{_riding_out(role.late_gap)}" would have ridden them out; or find what '
            "keeps this machine or the wire busy",
        )
        for role in roles
        if role.late >= LATE_LEAST
    ]


def _riding_out(gap: float) -> str:
    """The least interval of which a gap is less than two, in whole centiseconds."""
    return f"{10 * (math.floor(gap / 2 * 100) + 1)}ms"


def _refusal_findings(refused: tuple[Refused, ...]) -> list[Finding]:
    return [
        Finding("alarm", show(one.op), f"the kernel refused: {one.name}", one.mend)
        for one in refused
    ]


def _sync_findings(facts: Facts, sync: SyncState) -> list[Finding]:
    if facts.config.sync is None or (sync.master and sync.backup):
        return []
    missing = " and ".join(
        name for name, runs in (("master", sync.master), ("backup", sync.backup)) if not runs
    )
    return [
        Finding(
            "alarm",
            "sync",
            f"the {missing} sync daemon does not run: connections would not survive a failover",
            f"is {facts.config.sync.interface} up, and has it an IPv4 address?",
        )
    ]


def _program_findings(programs: tuple[ProgramState, ...]) -> list[Finding]:
    """Notices: what a program failed to tell may be old, and nothing here can take it back."""
    return [
        Finding(
            "notice",
            one.name,
            f"its last run failed: {one.last}",
            "run it by hand as the user director-exec, with an event on its standard input",
        )
        for one in programs
        if one.last_failed
    ]
