# Where both directors may believe that they are active: one that stood still and goes on, and one
# that is not heard. Judged on the wire, by who answers for the VIP and who sends adverts.
"""Steps: the active director's time stands still; the backup does not hear it."""

import time

import msgspec

from director.drill import faults
from director.drill.clients import Kept
from director.drill.machines import Clock
from director.drill.pair import Node
from director.drill.places import DrillError
from director.drill.stage import (
    BUSY_EVERY,
    HELD,
    SETTLED_WITHIN,
    SLOW_EVERY,
    VIP,
    Result,
    Stage,
)
from director.drill.steps import MATURE, SLACK, TAKEOVER_WITHIN, WINDOW, result_of, sum_kept
from director.drill.topology import mac_of
from director.drill.witness import Witness

STRONGEST = "lb1"  # of pair.toml
PAUSE = 2.0
APART = 2.0
AFTER = 2.0  # seconds of watching after the pause, or after the cut


class Double(msgspec.Struct, frozen=True):
    """Who yielded, and until how many seconds after an instant it sent adverts and answered for the
    VIP (0: not at all).
    """

    winner: str
    loser: str
    adverts: float
    answers: float

    @property
    def text(self) -> str:
        """For people."""
        return (
            f"{self.loser} yields to {self.winner}: its last advert {self.adverts * 1000:.0f} ms, "
            f"its last answer {self.answers * 1000:.0f} ms after"
        )


def pause_active(stage: Stage, clock: Clock = "goes on") -> Result:
    """SIGSTOP to the active director's machine for 2 s: the peer takes over and stays active."""
    node = _strongest_active(stage)
    peer = stage.other(node)
    machine = stage.lab.machines[node.name]
    mature = [stage.hold(HELD, BUSY_EVERY), stage.hold(HELD, SLOW_EVERY)]
    stage.go_on(MATURE)
    witness = Witness(stage.client, VIP)
    began = faults.pause(machine, clock)
    took_over = _first_answer(stage, witness, peer, began)
    _until(stage, began + PAUSE * stage.lab.slower)
    resumed = faults.resume(machine)
    stage.go_on(AFTER)
    double = _double(stage, witness, resumed, resumed + AFTER)
    witness.stop()
    held = sum_kept([group.kept(resumed, 12.0) for group in mature])
    for group in mature:
        group.stop()
    wrong = _late("the peer answers", took_over - began, TAKEOVER_WITHIN * stage.lab.slower)
    wrong += [f"lost a connection of {one.age:.1f} s: {one.why}" for one in held.lost]
    # By its clock it has overslept and yields unasked. Else it has to hear the peer, which yields
    # itself if it is the weaker: one interval is as good as it gets.
    if clock == "goes on" and double.loser != node.name:
        wrong.append(f"{node.name} stood still and is active again")
    wrong += _both(double, 0.0 if clock == "goes on" else stage.adverts)
    tally = stage.window(began)
    after = stage.requests.between(resumed, resumed + AFTER)
    notes = (
        f"the peer answers after {(took_over - began) * 1000:.0f} ms",
        f"after the pause {double.text}; {after.failed} of {after.sent} requests fail",
    )
    if after.gap_ms > WINDOW * 1000 / 2:
        wrong.append(f"{after.gap_ms:.0f} ms without an answer after the pause")
    stage.settle()
    return result_of(stage, "pause", began, notes=notes, wrong=wrong, held=held, tally=tally)


def freeze_active(stage: Stage) -> Result:
    """The same, and the machine's clock stands still, too: it cannot know that it was away."""
    return pause_active(stage, "stands still")


def one_way_split(stage: Stage) -> Result:
    """The backup does not hear the active director, which hears it: both answer until it does."""
    node = _strongest_active(stage)
    peer = stage.other(node)
    witness = Witness(stage.client, VIP)
    began = faults.deafen(stage.lab, peer.name, node.name, "front")
    took_over = _first_answer(stage, witness, peer, began)
    _until(stage, began + APART * stage.lab.slower)
    healed = faults.undeafen(stage.lab, peer.name, node.name, "front")
    stage.go_on(AFTER)
    apart = len(witness.heard(_mac(stage, node), "answer", since=took_over))
    double = _double(stage, witness, healed, healed + AFTER)
    witness.stop()
    wrong = _both(double, stage.adverts)
    if double.winner != node.name:
        wrong.append(f"the weaker one, {peer.name}, prevails")
    notes = (
        f"the deaf one answers after {(took_over - began) * 1000:.0f} ms",
        f"the other goes on ({apart} answers)",
        f"healed, {double.text}",
    )
    stage.settle()
    return result_of(stage, "one-way split", began, notes=notes, wrong=wrong, held=Kept(0, ()))


def _strongest_active(stage: Stage) -> Node:
    """Whoever hears a stronger one yields in any case: only the strongest can be doubled."""
    weaker = stage.active()
    strongest = stage.pair.nodes[STRONGEST]
    if weaker is not strongest:
        weaker.command("failover", "--wait")
        stage.wait_for(f"{strongest.name} is active", strongest.is_active, SETTLED_WITHIN)
        stage.settle()
    return strongest


def _first_answer(stage: Stage, witness: Witness, node: Node, since: float) -> float:
    """When a node first answered for the VIP. Raises DrillError."""
    mac = _mac(stage, node)
    found: list[float] = []

    def look() -> bool:
        found[:] = witness.heard(mac, "answer", since=since)
        return bool(found)

    stage.wait_for(f"{node.name} answers for {VIP}", look, 10.0 * stage.lab.slower)
    return found[0]


def _double(stage: Stage, witness: Witness, since: float, until: float) -> Double:
    """Who yielded after `since`, and when. Raises DrillError when nobody has."""
    last = {
        node.name: {
            kind: max(witness.heard(_mac(stage, node), kind, since=since), default=since) - since
            for kind in ("advert", "answer")
        }
        for node in stage.pair.nodes.values()
    }
    loser, winner = sorted(last, key=lambda name: last[name]["advert"])
    if not last[winner]["advert"]:
        raise DrillError(f"nobody sent an advert within {until - since:g} s")
    return Double(winner, loser, last[loser]["advert"], last[loser]["answer"])


def _both(double: Double, interval: float) -> list[str]:
    """What was wrong with that, if both may be active for an interval."""
    return _late(f"{double.loser} yields", max(double.adverts, double.answers), interval + SLACK)


def _late(what: str, within: float, limit: float) -> list[str]:
    return [f"{what} after {within:.2f} s, not {limit:.2f} s"] if within > limit else []


def _mac(stage: Stage, node: Node) -> str:
    return mac_of(node.name, stage.lab.spec, 0)


def _until(stage: Stage, instant: float) -> None:
    left = instant - time.monotonic()
    if left > 0:
        stage.go_on(left)
