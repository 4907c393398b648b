# One row a malice: what the server does, to which check, and what is said of it. Each is told no later
# than the deadline, and what a probe holds meanwhile is bounded, however much it is sent.
"""Hostile servers: every one comes to its end, on time, with the right reason."""

import asyncio
import contextlib
import socket
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from checks.outcome import Outcome
from checks.probes import http_rich, open_prober, over_tls
from director.model.address import Endpoint
from director.model.check import AgentCheck, Check, DnsCheck, HttpCheck, Pace, Target, TcpCheck, Tls

TIMEOUT = 0.4
HELD_MAX = 2 * 2**20  # bytes that one probe may hold at its worst, aiohttp and OpenSSL among them
PACE = Pace(timeout=TIMEOUT)
PLAIN = HttpCheck(pace=PACE)
KEPT = HttpCheck(pace=PACE, keep_alive=True)
BODY = HttpCheck(pace=PACE, body_regex="never")
SECRET = HttpCheck(pace=PACE, tls=Tls(verify=False))
TALKS = TcpCheck(pace=PACE, expect="never")
SECRET_TALK = TcpCheck(pace=PACE, expect="never", tls=Tls(verify=False))
AGENT = AgentCheck(pace=PACE)
QUERY = DnsCheck(pace=PACE, query="a.example", tcp=True)

LOADED = (http_rich, over_tls)  # by now, so that their own size is not a server's doing
HEAD = b"HTTP/1.1 200 OK\r\n"
CODED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LONG = HEAD + b"Content-Length: 999999\r\n\r\n"
RESET = struct.pack("ii", 1, 0)

Malice = Callable[[socket.socket], None]


def says(*pieces: bytes) -> Malice:
    """These, and then nothing; the connection stays open until the probe ends it."""

    def serve(conn: socket.socket) -> None:
        for piece in pieces:
            conn.sendall(piece)
        while conn.recv(65536):
            pass

    return serve


def floods(head: bytes, piece: bytes) -> Malice:
    """For ever, as fast as it is taken."""

    def serve(conn: socket.socket) -> None:
        conn.sendall(head)
        while True:
            conn.sendall(piece * 64)

    return serve


def drips(head: bytes, piece: bytes) -> Malice:
    """A piece every 20 ms, for ever."""

    def serve(conn: socket.socket) -> None:
        conn.sendall(head)
        conn.settimeout(0.02)
        while True:
            conn.sendall(piece)
            with contextlib.suppress(TimeoutError):
                if not conn.recv(65536):
                    return

    return serve


def resets(*pieces: bytes, heard: bool = True) -> Malice:
    """RST, before or after it was asked, and after these."""

    def serve(conn: socket.socket) -> None:
        if heard:
            conn.recv(65536)
        for piece in pieces:
            conn.sendall(piece)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    return serve


def closes(*pieces: bytes) -> Malice:
    """FIN after these."""

    def serve(conn: socket.socket) -> None:
        conn.recv(65536)
        for piece in pieces:
            conn.sendall(piece)

    return serve


@contextlib.contextmanager
def _serving(malice: Malice) -> Iterator[int]:
    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                conn, _ = listener.accept()
                with conn, contextlib.suppress(OSError):
                    malice(conn)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _probe(check: Check, malice: Malice) -> tuple[Outcome, int]:
    """The outcome, and the most bytes that were held for it."""

    async def go(port: int) -> tuple[Outcome, int]:
        prober = open_prober(type(check))
        target = Target("t", Endpoint("127.0.0.1", port), check)
        tracemalloc.start()
        try:
            outcome = await prober.probe(target)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            await prober.close()
        return outcome, most

    with _serving(malice) as port:
        return asyncio.run(go(port))


BAD = "layer7 invalid response"
LATE = "layer7 timeout"
GONE = "connection closed"
BROKEN = "connection reset"
NO_TLS = "layer6 TLS handshake failed"
CIRCLE = b"\xc0\x0c"  # the question's name points to itself
HOSTILE = {
    # the server                              the check     does                                      so
    "header fields without end":             (PLAIN,       floods(HEAD, b"X: y\r\n"),                 BAD),
    "a field without end":                   (PLAIN,       floods(HEAD + b"X: ", b"y" * 64),          BAD),
    "a status line without end":             (PLAIN,       floods(b"HTTP/1.1 200 ", b"y" * 64),       BAD),
    "100 Continue without end":              (PLAIN,       floods(b"", b"HTTP/1.1 100 C\r\n\r\n"),    BAD),
    "NULs":                                  (PLAIN,       floods(b"", b"\0"),                        BAD),
    "NUL in a field":                        (PLAIN,       says(HEAD + b"X: \0\r\n\r\n"),             BAD),
    "a byte now and then, status":           (PLAIN,       drips(b"HTTP/1.1 200 ", b"y"),             LATE),
    "a byte now and then, header":           (PLAIN,       drips(HEAD + b"X: ", b"y"),                LATE),
    "a byte now and then, kept body":        (KEPT,        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"y"), LATE),
    "a body without end, unread":            (PLAIN,       floods(HEAD + b"\r\n", b"y" * 64),         "HTTP 200"),
    "a body without end, read":              (BODY,        floods(HEAD + b"\r\n", b"y" * 64),         "HTTP 200, body does not match"),
    "a long body, kept":                     (KEPT,        floods(LONG, b"y" * 64),                   "HTTP 200"),
    "a body that drips, read":               (BODY,        drips(LONG, b"y"),                         LATE),
    "bad chunking, read":                    (BODY,        says(CODED + b"zz\r\nxx"),                 BAD),
    "a chunk without end of its size":       (BODY,        floods(CODED, b"0" * 64),                  LATE),
    "bad chunking, unread":                  (PLAIN,       says(CODED + b"zz\r\nxx"),                 "HTTP 200"),
    "a redirect to itself":                  (PLAIN,       says(b"HTTP/1.1 302 F\r\nLocation: /\r\n\r\n"), "HTTP 302"),
    "a redirect to itself, by aiohttp":      (BODY,        says(b"HTTP/1.1 302 F\r\nLocation: /\r\n\r\n"), "HTTP 302"),
    "RST before it is asked":                (PLAIN,       resets(heard=False),                       BROKEN),
    "RST when it is asked":                  (PLAIN,       resets(),                                  BROKEN),
    "FIN when it is asked":                  (PLAIN,       closes(),                                  GONE),
    "FIN in the header":                     (PLAIN,       closes(HEAD + b"X:"),                      GONE),
    "garbage in place of TLS":               (SECRET,      says(b"\x16\x03\x01\xff\xff" + b"\xa5" * 999), NO_TLS),
    "HTTP in place of TLS":                  (SECRET,      says(HEAD + b"\r\n"),                      NO_TLS),
    "silence in place of TLS":               (SECRET,      says(b""),                                 "layer4 timeout"),
    "garbage in place of TLS, tcp":          (SECRET_TALK, says(b"\xa5" * 999),                       NO_TLS),
    "silence in place of TLS, tcp":          (SECRET_TALK, says(b""),                                 "layer6 timeout"),
    "a byte of TLS now and then, tcp":       (SECRET_TALK, drips(b"\x16\x03\x03\x40\x00", b"y"),      "layer6 timeout"),
    "RST in place of TLS, tcp":              (SECRET_TALK, resets(),                                  BROKEN),
    "a flood in place of an answer":         (TALKS,       floods(b"", b"y" * 64),                    "another answer than expected"),
    "silence in place of an answer":         (TALKS,       says(b""),                                 LATE),
    "an agent's line without end":           (AGENT,       floods(b"", b"y" * 64),                    BAD),
    "an agent's words without end":          (AGENT,       drips(b"", b"up "),                        LATE),
    "an agent that resets":                  (AGENT,       resets(b"up", heard=False),                BROKEN),
    "a circle of DNS names":                 (QUERY,       says(b"\0\x12\0\0\x81\x80\0\1\0\0\0\0\0\0" + CIRCLE + b"\0\1\0\1"), BAD),
    "DNS of another length":                 (QUERY,       says(b"\xff\xff", b"y" * 100),             LATE),
    "DNS of no length":                      (QUERY,       says(b"\0\0"),                             BAD),
    "a flood of DNS":                        (QUERY,       floods(b"\xff\xff", b"y" * 64),            BAD),
}  # fmt: skip


@pytest.mark.parametrize(("check", "malice", "text"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_server(check: Check, malice: Malice, text: str) -> None:
    outcome, most = _probe(check, malice)

    assert (outcome.text, outcome.ours) == (text, False)
    assert outcome.ok == (text == "HTTP 200")
    assert outcome.seconds < 1.5 * TIMEOUT
    assert (outcome.seconds >= TIMEOUT) == text.endswith("timeout")
    assert most < HELD_MAX


def test_a_circle_of_names_in_a_datagram() -> None:
    """
    It is no answer to our question: passed over, and the deadline comes.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            data, peer = sock.recvfrom(512)
            sock.sendto(data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + CIRCLE + data[-4:], peer)

        thread = threading.Thread(target=serve)
        thread.start()

        async def go() -> Outcome:
            prober = open_prober(DnsCheck)
            check = DnsCheck(pace=PACE, query="a.example")
            return await prober.probe(
                Target("t", Endpoint("127.0.0.1", sock.getsockname()[1]), check)
            )

        outcome = asyncio.run(go())
        thread.join()

    assert (outcome.ok, outcome.text) == (False, LATE)
