# What happens in a drill, step by step. The demo plays them for a person; the tests play them
# and look at the results. A step that did not do what it should says so in its result's faults.
"""The steps of the main job: real servers die, return, are quiesced; a director loses power."""

import signal
import time
from collections.abc import Callable

from director.drill import faults
from director.drill.clients import Kept, Tally
from director.drill.pair import Node
from director.drill.stage import ADVERTS, ECHO_PORT, HELD, SETTLED_WITHIN, Result, Stage

INTERVAL, TIMEOUT, FALL = 0.5, 0.3, 2  # of the checks in pair.toml
WEAKER = 100  # the priority of who takes over, in pair.toml
SLACK = 0.1
LOOKS = 0.2  # how old what we see of a director may be: it is asked every 0.1 s
TAKEOVER_WITHIN = 3 * ADVERTS + (256 - WEAKER) * ADVERTS / 256 + SLACK
WINDOW = 2.0
KNOWN_WITHIN = 25.0
# Requests whose handshake may be under way at the very moment of a planned move. A kernel without
# nftables for IPv4 (User-Mode Linux) cannot give them their second chance.
HALF_OPEN_MAX = 2
MATURE = 5.0  # seconds after which the peer has been told of a connection

Step = Callable[[Stage], Result]


def steady(stage: Stage) -> Result:
    """Nothing happens."""
    began = time.monotonic()
    stage.go_on(WINDOW)
    return result_of(stage, "steady", began, may_lose=False)


def real_server_dies(stage: Stage) -> Result:
    """SIGKILL to everything that web1 runs: weight 0 in time, and no new connection after."""
    began = time.monotonic()
    victim = stage.servers["web1"]
    faults.kill(victim.web)
    faults.kill(victim.echo)
    limit = FALL * INTERVAL + TIMEOUT
    within = stage.wait_for("web1 at weight 0", lambda: _weights(stage, "web1") == {0}, 5 * limit)
    at_zero = time.monotonic()
    stage.go_on(WINDOW)
    after = stage.window(at_zero)
    wrong = []
    if within > limit + LOOKS:
        wrong.append(f"weight 0 after {within:.2f} s, not {limit:.2f} s")
    if after.servers.get("web1") or after.failed:
        wrong.append(f"after weight 0: {after.failed} failed, {after.servers}")
    note = f"weight 0 after {within:.2f} s (limit {limit:.2f} s)"
    held = _kept(stage, began, but_for="web1")
    return result_of(stage, "real server dies", began, notes=(note,), wrong=wrong, held=held)


def real_server_returns(stage: Stage) -> Result:
    """web1 runs again and gets its share."""
    began = time.monotonic()
    stage.servers["web1"].start()
    within = stage.wait_for("web1 at weight 100", lambda: _weights(stage, "web1") == {100}, 10.0)
    stage.requests.wait_for(6)
    at_weight = time.monotonic()
    stage.go_on(WINDOW / 2)
    got = stage.window(at_weight).servers.get("web1", 0)
    wrong = [] if got else ["no request went to web1 again"]
    note = f"weight 100 after {within:.2f} s, then {got} requests"
    held = _kept(stage, began, but_for="web1")
    return result_of(
        stage, "real server returns", began, notes=(note,), wrong=wrong, held=held, may_lose=False
    )


def quiesce(stage: Stage) -> Result:
    """An operator says maintenance: no new connections to web2, those it has go on."""
    began = time.monotonic()
    for node in stage.pair.nodes.values():
        node.command("maintenance", "on", "web2")
    stage.wait_for("web2 at weight 0", lambda: _weights(stage, "web2") == {0}, 3.0)
    at_zero = time.monotonic()
    stage.go_on(WINDOW)
    after = stage.window(at_zero)
    wrong = [f"new connections to web2: {after.servers}"] if after.servers.get("web2") else []
    held = _kept(stage, at_zero, but_for="web1")
    for node in stage.pair.nodes.values():
        node.command("maintenance", "off", "web2")
    stage.wait_for("web2 at weight 100", lambda: _weights(stage, "web2") == {100}, 3.0)
    return result_of(stage, "real server quiesced", began, wrong=wrong, held=held, may_lose=False)


def power_cut(stage: Stage) -> Result:
    """SIGKILL to the active director's kernel: the peer answers, and old connections go on."""
    lost_node = stage.active()
    peer = stage.other(lost_node)
    mature = [stage.hold(HELD, 0.01), stage.hold(HELD, 5.0)]
    stage.go_on(MATURE)
    young = stage.hold(HELD, 0.01)
    began = faults.cut_power(stage.lab.machines[lost_node.name])
    stage.wait_for(f"{peer.name} is active", peer.is_active, 10.0)
    stage.go_on(WINDOW)
    tally = stage.window(began)
    held = sum_kept([group.kept(began + tally.gap_ms / 1000, 12.0) for group in mature])
    young_held = young.kept(began + tally.gap_ms / 1000, 12.0)
    wrong = []
    if tally.gap_ms > TAKEOVER_WITHIN * 1000:
        wrong.append(f"{tally.gap_ms:.0f} ms without an answer, not {TAKEOVER_WITHIN * 1000:.0f}")
    wrong += [f"lost a connection of {one.age:.1f} s: {one.why}" for one in held.lost]
    note = f"younger than {MATURE:.0f} s: {young_held.alive} of {HELD} kept"
    for group in (*mature, young):
        group.stop()
    return result_of(stage, "power cut", began, notes=(note,), wrong=wrong, held=held, tally=tally)


def power_returns(stage: Stage) -> Result:
    """The dead director boots, listens, and stays backup: nothing is lost, nothing moves."""
    began = time.monotonic()
    active = stage.active()
    back = stage.other(active)
    faults.boot_again(stage.lab.machines[back.name])
    back.start()
    within = stage.wait_for("both directors settled", stage.pair.settled, SETTLED_WITHIN)
    wrong = [] if stage.active() is active else ["the returning director took over"]
    note = f"fit again after {within:.1f} s"
    held = _kept(stage, began, but_for="web1")
    return result_of(
        stage, "power returns", began, notes=(note,), wrong=wrong, held=held, may_lose=False
    )


def hand_over(stage: Stage) -> Result:
    """`director failover`: the peer takes over while we still forward."""
    return _planned(stage, "hand over", lambda node: node.command("failover", "--wait"))


def clean_stop(stage: Stage) -> Result:
    """SIGTERM to the active director, as systemd stops it; then it is started again."""
    node = stage.active()
    result = _planned(stage, "clean stop", lambda active: active.stop(signal.SIGTERM))
    stage.wait_for(f"{node.name} has stopped", lambda: node.up.poll() is not None, 15.0)
    node.start()
    stage.settle()
    return result


def _planned(stage: Stage, name: str, act: Callable[[Node], object]) -> Result:
    node = stage.active()
    peer = stage.other(node)
    # A peer that has just come back is told of a connection when that is reported again: after the
    # refresh period and its own next packet. Until then nobody can hand over without loss.
    count = sum(group.open_now() for group in stage.held)
    stage.wait_for("the peer knows every connection", lambda: _known(peer) >= count, KNOWN_WITHIN)
    began = time.monotonic()
    act(node)
    stage.wait_for(f"{peer.name} is active", peer.is_active, 5.0)
    stage.go_on(WINDOW)
    held = _kept(stage, began, but_for="web1")
    excused = 0 if _second_chance(peer) else HALF_OPEN_MAX
    return result_of(stage, name, began, held=held, may_lose=False, excused=excused)


def _second_chance(node: Node) -> bool:
    """Does its kernel send the packets of half-open handshakes back to who was active?"""
    state = node.state()
    return state is not None and all(one.object != "nftables" for one in state.findings)


def _known(node: Node) -> int:
    """How many connections to the echo servers are established in a director's table."""
    lines = node.place.read("/proc/net/ip_vs_conn").splitlines()
    return sum(1 for line in lines if f" {ECHO_PORT:04X} " in line and "ESTABLISHED" in line)


def _weights(stage: Stage, real_server: str) -> set[int | None]:
    """The weights that a real server has in the kernels of the directors that have power."""
    return {
        node.weight(service, real_server)
        for node in stage.pair.nodes.values()
        if node.place.alive
        for service in ("web", "echo")
    }


def _kept(stage: Stage, since: float, but_for: str) -> Kept:
    """The connections held all the time, but for those to a server that was killed."""
    return sum_kept([_without(group.kept(since, 12.0), but_for) for group in stage.held])


def _without(kept: Kept, server: str) -> Kept:
    return Kept(kept.alive, tuple(one for one in kept.lost if one.server != server))


def sum_kept(groups: list[Kept]) -> Kept:
    """As one."""
    return Kept(
        sum(group.alive for group in groups), tuple(one for group in groups for one in group.lost)
    )


def result_of(
    stage: Stage,
    name: str,
    began: float,
    *,
    notes: tuple[str, ...] = (),
    wrong: list[str] | None = None,
    held: Kept | None = None,
    tally: Tally | None = None,
    may_lose: bool = True,
    excused: int = 0,
) -> Result:
    """What a step did since `began`; unless it `may_lose`, what it lost is a fault."""
    tally = tally or stage.window(began)
    held = held or Kept(0, ())
    found = list(wrong or [])
    reset = min(excused, tally.failures.get("ECONNRESET", 0))
    if reset:
        notes += (f"{reset} handshake reset: no nftables in this kernel",)
    if not may_lose:
        if tally.failed > reset:
            found.append(f"{tally.failed} requests failed: {tally.failures}")
        found += [f"lost a connection of {one.age:.1f} s: {one.why}" for one in held.lost]
    return Result(
        name=name,
        seconds=time.monotonic() - began,
        sent=tally.sent,
        lost=tally.failed - reset,
        gap_ms=tally.gap_ms,
        kept=held.alive,
        held=held.alive + len(held.lost),
        notes=notes,
        faults=tuple(found),
    )
