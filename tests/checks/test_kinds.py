"""The kinds beside TCP and HTTP against real sockets and files on this machine."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from checks.outcome import Outcome
from checks.probes import open_prober
from director.model.address import Endpoint
from director.model.check import (
    AgentCheck,
    Check,
    DnsCheck,
    FileCheck,
    NoneCheck,
    Pace,
    PingCheck,
    Target,
    TcpCheck,
    UdpCheck,
)

PACE = Pace(timeout=0.4)


def _probe(check: Check, port: int = 1, address: str = "127.0.0.1") -> Outcome:
    async def go() -> Outcome:
        prober = open_prober(type(check))
        outcome = await prober.probe(Target("t", Endpoint(address, port), check))
        await prober.close()
        return outcome

    return asyncio.run(go())


def _datagrams(answer: Callable[[bytes], bytes], check: Check) -> Outcome:
    """One probe of a UDP socket that answers each datagram so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            data, peer = sock.recvfrom(2048)
            if said := answer(data):
                sock.sendto(said, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = _probe(check, sock.getsockname()[1])
        thread.join()
    return outcome


def _stream(answer: bytes, check: Check) -> tuple[Outcome, bytes]:
    heard = b""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        writer.write(answer)
        heard = await reader.read(100)
        writer.close()

    async def go() -> Outcome:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            prober = open_prober(type(check))
            outcome = await prober.probe(Target("t", Endpoint("127.0.0.1", port), check))
            await prober.close()
        return outcome

    return asyncio.run(go()), heard


def test_a_port_that_nobody_has_is_told_by_icmp() -> None:
    """The kernel hands the unreachable to the connected socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]

    outcome = _probe(UdpCheck(pace=PACE), port)

    assert (outcome.ok, outcome.text, outcome.ours) == (False, "connection refused", False)
    assert outcome.seconds < PACE.timeout


UDP = {
    "silence": (UdpCheck(pace=PACE), b"", (True, "no answer, no error")),
    "an answer": (UdpCheck(pace=PACE, payload=b"hi"), b"hi", (True, "answered")),
    "silence where an answer is due": (
        UdpCheck(pace=PACE, must_answer=True),
        b"",
        (False, "layer7 timeout"),
    ),
    "another answer": (
        UdpCheck(pace=PACE, expect=b"yes", must_answer=True),
        b"no",
        (False, "another answer than expected"),
    ),
}


@pytest.mark.parametrize(("check", "answer", "said"), UDP.values(), ids=UDP)
def test_udp(check: UdpCheck, answer: bytes, said: tuple[bool, str]) -> None:
    outcome = _datagrams(lambda _: answer, check)

    assert (outcome.ok, outcome.text) == said


def test_dns_over_a_datagram() -> None:
    outcome = _datagrams(
        lambda data: data[:2] + b"\x81\x83" + data[4:], DnsCheck(pace=PACE, query="a.example")
    )

    assert (outcome.ok, outcome.text) == (False, "DNS NXDOMAIN")


def test_dns_that_is_cut_goes_on_over_tcp_within_the_same_time() -> None:
    """One attempt, two sockets."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))

        def serve() -> None:
            data, peer = datagrams.recvfrom(512)
            datagrams.sendto(data[:2] + b"\x83\x80" + data[4:], peer)
            conn, _ = listener.accept()
            with conn:
                asked = conn.recv(512)
                conn.sendall(asked[:4] + b"\x81\x80" + asked[6:])

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = _probe(DnsCheck(pace=PACE, query="a.example"), port)
        thread.join()

    assert (outcome.ok, outcome.text) == (True, "DNS NOERROR")


def test_tcp_that_says_what_is_expected() -> None:
    outcome, heard = _stream(b"+PONG\r\n", TcpCheck(pace=PACE, send="PING\r\n", expect="+PONG"))

    assert (outcome.text, heard) == ("layer7 ok", b"PING\r\n")


def test_an_agent() -> None:
    outcome, _ = _stream(b"drain\n", AgentCheck(pace=PACE))

    assert (outcome.ok, outcome.text, outcome.share) == (True, "agent: drain", 0.0)


def test_none_is_always_up() -> None:
    assert _probe(NoneCheck()) == Outcome(ok=True, text="not checked")


FILES = {
    b"1\n": (True, False, "file says 1"),
    b" -3 ": (True, False, "file says -3"),
    b"0": (False, False, "file says 0"),
    b"": (False, True, "no number"),
    b"yes": (False, True, "no number"),
    b"9" * 100: (False, True, "no number"),
}


@pytest.mark.parametrize(("data", "said"), FILES.items())
def test_a_number_in_a_file(data: bytes, said: tuple[bool, bool, str], tmp_path: Path) -> None:
    """What says no number takes nobody out."""
    path = tmp_path / "share"
    path.write_bytes(data)

    outcome = _probe(FileCheck(path=str(path)))

    assert (outcome.ok, outcome.ours) == said[:2]
    assert outcome.text.endswith(said[2])


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """Missing, a folder, a FIFO that nobody writes: ours, and none of them waits."""
    os.mkfifo(tmp_path / "fifo")

    texts = [_probe(FileCheck(path=f"{tmp_path}{name}")) for name in ("/gone", "", "/fifo")]

    assert [one.ours for one in texts] == [True] * 3
    assert texts[0].text.endswith("/gone: no such file or directory")


def test_ping_says_what_keeps_it_from_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that forbids ICMP sockets to this group takes no server out."""

    def forbidden(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("checks.route._socket", SimpleNamespace(socket=forbidden))

    outcome = _probe(PingCheck(pace=PACE))

    assert (outcome.ours, outcome.text) == (
        True,
        "net.ipv4.ping_group_range leaves this group out",
    )


PINGED = """
import asyncio, sys
from checks.probes.ping import open_prober
from director.model.address import Endpoint
from director.model.check import Pace, PingCheck, Target

async def go():
    for address in ("127.0.0.1", "::1", "192.0.2.1"):
        target = Target("t", Endpoint(address, 80), PingCheck(pace=Pace(timeout=1.0)))
        outcome = await open_prober().probe(target)
        print(address, outcome.ok, outcome.text)

asyncio.run(go())
"""


def test_ping_where_the_kernel_lets_this_group() -> None:
    """In a network namespace whose sysctl takes everybody: both families, and one without a route."""
    script = (
        'ip link set lo up && echo 0 2147483647 > /proc/sys/net/ipv4/ping_group_range && exec "$@"'
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, "-c", PINGED],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.stdout.splitlines() == [
        "127.0.0.1 True echo reply",
        "::1 True echo reply",
        "192.0.2.1 False network unreachable",
    ]
