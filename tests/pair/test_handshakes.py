# A kernel without nftables for IPv4 (User-Mode Linux) shows what is lost without the second chance.
"""What is half open when a VIP moves, and who asks whom."""

from collections.abc import Iterator

import pytest

from director.drill import handshakes
from director.drill.stage import Stage

pytestmark = [pytest.mark.drill, pytest.mark.full]


@pytest.fixture
def loud(stage: Stage) -> Iterator[None]:
    """Released VIPs do not linger: the interface would answer ARP for them."""
    for node in stage.pair.nodes.values():
        node.place.set_sysctls({"net.ipv4.conf.all.arp_ignore": "3"})
    yield
    for node in stage.pair.nodes.values():
        node.place.set_sysctls({"net.ipv4.conf.all.arp_ignore": "0"})


def test_who_still_asks_the_old_one_is_served_by_it(stage: Stage) -> None:
    """Release is mute: half-open handshakes go on where they began."""
    result = handshakes.half_open_stale(stage)

    assert result.faults == ()
    assert result.kept == handshakes.COUNT


@pytest.mark.usefixtures("loud")
def test_without_a_mute_release_they_are_lost(stage: Stage) -> None:
    """The same, and the VIP is taken off with nothing in its place."""
    result = handshakes.half_open_stale(stage)

    assert result.faults != ()


def test_without_a_second_chance_they_are_lost(stage: Stage) -> None:
    """This kernel has no nftables for IPv4: the new active director answers RST."""
    result = handshakes.half_open(stage)

    assert result.faults != ()


def test_a_wrong_neighbour_is_corrected_by_the_next_announcement(stage: Stage) -> None:
    """Whoever heard the old one last is told again, once that has reported its release."""
    result = handshakes.wrong_neighbour(stage)

    assert result.faults == ()
