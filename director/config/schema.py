# The shape of the file: docs/contract.md section 1, key by key.
#
# Rules of this room:
# 1. Field names are the contract's keys, all of them, whether this version has them or not. A key
#    that is not built yet has the type Later: no value fits it, so it cannot be ignored. A value
#    that is not built yet stands in `later` beside those that are. A table that is not built yet
#    is one Later key; its inside gets a shape when it is built.
# 2. Only shapes here: words, numbers, spellings. What one key says about another is for
#    resolve.py, routers.py, pools.py and cross.py.
# 3. UNSET is "not written", so that a default can come from further out.
"""The file as it is written: one Struct for each kind of table."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from director.config.check_tables import (
    AnyCheck,
    PaceTable,
)
from director.config.spellings import (
    Device,
    Duration,
    DurationOr,
    EventWord,
    Flag,
    ForwardingWord,
    Label,
    Later,
    Mark,
    MarkBase,
    OnFail,
    Path,
    Port,
    Priority,
    ProtocolWord,
    RoutingTable,
    Scheduler,
    Share,
    Table,
    Threshold,
    Unsigned,
    Weight,
)


class RouterOverlay(Table, frozen=True):
    """What a node may say differently about a virtual router: anything."""

    interface: str | UnsetType = UNSET
    vrid: Annotated[int, Meta(ge=1, le=255)] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    interval: Duration | UnsetType = UNSET
    version: Literal[2, 3] | UnsetType = UNSET
    auth: "AuthTable | UnsetType" = UNSET
    checksum: Literal["pseudo", "plain"] | UnsetType = UNSET
    unicast: bool | UnsetType = UNSET
    addresses: "str | AddressTable | list[str | AddressTable] | UnsetType" = UNSET
    lease: DurationOr | UnsetType = UNSET
    failback: "FailbackTable | UnsetType" = UNSET
    mode: Literal["addresses", "dummy", "hook"] | UnsetType = UNSET
    hook: "ProgramTable | UnsetType" = UNSET
    mac: Literal["interface", "virtual"] | UnsetType = UNSET
    routes: "RouteTable | list[RouteTable] | UnsetType" = UNSET
    rules: "RuleTable | list[RuleTable] | UnsetType" = UNSET
    track: Later = None
    group: str | UnsetType = UNSET


class RouterTable(RouterOverlay, frozen=True):
    """`[vrrp.NAME]`."""


class ProgramTable(Table, frozen=True):
    """A program to run, as that which moves a router's addresses."""

    run: list[str]
    timeout: Duration | UnsetType = UNSET


class AddressTable(Table, frozen=True):
    """An address of a virtual router that is held on another interface, or not advertised."""

    address: str
    interface: str | UnsetType = UNSET
    advertise: bool = True
    label: Label | UnsetType = UNSET
    scope: Literal["global", "site", "link", "host"] = "global"


class RouteTable(Table, frozen=True, kw_only=True):
    """A route that moves with a virtual router."""

    to: str
    via: str | UnsetType = UNSET
    interface: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    table: RoutingTable | UnsetType = UNSET
    metric: Annotated[int, Meta(ge=1, le=4294967295)] | UnsetType = UNSET


class RuleTable(Table, frozen=True, kw_only=True):
    """A rule that moves with a virtual router."""

    source: str | UnsetType = field(default=UNSET, name="from")
    to: str | UnsetType = UNSET
    table: RoutingTable
    priority: Annotated[int, Meta(ge=1, le=32765)]


class AuthTable(Table, frozen=True):
    """How version 2 proves who sends."""

    method: Literal["pass", "ah"]
    secret_file: Path


class FailbackTable(Table, frozen=True):
    """When a stronger node takes back."""

    when: Annotated[Literal["now", "never", "after"], Meta(extra={"later": ["synced"]})] = "after"
    after: Duration | UnsetType = UNSET
    coverage: Later = None
    deadline: Later = None


class SyncTable(Table, frozen=True):
    """`[sync]`: both kernel sync daemons."""

    interface: str | UnsetType = UNSET
    id: Annotated[int, Meta(ge=0, le=255)] | UnsetType = UNSET
    group: str | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    ttl: Annotated[int, Meta(ge=1, le=255)] | UnsetType = UNSET
    maxlen: Annotated[int, Meta(ge=0, le=65507)] | UnsetType = UNSET
    refresh: Duration | UnsetType = UNSET
    threshold: Annotated[list[Unsigned], Meta(min_length=2, max_length=2)] | UnsetType = UNSET
    pulse: bool | UnsetType = UNSET


class NodeTable(Table, frozen=True):
    """`[nodes.NAME]`: fixed addresses by interface role, and what differs on this node."""

    addresses: dict[str, str] = {}
    priority: Priority | UnsetType = UNSET
    interfaces: dict[str, Device] = {}
    vrrp: dict[str, RouterOverlay] = {}
    sync: SyncTable | UnsetType = UNSET
    runs: Literal["keepalived"] | UnsetType = UNSET
    link: Later = None
    api: Later = None


class TimeoutsTable(Table, frozen=True):
    """Connection timeouts of the kernel; "0s" leaves its own."""

    tcp: Duration = "0s"
    tcp_fin: Duration = "0s"
    udp: Duration = "0s"


class KernelTable(Table, frozen=True):
    """`[kernel]`."""

    foreign: Literal["keep", "remove"] = "keep"
    keep_networks: str | list[str] = []
    sysctls: Literal["enforce", "set-once", "report"] = "enforce"
    resync: DurationOr = "auto"
    min_resync: Duration = "0s"
    timeouts: TimeoutsTable = TimeoutsTable()
    sysctl: dict[str, Annotated[int, Meta(ge=-(2**31), le=2**32)] | str] = {}
    mark_base: MarkBase | UnsetType = UNSET


class DefaultsTable(Table, frozen=True):
    """`[defaults]`: what every service starts from."""

    scheduler: Scheduler | UnsetType = UNSET
    forwarding: ForwardingWord | UnsetType = UNSET
    weight: Weight | UnsetType = UNSET
    drain: Duration | UnsetType = UNSET
    on_fail: OnFail | UnsetType = UNSET
    cut_after: DurationOr | UnsetType = UNSET
    check: PaceTable = PaceTable()


class TunnelTable(Table, frozen=True):
    """How a `tun` destination is encapsulated."""

    type: Literal["ipip", "gue", "gre"] = "ipip"
    port: Port | UnsetType = UNSET
    checksum: bool = False


class PersistenceTable(Table, frozen=True):
    """Same client, same destination: the client is a network of this length."""

    timeout: Duration
    netmask: Annotated[int, Meta(ge=1, le=32)] = 32
    netmask6: Annotated[int, Meta(ge=1, le=128)] = 128
    engine: Literal["sip"] | UnsetType = UNSET


class MatchTable(Table, frozen=True):
    """Packets that get the service's `fwmark`; without `ports` those to every port."""

    address: str
    protocol: ProtocolWord = "tcp"
    ports: Port | str | list[Port | str] | UnsetType = UNSET


class RealServerTable(Table, frozen=True, gc=False):
    """A real server in a service's pool, with what differs from the service."""

    server: str
    weight: Weight | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    forwarding: ForwardingWord | UnsetType = UNSET
    upper_threshold: Threshold = 0
    lower_threshold: Threshold = 0
    check: str | AnyCheck | UnsetType = UNSET
    checks: str | AnyCheck | list[str | AnyCheck] | UnsetType = UNSET
    backup: bool = False


class SorryTable(Table, frozen=True):
    """Who serves while the quorum is lost; checked by a TCP connect unless it says how."""

    server: str
    weight: Weight | UnsetType = UNSET
    port: Port | UnsetType = UNSET
    forwarding: ForwardingWord | UnsetType = UNSET
    check: str | AnyCheck | UnsetType = UNSET
    checks: str | AnyCheck | list[str | AnyCheck] | UnsetType = UNSET


class ServiceTable(Table, frozen=True, gc=False):
    """`[services.NAME]`.

    Without `check` and `checks` one of TCP gets `{ kind = "tcp" }` to each real server's port;
    the others have to say.
    """

    virtual: str | list[str] | UnsetType = UNSET
    protocol: ProtocolWord | UnsetType = UNSET
    scheduler: Scheduler | UnsetType = UNSET
    scheduler_flags: Flag | list[Flag] = []
    forwarding: ForwardingWord | UnsetType = UNSET
    tunnel: TunnelTable | UnsetType = UNSET
    real_servers: str | RealServerTable | list[str | RealServerTable] | UnsetType = UNSET
    check: str | AnyCheck | UnsetType = UNSET
    checks: str | AnyCheck | list[str | AnyCheck] | UnsetType = UNSET
    checks_need: Literal["all", "any"] = "all"
    persistence: DurationOr | PersistenceTable | UnsetType = UNSET
    quorum: Annotated[int, Meta(ge=1, le=65535)] = 1
    weight: Weight | UnsetType = UNSET
    drain: Duration | UnsetType = UNSET
    on_fail: OnFail | UnsetType = UNSET
    held: Literal["elsewhere"] | UnsetType = UNSET
    slow_start: Duration | UnsetType = UNSET
    sorry_server: str | SorryTable | UnsetType = UNSET
    panic_below: Share | UnsetType = UNSET
    hysteresis: Annotated[int, Meta(ge=0, le=65535)] = 0
    one_packet: bool = False
    cut_after: DurationOr | UnsetType = UNSET
    masquerade: str | list[str] | UnsetType = UNSET
    masquerade_as: str | list[str] | UnsetType = UNSET
    allow: str | list[str] | UnsetType = UNSET
    fwmark: Mark | UnsetType = UNSET
    family: Literal["ipv4", "ipv6"] | UnsetType = UNSET
    match: MatchTable | list[MatchTable] | UnsetType = UNSET


class HookTable(ProgramTable, frozen=True, kw_only=True):
    """`[[hooks]]`: who is told of what happens."""

    on: EventWord | list[EventWord]


class IncludedTable(Table, frozen=True):
    """What an included file may hold."""

    services: dict[str, ServiceTable] = {}
    checks: dict[str, AnyCheck] = {}
    real_servers: dict[str, str | list[str]] = {}


class FileTable(IncludedTable, frozen=True, kw_only=True):
    """The whole file."""

    format: Literal[1]
    include: str | list[str] = []
    interfaces: dict[str, Device] = {}
    nodes: dict[str, NodeTable] = {}
    kernel: KernelTable = KernelTable()
    sync: SyncTable | UnsetType = UNSET
    vrrp: dict[str, RouterTable] = {}
    defaults: DefaultsTable = DefaultsTable()
    link: Later = None
    api: Later = None
    hooks: list[HookTable] = []
