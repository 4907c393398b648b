"""A pair of which one node is Debian's keepalived, both ways round and in all its dialects.

This is how people migrate: one node at a time. keepalived's file is what `director check` prints.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.keepalived import Keepalived, services_after
from bench.sides import Node, Ours, director_text, holds_vip, table_whole
from director.config.load import check_text
from director.drill import faults
from director.drill.clients import HeldConnections, Requests
from director.drill.host import need_tools, run_folder
from director.drill.machines import Machine
from director.drill.places import eventually
from director.drill.servers import hold_vip, start_servers
from director.drill.spec import pair_spec
from director.drill.stage import ECHO_PORT, VIP
from director.drill.topology import Lab
from director.vrrp.mute import LINGER
from director.vrrp.rules import active_down, skew

pytestmark = [pytest.mark.drill, pytest.mark.full]

PRIORITIES = {"lb1": 150, "lb2": 100}
SLACK = 0.3
QUIET = 5.0  # seconds in which nothing may move
MATURE = 5.0
SETTLED_WITHIN = 60.0
SECRET, SECRET_FILE = "orchid", "/etc/director/vrrp.secret"
TO_FILL_IN = "________"
# As in bench/keepalived.py, where it is said why.
PUNCTUAL = """\
global_defs {
  vrrp_rt_priority 20
  vrrp_rlimit_rttime 1000000
  vrrp_no_swap
  checker_no_swap
}
"""

VRID, ADDRESSES = "vrid = 51\n", "addresses = [\n  "
DIALECTS = {
    # seconds between two adverts, what is added to the router, and what stands before its VIPs
    "v3": (0.1, "", ""),
    "v3 unicast": (0.1, "unicast = true", ""),
    "v2 PASS": (
        1.0,
        f'version = 2\nauth = {{ method = "pass", secret_file = "{SECRET_FILE}" }}',
        "",
    ),
    "v2 AH": (1.0, f'version = 2\nauth = {{ method = "ah", secret_file = "{SECRET_FILE}" }}', ""),
    "IPv6": (0.1, "", '"fe80::10/64",\n  '),
}
WAYS = [
    pytest.param((strong, dialect), id=f"{dialect}, {strong} is the stronger")
    for dialect in DIALECTS
    for strong in ("director", "keepalived")
]
in_one_dialect = pytest.mark.parametrize("the_pair", WAYS[:2], indirect=True)


class Proving(Ours):
    """A director that has the secret, also after a power cut."""

    def start(self) -> None:
        self.place.write(SECRET_FILE, f"{SECRET}\n", 0o640)
        super().start()


class Mixed(msgspec.Struct):
    """A lab whose lb1, the stronger, is one of both, and lb2 the other."""

    lab: Lab
    strong: Node
    weak: Node
    strong_is: str
    interval: float
    version: int

    @property
    def active_down(self) -> float:
        """Seconds of silence after which the weaker takes over."""
        return active_down(PRIORITIES["lb2"], self.interval, self.version)

    @property
    def skew(self) -> float:
        """Seconds after a resignation until it does."""
        return skew(PRIORITIES["lb2"], self.interval, self.version)

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


def text_of(dialect: str, keepalived_on: str) -> str:
    """The file of both, in which one node is keepalived's."""
    interval, router, vips = DIALECTS[dialect]
    text = director_text(interval)
    addresses = f"[nodes.{keepalived_on}]\n"
    for old, new in (
        (VRID, f"{VRID}{router}\n"),
        (ADDRESSES, ADDRESSES + vips),
        (addresses, f'{addresses}runs = "keepalived"\n'),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def keepalived_on(machine: Machine, text: str, interval: float) -> Keepalived:
    """With the file that `director check` prints for it, and its services."""
    other = next(name for name in PRIORITIES if name != machine.name)
    printed = check_text(text, node=other).keepalived[machine.name]
    own = services_after(PUNCTUAL + printed.replace(TO_FILL_IN, SECRET))
    return Keepalived(machine, text, PRIORITIES[machine.name], interval, text=own)


@pytest.fixture(scope="module", params=WAYS)
def the_pair(request: pytest.FixtureRequest) -> Iterator[Mixed]:
    """Both nodes at work."""
    strong_is, dialect = request.param
    text = text_of(dialect, "lb2" if strong_is == "director" else "lb1")
    interval = DIALECTS[dialect][0]
    need_tools({"keepalived": "keepalived"})
    with run_folder(Path(".build", "drill")) as folder, Lab(pair_spec(), folder) as lab:
        start_servers([lab[name] for name in ("web1", "web2", "web3", "app1")])
        for name in ("web1", "web2", "web3"):
            hold_vip(lab[name], VIP)
        strong: Node
        weak: Node
        lb1, lb2 = (lab.machines[name] for name in PRIORITIES)
        if strong_is == "director":
            strong, weak = Proving(lb1, text), keepalived_on(lb2, text, interval)
        else:
            strong, weak = keepalived_on(lb1, text, interval), Proving(lb2, text)
        pair = Mixed(lab, strong, weak, strong_is, interval, 2 if "v2" in dialect else 3)
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


def taken_over(pair: Mixed, within: float) -> float:
    """Seconds until lb2 had the VIP. Ours lets it linger, mute, on the one that handed over."""
    began = time.monotonic()
    eventually(lambda: "lb2" in pair.holders(), within, "VIP on lb2")
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
    taken_over(pair, 6.0)
    requests.wait_for(50)
    tally = requests.between(began, time.monotonic())
    kept = held.kept(time.monotonic())
    held.stop()

    faults.boot_again(pair.strong.place)
    pair.strong.start()
    eventually(pair.settled, SETTLED_WITHIN, "the stronger is back")

    assert seen_before == [["lb1"]]
    assert tally.gap_ms <= (pair.active_down + SLACK) * 1000
    assert kept.lost == ()
    assert pair.moved_in_quiet() == [["lb1"]]


@in_one_dialect
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
    within = taken_over(pair, 5.0)
    pair.strong.job.wait()
    requests.wait_for(50)
    tally = requests.between(began, time.monotonic())
    eventually(lambda: pair.holders() == ["lb2"], 2 * LINGER, "lb1 has let go")

    pair.strong.start()
    eventually(pair.settled, SETTLED_WITHIN, "the stronger is active again")

    assert within <= pair.skew + SLACK
    if pair.strong_is == "director":
        assert (tally.failed, tally.failures) == (0, {})
    assert pair.moved_in_quiet() == [["lb1"]]


@in_one_dialect
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
