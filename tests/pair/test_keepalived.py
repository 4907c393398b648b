"""A pair of which one node is Debian's keepalived (VRRP v3), both ways round.

This is how people migrate: one node at a time.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.keepalived import Keepalived
from bench.sides import Node, Ours, director_text, holds_vip, table_whole
from director.drill import faults
from director.drill.clients import HeldConnections, Requests
from director.drill.host import need_tools, run_folder
from director.drill.places import eventually
from director.drill.servers import hold_vip, start_servers
from director.drill.spec import pair_spec
from director.drill.stage import ECHO_PORT, VIP
from director.drill.topology import Lab

pytestmark = [pytest.mark.drill, pytest.mark.full]

INTERVAL = 0.1
PRIORITIES = {"lb1": 150, "lb2": 100}
ADDRESSES = {"lb1": "192.0.2.2", "lb2": "192.0.2.3"}
ACTIVE_DOWN = 3 * INTERVAL + (256 - 100) * INTERVAL / 256
SLACK = 0.2
QUIET = 5.0  # seconds in which nothing may move
MATURE = 5.0
SETTLED_WITHIN = 60.0
WAYS = [
    pytest.param(
        (strong, unicast), id=f"{strong} is the stronger, {'uni' if unicast else 'multi'}cast"
    )
    for unicast in (False, True)
    for strong in ("director", "keepalived")
]


class Mixed(msgspec.Struct):
    """A lab whose lb1, the stronger, is one of both, and lb2 the other."""

    lab: Lab
    strong: Node
    weak: Node
    strong_is: str

    def holders(self) -> list[str]:
        """Who has the VIP now."""
        nodes = (self.strong.place, self.weak.place)
        return [place.name for place in nodes if place.alive and holds_vip(place)]

    def settled(self) -> bool:
        """The stronger holds the VIP alone, and both have every destination."""
        whole = all(table_whole(node.place) for node in (self.strong, self.weak))
        return whole and self.holders() == ["lb1"]

    def moved_in_quiet(self, seconds: float = QUIET) -> list[list[str]]:
        """Every set of holders that was seen while nothing happened."""
        seen: list[list[str]] = []
        until = time.monotonic() + seconds

        def look() -> bool:
            if (holders := self.holders()) not in seen:
                seen.append(holders)
            return time.monotonic() >= until

        eventually(look, seconds + 5.0, "the end of a quiet time")
        return seen


def mixed_node(kind: str, lab: Lab, name: str, *, unicast: bool) -> Node:
    """One node, the director's or keepalived's."""
    text = director_text(INTERVAL)
    if unicast:
        text = text.replace("vrid = 51", "vrid = 51\nunicast = true")
    machine = lab.machines[name]
    if kind == "director":
        return Ours(machine, text)
    peer = next(other for other in ADDRESSES if other != name)
    between = (ADDRESSES[name], ADDRESSES[peer]) if unicast else None
    return Keepalived(machine, text, PRIORITIES[name], INTERVAL, unicast=between)


@pytest.fixture(scope="module", params=WAYS)
def the_pair(request: pytest.FixtureRequest) -> Iterator[Mixed]:
    """Both nodes at work."""
    strong, unicast = request.param
    weak = "keepalived" if strong == "director" else "director"
    need_tools({"keepalived": "keepalived"})
    with run_folder(Path(".build", "drill")) as folder, Lab(pair_spec(), folder) as lab:
        start_servers([lab[name] for name in ("web1", "web2", "web3", "app1")])
        for name in ("web1", "web2", "web3"):
            hold_vip(lab[name], VIP)
        pair = Mixed(
            lab,
            mixed_node(strong, lab, "lb1", unicast=unicast),
            mixed_node(weak, lab, "lb2", unicast=unicast),
            strong,
        )
        pair.strong.start()
        pair.weak.start()
        yield pair


@pytest.fixture
def pair(the_pair: Mixed) -> Mixed:
    """The stronger is active."""
    eventually(the_pair.settled, SETTLED_WITHIN, "the stronger alone active, both tables whole")
    return the_pair


@pytest.fixture
def requests(pair: Mixed) -> Iterator[Requests]:
    """A client that is answered."""
    client = Requests(pair.lab["client"], VIP)
    client.wait_for(20)
    yield client
    client.stop()


def wait_until(pair: Mixed, holders: list[str], within: float) -> float:
    """Seconds until these and no others held the VIP."""
    began = time.monotonic()
    eventually(lambda: pair.holders() == holders, within, f"VIP on {holders}")
    return time.monotonic() - began


def test_the_stronger_is_active_and_stays(pair: Mixed, requests: Requests) -> None:
    """Elected by priority; nothing moves and nothing fails while nothing happens."""
    began = requests.snapshot()

    seen = pair.moved_in_quiet()

    assert seen == [["lb1"]]
    assert requests.between(began, requests.snapshot()).failed == 0


def test_the_weaker_takes_over_from_the_dead(pair: Mixed, requests: Requests) -> None:
    """
    Power cut: the other kind of director answers in time, the connections of the dead one go on,
    and the stronger is active again when it has returned.
    """
    held = HeldConnections(pair.lab["client"], VIP, ECHO_PORT, count=10, every=0.1)
    held.wait_until_open()
    seen_before = pair.moved_in_quiet(MATURE)
    began = time.monotonic()
    faults.cut_power(pair.strong.place)
    wait_until(pair, ["lb2"], 5.0)
    requests.wait_for(50)
    tally = requests.between(began, time.monotonic())
    kept = held.kept(time.monotonic())
    held.stop()

    faults.boot_again(pair.strong.place)
    pair.strong.start()
    eventually(pair.settled, SETTLED_WITHIN, "the stronger is back")

    assert seen_before == [["lb1"]]
    assert tally.gap_ms <= (ACTIVE_DOWN + SLACK) * 1000
    assert kept.lost == ()
    assert pair.moved_in_quiet() == [["lb1"]]


def test_the_weaker_comes_and_goes_unnoticed(pair: Mixed, requests: Requests) -> None:
    """Power cut of the one that is not active: no request fails, not when it returns either."""
    began = requests.snapshot()

    faults.cut_power(pair.weak.place)
    alone = pair.moved_in_quiet(1.0)
    faults.boot_again(pair.weak.place)
    pair.weak.start()
    eventually(pair.settled, SETTLED_WITHIN, "the weaker is back")

    assert alone == [["lb1"]]
    assert pair.moved_in_quiet() == [["lb1"]]
    assert requests.between(began, requests.snapshot()).failed == 0


def test_sigterm_hands_over(pair: Mixed, requests: Requests) -> None:
    """
    SIGTERM to the active node: the other takes over within its skew. Of ours nobody notices. It is
    active again once it has been started again, and nothing moves after that.
    """
    began = time.monotonic()
    pair.strong.terminate()
    within = wait_until(pair, ["lb2"], 5.0)
    pair.strong.job.wait()
    requests.wait_for(50)
    tally = requests.between(began, time.monotonic())

    pair.strong.start()
    eventually(pair.settled, SETTLED_WITHIN, "the stronger is active again")

    assert within <= INTERVAL + SLACK
    if pair.strong_is == "director":
        assert (tally.failed, tally.failures) == (0, {})
    assert pair.moved_in_quiet() == [["lb1"]]


def test_sigterm_to_the_weaker_changes_nothing(pair: Mixed, requests: Requests) -> None:
    """It holds nothing, so it has nothing to hand over."""
    began = requests.snapshot()

    pair.weak.terminate()
    pair.weak.job.wait()
    alone = pair.moved_in_quiet(1.0)
    pair.weak.start()
    eventually(pair.settled, SETTLED_WITHIN, "the weaker is back")

    assert alone == [["lb1"]]
    assert requests.between(began, requests.snapshot()).failed == 0
