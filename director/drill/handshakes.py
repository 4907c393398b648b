# The three things that make a hand-over lose nothing, each with a step that fails without it.
#
# A handshake is kept half open by the client's own firewall, which drops its ACKs for a while: the
# client has had its SYN-ACK, the real server and the director wait for the ACK. Such a connection
# is known to the old active director alone (the kernel syncs what is established), and so are the
# packets that end it.
"""Steps: handshakes half open at a hand-over, hosts that ask the old director."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from director.drill.clients import HeldConnections
from director.drill.pair import DIRECTOR, Node
from director.drill.places import DrillError
from director.drill.stage import BUSY_EVERY, ECHO_PORT, VIP, Result, Stage
from director.drill.steps import WINDOW, result_of
from director.drill.topology import mac_of

COUNT = 20
DEVICE = "eth0"  # of the client, on the wire of the VIP
WITHIN = 5.0
PATIENCE = 60.0  # of the client with its handshakes: an emulated machine takes its time
RELEARNT_WITHIN = 1.0  # seconds from a release to the heir's second announcement, and some
ACKS_STAY = f"""
table ip drill_acks {{
  chain out {{
    type filter hook output priority 0;
    ip daddr {VIP} tcp dport {ECHO_PORT} tcp flags & (syn | ack | rst) == ack drop
  }}
}}
"""


# `director failover`, started and ready to run: on an emulated machine its start takes seven
# seconds, and the client's retries then come so seldom that no chance is long enough for them.
AT_A_WORD = """
import sys
import time
from pathlib import Path

from director.cli.main import main
import director.cli.operate

ready, word = map(Path, sys.argv[1:])
ready.touch()
while not word.exists():
    time.sleep(0.01)
sys.exit(main(["failover"]))
"""
READY, WORD = "/run/drill-ready", "/run/drill-word"


def half_open(stage: Stage) -> Result:
    """20 handshakes are half open when the VIP moves, and go on at the new active director."""
    return _move(stage, "half-open handshakes", stale=False)


def half_open_stale(stage: Stage) -> Result:
    """The same, with a client that goes on sending to the old one for as long as that lingers."""
    return _move(stage, "half open, stale neighbour", stale=True)


def wrong_neighbour(stage: Stage) -> Result:
    """A client that is told the old MAC after the move learns the new one by the next burst."""
    old = stage.active()
    new = stage.other(old)
    began = time.monotonic()
    old.command("failover", "--wait")
    with _neighbour(stage, old, "reachable"):
        took = stage.wait_for("the client knows the new MAC", lambda: _knows(stage, new), 7.0)
    stage.go_on(WINDOW)
    wrong = [] if took < RELEARNT_WITHIN else [f"the client knew the new MAC after {took:.2f} s"]
    note = f"corrected after {took:.2f} s"
    return result_of(stage, "wrong neighbour", began, notes=(note,), wrong=wrong)


def _move(stage: Stage, name: str, *, stale: bool) -> Result:
    old = stage.active()
    new = stage.other(old)
    command = old.place.start([DIRECTOR[0], "-c", AT_A_WORD, READY, WORD], name="failover")
    stage.wait_for("a command that waits", lambda: _is_there(old, READY), PATIENCE)
    with _acks_stay(stage):
        held = HeldConnections(
            stage.client, VIP, ECHO_PORT, count=COUNT, every=BUSY_EVERY, open_within=PATIENCE
        )
        half = stage.wait_for("half-open handshakes", lambda: _half_open(old) >= COUNT, WITHIN)
        with _neighbour(stage, old, "permanent" if stale else ""):
            began = time.monotonic()
            old.place.write(WORD, "")
            stage.wait_for(f"{new.name} is active", new.is_active, WITHIN * stage.lab.slower)
            _let_acks_go(stage)
            wrong = _opened(held)
            command.wait()
            old.place.run(["rm", READY, WORD])
    kept = held.kept(time.monotonic(), 12.0)
    wrong += [f"lost {one.number} after {one.age:.1f} s: {one.why}" for one in kept.lost]
    held.stop()
    stage.go_on(WINDOW)
    note = f"{COUNT} half open after {half:.2f} s, {_sent_on(new)} packets sent on"
    return result_of(stage, name, began, notes=(note,), wrong=wrong, held=kept)


def _is_there(node: Node, path: str) -> bool:
    return node.place.run(["test", "-e", path], check=False).status == 0


def _opened(held: HeldConnections) -> list[str]:
    try:
        held.wait_until_open(WITHIN)
    except DrillError as error:
        return [str(error)]
    lost = COUNT - held.open_now()
    return [f"{lost} of {COUNT} half-open handshakes ended"] if lost else []


def _half_open(node: Node) -> int:
    """Handshakes to the echo servers that wait for an ACK in a director's table."""
    lines = node.place.read("/proc/net/ip_vs_conn").splitlines()
    return sum(1 for line in lines if f" {ECHO_PORT:04X} " in line and "SYN_RECV" in line)


def _sent_on(node: Node) -> int:
    """Packets that a director's second chance has sent to the one before; 0 without nftables."""
    shown = node.place.run(["nft", "list", "chain", "ip", "director", "unknown"], check=False)
    words = " ".join(line for line in shown.stdout.splitlines() if "dup to" in line).split()
    return sum(int(words[at + 1]) for at, word in enumerate(words) if word == "packets")


@contextmanager
def _acks_stay(stage: Stage) -> Iterator[None]:
    stage.client.run(["nft", ACKS_STAY])
    try:
        yield
    finally:
        _let_acks_go(stage)


def _let_acks_go(stage: Stage) -> None:
    stage.client.run(["nft", "delete table ip drill_acks"], check=False)


@contextmanager
def _neighbour(stage: Stage, node: Node, kind: str) -> Iterator[None]:
    """The client sends what is for the VIP to this node; `kind` as in ip-neighbour(8), "": no."""
    mac = mac_of(node.name, stage.lab.spec, 0)
    entry = [VIP, "lladdr", mac, "dev", DEVICE]
    if kind:
        stage.client.run(["ip", "neigh", "replace", *entry, "nud", kind])
    try:
        yield
    finally:
        if kind == "permanent":
            stage.client.run(["ip", "neigh", "del", *entry], check=False)


def _knows(stage: Stage, node: Node) -> bool:
    shown = stage.client.run(["ip", "neigh", "show", VIP, "dev", DEVICE]).stdout
    return mac_of(node.name, stage.lab.spec, 0) in shown
