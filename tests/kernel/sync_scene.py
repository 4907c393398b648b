# Directors, a client and a real server as namespaces of one kernel, each with eth0 on one bridge. The
# sync daemons and the table are the kernel's own; what is played is the client, packet by packet.
"""What a standby knows of a connection, and what becomes of it when the VIP moves."""

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from director.kernel.addresses import Addresses
from director.kernel.hands import KernelHands
from director.kernel.netlink import widen
from director.model.address import Endpoint, Family
from director.model.config import Config, SyncSettings
from director.model.ops import (
    AddDestination,
    AddService,
    Op,
    Refused,
    SetSysctl,
    SetTimeouts,
    StartSync,
)
from director.model.pool import Member, Service
from director.model.service import (
    Destination,
    Forwarding,
    Persistence,
    Protocol,
    ServiceKey,
    ServiceSettings,
)
from director.policy.sysctls import sysctls_wanted
from tests.kernel.vrrp_pair import Namespace, ip, netns, within

PORT = 7000
VIP, CLIENT, SERVER = (
    "100",
    "50",
    "60",
)  # their last digits; directors have those that they are given
PLAIN = ServiceSettings("rr")
PERSISTENT = ServiceSettings("rr", persistence=Persistence(300, 32))
SYNC = SyncSettings(interface="eth0", id=51)
GROUP, SYNC_PORT = "224.0.0.81", 8848
# An open sync message goes when it is 2 s old, and is looked at once a second (ip_vs_sync.c).
LAG = 3.5
ARRIVES_WITHIN = 5.0


def address(last: str, family: Family = Family.IPV4) -> str:
    return f"{'fd00::' if family is Family.IPV6 else '10.9.0.'}{last}"


def key(family: Family = Family.IPV4) -> ServiceKey:
    return ServiceKey(family, Protocol.TCP, address(VIP, family), PORT)


def our_sysctls(refresh: float) -> tuple[SetSysctl, ...]:
    """What the profile says of IPVS for a file with this refresh period, in seconds."""
    member = Member(name="web1", addresses=(address(SERVER),))
    config = Config(
        node="lb1",
        interfaces={},
        services=(Service(name="web", virtuals=(key(),), settings=PLAIN, members=(member,)),),
        sync=SyncSettings(interface="eth0", id=51, refresh=refresh),
    )
    rows = sysctls_wanted(config).items()
    return tuple(SetSysctl(name, value) for name, value in rows if ".vs." in name)


class Director:
    """A table with one service, and both sync daemons."""

    def __init__(self, name: str, family: Family) -> None:
        self.name, self._family = name, family
        with Namespace(name):
            addresses = Addresses()
            self._hands = KernelHands()
        self.mac = addresses.links()["eth0"].mac.hex(":")
        addresses.close()

    def apply(self, *ops: Op) -> list[Refused]:
        """In its own network namespace, where sysctls are found by who asks."""
        with Namespace(self.name):
            return self._hands.apply(ops)

    def serve(
        self,
        settings: ServiceSettings = PLAIN,
        sysctls: Sequence[SetSysctl] = (),
        *,
        tcp: float = 900.0,
        forwarding: Forwarding = Forwarding.DR,
        destination: bool = True,
    ) -> None:
        """`tcp`: after so many seconds without a packet a connection is forgotten."""
        ops: list[Op] = [*sysctls, SetTimeouts(tcp=tcp), AddService(key(self._family), settings)]
        ops += [self.destination(forwarding)] if destination else []
        ops += [StartSync("master", SYNC), StartSync("backup", SYNC)]
        assert self.apply(*ops) == []

    def destination(self, forwarding: Forwarding = Forwarding.DR) -> AddDestination:
        """The real server's place in the service."""
        real = Endpoint(address(SERVER, self._family), PORT)
        return AddDestination(key(self._family), real, Destination(forwarding=forwarding))

    def knows(self, port: int) -> bool:
        """Of a client's connection: has it an entry?"""
        with Namespace(self.name):
            lines = Path("/proc/net/ip_vs_conn").read_text().splitlines()[1:]
        return any(int(line.split()[2], 16) == port for line in lines)

    def close(self) -> None:
        self._hands.close()


class Flow:
    """One connection of the client to the VIP, and its other end on the real server."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.near, self.far = near, far
        self.port: int = near.getsockname()[1]

    def say(self) -> bool:
        """A packet of the client's; does it reach the real server? False: the client was reset."""
        try:
            self.near.send(b"x")
        except ConnectionError:
            return False
        within(ARRIVES_WITHIN, lambda: any(select.select([self.near, self.far], [], [], 0)))
        return bool(select.select([self.far], [], [], 0)[0]) and bool(self.far.recv(16))

    def arrives(self) -> bool:
        """The same, where it may be that nothing at all comes."""
        try:
            return self.say()
        except AssertionError:
            return False


class Scene:
    """Names start with `prefix`; directors are made when they are wanted."""

    def __init__(self, prefix: str, family: Family, stack: ExitStack) -> None:
        self._prefix, self._family, self._stack = prefix, family, stack
        self._vip = address(VIP, family)
        self._bridge = f"{prefix}br"
        ip("link", "add", self._bridge, "type", "bridge", "mcast_snooping", "0")
        stack.callback(ip, "link", "del", self._bridge)
        ip("link", "set", self._bridge, "up")
        self._client = self._place("c", CLIENT)
        self.server = self._place("r", SERVER)
        self._hold(self.server, "lo")
        domain = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
        with Namespace(self.server):
            listening = socket.create_server((self._vip, PORT), family=domain)
        self._listening = stack.enter_context(listening)

    def director(self, name: str, last: str) -> Director:
        """A machine that has just booted."""
        there = Director(self._place(name, last), self._family)
        self._stack.callback(there.close)
        return there

    def move(self, to: Director, old: Director | None = None) -> None:
        """The VIP, and where the client sends what is for it."""
        if old is not None:
            ip("-n", old.name, "addr", "del", self._prefix_of_vip, "dev", "eth0")
        self._hold(to.name, "eth0")
        neighbour = ("neigh", "replace", self._vip, "lladdr", to.mac, "nud", "permanent")
        ip("-n", self._client, *neighbour, "dev", "eth0")

    def connect(self) -> Flow:
        with Namespace(self._client):
            near = socket.create_connection((self._vip, PORT), ARRIVES_WITHIN)
        self._stack.enter_context(near)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listening.settimeout(ARRIVES_WITHIN)
        far, _ = self._listening.accept()
        return Flow(near, self._stack.enter_context(far))

    def records(self) -> "Records":
        """What is synced from now on, as the real server's network sees it."""
        with Namespace(self.server):
            ear = self._stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            widen(ear)
            ear.bind((GROUP, SYNC_PORT))
            member = socket.inet_aton(GROUP) + socket.inet_aton(address(SERVER))
            ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        return Records(ear)

    @property
    def _prefix_of_vip(self) -> str:
        return f"{self._vip}/{self._family.bits}"

    def _hold(self, name: str, device: str) -> None:
        # Deprecated, as our VIPs are, or a tunnel's packets would bear it as their source, which is
        # the real server's own.
        ipv6 = ["nodad", "preferred_lft", "0"] if self._family is Family.IPV6 else []
        ip("-n", name, "addr", "add", self._prefix_of_vip, "dev", device, *ipv6)

    def _place(self, name: str, last: str) -> str:
        name = f"{self._prefix}{name}"
        netns(name)
        self._stack.callback(ip, "netns", "del", name)
        ip("link", "add", f"{name}-", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"{name}-", "master", self._bridge, "up")
        ip("-n", name, "link", "set", "eth0", "up")
        # What is synced goes over IPv4, whatever it is about.
        ip("-n", name, "addr", "add", f"{address(last)}/24", "dev", "eth0")
        ip("-n", name, "addr", "add", f"{address(last, Family.IPV6)}/64", "dev", "eth0", "nodad")
        return name


class Records:
    """Counts connections in sync messages (ip_vs_sync.c, struct ip_vs_sync_mesg)."""

    HEAD = struct.Struct("!BBHBbH")

    def __init__(self, ear: socket.socket) -> None:
        self._ear = ear
        self.count = 0

    def listen(self, seconds: float) -> int:
        """How many came, until none has for so long."""
        while select.select([self._ear], [], [], seconds)[0]:
            self.count += self.HEAD.unpack_from(self._ear.recv(65536))[3]
        return self.count


@contextmanager
def scene(prefix: str, family: Family = Family.IPV4) -> Iterator[Scene]:
    """All of it is gone afterwards."""
    with ExitStack() as stack:
        yield Scene(prefix, family, stack)


def every(seconds: float, do: Callable[[], bool], until: Callable[[], bool], most: float) -> float:
    """`do` it so often until that holds; for how long that took, or `most` when it did not."""
    began = time.monotonic()
    while time.monotonic() - began < most:
        assert do()
        at = time.monotonic() + seconds
        while time.monotonic() < at:
            if until():
                return time.monotonic() - began
            select.select([], [], [], 0.05)
    return most
