"""The load generator's own decisions, without its loop."""

import socket

import pytest

from director.drill.load import Held, Holding, Reporter, Row

DUE_EVERY, PATIENCE = 60.0, 30.0


def test_a_poked_connection_sends_before_it_is_due() -> None:
    """Once, and not again until it is due or poked."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    held = Held(0, ours, 1.0)
    held.opened = held.proved = 1.0
    holding = Holding(("", 0), count=1, every=DUE_EVERY, patience=PATIENCE, open_within=PATIENCE)
    holding._all.append(held)

    with ours, theirs:
        holding._tend(held, 2.0)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        holding.poke()
        holding._tend(held, 3.0)
        first = theirs.recv(2)
        held.proved = held.sent
        holding._tend(held, 4.0)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)

    assert (first, held.sent) == (b".", 3.0)


def test_a_poked_connection_waits_for_its_echo_first() -> None:
    """What was asked of it is not forgotten: it sends as soon as the echo has come."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    held = Held(0, ours, 2.0)
    held.opened = held.proved = 1.0
    holding = Holding(("", 0), count=1, every=DUE_EVERY, patience=PATIENCE, open_within=PATIENCE)
    holding._all.append(held)

    with ours, theirs:
        holding.poke()
        holding._tend(held, 3.0)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        held.proved = held.sent
        holding._tend(held, 4.0)
        sent = theirs.recv(2)

    assert sent == b"."


class OneReport(Reporter):
    """Ends the loop with the first report."""

    def tell(self, now: float, settled: float, rows: list[Row]) -> None:  # noqa: ARG002
        raise KeyboardInterrupt


@pytest.mark.parametrize(("pace", "want"), [(0.0, 3), (60.0, 1)])
def test_connections_are_begun_at_their_pace(pace: float, want: int) -> None:
    """All at once without one; else none before its time, and the first at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        holding = Holding(
            server.getsockname(),
            count=3,
            every=DUE_EVERY,
            patience=PATIENCE,
            open_within=PATIENCE,
            pace=pace,
        )

        with pytest.raises(KeyboardInterrupt):
            holding.run(OneReport())

    assert len(holding._all) == want
    for held in holding._all:
        held.sock.close()
