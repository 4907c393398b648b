"""policy/desired and policy/facts: what one service wants does not leak into another."""

import msgspec
import pytest

from director.model.address import Endpoint
from director.model.check import Standing
from director.model.config import Config
from director.model.ops import Observed
from director.model.pool import Member, Place, Service
from director.model.service import (
    Destination,
    Forwarding,
    Protocol,
    ServiceKey,
    ServiceSettings,
    VirtualService,
)
from director.policy.desired import NEVER, derive, removed_after
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
    assert two_services().learn_standings([standing(11, "down")], now=0.0) == {"web", "shop"}


def test_a_word_that_changed_but_not_the_health_touches_nothing() -> None:
    """The newest reason is kept for whoever looks."""
    facts = facts_of(WEB)
    key = target_of(CHECK, ONE).key
    facts.learn_standings([Standing(key, "down", "HTTP 503")], now=0.0)

    assert facts.learn_standings([Standing(key, "down", "layer4 timeout")], now=0.0) == set()
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


def test_an_agents_share_is_weight_at_once() -> None:
    """Of one that is up; and a share that changes does not begin a failure anew."""
    facts = Facts(Config(node="lb1", interfaces={}, services=(failing(WEB, "auto", 30.0),)))
    up, down = standing(11, "up"), standing(11, "down")

    facts.learn_standings([msgspec.structs.replace(up, share=0.3)], now=1.0)
    assert there(facts, WEB, 1.0) == [30]
    assert facts.learn_standings([msgspec.structs.replace(up, share=0.0)], now=2.0) == {"web"}
    assert there(facts, WEB, 2.0) == [0]

    facts.learn_standings([msgspec.structs.replace(down, share=0.0)], now=3.0)
    facts.learn_standings([msgspec.structs.replace(down, share=0.9)], now=9.0)
    assert facts.down_since(Place(WEB, ONE), "all") == 3.0


def test_an_override_that_is_taken_back_touches_its_service() -> None:
    """And is gone."""
    from director.policy.weight import Override

    facts = facts_of(WEB)
    facts.learn_override("web", "web1", Override("maintenance"))

    assert facts.learn_override("web", "web1", None) == {"web"}
    assert facts.overrides == {}


UDP = ServiceKey(WEB.family, Protocol.UDP, WEB.address, WEB.port)
SCTP = ServiceKey(WEB.family, Protocol.SCTP, WEB.address, WEB.port)
DR, TUN = Forwarding.DR, Forwarding.TUN
REMOVALS = {
    # what the service is and says: (virtual, one_packet, forwarding, on_fail, cut_after, want)
    "tcp": (WEB, False, DR, "auto", None, NEVER),
    "sctp": (SCTP, False, DR, "auto", None, NEVER),
    "udp": (UDP, False, DR, "auto", None, 0.0),
    "udp by a tunnel": (UDP, False, TUN, "auto", None, NEVER),
    "tcp, cut": (WEB, False, DR, "auto", 30.0, 30.0),
    "tcp, removed": (WEB, False, DR, "remove", None, 0.0),
    "tcp by a tunnel, removed": (WEB, False, TUN, "remove", None, 0.0),
    "udp, quiesced": (UDP, False, DR, "quiesce", None, NEVER),
    "udp, quiesced and cut": (UDP, False, DR, "quiesce", 5.0, 5.0),
    "udp, at once in any case": (UDP, False, DR, "auto", 30.0, 0.0),
    "one packet": (UDP, True, DR, "auto", None, 0.0),
    "one packet of a mark": (ServiceKey(WEB.family, mark=7), True, DR, "auto", None, 0.0),
    "a mark": (ServiceKey(WEB.family, mark=7), False, DR, "auto", None, NEVER),
}


def failing(
    virtual: ServiceKey, on_fail: str, cut_after: float | None, *, one_packet: bool = False
) -> Service:
    return Service(
        name="web",
        virtuals=(virtual,),
        settings=ServiceSettings(one_packet=one_packet),
        members=(Member(name="web1", addresses=(ONE.address,), port=80, checks=(CHECK,)),),
        on_fail=on_fail,
        cut_after=cut_after,
    )


@pytest.mark.parametrize("case", REMOVALS.values(), ids=REMOVALS)
def test_who_fails_is_quiesced_or_removed(
    case: tuple[ServiceKey, bool, Forwarding, str, float | None, float],
) -> None:
    """By itself TCP, SCTP and every tunnel are quiesced, and UDP and one packet removed."""
    virtual, one_packet, forwarding, on_fail, cut_after, want = case
    service = failing(virtual, on_fail, cut_after, one_packet=one_packet)

    assert removed_after(service, Member(name="a", addresses=(), forwarding=forwarding)) == want


def there(facts: Facts, virtual: ServiceKey, now: float) -> list[int]:
    """Weights of what should be there."""
    return [one.weight for one in derive(facts, "web", now).table[virtual].destinations.values()]


def test_a_dead_server_of_udp_is_not_there_at_all() -> None:
    """Its clients' flows end with it; it is there again with the verdict that it is up."""
    facts = Facts(Config(node="lb1", interfaces={}, services=(failing(UDP, "auto", None),)))
    assert there(facts, UDP, 0.0) == [0]  # unknown: it waits

    facts.learn_standings([standing(11, "down")], now=5.0)
    assert there(facts, UDP, 5.0) == []
    facts.learn_standings([standing(11, "up")], now=6.0)

    assert there(facts, UDP, 6.0) == [100]


def test_one_that_stays_down_is_cut() -> None:
    """At the instant that is told, counted from when it was first heard, and not before."""
    facts = Facts(Config(node="lb1", interfaces={}, services=(failing(WEB, "auto", 30.0),)))
    facts.learn_standings([standing(11, "down")], now=5.0)
    facts.learn_standings([standing(11, "down")], now=20.0)  # a level, said again

    assert derive(facts, "web", 5.0).next_at == 35.0
    assert there(facts, WEB, 34.9) == [0]
    assert there(facts, WEB, 35.0) == []
    assert derive(facts, "web", 35.0).next_at == NEVER


@pytest.mark.parametrize(("need", "want"), [("all", 1.0), ("any", 2.0)])
def test_since_when_it_is_down(need: str, want: float) -> None:
    """With `all` since the first probe that failed, with `any` since the last."""
    checks = (CHECK, msgspec.structs.replace(CHECK, port=81))
    service = failing(WEB, "auto", 30.0)
    member = msgspec.structs.replace(service.members[0], checks=checks)
    service = msgspec.structs.replace(service, members=(member,), checks_need=need)
    facts = Facts(Config(node="lb1", interfaces={}, services=(service,)))
    first, second = (target_of(check, ONE).key for check in checks)

    facts.learn_standings([Standing(first, "down")], now=1.0)
    facts.learn_standings([Standing(second, "down")], now=2.0)

    assert facts.down_since(Place(WEB, ONE), need) == want


def test_without_checks_it_is_up() -> None:
    """`checks = "none"`: it serves from the first round on, and nothing is waited for."""
    service = failing(UDP, "auto", None)
    member = msgspec.structs.replace(service.members[0], checks=())
    service = msgspec.structs.replace(service, members=(member,))
    facts = Facts(Config(node="lb1", interfaces={}, services=(service,)))

    assert facts.is_decided()
    assert there(facts, UDP, 0.0) == [100]
