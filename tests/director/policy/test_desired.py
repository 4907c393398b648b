"""policy/desired and policy/facts: what one service wants does not leak into another."""

import msgspec

from director.model.address import Endpoint
from director.model.check import Standing
from director.model.config import Config
from director.model.ops import Observed
from director.model.pool import Place
from director.model.service import Destination, VirtualService
from director.policy.desired import derive
from director.policy.facts import Facts
from director.policy.probing import target_of
from tests.director.policy.test_facts import CHECK, SETTINGS, TLS, WEB, facts_of, standing

ONE, STRANGER = Endpoint("10.0.8.11", 80), Endpoint("10.0.8.99", 80)


def two_services() -> Facts:
    """`web` at WEB, and `shop` at TLS with the same real servers."""
    (web,) = facts_of(WEB).config.services
    shop = msgspec.structs.replace(web, name="shop", virtuals=(TLS,))
    return Facts(Config(node="lb1", interfaces={}, services=(web, shop)))


def test_who_leaves_one_service_is_not_seen_in_the_other() -> None:
    """Each derives its own part of the table."""
    facts = two_services()
    there = VirtualService(SETTINGS, {STRANGER: Destination(weight=5)})
    facts.learn_observed(Observed(table={WEB: there}), now=0.0)

    assert STRANGER in derive(facts, "web", 0.0).table[WEB].destinations
    assert list(derive(facts, "shop", 0.0).table) == [TLS]
    assert STRANGER not in derive(facts, "shop", 0.0).table[TLS].destinations


def test_a_probe_that_two_services_use_touches_both() -> None:
    """One real server, one check, one target: both want to know."""
    assert two_services().learn_standings([standing(11, "down")]) == {"web", "shop"}


def test_a_word_that_changed_but_not_the_health_touches_nothing() -> None:
    """The newest reason is kept for whoever looks."""
    facts = facts_of(WEB)
    key = target_of(CHECK, ONE).key
    facts.learn_standings([Standing(key, "down", "HTTP 503")])

    assert facts.learn_standings([Standing(key, "down", "layer4 timeout")]) == set()
    assert facts.standings[key].reason == "layer4 timeout"


def test_what_the_kernel_has_for_a_place() -> None:
    """A weight, or None: nothing read, no such service, no such destination."""
    facts = facts_of(WEB, TLS)
    assert facts.weight_in_kernel(Place(WEB, ONE)) is None

    there = VirtualService(SETTINGS, {ONE: Destination(weight=70)})
    facts.learn_observed(Observed(table={WEB: there}), now=0.0)

    assert facts.weight_in_kernel(Place(WEB, ONE)) == 70
    assert facts.weight_in_kernel(Place(WEB, STRANGER)) is None
    assert facts.weight_in_kernel(Place(TLS, ONE)) is None


def test_an_override_that_is_taken_back_touches_its_service() -> None:
    """And is gone."""
    from director.policy.weight import Override

    facts = facts_of(WEB)
    facts.learn_override("web", "web1", Override("maintenance"))

    assert facts.learn_override("web", "web1", None) == {"web"}
    assert facts.overrides == {}
