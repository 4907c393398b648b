"""What parts of the file say against each other, once each of them is read."""

from collections import defaultdict
from collections.abc import Collection
from ipaddress import ip_address

from msgspec import UnsetType

from director.config.faults import Findings, Key
from director.config.matches import check_overlaps
from director.config.readers import element, listed
from director.config.schema import FileTable, ServiceTable
from director.config.taken import written_vips
from director.config.virtuals import Virtuals
from director.model.address import Endpoint, Family, family_of
from director.model.match import Match
from director.model.pool import Member, Service
from director.model.service import Forwarding, ServiceKey
from director.model.vip import Router
from director.policy.probing import endpoint_of


class Crossing:
    """Checks of all services against the routers and against each other."""

    def __init__(
        self,
        file: FileTable,
        written: Virtuals,
        routers: list[Router],
        fixed: Collection[str],
        found: Findings,
    ) -> None:
        self.found = found
        self.file = file
        self.written = written
        self.synced = not isinstance(file.sync, UnsetType)
        self.held = written_vips(file)
        self.fixed = fixed  # the nodes' own addresses
        # Which router, or group of routers, takes an address or a family's gateway along.
        self.movers: dict[str, set[str]] = defaultdict(set)
        self.gateways: dict[Family, set[str]] = defaultdict(set)
        for router in routers:
            for vip in router.vips:
                self.movers[vip.prefix.address].add(_mover(router))
                if not vip.advertise:
                    self.gateways[vip.prefix.family].add(_mover(router))
        self.vips_at_fault = found.within("vrrp") and any(
            "vrrp" in key and ("addresses" in key or len(key) <= 2) for _, key in found.faults
        )
        self.virtuals: dict[ServiceKey, Key] = {}

    def check(self, service: Service) -> None:
        """All that can be said about a service once it is read."""
        table = self.file.services[service.name]
        key: Key = ("services", service.name)
        self._virtuals(service, table)
        self._follows(service)
        self._pool(service, table, key)
        self._quorum(service, key)
        self._gateway(service, table, key)
        self._masquerade(service, table, key)

    def _quorum(self, service: Service, key: Key) -> None:
        """Can it be met, and lost?"""
        there, need = len(service.members), service.quorum
        if need > there:
            fault = f"quorum {need} is above the {there} real servers"
            self.found.add((*key, "quorum"), fault, f"write 1..{there}")
        elif need + service.hysteresis > there or service.hysteresis >= need:
            fault = f"hysteresis {service.hysteresis} about quorum {need} of {there} real servers"
            most = min(there - need, need - 1)
            mend = f"write 0..{most}" if most else "leave it out"
            self.found.add((*key, "hysteresis"), f"{fault} could not be met, or lost", mend)

    def _virtuals(self, service: Service, table: ServiceTable) -> None:
        written = self.written.of[service.name]
        elsewhere = not isinstance(table.held, UnsetType)
        for virtual, where in written.virtuals:
            if self.written.ours(virtual):
                continue  # two of them overlap
            other = self.virtuals.setdefault(virtual, where)
            if other != where:
                fault = f"{virtual} is a virtual service of {other[1]} already"
                self.found.add(where, fault, "keep one of the two", also=other)
            if not virtual.mark and not elsewhere and virtual.address not in self.held:
                self._not_held(virtual.address, where)
        for match, where in written.matches if not elsewhere else ():
            missing = self._not_in(match)
            if missing is not None:
                self._not_held(missing, where)

    def _follows(self, service: Service) -> None:
        """Their packets are for the director's own addresses."""
        bad = [one for one in service.pool if one.forwarding is not Forwarding.NAT]
        for _, where in self.written.of[service.name].follows if bad else ():
            word = bad[0].forwarding.value
            fault = f"{word} sends packets on as they are, and {bad[0].name} cannot have the"
            fault += " director's own addresses"
            self.found.add(where, fault, 'write forwarding = "nat", or the VIPs that are meant')

    def _not_in(self, match: Match) -> str | None:
        """The first address of a match that no virtual router holds."""
        address = ip_address(match.first)
        while str(address) in self.held:
            if str(address) == match.last:
                return None
            address += 1
        return str(address)

    def _not_held(self, address: str, where: Key) -> None:
        if not self.vips_at_fault:
            fault = f"no virtual router holds {address}"
            mend = 'add it to the addresses of a [vrrp.*], or write held = "elsewhere"'
            self.found.add(where, fault, mend)

    def check_marks(self) -> None:
        """Once all services are checked: is each packet one service's?"""
        placed = (one for written in self.written.of.values() for one in written.matches)
        check_overlaps(placed, self.virtuals, self.found)

    def _pool(self, service: Service, table: ServiceTable, key: Key) -> None:
        ports = _ports_of(service)
        whole = len(service.members) == len(listed(table.real_servers))
        seen: dict[tuple[int, Endpoint], Key] = {}
        served: set[int] = set()
        virtuals = (*service.virtuals, *_still_to_come(service))
        for index, member in enumerate(service.pool):
            where = _member_key(member, table, key, index if whole else None)
            places = {
                number: endpoint
                for number, virtual in enumerate(virtuals)
                if (endpoint := endpoint_of(service, member, virtual)) is not None
            }
            served.update(places if member.role != "sorry" else ())
            if not places:
                first = service.spell(service.virtuals[0])
                fault = f"{member.name} has no address of the family of {first}"
                mend = "give it one in [real_servers], or take it out of this pool"
                self.found.add(where, fault, mend)
                continue
            if self.synced and _mixed(service, member):
                # NEW_DEST and NEW_DAEMON answer EINVAL, whichever comes second (ip_vs_ctl.c).
                first = service.spell(service.virtuals[0])
                fault = f"{member.name} is of the other family than {first}, and the"
                fault += " kernel has that or [sync], not both"
                mend = "give it an address of the family in [real_servers], or leave [sync] out"
                self.found.add(where, fault, mend)
                continue
            self._ports(service, member, ports, where)
            for place in places.items():
                other = seen.setdefault(place, where)
                if other != where:
                    fault = f"{member.name} stands twice in the pool"
                    self.found.add(where, fault, "remove one", also=other)
        for index, (virtual, where) in enumerate(self.written.of[service.name].virtuals):
            if index not in served:
                fault = f"no real server has an address of the family of {service.spell(virtual)}"
                mend = "give one in [real_servers], or take this virtual address out"
                self.found.add(where, fault, mend)

    def _ports(self, service: Service, member: Member, ports: set[int], key: Key) -> None:
        if not member.port or ports == {member.port}:
            return
        if member.forwarding is not Forwarding.NAT:
            word = member.forwarding.value
            fault = f"port {member.port} differs from the virtual port, with {word}"
            mend = 'leave the port out, or write forwarding = "nat"'
            if 0 in ports:
                fault = f"port {member.port} means nothing here: with {word} packets keep theirs"
                mend = "leave the port out"
            self.found.add(key, fault, mend)
        elif len(ports) > 1 and member.role != "sorry":
            fault = f"port {member.port} of {member.name} would serve several virtual ports"
            mend = "leave the port out, or make a service for each virtual port"
            self.found.add(key, fault, mend)
        elif service.settings.persistence and not all(key.port for key in service.virtuals):
            # ip_vs_sched_persist takes the packet's own, wherever the service has none.
            fault = f"port {member.port} means nothing here: persistent clients keep their port"
            self.found.add(key, fault, "leave the port out, or persistence")

    def _gateway(self, service: Service, table: ServiceTable, key: Key) -> None:
        nat = any(member.forwarding is Forwarding.NAT for member in service.pool)
        stranded = [
            virtual
            for virtual in service.virtuals
            if not self._move_together(virtual.address, self.gateways[virtual.family])
        ]
        if not nat or not stranded or self.vips_at_fault:
            return
        field = "real_servers" if isinstance(table.forwarding, UnsetType) else "forwarding"
        fault = "NAT real servers answer through a gateway, and no virtual router holds one"
        mend = (
            'add { address = "GATEWAY/LENGTH", interface = ROLE, advertise = false } to a [vrrp.*]'
        )
        if self.gateways[stranded[0].family]:
            fault = "NAT real servers answer through a gateway, and none moves together with "
            fault += stranded[0].address
            mend += " that holds the VIP, or give both routers one group"
        self.found.warn((*key, field), fault, f"{mend}; make it the real servers' default route")

    def _masquerade(self, service: Service, table: ServiceTable, key: Key) -> None:
        """What stands in for clients must be where the VIP is, or no answer finds its way."""
        for index, address in enumerate(service.masquerade_as):
            where = element((*key, "masquerade_as"), table.masquerade_as, index)
            mend = "write a VIP of the same virtual router, or leave it out: it is the VIP then"
            if address in self.fixed:
                fault = f"{address} is a node's own, and no connection would outlive a failover"
                self.found.add(where, fault, mend)
                continue
            for virtual in service.virtuals:
                moves = self._move_together(virtual.address, self.movers.get(address, set()))
                held = not isinstance(table.held, UnsetType)
                apart = family_of(address) is virtual.family and not (moves or held)
                if apart and not self.vips_at_fault:
                    fault = f"{address} does not move together with {virtual.address}"
                    self.found.add(where, fault, mend)

    def _move_together(self, address: str, movers: set[str]) -> bool:
        """Is one of these the mover of an address? Of one that nobody here moves, anyone is."""
        ours = self.movers.get(address, set())
        return bool(movers & ours if ours else movers)


def _mover(router: Router) -> str:
    return f"group {router.group}" if router.group else router.name


def _member_key(member: Member, table: ServiceTable, key: Key, index: int | None) -> Key:
    """Where a member is written; without its index, where all are."""
    if member.role == "sorry":
        return (*key, "sorry_server")
    where: Key = (*key, "real_servers")
    return where if index is None else element(where, table.real_servers, index)


def _mixed(service: Service, member: Member) -> bool:
    """Is it reached by a tunnel of the other family alone?"""
    families = {virtual.family for virtual in service.virtuals}
    return member.forwarding is Forwarding.TUN and families.isdisjoint(
        map(family_of, member.addresses)
    )


def _still_to_come(service: Service) -> list[ServiceKey]:
    """What stands for addresses that an interface will have, in the families that can be served."""
    if not service.follows:
        return []
    families = {family_of(address) for one in service.members for address in one.addresses}
    return [
        ServiceKey(family, follow.protocol, port=follow.port)
        for follow in service.follows
        for family in sorted(families)
    ]


def _ports_of(service: Service) -> set[int]:
    """The ports that clients connect to: of many in a row the first and the last; 0 is any."""
    ends = {follow.port for follow in service.follows}
    ends |= {port for match in service.matches for port in (match.low, match.high)}
    return ends | {key.port for key in service.virtuals if not (key.mark and service.matches)}
