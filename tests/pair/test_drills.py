"""The main job on a real pair: what clients see while things die, move and return."""

import json
import signal
from collections.abc import Callable

import pytest

from director.drill import doubles, faults, steps
from director.drill.clients import Requests
from director.drill.reloads import reload_file
from director.drill.stage import VIP, Stage

pytestmark = pytest.mark.drill

PSS_MAX_MIB = 150


def test_a_steady_pair_loses_nothing(stage: Stage) -> None:
    """Nothing happens, nothing is lost, every real server has its share."""
    result = steps.steady(stage)

    assert result.faults == ()
    assert result.sent > 100


def test_a_dead_real_server_gets_no_new_connection(stage: Stage) -> None:
    """
    Weight 0 in the kernel within fall * interval + timeout, nothing new goes there after; it
    returns by itself and gets its share again.
    """
    dies = steps.real_server_dies(stage)
    returns = steps.real_server_returns(stage)

    assert dies.faults == ()
    assert returns.faults == ()
    assert returns.lost == 0


def test_a_quiesced_real_server_keeps_its_connections(stage: Stage) -> None:
    """Maintenance: no new connections, none of the old is lost, and it is undone."""
    result = steps.quiesce(stage)

    assert result.faults == ()
    assert (result.lost, result.kept) == (0, result.held)


def test_a_reload_loses_nothing(stage: Stage) -> None:
    """A server and a service go and come, a weight changes, a wrong file changes nothing."""
    result = reload_file(stage)

    assert result.faults == ()
    assert result.lost == 0


def test_a_hand_over_loses_nothing(stage: Stage) -> None:
    """`director failover --wait`: no request fails, no connection breaks."""
    result = steps.hand_over(stage)

    assert result.faults == ()
    assert (result.lost, result.kept) == (0, result.held)


def test_a_clean_stop_loses_nothing(stage: Stage) -> None:
    """SIGTERM to the active director: the peer is active before the VIPs leave."""
    result = steps.clean_stop(stage)

    assert result.faults == ()
    assert (result.lost, result.kept) == (0, result.held)


def test_a_power_cut_keeps_mature_connections(stage: Stage) -> None:
    """
    The VIP answers from the peer within 3 * interval + skew + 100 ms; connections of 5 s and more
    go on; the dead director returns as backup and disturbs nobody.
    """
    cut = steps.power_cut(stage)
    returns = steps.power_returns(stage)

    assert cut.faults == ()
    assert cut.kept == cut.held == 20
    assert returns.faults == ()


@pytest.mark.full
def test_a_director_that_stood_still_does_not_come_back_as_active(stage: Stage) -> None:
    """
    SIGSTOP for 2 s: the peer takes over in time; after SIGCONT it yields unasked, so that the VIP is
    never answered for twice.
    """
    result = doubles.pause_active(stage)

    print(result.notes)
    assert result.faults == ()


@pytest.mark.full
def test_a_one_way_split_ends_with_the_next_advert(stage: Stage) -> None:
    """Both answer while the backup is deaf; it yields to the first advert that it hears."""
    result = doubles.one_way_split(stage)

    print(result.notes)
    assert result.faults == ()


def test_nat_answers_through_the_director(stage: Stage) -> None:
    """
    The service with other ports on its real server, by NAT, before and after a hand-over. Of those
    under way at the move a few may fail: the real server's answer meets the new gateway before
    that knows the connection, and answers have no second chance.
    """
    requests = Requests(stage.client, VIP, 8080)
    try:
        requests.wait_for(20)
        before = requests.snapshot()
        steps.hand_over(stage)
        after = requests.snapshot()
        requests.wait_for(20)
        moving = requests.between(before, after)
        moved = requests.between(after, requests.snapshot())
    finally:
        requests.stop()

    assert moving.failed <= steps.HALF_OPEN_MAX
    assert moved.failed == 0
    assert set(moving.servers) == set(moved.servers) == {"app1"}


def test_a_killed_engine_takes_no_capacity_along(stage: Stage) -> None:
    """SIGKILL of the active director's engine: the table stands, the next engine adopts it."""
    node = stage.active()
    before = stage.requests.snapshot()
    state = node.state()
    assert state is not None
    pid = stage.pid_of(node, "engine")

    node.place.run(["kill", "-KILL", str(pid)])
    stage.wait_for("another engine", lambda: stage.pid_of(node, "engine") not in (None, pid), 15.0)
    stage.settle()
    tally = stage.requests.between(before, stage.requests.snapshot())

    assert tally.failed == 0
    assert stage.active() is node


def test_a_killed_director_loses_its_vip_by_itself(stage: Stage) -> None:
    """
    SIGKILL of every process of the active director, kernel alive: the peer is active first, then
    the lease ends and the VIP leaves the dead one.
    """
    node = stage.active()
    peer = stage.other(node)

    # Stopped first, for the others would end in order when the supervisor dies.
    pids = [str(stage.pid_of(node, name)) for name in ("vrrp", "engine", "checks")]
    node.place.run(["kill", "-STOP", str(node.up.pid), *pids])
    node.place.run(["kill", "-KILL", str(node.up.pid), *pids])
    stage.wait_for("the peer is active", peer.is_active, 5.0)
    held = ["ip", "-br", "addr", "show", "dev", "eth0"]
    assert VIP in node.place.run(held).stdout
    stage.wait_for("the lease ends", lambda: VIP not in node.place.run(held).stdout, 3.0)
    node.start()


@pytest.mark.full
def test_a_killed_supervisor_takes_its_processes_along(stage: Stage) -> None:
    """SIGKILL of `director up` alone: the others end in order, no orphan is left to hold the VIP."""
    node = stage.active()
    peer = stage.other(node)

    faults.kill(node.up)
    stage.wait_for("the peer is active", peer.is_active, 5.0)
    stage.wait_for("no process is left", lambda: stage.sizes(node) == {}, 15.0)
    node.start()
    stage.settle()

    assert peer.is_active()


def test_status_says_what_is_there(stage: Stage) -> None:
    """For a person one screen, for a program the contract's shape; exit 0 when all is well."""
    node = stage.active()

    text = node.command("status")
    state = json.loads(node.command("status", "--json"))

    assert text.startswith(f"{node.name}: well")
    assert "web1" in text
    assert state["format"] == 1
    assert state["well"] is True
    assert state["virtual_routers"][0]["role"] == "active"
    web = next(one for one in state["services"] if one["name"] == "web")
    assert [one["weight"]["kernel"] for one in web["destinations"]] == [100, 100, 100]


def test_one_director_is_small(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    """All processes of an idle director, shared pages counted once: 150 MiB at most."""
    node = stage.other(stage.active())

    sizes = stage.sizes(node)

    for name, size in sizes.items():
        record_property(f"pss_mib_{name}", round(size, 1))
    print({name: round(size, 1) for name, size in sizes.items()})
    assert set(sizes) >= {"up", "engine", "vrrp", "checks"}
    assert sum(sizes.values()) <= PSS_MAX_MIB


def test_a_stopped_director_can_be_stopped_again(stage: Stage) -> None:
    """SIGTERM to the backup changes nothing for anybody."""
    node = stage.other(stage.active())
    before = stage.requests.snapshot()

    node.stop(signal.SIGTERM)
    assert node.up.wait() == 0
    node.start()
    stage.settle()

    assert stage.requests.between(before, stage.requests.snapshot()).failed == 0
