"""A table that somebody clears on the active director, on a real pair under load."""

import time

import pytest

from director.drill import steps
from director.drill.stage import HELD, Stage

pytestmark = [pytest.mark.drill, pytest.mark.full]

MOVED_WITHIN = 1.0  # seconds: a canary, a reading of an empty table, a hand-over


def test_a_lost_table_hands_over_to_where_the_connections_live(stage: Stage) -> None:
    """
    `ipvsadm -C`: the peer is active before the table stands again, and connections that sent nothing
    in between go on there; the table stands again by itself, and nothing moves back.
    """
    node = stage.active()
    peer = stage.other(node)
    count = sum(group.open_now() for group in stage.held)
    stage.wait_for("the peer knows every connection", lambda: steps._known(peer) >= count, 25.0)

    began = time.monotonic()
    node.place.run(["ipvsadm", "-C"])
    moved = stage.wait_for(f"{peer.name} is active", peer.is_active, 5.0)
    stage.wait_for("the table stands again", lambda: node.weight("web", "web2") == 100, 5.0)
    stage.go_on(12.0)
    busy, slow = (group.kept(began, 12.0) for group in stage.held)
    tally = stage.window(began)

    print(
        f"moved after {moved:.2f} s; kept {slow.alive} slow and {busy.alive} busy of {HELD} each; "
        f"{tally.failed} of {tally.sent} requests failed, {tally.gap_ms:.0f} ms without an answer"
    )
    assert moved <= MOVED_WITHIN
    assert slow.alive >= HELD - 2
    assert stage.active() is peer
    state = node.state()
    assert state is not None
    assert state.kernel.repairs["service lost"] >= 2
