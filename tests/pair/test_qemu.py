"""A director pair on a distribution's kernel, emulated: slower by much, and all the same right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from director.drill import doubles, handshakes, steps
from director.drill.host import run_folder
from director.drill.stage import Stage, set_stage

pytestmark = [pytest.mark.drill, pytest.mark.full]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with run_folder(Path(".build", "drill")) as folder, set_stage(folder, engine="qemu") as stage:
        yield stage


def test_a_pair_on_a_distributions_kernel_serves(stage: Stage) -> None:
    """One of two directors is active, and the client is answered by all real servers."""
    before = stage.requests.snapshot()

    stage.requests.wait_for(before.ok + 100)

    tally = stage.requests.between(before, stage.requests.snapshot())
    assert (tally.failed, set(tally.servers)) == (0, {"web1", "web2", "web3"})
    assert stage.active().place.read("/proc/version").startswith("Linux version 6")


def test_half_open_handshakes_have_a_second_chance(stage: Stage) -> None:
    """
    Their ACKs come to the new active director, whose IPVS does not know them; it sends them on to
    the old one, and all become established.
    """
    result = handshakes.half_open(stage)

    print(result.notes)
    assert result.faults == ()
    assert result.kept == handshakes.COUNT


def test_a_hand_over_loses_no_request(stage: Stage) -> None:
    """Not even one whose handshake is under way."""
    result = steps.hand_over(stage)

    assert result.faults == ()
    assert result.lost == 0


def test_a_director_that_stood_still_yields(stage: Stage) -> None:
    """Stopped from outside: its clock has jumped, and it leaves the VIP to the peer."""
    result = doubles.pause_active(stage)

    print(result.notes)
    assert result.faults == ()


def test_a_director_whose_clock_stood_still_is_active_for_an_interval_at_most(stage: Stage) -> None:
    """
    Stopped together with its clock it cannot know that it was away, and answers until the two have
    heard each other: within an advert's interval one of them yields.
    """
    result = doubles.freeze_active(stage)

    print(result.notes)
    assert result.faults == ()
