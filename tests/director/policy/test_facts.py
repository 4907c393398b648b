"""policy/facts and policy/desired: what is learned, and what follows from it."""

from director.model.address import Endpoint, Family
from director.model.check import Standing, TcpCheck
from director.model.config import Config
from director.model.ops import Observed
from director.model.pool import Member, Place, Service
from director.model.service import (
    Counters,
    Destination,
    ServiceKey,
    ServiceSettings,
    VirtualService,
)
from director.policy.desired import NEVER, derive
from director.policy.facts import Facts
from director.policy.probing import target_of
from director.policy.weight import Override

WEB = ServiceKey(Family.IPV4, address="192.0.2.10", port=80)
TLS = ServiceKey(Family.IPV4, address="192.0.2.10", port=443)
SIX = ServiceKey(Family.IPV6, address="2001:db8::10", port=80)
CHECK = TcpCheck(port=80)
ONE = Member(name="web1", addresses=("10.0.8.11", "2001:db8::11"), checks=(CHECK,))
TWO = Member(name="web2", addresses=("10.0.8.12",), checks=(CHECK,), weight=50)
SETTINGS = ServiceSettings()
STRANGER = Endpoint("10.0.8.99", 80)


def facts_of(*virtuals: ServiceKey) -> Facts:
    service = Service(
        name="web", virtuals=virtuals, settings=SETTINGS, members=(ONE, TWO), drain=60.0
    )
    return Facts(Config(node="lb1", interfaces={}, services=(service,)))


def standing(host: int, health: str) -> Standing:
    key = target_of(CHECK, Endpoint(f"10.0.8.{host}", 80)).key
    return Standing(key, health, "because")  # type: ignore[arg-type]


def weights(facts: Facts, virtual: ServiceKey, now: float = 0.0) -> dict[str, int]:
    table = derive(facts, "web", now).table
    return {end.address: one.weight for end, one in table[virtual].destinations.items()}


def observed(destinations: dict[Endpoint, Destination], **counters: Counters) -> Observed:
    counted = {Place(WEB, STRANGER): one for one in counters.values()}
    return Observed(table={WEB: VirtualService(SETTINGS, destinations)}, counters=counted)


def test_one_probe_serves_every_place_that_needs_it() -> None:
    """Two virtual services and one real server with one check make one target."""
    facts = facts_of(WEB, TLS)

    assert len(facts.probing.targets) == 2
    assert len(facts.probing.judges) == 4


def test_a_member_serves_the_virtuals_of_its_own_families() -> None:
    """web2 has no IPv6 address, so it has no place in the IPv6 service."""
    facts = facts_of(WEB, SIX)

    assert list(weights(facts, SIX)) == ["2001:db8::11"]


def test_learning_the_same_level_twice_touches_nothing() -> None:
    """Levels come every 15 s and must not cause work."""
    facts = facts_of(WEB)

    assert facts.learn_standings([standing(11, "up")], now=0.0) == {"web"}
    assert facts.learn_standings([standing(11, "up")], now=0.0) == set()
    assert facts.learn_standings([Standing("nobody asked", "up")], now=0.0) == set()


def test_the_first_verdicts_decide() -> None:
    """Unknown is weight 0 on an empty kernel; up takes its own weight, down none."""
    facts = facts_of(WEB)
    assert weights(facts, WEB) == {"10.0.8.11": 0, "10.0.8.12": 0}
    assert not facts.is_decided()

    facts.learn_standings([standing(11, "up"), standing(12, "down")], now=0.0)

    assert weights(facts, WEB) == {"10.0.8.11": 100, "10.0.8.12": 0}
    assert facts.is_decided()


def test_a_restart_keeps_the_weights_that_stand_until_it_knows_better() -> None:
    """Our own failure removes no capacity: an adopted destination serves on while unknown."""
    facts = facts_of(WEB)
    facts.learn_observed(observed({Endpoint("10.0.8.11", 80): Destination(weight=70)}), now=0.0)

    assert weights(facts, WEB) == {"10.0.8.11": 70, "10.0.8.12": 0}


def test_an_override_ends_by_itself() -> None:
    """A weight by hand with a deadline counts until then, and the next instant is told."""
    facts = facts_of(WEB)
    facts.learn_standings([standing(11, "up"), standing(12, "up")], now=0.0)
    assert facts.learn_override("web", "web1", Override("weight", 5, until=10.0)) == {"web"}
    assert facts.learn_override("web", "web1", Override("weight", 5, until=10.0)) == set()

    assert weights(facts, WEB, now=9.9)["10.0.8.11"] == 5
    assert derive(facts, "web", 9.9).next_at == 10.0
    assert weights(facts, WEB, now=10.0)["10.0.8.11"] == 100
    assert derive(facts, "web", 10.0).next_at == NEVER


def test_taking_back_an_override_that_nobody_gave_changes_nothing() -> None:
    """`undrain` twice is one `undrain`."""
    facts = facts_of(WEB)

    assert facts.learn_override("web", "web1", None) == set()


def leaving(active: int, weight: int = 100) -> Facts:
    facts = facts_of(WEB)
    there = {STRANGER: Destination(weight=weight)}
    facts.learn_observed(observed(there, stranger=Counters(active=active)), now=0.0)
    return facts


def test_who_is_no_longer_named_serves_until_the_named_are_known() -> None:
    """What serves now may be all there is."""
    assert weights(leaving(active=3), WEB)["10.0.8.99"] == 100


def test_who_is_no_longer_named_is_quiesced_then_removed_when_empty() -> None:
    """Drained, not cut: weight 0 first, gone once no connection is left."""
    known = [standing(11, "up"), standing(12, "up")]
    busy, empty, fresh = leaving(3, weight=0), leaving(0, weight=0), leaving(0)
    for facts in (busy, empty, fresh):
        facts.learn_standings(known, now=0.0)

    assert weights(busy, WEB)["10.0.8.99"] == 0
    assert weights(fresh, WEB)["10.0.8.99"] == 0
    assert "10.0.8.99" not in weights(empty, WEB)


def test_who_is_no_longer_named_is_removed_at_the_deadline() -> None:
    """`drain` bounds the wait."""
    facts = leaving(3, weight=0)
    facts.learn_standings([standing(11, "up"), standing(12, "up")], now=0.0)

    assert derive(facts, "web", 59.9).next_at == 60.0
    assert "10.0.8.99" in weights(facts, WEB, now=59.9)
    assert "10.0.8.99" not in weights(facts, WEB, now=60.0)


def test_who_has_left_is_not_asked_after() -> None:
    """Between its removal and the next reading its service may be derived for other reasons."""
    facts = leaving(0, weight=0)
    facts.learn_standings([standing(11, "up"), standing(12, "up")], now=0.0)
    assert facts.observed is not None

    del facts.observed.table[WEB].destinations[STRANGER]

    assert "10.0.8.99" not in weights(facts, WEB)


def test_a_service_drains_once_its_own_servers_are_known() -> None:
    """The verdict that another service still waits for is no reason to keep who left this one."""
    (web,) = facts_of(WEB).config.services
    other = Service(
        name="other",
        virtuals=(TLS,),
        settings=SETTINGS,
        members=(Member(name="web3", addresses=("10.0.8.13",), checks=(CHECK,)),),
    )
    facts = Facts(Config(node="lb1", interfaces={}, services=(web, other)))
    facts.learn_observed(observed({STRANGER: Destination(weight=100)}), now=0.0)

    facts.learn_standings([standing(11, "up"), standing(12, "up")], now=0.0)

    assert not facts.is_decided()
    assert weights(facts, WEB)["10.0.8.99"] == 0
