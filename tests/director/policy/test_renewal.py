"""policy/renewal and Facts.renew: another file, by difference."""

import gc
from collections.abc import Generator
from time import perf_counter
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from director.model.address import Endpoint, Family
from director.model.check import Standing, TcpCheck
from director.model.config import Config
from director.model.ops import Observed
from director.model.pool import Follow, Member, Place, Service
from director.model.service import (
    Counters,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    Table,
)
from director.policy.desired import derive
from director.policy.facts import Facts, Touched
from director.policy.probing import probing_of
from director.policy.renewal import Renewal, prepare
from director.policy.weight import Override

T = TypeVar("T")
STEP_MAX = 0.05  # seconds
KEYS = tuple(ServiceKey(Family.IPV4, address="192.0.2.10", port=port) for port in (80, 81, 82))
NAMES = ("a", "b", "c")
MEMBERS = st.lists(
    st.builds(
        lambda host, weight, check: Member(
            name=f"web{host}",
            addresses=(f"10.0.8.{host}",),
            weight=weight,
            checks=(TcpCheck(port=check),),
        ),
        st.sampled_from([11, 12, 13]),
        st.sampled_from([1, 50, 100]),
        st.sampled_from([80, 8080]),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda member: member.name,
)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    """Services that share real servers and no virtual service."""
    owner = [draw(st.sampled_from([*NAMES, ""])) for _ in KEYS]
    services = tuple(
        Service(
            name=name,
            virtuals=tuple(key for key, one in zip(KEYS, owner, strict=True) if one == name),
            settings=ServiceSettings(scheduler=draw(st.sampled_from(["rr", "wlc"]))),
            members=tuple(draw(MEMBERS)),
        )
        for name in sorted(set(owner) - {""})
    )
    return Config(node="lb1", interfaces={}, services=services)


def run(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result


def prepared(facts: Facts, config: Config) -> Renewal:
    return run(prepare(facts.config, facts.services, facts.probing, config, facts.addresses))


def renew(facts: Facts, config: Config, now: float = 0.0) -> Touched:
    return run(facts.renew(prepared(facts, config), now))


def all_are(facts: Facts, health: str) -> None:
    facts.learn_standings(
        [Standing(key, health) for key in facts.probing.targets],  # type: ignore[arg-type]
        0.0,
    )


def at_work(config: Config) -> Facts:
    """An engine whose table stands as the file says: everybody is up, and has connections."""
    facts = Facts(config)
    all_are(facts, "up")
    table: Table = {}
    for service in config.services:
        wanted = derive(facts, service.name, 0.0)
        table |= wanted.table
        facts.learn_courses(wanted.courses)
    places = (Place(key, end) for key, one in table.items() for end in one.destinations)
    counted = dict.fromkeys(places, Counters(active=1))
    facts.learn_observed(Observed(table=table, counters=counted), 0.0)
    return facts


def weight(facts: Facts, place: Place) -> int:
    (name,) = [one.name for one in facts.services.values() if place.service in one.virtuals]
    return derive(facts, name, 0.0).table[place.service].destinations[place.endpoint].weight


@given(config=configs(), again=st.integers(1, 2))
def test_the_same_file_changes_nothing(config: Config, again: int) -> None:
    """And touches no service; the values that were there stay."""
    facts = at_work(config)
    before = dict(facts.services)
    there = (dict(facts.standings), dict(facts.courses), dict(facts.leaving))
    # As it comes from another reading: equal, and not the same.
    same = Config(node="lb1", interfaces={}, services=tuple(map(_copy, config.services)))

    for _ in range(again):
        renewal = prepared(facts, same)
        assert not renewal.retargets
        assert run(facts.renew(renewal, 1.0)) == set()

    assert all(facts.services[name] is one for name, one in before.items())
    assert (facts.standings, facts.courses, facts.leaving) == there
    assert facts.probing == probing_of(config)
    assert facts.is_decided()


def _copy(service: Service) -> Service:
    return Service(**{name: getattr(service, name) for name in Service.__struct_fields__})


@given(old=configs(), new=configs(), data=st.data())
def test_it_ends_where_a_fresh_start_would(old: Config, new: Config, data: st.DataObject) -> None:
    """Same verdicts, same kernel: the same probes, the same table, who leaves too."""
    facts = at_work(old)
    renew(facts, new)
    assert facts.is_decided() is (facts.standings.keys() >= facts.probing.targets.keys())
    fresh = Facts(new)
    assert facts.observed is not None
    fresh.learn_observed(facts.observed, 0.0)

    healths = {key: data.draw(st.sampled_from(["up", "down"])) for key in fresh.probing.targets}
    for one in (facts, fresh):
        one.learn_standings([Standing(key, health) for key, health in healths.items()], 0.0)  # type: ignore[arg-type]

    assert facts.probing == fresh.probing
    assert facts.standings == fresh.standings
    assert facts.is_decided()
    for name in facts.services:
        assert derive(facts, name, 5.0).table == derive(fresh, name, 5.0).table


@given(old=configs(), new=configs())
def test_what_both_files_name_serves_on(old: Config, new: Config) -> None:
    """Before the first verdict of what is new: no destination of both is at 0."""
    facts = at_work(old)
    both = facts.probing.judges.keys()

    renew(facts, new)

    for place in sorted(both & facts.probing.judges.keys()):
        assert weight(facts, place) > 0


@given(old=configs(), new=configs())
def test_what_is_not_touched_is_derived_as_before(old: Config, new: Config) -> None:
    """So a reload costs what changed."""
    facts = at_work(old)
    before = {name: derive(facts, name, 0.0).table for name in facts.services}

    touched = renew(facts, new)

    for name in facts.services.keys() - touched:
        assert derive(facts, name, 0.0).table == before[name]


@given(old=configs(), new=configs())
def test_nothing_of_the_old_file_is_left_behind(old: Config, new: Config) -> None:
    """To another file and back: as if it had never been, but that all is probed anew."""
    facts = at_work(old)
    renew(facts, new)
    assert facts.standings.keys() <= facts.probing.targets.keys()
    assert facts.courses.keys() <= {key for one in new.services for key in one.virtuals}

    renew(facts, old)

    assert facts.probing == probing_of(old)
    all_are(facts, "up")
    assert facts.standings.keys() == facts.probing.targets.keys()


def two(*hosts: int) -> Config:
    members = tuple(
        Member(name=f"web{host}", addresses=(f"10.0.8.{host}",), checks=(TcpCheck(),))
        for host in hosts
    )
    service = Service(name="a", virtuals=KEYS[:1], settings=ServiceSettings(), members=members)
    return Config(node="lb1", interfaces={}, services=(service,))


def test_who_is_no_longer_named_is_drained() -> None:
    """From when the file was taken, not from the next reading on."""
    facts = at_work(two(11, 12))

    assert renew(facts, two(11), now=7.0) == {"a"}

    assert facts.leaving == {KEYS[0]: {Endpoint("10.0.8.12", 80): 7.0}}
    there = derive(facts, "a", 8.0)
    assert {end.address: one.weight for end, one in there.table[KEYS[0]].destinations.items()} == {
        "10.0.8.11": 100,
        "10.0.8.12": 0,
    }
    assert there.next_at == 307.0


def test_an_operators_word_outlasts_a_file_that_does_not_know_the_server() -> None:
    """Whoever takes a server out of the file and puts it back does not end its maintenance."""
    facts = at_work(two(11, 12))
    facts.learn_override("a", "web12", Override("maintenance"))

    renew(facts, two(11))
    renew(facts, two(11, 12))

    assert weight(facts, Place(KEYS[0], Endpoint("10.0.8.12", 80))) == 0


def test_addresses_that_interfaces_have_stay() -> None:
    """A service that follows one keeps its virtual services; one that begins to gets them."""
    (service,) = two(11).services
    nat = tuple(
        Member(name=one.name, addresses=one.addresses, forwarding=Forwarding.NAT)
        for one in service.members
    )
    follow = Follow("eth0", Protocol.TCP, 90)
    following = Service(
        name="b", virtuals=(), settings=ServiceSettings(), members=nat, follows=(follow,)
    )
    both = Config(node="lb1", interfaces={}, services=(service, following))
    facts = Facts(two(11))
    facts.learn_addresses({"eth0": {"192.0.2.2"}})

    assert renew(facts, both) == {"b"}
    assert [one.address for one in facts.services["b"].virtuals] == ["192.0.2.2"]
    ready = prepared(facts, both)
    facts.learn_addresses({"eth0": {"192.0.2.2", "192.0.2.3"}})  # while it was prepared
    run(facts.renew(ready, 0.0))

    assert [one.address for one in facts.services["b"].virtuals] == ["192.0.2.2", "192.0.2.3"]


def test_no_step_is_long() -> None:
    """5,000 services with two real servers each, all others in the next file: 50 ms at most."""
    gc.collect()
    facts = Facts(_many(11))
    all_are(facts, "up")
    preparing = prepare(facts.config, facts.services, facts.probing, _many(101), {})
    renewal, long = longest(preparing)
    _, longer = longest(facts.renew(renewal, 0.0))
    worst = max(long, longer)

    assert worst < STEP_MAX, f"{worst * 1000:.0f} ms"


def longest(steps: Generator[None, None, T]) -> tuple[T, float]:
    """What they end with, and the seconds of the longest one."""
    worst = 0.0
    while True:
        began = perf_counter()
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result, max(worst, perf_counter() - began)
        worst = max(worst, perf_counter() - began)


def _many(host: int) -> Config:
    return Config(
        node="lb1",
        interfaces={},
        services=tuple(
            Service(
                name=f"s{number}",
                virtuals=(ServiceKey(Family.IPV4, address="192.0.2.10", port=1 + number),),
                settings=ServiceSettings(),
                members=tuple(
                    Member(
                        name=f"web{one}",
                        addresses=(f"10.{number >> 8}.{number & 255}.{one}",),
                        checks=(TcpCheck(),),
                    )
                    for one in (host, host + 1)
                ),
            )
            for number in range(5000)
        ),
    )
