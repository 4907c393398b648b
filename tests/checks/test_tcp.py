"""TCP probes against real sockets on loopback."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator

import pytest

from checks.lane import Lane
from checks.outcome import Outcome
from checks.probes.tcp import open_prober
from checks.talk import Talk
from director.model.address import Endpoint
from director.model.check import Pace, Target, TcpCheck

TIMEOUT = 0.4


def _probe(address: str, port: int) -> Outcome:
    target = Target("t", Endpoint(address, port), TcpCheck(pace=Pace(timeout=TIMEOUT)))

    async def go() -> Outcome:
        prober = open_prober()
        outcome = await prober.probe(target)
        await prober.close()
        return outcome

    return asyncio.run(go())


@contextlib.contextmanager
def _listener(address: str, backlog: int = 16) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((address, 0))
        sock.listen(backlog)
        yield sock.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_up_when_a_connection_opens(address: str) -> None:
    with _listener(address) as port:
        outcome = _probe(address, port)

    assert (outcome.ok, outcome.text) == (True, "layer4 ok")
    assert 0 < outcome.seconds < TIMEOUT


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_down_when_refused(address: str) -> None:
    with _listener(address) as port:
        pass

    outcome = _probe(address, port)

    assert (outcome.ok, outcome.text) == (False, "connection refused")
    assert outcome.seconds < TIMEOUT


def test_down_at_the_deadline_when_nobody_answers() -> None:
    """
    A full accept queue drops the SYN, as a dead host would.
    """
    with _listener("127.0.0.1", backlog=0) as port, contextlib.ExitStack() as fillers:
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        outcome = _probe("127.0.0.1", port)

    assert outcome == Outcome(ok=False, text="layer4 timeout", seconds=outcome.seconds)
    assert TIMEOUT <= outcome.seconds < 1.5 * TIMEOUT


def test_no_descriptor_left_is_ours() -> None:
    """
    Our own shortage is an outcome that nobody counts against the server.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def go(port: int) -> Outcome:
        heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        target = Target("t", Endpoint("127.0.0.1", port), TcpCheck())
        async with Lane() as lane:
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                lane.start(target, Talk(), lambda _attempt, outcome: heard.set_result(outcome))
                return await heard
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    with _listener("127.0.0.1") as port:
        outcome = asyncio.run(go(port))

    assert (outcome.text, outcome.ours) == ("too many open files", True)
