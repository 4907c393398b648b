"""Keep the last observed state up to date with what was applied."""

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
)
from director.model.service import VirtualService


def enter(observed: Observed, op: Op) -> None:
    """Change `observed` as the kernel did when it took `op`."""
    table = observed.table
    match op:
        case AddService(key, settings):
            table[key] = VirtualService(settings, {})
        case SetService(key, settings):
            table[key] = VirtualService(settings, table[key].destinations)
        case DeleteService(key):
            del table[key]
        case AddDestination(key, endpoint, destination) | SetDestination(
            key, endpoint, destination
        ):
            table[key].destinations[endpoint] = destination
        case DeleteDestination(key, endpoint):
            del table[key].destinations[endpoint]
        case StartSync(role, settings):
            observed.sync[role] = settings
        case StopSync(role):
            del observed.sync[role]
        case SetSysctl(name, value):
            observed.sysctls[name] = value
        case SetTimeouts(tcp, tcp_fin, udp):
            observed.timeouts = (tcp, tcp_fin, udp)
