"""A tunnel's destination that the file dropped, while connections are synced."""

import msgspec
import pytest

from director.model.address import Endpoint
from director.model.config import SyncSettings
from director.model.ops import Observed
from director.model.pool import Place
from director.model.service import (
    Counters,
    Destination,
    Forwarding,
    Persistence,
    ServiceSettings,
    VirtualService,
)
from director.policy.desired import derive
from director.policy.facts import Facts
from director.policy.tunnels import ESTABLISHED, needed_for
from tests.director.policy.test_facts import WEB, facts_of, standing

GONE = Endpoint("10.0.8.99", 80)
PLACE = Place(WEB, GONE)
SYNC = {"master": SyncSettings(interface="eth2"), "backup": SyncSettings(interface="eth2")}
PLAIN = ServiceSettings()
DAY = ServiceSettings(persistence=Persistence(86400, 32))


def observed(
    forwarding: Forwarding = Forwarding.TUN,
    *,
    weight: int = 0,
    active: int = 0,
    sync: bool = True,
    settings: ServiceSettings = PLAIN,
) -> Observed:
    there = VirtualService(settings, {GONE: Destination(weight=weight, forwarding=forwarding)})
    return Observed(
        table={WEB: there},
        counters={PLACE: Counters(active=active)},
        sync=dict(SYNC) if sync else {},
        timeouts=(900.0, 120.0, 300.0),
    )


def facts_with(there: Observed) -> Facts:
    facts = facts_of(WEB)
    facts.learn_standings([standing(11, "up"), standing(12, "up")], now=0.0)
    facts.learn_observed(there, now=0.0)
    return facts


def weight_at(there: Observed, now: float) -> int | None:
    """Its wanted weight; None: it is not wanted."""
    wanted = derive(facts_with(there), "web", now).table[WEB].destinations.get(GONE)
    return None if wanted is None else wanted.weight


def test_it_is_quiesced_at_once() -> None:
    """New connections stop with the file."""
    assert weight_at(observed(weight=50), 0.0) == 0


def test_empty_it_stays_for_as_long_as_an_old_connection_may_live() -> None:
    """The peer may tell of one until then."""
    assert weight_at(observed(), ESTABLISHED - 1) == 0
    assert weight_at(observed(), ESTABLISHED) is None


def test_it_never_goes_with_a_connection() -> None:
    """Neither at the end of its drain nor later."""
    assert weight_at(observed(active=1), 10 * ESTABLISHED) == 0


@pytest.mark.parametrize(
    "there",
    [observed(sync=False), observed(Forwarding.DR), observed(Forwarding.NAT)],
    ids=["nothing is synced", "dr", "nat"],
)
def test_others_go_when_they_are_empty(there: Observed) -> None:
    """And at the end of their drain in any case."""
    assert weight_at(there, 0.0) is None
    busy = msgspec.structs.replace(there, counters={PLACE: Counters(active=1)})
    drain = facts_of(WEB).config.services[0].drain
    assert (weight_at(busy, drain - 1), weight_at(busy, drain)) == (0, None)


def test_time_alone_brings_its_end() -> None:
    """The engine wakes for it."""
    wanted = derive(facts_with(observed()), "web", 0.0)

    assert wanted.next_at == ESTABLISHED


@pytest.mark.parametrize(
    ("there", "want"),
    [(observed(), 900.0), (observed(settings=DAY), 86400.0)],
    ids=["a connection", "a template"],
)
def test_for_how_long(there: Observed, want: float) -> None:
    """Of persistent clients as long as they are known; more where the kernel was told more."""
    service = there.table[WEB]
    slow = msgspec.structs.replace(there, timeouts=(7200.0, 0.0, 0.0))

    config = facts_with(there).config
    assert needed_for(config, there, service, Forwarding.TUN) == want
    assert needed_for(config, slow, service, Forwarding.TUN) == max(7200.0, want)
