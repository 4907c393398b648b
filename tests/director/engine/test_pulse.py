"""engine/pulse: datagrams on the loopback, from ports in turn."""

import socket

import pytest
import trio

from director.engine import pulse
from director.engine.pulse import beat
from director.policy.pulse import ADDRESS, Pulse

pytestmark = pytest.mark.trio
PULSE = Pulse("127.88.7.7", count=2, every=0.01, ports=3)
WITHIN = 10.0
HERE = 18849  # not the port of a director that may run on this host


async def heard(count: int) -> list[tuple[str, int]]:
    """The senders of the next datagrams, to whoever listens where the pulse goes."""
    listener = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    await listener.bind((ADDRESS, HERE))
    with trio.fail_after(WITHIN):
        found = [(await listener.recvfrom(16))[1] for _ in range(count)]
    listener.close()
    return found


async def test_ports_go_round(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the node's own address; the fourth datagram has the first one's port again."""
    monkeypatch.setattr(pulse, "PORT", HERE)
    monkeypatch.setattr(pulse, "_sink", socket.socket)
    nursery.start_soon(beat, PULSE, lambda: True)

    senders = await heard(7)

    assert {address for address, _ in senders} == {"127.88.7.7"}
    ports = [port for _, port in senders]
    assert ports[:4] == ports[3:]
    assert sorted(set(ports)) == [10000, 10001, 10002]


async def test_who_is_not_active_is_silent(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins when the node becomes active."""
    monkeypatch.setattr(pulse, "PORT", HERE)
    monkeypatch.setattr(pulse, "LOOK_AGAIN_AFTER", 0.01)
    monkeypatch.setattr(pulse, "_sink", socket.socket)
    asked: list[bool] = []

    def active() -> bool:
        asked.append(len(asked) >= 5)
        return asked[-1]

    nursery.start_soon(beat, PULSE, active)
    (first,) = await heard(1)

    assert first == ("127.88.7.7", 10000)
    assert asked[:6] == [False] * 5 + [True]


async def test_two_directors_in_one_namespace_both_go_on(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The place where datagrams end is taken: it is said, and nothing stops."""
    monkeypatch.setattr(pulse, "PORT", HERE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((ADDRESS, HERE))
        taken.setblocking(False)
        nursery.start_soon(beat, PULSE, lambda: True)
        with trio.fail_after(WITHIN):
            await trio.lowlevel.wait_readable(taken)

    assert "cannot bind 127.88.0.1:18849" in caplog.text
