"""What somebody else changed, in words that can be counted."""

from collections.abc import Collection

from director.model.config import Config
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
)
from director.model.pool import Service
from director.model.state import Finding
from director.policy.sysctls import sysctls_wanted

SWEEP = "net.ipv4.vs.expire_nodest_conn"


def kind_of(op: Op, believed: object, found: object) -> str:
    """What `op` repairs: `service lost`, `destination changed`, `sysctl changed`...

    `believed` and `found` are what it is about (book.look): None where there is nothing.
    """
    match op:
        case AddService() | SetService() | DeleteService():
            word = "service"
        case AddDestination() | SetDestination() | DeleteDestination():
            word = "destination"
        case SetSysctl():
            word = "sysctl"
        case SetTimeouts():
            word = "timeouts"
        case _:
            word = "sync daemon"
    if found is None:
        return f"{word} lost"
    return f"{word} added" if believed is None else f"{word} changed"


def only_peer_has_them(config: Config) -> bool:
    """Are connections gone for good with their destinations here, and known to the peer?

    Without the sweep they come back with the destinations that are added again.
    """
    return config.sync is not None and sysctls_wanted(config).get(SWEEP) == "1"


def is_lost(services: Collection[Service], believed: Observed, observed: Observed) -> bool:
    """Is nothing of ours there any more, of what was?"""
    return not any(key in observed.table for one in services for key in one.virtuals) and any(
        key in believed.table for one in services for key in one.virtuals
    )


def unreadable(why: str) -> Finding:
    """The kernel does not tell what it has."""
    return Finding(
        "alarm",
        "kernel",
        f"the table cannot be read: {why}",
        "nothing: what is known is kept, and it is tried again; see dmesg if it stays",
    )
