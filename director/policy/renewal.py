# Another file, by difference.
#
# Rules of this room:
# 1. What both files say alike is not looked at again: neither its probes, nor its verdicts, nor its
#    course are touched, and the old values stay, so that they are in memory once.
# 2. It is made beside what is in force, a little at a time, and changes nothing. Facts.renew takes
#    it in one step.
"""What another file changes in what the engine knows."""

from collections.abc import Generator, Iterable, Iterator

import msgspec

from director.model.config import Config
from director.model.pool import Service
from director.model.service import ServiceKey
from director.policy.following import Addresses, followed_all
from director.policy.probing import Probing, probe, unprobe

Steps = Generator[None, None, "Renewal"]


class Renewal(msgspec.Struct, frozen=True):
    """A file, ready to be taken.

    `services` with the addresses that interfaces have. `fresh` and `stale` are keys of targets,
    `unnamed` virtual services that no service of the file has any more.
    """

    config: Config
    services: dict[str, Service]
    probing: Probing
    new: set[str]
    changed: set[str]
    gone: set[str]
    fresh: set[str]
    stale: set[str]
    unnamed: set[ServiceKey]

    @property
    def retargets(self) -> bool:
        """Is it others that have to be probed?"""
        return bool(self.fresh or self.stale)

    def words(self, before: Config) -> str:
        """What of the file in force changes: counts, and the names of settings."""
        services = _counted("services", len(self.new), len(self.changed), len(self.gone))
        were = {one.name: one for one in before.routers}
        are = {one.name: one for one in self.config.routers}
        routers = _counted(
            "virtual routers",
            len(are.keys() - were.keys()),
            sum(were[name] != are[name] for name in are.keys() & were.keys()),
            len(were.keys() - are.keys()),
        )
        settings = [
            name
            for name in ("sync", "kernel", "hooks", "movers")
            if getattr(before, name) != getattr(self.config, name)
        ]
        return "; ".join(filter(None, (services, routers, ", ".join(settings)))) or "no change"


def prepare(
    before: Config,
    services: dict[str, Service],
    probing: Probing,
    config: Config,
    addresses: Addresses,
) -> Steps:
    """What `config` changes. Yields after each service that is compared or probed anew.

    `before` is the file in force, `services` and `probing` what was made of it; all that is needed
    of the two is copied before the first yield.
    """
    services = dict(services)
    probing = Probing(
        dict(probing.targets), dict(probing.judges), dict(probing.users), dict(probing.places)
    )
    config = yield from _sharing(before, config)
    wanted = dict(_resolved(config, addresses))
    differ = [name for name, one in wanted.items() if not _is_same(services.get(name), one)]
    gone = services.keys() - wanted.keys()
    stale: set[str] = set()
    for name in (*differ, *gone):
        if name in services:
            stale |= unprobe(probing, services[name])
            yield
    fresh: set[str] = set()
    for name in differ:
        fresh |= probe(probing, wanted[name])
        yield
    unnamed = yield from _unnamed(services, wanted, (*differ, *gone))
    new = {name for name in differ if name not in services}
    yield
    again = fresh & stale
    fresh -= again
    stale -= again
    yield
    return Renewal(
        config,
        wanted,
        probing,
        new=new,
        changed={name for name in differ if name not in new},
        gone=gone,
        fresh=fresh,
        stale=stale,
        unnamed=unnamed,
    )


def _sharing(before: Config, config: Config) -> Generator[None, None, Config]:
    """The new file, with the old values of what both say alike."""
    known = {service.name: service for service in before.services}
    kept: list[Service] = []
    for service in config.services:
        was = known.get(service.name)
        kept.append(was if was is not None and was == service else service)
        yield
    return msgspec.structs.replace(config, services=tuple(kept))


def _unnamed(
    services: dict[str, Service], wanted: dict[str, Service], names: Iterable[str]
) -> Generator[None, None, set[ServiceKey]]:
    """Virtual services of these that no service has any more."""
    unnamed: set[ServiceKey] = set()
    for name in names:
        unnamed.update(services[name].virtuals if name in services else ())
        yield
    for name in names:
        unnamed.difference_update(wanted[name].virtuals if name in wanted else ())
        yield
    return unnamed


def _counted(what: str, new: int, changed: int, gone: int) -> str:
    counts = {"new": new, "changed": changed, "gone": gone}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{what}: {said}" if said else ""


def _resolved(config: Config, addresses: Addresses) -> Iterator[tuple[str, Service]]:
    follow = [service for service in config.services if service.follows]
    named = [key for one in config.services if follow for key in one.virtuals]
    found = {service.name: service for service in followed_all(follow, addresses, named)}
    for service in config.services:
        yield service.name, found.get(service.name, service)


def _is_same(was: Service | None, one: Service) -> bool:
    return was is one or was == one
