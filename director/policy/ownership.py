# Virtual services that the file does not name.
#
# Rules of this room:
# 1. What the file names is ours from then on, also where it stood before (adoption). So is what
#    state.json says was ours. Everything else is foreign, and without state.json nothing goes that
#    the file did not ask for (`foreign = "remove"`).
# 2. What goes is drained: its destinations are quiesced, and it is removed once nobody is left, or
#    when the drain is over. Nothing goes before the services of the file have their verdicts.
# 3. The last service of a family never goes before one that the file names stands: removing it
#    unregisters IPVS's netfilter hooks, and every connection stops (ip_vs_ctl.c,
#    ip_vs_del_service).
# 4. `keep_networks` counts before all of this.
"""Whose is a virtual service, and how one leaves."""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from msgspec.structs import replace

from director.model.address import Family, family_of, parse_endpoint
from director.model.config import Config
from director.model.ops import AddService, DeleteService, Observed, Op, TableOp
from director.model.pool import Place, Service
from director.model.service import Protocol, ServiceKey, VirtualService
from director.policy.desired import is_empty
from director.policy.facts import Facts
from director.policy.plan import diff
from director.policy.pulse import pulse_table
from director.policy.tunnels import needed_for

IPV6_MARK = " ipv6"


class Ownership:
    """Learns from each reading. `leaving`: since when each service goes, on the engine's clock."""

    def __init__(self, config: Config, owned: Iterable[ServiceKey] = ()) -> None:
        self._named: frozenset[ServiceKey] = frozenset()
        self._owned = set(owned)
        self.changes = 0  # of `owned`, counted
        self.leaving: dict[ServiceKey, float] = {}
        self.renew(config, config.services)

    def renew(self, config: Config, services: Iterable[Service]) -> None:
        """Another file; `services` are its own with the addresses that interfaces have."""
        self._config = config
        self._kept = [ip_network(one) for one in config.kernel.keep_networks]
        self.learn_named(services)
        self.leaving = {key: at for key, at in self.leaving.items() if key not in self._named}

    def learn_named(self, services: Iterable[Service]) -> None:
        """What is wanted now, where addresses come and go: each is ours from then on."""
        named = (key for service in services for key in service.virtuals)
        self._named = frozenset((*named, *pulse_table(self._config)))
        self.changes += not self._named <= self._owned
        self._owned |= self._named

    def made(self, op: TableOp) -> None:
        """A service that we made is ours, also if nobody wants it any more at the next reading."""
        if isinstance(op, AddService):
            self.changes += op.key not in self._owned
            self._owned.add(op.key)

    def learn(self, observed: Observed, now: float) -> None:
        """What stands, and what of it goes."""
        staying = self._owned & (self._named | observed.table.keys())
        self.changes += staying != self._owned
        self._owned = staying
        self.leaving = {
            key: self.leaving.get(key, now)
            for key in observed.table.keys() - self._named
            if self._goes(key)
        }

    @property
    def owned(self) -> list[ServiceKey]:
        """What the next engine has to know, in order."""
        return sorted(self._owned)

    def farewell(self, facts: Facts, now: float) -> tuple[Op, ...]:
        """Quiesce what goes, and remove what is empty or overdue."""
        assert facts.observed is not None
        table = facts.observed.table
        going = {key: since for key, since in self.leaving.items() if key in table}
        ops = list(diff({key: _quiesced(table[key]) for key in going}, table))
        staying = {key.family for key in table if key not in going}
        wanted = {key.family for key in self._named}
        for key, since in sorted(going.items()):
            overdue = now >= since + self._config.kernel.drain
            empty = all(is_empty(facts, Place(key, at)) for at in table[key].destinations)
            done = empty or overdue
            kinds = {one.forwarding for one in table[key].destinations.values()}
            needed = max(
                (needed_for(self._config, facts.observed, table[key], one) for one in kinds),
                default=0.0,
            )
            if needed:
                done = empty and now >= since + needed
            last = key.family in wanted and key.family not in staying
            if done and not last:
                ops.append(DeleteService(key))
        return tuple(ops)

    def _goes(self, key: ServiceKey) -> bool:
        if key not in self._owned and self._config.kernel.foreign != "remove":
            return False
        if key.mark or not self._kept:
            return True
        address = ip_address(key.address)
        return not any(address in network for network in self._kept)


def _quiesced(there: VirtualService) -> VirtualService:
    ends = {at: replace(one, weight=0) for at, one in there.destinations.items()}
    return VirtualService(there.settings, ends)


def parse_key(text: str) -> ServiceKey:
    """A virtual service as `str` of it spells it. Raises ValueError."""
    word, slash, rest = text.partition("/")
    if word == "fwmark":
        family = Family.IPV6 if rest.endswith(IPV6_MARK) else Family.IPV4
        digits = rest.removesuffix(IPV6_MARK)
        if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 1 << 32):
            raise ValueError(f"{text!r} has no mark")
        return ServiceKey(family, mark=int(digits))
    names = {protocol.name.lower(): protocol for protocol in Protocol}
    if not slash or word not in names:
        raise ValueError(f"{text!r} is no virtual service")
    at = parse_endpoint(rest, lowest=0)
    return ServiceKey(family_of(at.address), names[word], at.address, at.port)
