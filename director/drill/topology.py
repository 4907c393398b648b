# The network of a drill: wires, directors, and a field with the client and the real servers.
#
# Wires are bridges in a network namespace that nobody but this run knows. Directors are test
# machines with a tap device on each wire. The field is namespaces: of the host where that is enough
# (fast), or of one more test machine where a kernel is wanted that has tunnels and dummy devices.
#
# A UML machine never sees its carrier go, and setting its tap down wedges its driver for good: a
# cable is cut at the bridge. A port is taken out of its bridge rather than disabled there, since a
# disabled one starts to forward again when its machine returns from a power cut (carrier).
"""Build a drill's network."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

import msgspec

from director.drill.engines import EngineName, InitName, MachineSpec, Wire
from director.drill.host import HostNamespace, need_tools
from director.drill.machines import GuestNamespace, Machine, need_engine
from director.drill.places import DrillError, Place
from director.drill.spec import FIELD_SYSCTLS, MEMBER_SYSCTLS, LabSpec, Member
from director.errors import SystemLacks

FieldKind = Literal["auto", "host", "machine"]
FIELD = "field"
BRIDGE = "type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
CONGESTION = "net.ipv4.tcp_congestion_control"


class Port(msgspec.Struct, frozen=True):
    """Where a member's cable is plugged in: `name` on `bridge`, both devices of `place`."""

    place: Place
    name: str
    bridge: str


class Lab:
    """A drill's network that stands. A context manager: leaving it leaves nothing behind.

    `lab["web1"]` is the place of any member; `machines` holds the directors' machines, and the
    field's as "field" where it has one.
    """

    def __init__(
        self,
        spec: LabSpec,
        folder: Path,
        *,
        field: FieldKind = "auto",
        engine: EngineName = "uml",
        init: InitName = "drill",
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.field = field
        self.engine, self.init = engine, init  # of the directors' machines
        self.machines: dict[str, Machine] = {}
        self.places: dict[str, Place] = {}
        self._ports: dict[tuple[str, str], Port] = {}
        self._stack = ExitStack()

    def __getitem__(self, name: str) -> Place:
        return self.places[name]

    def __enter__(self) -> Self:
        need_engine(self.engine)
        need_tools()
        with ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def slower(self) -> float:
        """By what to multiply how long things may take in a director."""
        return max((machine.slower for machine in self.machines.values()), default=1.0)

    def port(self, member: str, network: str) -> Port:
        """Where that member's cable is plugged in."""
        return self._ports[member, network]

    def _build(self, stack: ExitStack) -> None:
        wires = stack.enter_context(HostNamespace("wires", self.folder))
        if self.field == "auto":
            on_host = not self.spec.needs_tunnel and _has_veth(wires)
            self.field = "host" if on_host else "machine"
        plugged = {member.name: tuple(member.addresses) for member in self.spec.directors}
        if self.field == "machine":
            plugged[FIELD] = tuple(
                network
                for network in self.spec.networks
                if any(network in member.addresses for member in self.spec.field)
            )
        self._lay_wires(wires, plugged)
        for number, (name, networks) in enumerate(plugged.items()):
            machine = Machine(self._machine_spec(number, name, networks, wires), self.folder)
            self.machines[name] = stack.enter_context(machine)
            machine.boot()
        if self.field == "host":
            holders = {
                member.name: stack.enter_context(HostNamespace(member.name, self.folder))
                for member in self.spec.field
            }
            self._settle(wires, holders, {name: str(one.pid) for name, one in holders.items()})
        for machine in self.machines.values():
            machine.wait()
        self.places |= {member.name: self.machines[member.name] for member in self.spec.directors}
        if self.field == "machine":
            self._settle_in_machine(self.machines[FIELD])

    def _lay_wires(self, wires: Place, plugged: dict[str, tuple[str, ...]]) -> None:
        lines = bridge_lines(self.spec.networks)
        for name, networks in plugged.items():
            for network in networks:
                port = self._plug(wires, name, network)
                lines += [f"tuntap add dev {port} mode tap", f"link set {port} master {network} up"]
        # Nobody lives in here: no router solicitations, no answers to what passes.
        wires.set_sysctls({"net.ipv6.conf.default.disable_ipv6": "1"})
        try:
            wires.ip(lines)
        except DrillError as error:
            raise SystemLacks(
                f"this kernel cannot lay a drill's wires: {error.faults[0].fault}",
                mend="modprobe bridge tun veth, or use a kernel that has them",
            ) from error

    def _plug(self, place: Place, member: str, network: str) -> str:
        name = f"{member}-{network}"
        self._ports[member, network] = Port(place, name, network)
        return name

    def _machine_spec(
        self, number: int, name: str, networks: tuple[str, ...], wires: HostNamespace
    ) -> MachineSpec:
        cpus = sorted(os.sched_getaffinity(0))
        cards = tuple(
            Wire(f"{name}-{network}", f"eth{card}", mac_of(name, self.spec, card))
            for card, network in enumerate(networks)
        )
        lines = ["link set lo up"]
        member = next((one for one in self.spec.directors if one.name == name), None)
        if member is None:
            lines += [f"link set {wire.device} up" for wire in cards]
        else:
            lines += member_lines(member)
        return MachineSpec(
            name=name,
            engine=self.engine if member else "uml",
            init=self.init if member else "drill",
            cpu=cpus[number % len(cpus)],
            memory=member.memory if member else 512,
            wires=cards,
            enter=wires.enter,
            links=tuple(lines),
            sysctls=MEMBER_SYSCTLS | (member.sysctls if member else {}),
        )

    def _settle_in_machine(self, machine: Machine) -> None:
        wires = machine.spec.wires
        networks = [wire.tap.removeprefix(f"{FIELD}-") for wire in wires]
        lines = bridge_lines(networks)
        for wire, network in zip(wires, networks, strict=True):
            lines.append(f"link set {wire.device} master {network}")
        lines += [f"netns add {member.name}" for member in self.spec.field]
        machine.ip(lines)
        places = {member.name: GuestNamespace(member.name, machine) for member in self.spec.field}
        self._settle(machine, places, {name: name for name in places})

    def _settle(
        self, bridges: Place, places: Mapping[str, Place], namespaces: Mapping[str, str]
    ) -> None:
        """Connect the field's namespaces, known to `ip` by these words, to the bridges there."""
        congestion = {CONGESTION: _congestion_control()} if self.field == "host" else {}
        lines = []
        for member in self.spec.field:
            # Before it has devices: they start with `default`.
            places[member.name].set_sysctls(
                MEMBER_SYSCTLS | FIELD_SYSCTLS | congestion | member.sysctls
            )
            for card, network in enumerate(member.addresses):
                port = self._plug(bridges, member.name, network)
                peer = f"peer name eth{card} netns {namespaces[member.name]}"
                lines.append(f"link add {port} type veth {peer}")
                lines.append(f"link set {port} master {network} up")
        bridges.ip(lines)
        for member in self.spec.field:
            macs = [
                f"link set eth{card} address {mac_of(member.name, self.spec, card)}"
                for card in range(len(member.addresses))
            ]
            places[member.name].ip(["link set lo up", *macs, *member_lines(member)])
        self.places |= places


def bridge_lines(networks: tuple[str, ...] | list[str]) -> list[str]:
    """`ip` commands for the bridges; the sides that are theirs stay without an address."""
    return [
        line
        for network in networks
        for line in (f"link add {network} {BRIDGE}", f"link set {network} up")
    ]


def member_lines(member: Member) -> list[str]:
    """`ip` commands for addresses, links and routes inside a member."""
    lines = []
    for card, addresses in enumerate(member.addresses.values()):
        lines += [f"addr add {address} dev eth{card}" for address in addresses]
        lines.append(f"link set eth{card} up")
    return [*lines, *(f"route add {route}" for route in member.routes)]


def mac_of(name: str, spec: LabSpec, card: int) -> str:
    """Locally administered, the same in every run; the field's machine has the highest number."""
    names = [*(member.name for member in spec.members), FIELD]
    return f"02:00:00:00:{names.index(name) + 1:02x}:{card:02x}"


def _congestion_control() -> str:
    """One whose gaps after a failover are known: with bbr, some hosts' default, they differ.

    A namespace may only have what is allowed to everybody. Test machines have cubic by themselves.
    """
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split()
    return "cubic" if "cubic" in allowed else "reno"


def _has_veth(wires: Place) -> bool:
    probe = ["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]
    if wires.run(probe, check=False).status:
        return False
    wires.run(["ip", "link", "delete", "probe0"])
    return True
