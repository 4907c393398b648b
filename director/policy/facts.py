# What the engine knows.
#
# Rules of this room:
# 1. News is learned here and nothing is decided here: `learn_*` stores, and says which services the
#    news touches, so that a change costs what changed and not what exists.
# 2. Learning the same level twice touches nothing.
# 3. No clock: an instant is a parameter.
# 4. Questions that are asked in every round have their answer kept, and do not look for it: who
#    leaves a service, whether everything has its verdict.
"""Facts: the configuration, and all that was heard since."""

from collections.abc import Generator, Iterable, Mapping
from typing import Any

from director.model.address import Endpoint
from director.model.check import Standing
from director.model.config import Config
from director.model.ops import Observed
from director.model.pool import Place, Service
from director.model.service import ServiceKey
from director.policy.following import Addresses, followed_all
from director.policy.probing import probing_of, reprobe
from director.policy.renewal import Renewal
from director.policy.serving import Course
from director.policy.verdict import UNPROBED, Verdict, judge
from director.policy.weight import Override

Touched = set[str]


class Facts:
    """All that is known, keyed so that one piece of news finds its services at once."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.services: dict[str, Service] = {service.name: service for service in config.services}
        self.probing = probing_of(config)
        self.standings: dict[str, Standing] = {}
        self.failed_at: dict[str, float] = {}
        self.overrides: dict[tuple[str, str], Override] = {}
        self.observed: Observed | None = None
        self.leaving: dict[ServiceKey, dict[Endpoint, float]] = {}
        self.courses: dict[ServiceKey, Course] = {}
        self.addresses: Addresses = {}
        self._undecided = set(self.probing.targets)
        self.follows = tuple(service for service in config.services if service.follows)
        self._named = self._named_by(config)

    def renew(self, renewal: Renewal, now: float) -> Generator[None, None, Touched]:
        """Take another file, which was prepared from this one.

        The file is in force before the first yield, but nothing may be derived before the end: who
        leaves would be cut.
        """
        everything = (self.config.sync, self.config.kernel) != (
            renewal.config.sync,
            renewal.config.kernel,
        )
        old = self.probing
        self.config, self.services = renewal.config, renewal.services
        self.probing = renewal.probing
        self.follows = tuple(service for service in self.config.services if service.follows)
        self._named = self._named_by(self.config)
        for key in renewal.stale:
            self.standings.pop(key, None)
            self.failed_at.pop(key, None)
            self._undecided.discard(key)
            yield
        for virtual in renewal.unnamed:
            self.courses.pop(virtual, None)
            self.leaving.pop(virtual, None)
            yield
        for key in renewal.fresh:
            if key not in self.standings:  # the first worker may have been quicker
                self._undecided.add(key)
            yield
        touched = set(self.services) if everything else {*renewal.new, *renewal.changed}
        touched |= self.learn_addresses(self.addresses)  # they may have changed meanwhile
        for name in touched if self.observed is not None else ():
            self.learn_leaving(self.services[name], now)
            yield
        books: tuple[dict[Any, Any], ...] = (old.targets, old.judges, old.users)
        for book in books:
            while book:  # to let go of all at once would take as long as a round
                book.popitem()
                yield
        return touched

    @staticmethod
    def _named_by(config: Config) -> frozenset[ServiceKey]:
        """What the file itself names, where a service follows an interface."""
        if not any(one.follows for one in config.services):
            return frozenset()
        return frozenset(key for one in config.services for key in one.virtuals)

    def learn_addresses(self, addresses: Addresses) -> Touched:
        """What each device has now: services that follow one change with it."""
        self.addresses = addresses
        touched: Touched = set()
        for service in followed_all(self.follows, addresses, self._named):
            before = self.services[service.name]
            if service != before:
                self.services[service.name] = service
                reprobe(self.probing, before, service)
                touched.add(service.name)
        if touched:
            self._undecided = {
                key
                for key in self.probing.targets
                if key not in self.standings or self.standings[key].health == "unknown"
            }
        return touched

    def learn_standings(self, standings: Iterable[Standing], now: float) -> Touched:
        """What a check worker says; targets that the file does not name are ignored."""
        touched: Touched = set()
        for standing in standings:
            if standing.key not in self.probing.targets:
                continue
            before = self.standings.get(standing.key)
            self.standings[standing.key] = standing
            if standing.health == "unknown":
                self._undecided.add(standing.key)
            else:
                self._undecided.discard(standing.key)
            if before is None or before.share != standing.share:
                touched |= self.probing.users[standing.key]
            if before is None or before.health != standing.health:
                touched |= self.probing.users[standing.key]
                if standing.health == "down":
                    self.failed_at[standing.key] = now
                else:
                    self.failed_at.pop(standing.key, None)
        return touched

    def learn_override(self, service: str, server: str, override: Override | None) -> Touched:
        """An operator's word; None takes it back."""
        key = (service, server)
        if self.overrides.get(key) == override:
            return set()
        if override is None:
            del self.overrides[key]
        else:
            self.overrides[key] = override
        return {service}

    def learn_observed(self, observed: Observed, now: float) -> Touched:
        """What was read from the kernel. Destinations there that the file does not name leave."""
        self.observed = observed
        self.leaving = {key: ends for key, ends in self.leaving.items() if key in observed.table}
        for service in self.services.values():
            self.learn_leaving(service, now)
        return set(self.services)

    def learn_courses(self, courses: Mapping[ServiceKey, Course]) -> None:
        """How virtual services were judged, for the next time."""
        self.courses.update(courses)

    def learn_leaving(self, service: Service, now: float) -> bool:
        """Which destinations of a service's own virtual services leave; is there one?"""
        assert self.observed is not None
        found = False
        for virtual in service.virtuals:
            there = self.observed.table.get(virtual)
            ends = [
                end
                for end in (there.destinations if there else ())
                if Place(virtual, end) not in self.probing.judges
            ]
            since = self.leaving.pop(virtual, {})
            if ends:
                found = True
                self.leaving[virtual] = {end: since.get(end, now) for end in ends}
        return found

    def verdict(self, place: Place, need: str) -> Verdict:
        """The health of a destination that the file names."""
        keys = self.probing.judges[place]
        return judge([self.standings.get(key, UNPROBED) for key in keys], need)

    def down_since(self, place: Place, need: str) -> float:
        """Since when we know that a destination is down: an instant of the engine's clock.

        Not later than the truth by more than how long its probes failed one after the other.
        """
        failed = [
            self.failed_at[key] for key in self.probing.judges[place] if key in self.failed_at
        ]
        return min(failed) if need == "all" else max(failed)

    def weight_in_kernel(self, place: Place) -> int | None:
        """What the kernel has for this place; None when it has nothing."""
        if self.observed is None or place.service not in self.observed.table:
            return None
        destination = self.observed.table[place.service].destinations.get(place.endpoint)
        return None if destination is None else destination.weight

    def is_decided(self) -> bool:
        """Has every target had its first verdict?"""
        return not self._undecided
