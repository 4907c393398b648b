# A kernel in memory, behind the same interface as director.kernel.hands.KernelHands.
#
# It refuses what the kernel refuses, with the same errno. tests/kernel/test_contract.py runs the same
# cases against both: who changes the fake must have seen the kernel do it.
"""FakeKernel: Hands without a kernel."""

import errno
from collections.abc import Generator, Iterator, Mapping, Sequence

import msgspec

from director.kernel.hands import finish
from director.kernel.ipvs import batches
from director.model.address import Endpoint, Family, family_of
from director.model.config import SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    DeleteDestination,
    DeleteService,
    Observed,
    Op,
    Refused,
    SetDestination,
    SetService,
    SetSysctl,
    SetTimeouts,
    StartSync,
    StopSync,
    TableOp,
)
from director.model.pool import Place
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    ServiceKey,
    ServiceSettings,
    Table,
    Tunnel,
    VirtualService,
)

# Of Debian's Linux 6.1, which builds no twos.
SCHEDULERS = {
    *("none", "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf"),
    "mh",
}
ENGINES = {"", "sip"}
WEIGHT_END = 1 << 31
DEFAULT_SYSCTLS = {
    "net.ipv4.ip_forward": "0",
    "net.ipv4.vs.conn_reuse_mode": "1",
    "net.ipv4.vs.expire_nodest_conn": "0",
    "net.ipv4.vs.expire_quiescent_template": "0",
    "net.ipv4.vs.sync_refresh_period": "0",
    "net.ipv4.vs.sync_threshold": "3 50",
}
# The kernel's own choice for what SyncSettings leaves open, on an interface with an MTU of 1500 (the
# master's maxlen; the contract does not compare it).
SYNC_DEFAULTS = {"port": 8848, "ttl": 1, "maxlen": 1472, "group": "224.0.0.81"}


class FakeKernel:
    """An IPVS table, sync daemons, timeouts and sysctls in memory. `applied` is what was taken."""

    def __init__(
        self,
        table: Table | None = None,
        *,
        interfaces: Sequence[str] = ("lo",),
        sysctls: Mapping[str, str] = DEFAULT_SYSCTLS,
    ) -> None:
        self.table: Table = _copy(table or {})
        self.counters: dict[Place, Counters] = {}
        self.sync: dict[str, SyncSettings] = {}
        self.sysctls = dict(sysctls)
        self.timeouts = (900.0, 120.0, 300.0)
        self.interfaces = set(interfaces)
        self.applied: list[Op] = []

    def observe(self, sysctls: Sequence[str] = ()) -> Observed:
        """Everything that is there, and these sysctls; the caller may change what it gets."""
        return finish(self.observing(sysctls))

    def observing(
        self,
        sysctls: Sequence[str] = (),
        known: Table | None = None,  # noqa: ARG002  (what was added is shared anyway)
    ) -> Generator[None, None, Observed]:
        """The same, stopping before each service; as with the kernel, a change in between may show."""
        found = {key: there.settings for key, there in self.table.items()}
        table: Table = {}
        for key, settings in found.items():
            yield
            ends = self.table[key].destinations if key in self.table else {}
            table[key] = VirtualService(settings, dict(ends))
        places = [Place(key, at) for key, there in table.items() for at in there.destinations]
        return Observed(
            table=table,
            counters={place: self.counters.get(place, Counters()) for place in places},
            sync=dict(self.sync),
            sysctls={name: self.sysctls[name] for name in sysctls if name in self.sysctls},
            timeouts=self.timeouts,
        )

    def stands(self, key: ServiceKey) -> bool:
        """Is there this virtual service?"""
        return key in self.table

    def apply(self, ops: Sequence[Op]) -> list[Refused]:
        """Carry out in order; what was refused, each with the very op."""
        return [refused for batch in self.apply_batches(ops) for refused in batch]

    def apply_batches(self, ops: Sequence[Op]) -> Iterator[list[Refused]]:
        """The same, stopping after each batch (as the real one cuts operations on the table)."""
        for batch in batches(ops):  # type: ignore[arg-type]  # it looks for SetService alone
            yield [Refused(op, code) for op in batch if (code := self._carry_out(op))]

    def _carry_out(self, op: Op) -> int:
        code = self._upkeep(op) if isinstance(op, UPKEEP) else self._on_table(op)
        if code == 0:
            self.applied.append(op)
        return code

    def _on_table(self, op: TableOp) -> int:
        match op:
            case AddService(key, settings):
                if key in self.table:
                    return errno.EEXIST
                return self._set_service(key, settings)
            case SetService(key, settings):
                if key not in self.table:
                    return errno.ESRCH
                return self._set_service(key, settings)
            case DeleteService(key):
                return 0 if self.table.pop(key, None) is not None else errno.ESRCH
            case AddDestination(key, at) | SetDestination(key, at) | DeleteDestination(key, at):
                if key not in self.table:
                    return errno.ESRCH
                return self._on_destination(op, key, at)

    def _set_service(self, key: ServiceKey, settings: ServiceSettings) -> int:
        persistence = settings.persistence
        if key.family is Family.IPV6 and persistence and not 1 <= persistence.prefix <= 128:
            return errno.EINVAL
        if settings.scheduler not in SCHEDULERS:
            return errno.ENOENT
        if persistence and persistence.engine not in ENGINES:
            return errno.ENOENT
        there = self.table.get(key, VirtualService(settings, {}))
        self.table[key] = VirtualService(settings, there.destinations)
        return 0

    def _on_destination(
        self, op: AddDestination | SetDestination | DeleteDestination, key: ServiceKey, at: Endpoint
    ) -> int:
        destinations = self.table[key].destinations
        if isinstance(op, DeleteDestination):
            return 0 if destinations.pop(at, None) is not None else errno.ENOENT
        if code := self._judge(key, at, op.destination):
            return code
        if isinstance(op, AddDestination) and at in destinations:
            return errno.EEXIST
        if isinstance(op, SetDestination) and at not in destinations:
            return errno.ENOENT
        destinations[at] = _as_read_back(op.destination)
        return 0

    def _judge(self, key: ServiceKey, at: Endpoint, wanted: Destination) -> int:
        """In the order in which the kernel looks (ip_vs_ctl.c)."""
        tunnel = wanted.tunnel or Tunnel()
        mixed = family_of(at.address) is not key.family
        if mixed and (wanted.forwarding is not Forwarding.TUN or self.sync):
            return errno.EINVAL
        if not 0 <= wanted.weight < WEIGHT_END or wanted.lower_threshold > wanted.upper_threshold:
            return errno.ERANGE
        if wanted.forwarding is Forwarding.TUN and tunnel.type == "gue" and not tunnel.port:
            return errno.EINVAL
        return 0

    def _upkeep(self, op: StartSync | StopSync | SetSysctl | SetTimeouts) -> int:
        match op:
            case StartSync(role, settings):
                return self._start(role, settings)
            case StopSync(role):
                return 0 if self.sync.pop(role, None) is not None else errno.ESRCH
            case SetSysctl(name, value):
                if name not in self.sysctls:
                    return errno.ENOENT
                self.sysctls[name] = " ".join(value.split())
                return 0
            case SetTimeouts(tcp, tcp_fin, udp):
                told = zip((tcp, tcp_fin, udp), self.timeouts, strict=True)
                first, second, third = (new or old for new, old in told)
                self.timeouts = (first, second, third)
                return 0

    def _start(self, role: str, settings: SyncSettings) -> int:
        if any(
            family_of(at.address) is not key.family
            for key, there in self.table.items()
            for at in there.destinations
        ):
            return errno.EINVAL
        if role in self.sync:
            return errno.EEXIST
        if settings.interface not in self.interfaces:
            return errno.ENODEV
        chosen = {
            name: getattr(settings, name) or default for name, default in SYNC_DEFAULTS.items()
        }
        plain = SyncSettings(interface=settings.interface, id=settings.id)
        self.sync[role] = msgspec.structs.replace(plain, **chosen)
        return 0


UPKEEP = (StartSync, StopSync, SetSysctl, SetTimeouts)


def _as_read_back(wanted: Destination) -> Destination:
    """A tunnel only where it is tunnelled, and there always."""
    tunnel = (wanted.tunnel or Tunnel()) if wanted.forwarding is Forwarding.TUN else None
    return msgspec.structs.replace(wanted, tunnel=tunnel)


def _copy(table: Table) -> Table:
    return {
        key: VirtualService(there.settings, dict(there.destinations))
        for key, there in table.items()
    }
