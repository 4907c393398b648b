# From what was and what is to what happened.
#
# Rules of this room:
# 1. A first verdict that is good is no event, nor is a quorum that is met with it: an engine that
#    starts again would tell of every real server. A first verdict that is bad is one.
# 2. A destination is told of once for each of its endpoints, in however many virtual services.
# 3. Who serves, and whether the quorum is met, is judged in serving.py, patience and all.
"""Events from old and new states. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from director.model.address import Endpoint
from director.model.config import Config
from director.model.event import By, Change
from director.model.ops import (
    AddDestination,
    DeleteDestination,
    Op,
    Refused,
    SetDestination,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
    show,
)
from director.model.pool import Service
from director.policy.desired import DesiredService, Row
from director.policy.weight import Override
from director.wire.messages import Role

Rows = dict[tuple[str, Endpoint], Row]


def service_changes(
    service: Service, before: DesiredService | None, after: DesiredService, now: float
) -> list[Change]:
    """What happened to a service's destinations and to its quorum."""
    if before is None or _same(before, after):
        return []
    there, here = _by_endpoint(before.rows), _by_endpoint(after.rows)
    changes: list[Change] = []
    for key, row in here.items():
        if (was := there.get(key)) is not None:
            object_ = f"{service.name}/{row.member.name}"
            changes += _health(object_, was, row)
            changes += _operator(object_, was, row, now)
    return list(dict.fromkeys([*changes, *_who_serves(service, before, after)]))


def role_changes(
    before: Mapping[str, str], roles: Iterable[Role], asked: Collection[str]
) -> list[Change]:
    """How routers changed their role. `asked`: those that an operator told to hand over.

    What is heard first is told too, as coming from `unknown`: nobody knows what was missed.
    """
    changes = []
    for role in roles:
        was = before.get(role.router, "unknown")
        if was == role.role or (was == "unknown" and role.role == "off"):
            continue
        by: By = "kernel" if role.role in ("fault", "off") else "peer"
        if role.router in asked and role.role == "backup":
            by = "operator"
        kind = f"role.{role.role}"
        changes.append(Change(kind, role.router, was, role.role, role.reason, by))
    return changes


def config_changes(config: Config, trouble: str) -> list[Change]:
    """A file is in force; `trouble` says why what was remembered beside it is lost, if it is."""
    changes = [
        Change("config.loaded", config.file or config.node, "", config.digest, "", "operator")
    ]
    if trouble:
        changes.append(Change("config.memory-lost", config.node, "", "", trouble, "kernel"))
    return changes


def config_renewed(before: str, config: Config, words: str) -> Change:
    """Another file is in force; `before` is the digest of the last one, `words` what changed."""
    object_ = config.file or config.node
    return Change("config.loaded", object_, before, config.digest, words, "operator")


def applied(op: Op, *, repairs: bool) -> list[Change]:
    """What it is news to have done: repairs, and sync daemons."""
    changes = []
    if repairs:
        changes.append(Change("kernel.repaired", about(op), "", "", show(op), "kernel"))
    if isinstance(op, StartSync | StopSync):
        by: By = "kernel" if repairs else "operator"
        ends = ("stopped", "running") if isinstance(op, StartSync) else ("running", "stopped")
        kind = f"sync.{ends[1]}"
        changes.append(Change(kind, op.role, *ends, show(op), by))
    return changes


def refused(one: Refused) -> Change:
    """The kernel did not take an operation."""
    return Change("kernel.refused", about(one.op), "", "", f"{show(one.op)}: {one.name}", "kernel")


def about(op: Op) -> str:
    """The object of an operation."""
    match op:
        case StartSync(role) | StopSync(role):
            return f"sync {role}"
        case SetSysctl(name):
            return name
        case SetTimeouts():
            return "timeouts"
        case AddDestination(key, at) | SetDestination(key, at) | DeleteDestination(key, at):
            return f"{key} {at}"
        case _:
            return str(op.key)


def _same(before: DesiredService, after: DesiredService) -> bool:
    """The quick answer for the many services of which nothing is told."""
    return (
        (before.met, before.serving) == (after.met, after.serving)
        and len(before.rows) == len(after.rows)
        and all(
            was.verdict.health == row.verdict.health
            and was.override == row.override
            and was.removed == row.removed
            and was.place == row.place
            for was, row in zip(before.rows, after.rows, strict=True)
        )
    )


def _by_endpoint(rows: tuple[Row, ...]) -> Rows:
    return {(row.member.name, row.place.endpoint): row for row in rows}


def _health(object_: str, was: Row, row: Row) -> Iterator[Change]:
    old, new = was.verdict.health, row.verdict.health
    if new in (old, "unknown") or (old, new) == ("unknown", "up"):
        return
    reason = f"{row.verdict.reason} ({row.place.endpoint})"
    yield Change(f"destination.{new}", object_, old, new, reason, "check")


def _operator(object_: str, was: Row, row: Row, now: float) -> Iterator[Change]:
    """An operator's word, the end of its time, and the end of a drain."""
    old, new = was.override, row.override
    if old != new:
        over = old is not None and new is None and old.is_over(now)
        kind = (new or old or Override("weight")).kind
        ends: tuple[str, str] = (old.kind if old else "none", new.kind if new else "none")
        if kind == "weight":
            ends = (str(was.weight.value), str(row.weight.value))
        by: By = "time" if over else "operator"
        yield Change(f"destination.{kind}", object_, *ends, "its time is over" if over else "", by)
    if new is not None and new.kind == "drain" and row.removed and not was.removed:
        yield Change("destination.drained", object_, "drain", "gone", "", "time")


def _who_serves(
    service: Service, before: DesiredService, after: DesiredService
) -> Iterator[Change]:
    """The quorum, and who serves because of it."""
    real = {row.member.name for row in after.rows if row.verdict.health == "up"}
    reason = f"{len(real)} up, {service.quorum} needed"
    words = {True: "met", False: "lost"}
    if before.met is not after.met:
        was = words[before.met] if before.serving else "unknown"
        kind = f"service.quorum-{words[after.met]}"
        yield Change(kind, service.name, was, words[after.met], reason, "check")
    new = after.serving
    if new not in (None, before.serving) and (before.serving, new) != (None, "real"):
        was = before.serving or "unknown"
        yield Change("service.serving", service.name, was, str(new), reason, "check")
