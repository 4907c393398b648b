"""Keep the last observed state up to date with what was applied."""

from collections.abc import Iterable, Iterator

from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Observed,
    Op,
    SetDestination,
    SetService,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
    TableOp,
)
from director.model.pool import Place
from director.model.service import VirtualService

FREED = 1000  # entries of an old reading that are let go at once


def look(observed: Observed, op: Op) -> object:
    """What `op` is about, as it stands; None when it does not. Equal when nothing changed it."""
    match op:
        case AddService(key) | SetService(key) | DeleteService(key):
            return there.settings if (there := observed.table.get(key)) else None
        case AddDestination(key, at) | SetDestination(key, at) | DeleteDestination(key, at):
            return there.destinations.get(at) if (there := observed.table.get(key)) else None
        case StartSync(role) | StopSync(role):
            return observed.sync.get(role)
        case SetSysctl(name):
            return observed.sysctls.get(name)
        case _:
            return observed.timeouts


def enter(observed: Observed, op: Op) -> None:
    """Change `observed` as the kernel did when it took `op`.

    A destination of a service that is not in the book is left out: the service's own operation
    was refused (it stood already, or the answer was lost), and what is there is read again soon.
    """
    table = observed.table
    match op:
        case AddService(key, settings):
            table[key] = VirtualService(settings, {})
        case SetService(key, settings):
            table[key] = VirtualService(settings, table[key].destinations)
        case DeleteService(key):
            del table[key]
        case AddDestination(key) | SetDestination(key) | DeleteDestination(key) if key not in table:
            return
        case AddDestination(key, endpoint, destination) | SetDestination(
            key, endpoint, destination
        ):
            if destination.quiesced:  # what was counted before may have grown until then
                observed.counters.pop(Place(key, endpoint), None)
            table[key].destinations[endpoint] = destination
        case DeleteDestination(key, endpoint):
            del table[key].destinations[endpoint]
        case _:
            _enter_upkeep(observed, op)


def carry(book: Observed, observed: Observed, ops: Iterable[TableOp]) -> None:
    """Into `observed` goes what was applied while it was read, as `book` has it.

    A reading takes its time: of these objects it may show what stood before or after. Whatever else
    it shows stays, also that the service of such a destination is gone.
    """
    for op in ops:
        kept, there = book.table.get(op.key), observed.table.get(op.key)
        match op:
            case AddService(key) | SetService(key) | DeleteService(key):
                if kept is None:
                    observed.table.pop(key, None)
                elif there is not None or isinstance(op, AddService):
                    ends = {} if there is None else there.destinations
                    observed.table[key] = VirtualService(kept.settings, ends)
            case AddDestination(_, at) | SetDestination(_, at) | DeleteDestination(_, at):
                if there is None or kept is None:
                    continue
                there.destinations.pop(at, None)
                observed.counters.pop(Place(op.key, at), None)  # perhaps counted before
                if at in kept.destinations:
                    there.destinations[at] = kept.destinations[at]


def _enter_upkeep(observed: Observed, op: StartSync | StopSync | SetSysctl | SetTimeouts) -> None:
    match op:
        case StartSync(role, settings):
            observed.sync[role] = settings
        case StopSync(role):
            del observed.sync[role]
        case SetSysctl(name, value):
            observed.sysctls[name] = value
        case _:  # 0 leaves what is there
            tcp, tcp_fin, udp = observed.timeouts
            observed.timeouts = (op.tcp or tcp, op.tcp_fin or tcp_fin, op.udp or udp)


def let_go(believed: Observed) -> Iterator[None]:
    """Free it in slices: the 200,000 objects of a large table at once hold the loop up."""
    for kept, forget in (
        (believed.counters, believed.counters.popitem),
        (believed.table, believed.table.popitem),
    ):
        while len(kept):
            for _ in range(min(FREED, len(kept))):
                forget()
            yield
