# What can be done to the kernel, and what is there, as values.
#
# Rules of this room:
# 1. An operation is a wish and decides nothing: policy/ makes them, kernel/ carries them out.
# 2. What the kernel refuses is a value with the very op that was refused, so that the caller finds
#    it again by identity. A refusal is news and not an error of ours.
# 3. Observed is the one noun that changes: policy/book enters into it what was applied.
"""Operations on the kernel, refusals, and the observed state."""

import errno as errnos

import msgspec

from director.model.address import Endpoint
from director.model.config import SyncSettings
from director.model.pool import Place
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    ServiceKey,
    ServiceSettings,
    Table,
)


class AddService(msgspec.Struct, frozen=True, tag="add-service", gc=False):
    """A virtual service that is not there yet, without destinations."""

    key: ServiceKey
    settings: ServiceSettings


class SetService(msgspec.Struct, frozen=True, tag="set-service", gc=False):
    """Change a virtual service in place; connections and destinations stay."""

    key: ServiceKey
    settings: ServiceSettings


class DeleteService(msgspec.Struct, frozen=True, tag="delete-service", gc=False):
    """Remove a virtual service with its destinations."""

    key: ServiceKey


class AddDestination(msgspec.Struct, frozen=True, tag="add-destination", gc=False):
    """A destination that is not there yet."""

    key: ServiceKey
    endpoint: Endpoint
    destination: Destination


class SetDestination(msgspec.Struct, frozen=True, tag="set-destination", gc=False):
    """Change a destination in place; its connections stay."""

    key: ServiceKey
    endpoint: Endpoint
    destination: Destination


class DeleteDestination(msgspec.Struct, frozen=True, tag="delete-destination", gc=False):
    """Remove a destination."""

    key: ServiceKey
    endpoint: Endpoint


class StartSync(msgspec.Struct, frozen=True, tag="start-sync"):
    """Start a sync daemon; `role` is `master` or `backup`. To change one, stop it first."""

    role: str
    settings: SyncSettings


class StopSync(msgspec.Struct, frozen=True, tag="stop-sync"):
    """Stop a sync daemon. A master throws away what it had gathered and not sent."""

    role: str


class SetSysctl(msgspec.Struct, frozen=True, tag="set-sysctl"):
    """Write one sysctl. Names as sysctl(8) has them: `net.ipv4.conf.eth0/100.rp_filter`."""

    name: str
    value: str


class SetTimeouts(msgspec.Struct, frozen=True, tag="set-timeouts"):
    """Life of idle connections in seconds; the kernel counts whole ones. 0 leaves what is there."""

    tcp: float = 0.0
    tcp_fin: float = 0.0
    udp: float = 0.0


TableOp = (
    AddService | SetService | DeleteService | AddDestination | SetDestination | DeleteDestination
)
Op = TableOp | StartSync | StopSync | SetSysctl | SetTimeouts


class Refused(msgspec.Struct, frozen=True, gc=False):
    """An operation that the kernel did not carry out; `text` is its own word, where it has one.

    ENOBUFS means that the answer was lost, EBADMSG that it cannot be read: whether the operation
    was carried out, only reading tells.
    """

    op: Op
    errno: int
    text: str = ""

    @property
    def name(self) -> str:
        """The errno's name, with the kernel's text behind it."""
        name = errnos.errorcode.get(self.errno, f"errno {self.errno}")
        return f"{name} ({self.text})" if self.text else name

    @property
    def mend(self) -> str:
        """What a human can do about it."""
        return _mend(self.op, self.errno)


class Observed(msgspec.Struct, kw_only=True):
    """All that was read from the kernel. Only the sysctls that were asked for and that exist.

    `closed` are those of them that cannot be written here; `table_size` counts the rows of the
    connection table (0: not known). `sync` holds the daemons that run, by role; `timeouts` are tcp,
    tcp_fin, udp in seconds.
    """

    table: Table = {}
    counters: dict[Place, Counters] = {}
    sync: dict[str, SyncSettings] = {}
    sysctls: dict[str, str] = {}
    closed: frozenset[str] = frozenset()
    table_size: int = 0
    timeouts: tuple[float, float, float] = (0.0, 0.0, 0.0)


def show(op: Op, before: object = None) -> str:
    """One line for a human: `tcp/192.0.2.10:80 10.0.8.11:80 weight 100 -> 0`.

    `before`, where it is known, is what stands there (policy/book.look).
    """
    match op:
        case AddService(key, settings):
            return f"{key} add, {_service_words(settings)}"
        case SetService(key, settings):
            if isinstance(before, ServiceSettings):
                return f"{key} {_service_words(before)} -> {_service_words(settings)}"
            return f"{key} set, {_service_words(settings)}"
        case DeleteService(key):
            return f"{key} delete"
        case AddDestination(key, endpoint, destination):
            return f"{key} {endpoint} add, {_destination_words(destination)}"
        case SetDestination(key, endpoint, destination):
            return f"{key} {endpoint} {_change(before, destination)}"
        case DeleteDestination(key, endpoint):
            return f"{key} {endpoint} delete"
        case _:
            return _show_upkeep(op, before)


def _show_upkeep(op: StartSync | StopSync | SetSysctl | SetTimeouts, before: object) -> str:
    match op:
        case StartSync(role, settings):
            return f"sync {role} start on {settings.interface}, id {settings.id}"
        case StopSync(role):
            return f"sync {role} stop"
        case SetSysctl(name, value):
            return f"sysctl {name} = {value}{f' (is {before})' if before is not None else ''}"
        case SetTimeouts(tcp, tcp_fin, udp):
            named = (("tcp", tcp), ("tcp_fin", tcp_fin), ("udp", udp))
            return "timeouts " + " ".join(f"{name} {value:g}s" for name, value in named if value)


def _service_words(settings: ServiceSettings) -> str:
    words = [f"scheduler {settings.scheduler}", *sorted(settings.flags)]
    if settings.one_packet:
        words.append("one-packet")
    if kept := settings.persistence:
        words.append(f"persistence {kept.timeout}s /{kept.prefix} {kept.engine}".rstrip())
    return " ".join(words)


def _destination_words(destination: Destination) -> str:
    words = [f"weight {destination.weight}", destination.forwarding.value]
    if tunnel := destination.tunnel:
        words.append(f"{tunnel.type}:{tunnel.port}" if tunnel.port else tunnel.type)
    if destination.upper_threshold or destination.lower_threshold:
        words.append(f"thresholds {destination.lower_threshold}..{destination.upper_threshold}")
    return " ".join(words)


def _change(before: object, after: Destination) -> str:
    if not isinstance(before, Destination):
        return _destination_words(after)
    if msgspec.structs.replace(before, weight=after.weight) == after:
        return f"weight {before.weight} -> {after.weight}"
    return f"{_destination_words(before)} -> {_destination_words(after)}"


NEXT_ROUND = "nothing: the table is read again and the next round tries again"

# By errno, for any op. An op's own words (below) go first.
MENDS = {
    errnos.EPERM: "run it with CAP_NET_ADMIN",
    errnos.EACCES: "run it as a user that may write it",
    errnos.EROFS: "it is read-only here: set it by a file in /etc/sysctl.d",
    errnos.EEXIST: NEXT_ROUND,
    errnos.ESRCH: NEXT_ROUND,
    errnos.ENOENT: NEXT_ROUND,
    errnos.ENOBUFS: NEXT_ROUND,
    errnos.EBADMSG: NEXT_ROUND,
    errnos.EINTR: NEXT_ROUND,
    errnos.ENOMEM: "free memory: the kernel has none for it",
    errnos.ERANGE: "correct the weight (0 or more) or the thresholds (lower not above upper)",
    errnos.EINVAL: "the kernel does not take these values: see `show` for the object, and dmesg",
}


def _mend(op: Op, errno: int) -> str:
    match op:
        case AddService(_, settings) | SetService(_, settings) if errno == errnos.ENOENT:
            module = f"ip_vs_{settings.scheduler}"
            engine = settings.persistence.engine if settings.persistence else ""
            other = f" (and ip_vs_pe_{engine})" if engine else ""
            return f"load {module}{other}: modprobe {module}"
        case AddDestination(destination=there) if errno == errnos.EINVAL:
            if there.forwarding is not Forwarding.TUN:
                return 'a destination of the other family needs forwarding = "tun"'
            return "stop the sync daemons for a mixed family; give a GUE tunnel a port"
        case StartSync(_, settings) if errno == errnos.ENODEV:
            return f"create the interface {settings.interface} or name another in [sync]"
        case StartSync(_, settings) if errno in (errnos.EADDRNOTAVAIL, errnos.EINVAL):
            return f"is {settings.interface} up, and has it an address?"
        case SetSysctl(name) if errno == errnos.ENOENT:
            return f"this kernel has no {name}: is the module loaded, is the interface there?"
        case SetSysctl(name, value) if errno == errnos.EINVAL:
            return f"{value!r} is not a value of {name}"
        case _:
            return MENDS.get(errno, "see dmesg; the next round tries again")
