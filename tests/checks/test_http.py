"""HTTP probes against servers on loopback that behave, and many that do not."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.outcome import Outcome
from checks.probes import Prober
from checks.probes.http import open_prober
from checks.probes.http_rich import RichProber
from director.model.address import Endpoint
from director.model.check import HttpCheck, Pace, Target

TIMEOUT = 0.4
PERIOD = 0.03

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers every connection in one way, and remembers the requests."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[bytes] = []
        self.port = 0
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await self._answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def running(self, address: str = "127.0.0.1") -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, address, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks)
            await server.wait_closed()


def _probe(
    answer: Answer, check: HttpCheck | None = None, by: Callable[[], Prober] = open_prober
) -> tuple[Outcome, Server]:
    check = check or HttpCheck(pace=Pace(timeout=TIMEOUT))
    server = Server(answer)

    async def go() -> Outcome:
        prober = by()
        async with server.running():
            target = Target("t", Endpoint("127.0.0.1", server.port), check)
            outcome = await prober.probe(target)
            await prober.close()
        return outcome

    return asyncio.run(go()), server


def _says(data: bytes) -> Answer:
    """Say it and keep the connection open."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await reader.read()

    return answer


def _hangs_up(data: bytes = b"") -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


def _repeats(head: bytes, again: bytes, period: float = 0.0) -> Answer:
    """Say `head` and then `again` for ever, every `period` seconds."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(again)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(period):
                    await reader.read()

    return answer


async def _resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
MOVED = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
COOKIE = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
ZIPPED = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!"
STATUS = b"HTTP/1.1 200 OK\r\n"

TWO_LENGTHS = STATUS + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"
INVALID = "layer7 invalid response"
RESET = "connection reset"
CLOSED = "connection closed"

PROMPT = {
    # the server                            does                                    so
    "answers 200":                         (_says(OK),                              "HTTP 200"),
    "answers 200 and closes":              (_hangs_up(OK),                          "HTTP 200"),
    "answers 204":                         (_says(b"HTTP/1.1 204 No\r\n\r\n"),      "HTTP 204"),
    "answers as HTTP/1.0":                 (_hangs_up(b"HTTP/1.0 200 OK\r\n\r\n"),  "HTTP 200"),
    "answers 503":                         (_says(OK.replace(b"200", b"503")),      "HTTP 503"),
    "redirects: not followed":             (_says(MOVED),                           "HTTP 302"),
    "says gzip and is not: not unpacked":  (_says(ZIPPED),                          "HTTP 200"),
    "sends a body without end: not read":  (_repeats(STATUS + b"\r\n", b"x" * 999), "HTTP 200"),
    "talks something else":                (_says(b"220 mail ESMTP\r\n"),           INVALID),
    "talks binary":                        (_says(bytes(range(256)) * 9),           INVALID),
    "sends fields without end":            (_repeats(STATUS, b"X: y\r\n" * 99),     INVALID),
    "sends a field without end":           (_repeats(STATUS + b"X: ", b"y" * 999),  INVALID),
    "sends a reason without end":          (_repeats(b"HTTP/1.1 200 ", b"y" * 999), INVALID),
    "sends two lengths":                   (_says(TWO_LENGTHS),                     INVALID),
    "resets":                              (_resets,                                RESET),
    "closes without a word":               (_hangs_up(),                            CLOSED),
    "closes in the header":                (_hangs_up(STATUS + b"X: y\r\n"),        CLOSED),
}  # fmt: skip


BOTH_WAYS = pytest.mark.parametrize("by", [open_prober, RichProber], ids=["lane", "aiohttp"])


@BOTH_WAYS
@pytest.mark.parametrize(("answer", "text"), PROMPT.values(), ids=PROMPT)
def test_the_verdict_comes_at_once(answer: Answer, text: str, by: Callable[[], Prober]) -> None:
    """
    One probe is one connection and one request, whatever the server does with it, and the same
    verdict whichever way it goes.
    """
    outcome, server = _probe(answer, by=by)

    assert (outcome.text, outcome.ours) == (text, False)
    assert outcome.ok == text.startswith("HTTP 20")
    assert outcome.seconds < TIMEOUT
    assert len(server.requests) == 1


SLOW = {
    "says nothing": _says(b""),
    "stops in the status line": _says(b"HTTP/1.1 2"),
    "stops in the header": _says(STATUS + b"X: y"),
    "sends a byte now and then": _repeats(STATUS + b"X: ", b"y", PERIOD),
    "sends 100 for ever": _repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", PERIOD),
}


@BOTH_WAYS
@pytest.mark.parametrize("answer", SLOW.values(), ids=SLOW)
def test_the_deadline_is_total(answer: Answer, by: Callable[[], Prober]) -> None:
    """
    Bytes that trickle in buy no time: the verdict comes a timeout after the connect.
    """
    outcome, _ = _probe(answer, by=by)

    assert outcome == Outcome(ok=False, text="layer7 timeout", seconds=outcome.seconds)
    assert TIMEOUT <= outcome.seconds < 1.5 * TIMEOUT


@BOTH_WAYS
def test_the_request_is_what_the_file_says(by: Callable[[], Prober]) -> None:
    check = HttpCheck(path="/a/../%7Eb?c=d%20e", host="www.example.com", pace=Pace(timeout=TIMEOUT))

    _, server = _probe(_says(OK), check, by)

    line, *fields = server.requests[0].decode().removesuffix("\r\n\r\n").split("\r\n")
    assert line == "GET /a/../%7Eb?c=d%20e HTTP/1.1"
    assert sorted(fields) == [
        "Accept: */*",
        "Connection: close",
        "Host: www.example.com",
        "User-Agent: director-check",
    ]


@BOTH_WAYS
def test_every_part_of_a_request(by: Callable[[], Prober]) -> None:
    """
    Method, headers (also in place of our own) and a body with its length.
    """
    check = HttpCheck(
        method="POST",
        headers=(("X-Check", "yes"), ("user-agent", "me")),
        body="{}",
        pace=Pace(timeout=TIMEOUT),
    )

    outcome, server = _probe(_says(OK), check, by)

    line, *fields = server.requests[0].decode().removesuffix("\r\n\r\n").split("\r\n")
    assert outcome.text == "HTTP 200"
    assert line == "POST / HTTP/1.1"
    assert {"X-Check: yes", "user-agent: me", "Content-Length: 2"} < set(fields)
    assert "user-agent: director-check" not in {field.lower() for field in fields}


BODIES = {
    b"status: ok\n": "HTTP 200",
    b"x" * 8000 + b" ok": "HTTP 200",
    b"x" * 8192 + b" ok": "HTTP 200, body does not match",
    b"status: failing": "HTTP 200, body does not match",
}


@pytest.mark.parametrize(("body", "text"), BODIES.items(), ids=range(len(BODIES)))
def test_a_pattern_in_the_body(body: bytes, text: str) -> None:
    """
    It is looked for in the first 8 KiB, with the body's chunks joined.
    """
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (body[:half], body[half:]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    check = HttpCheck(body_regex=r"\bok\b", pace=Pace(timeout=TIMEOUT))

    outcome, _ = _probe(_says(head + chunks + b"0\r\n\r\n"), check)

    assert (outcome.ok, outcome.text) == (text == "HTTP 200", text)


def test_the_host_is_the_address_when_the_file_names_none() -> None:
    _, server = _probe(_says(OK))

    assert f"\r\nHost: 127.0.0.1:{server.port}\r\n".encode() in server.requests[0]


def test_a_cookie_is_not_kept() -> None:
    server = Server(_says(COOKIE))

    async def go() -> None:
        prober = open_prober()
        async with server.running():
            target = Target("t", Endpoint("127.0.0.1", server.port), HttpCheck())
            await prober.probe(target)
            await prober.probe(target)
            await prober.close()

    asyncio.run(go())

    assert len(server.requests) == 2
    assert server.requests[1] == server.requests[0]


@pytest.mark.parametrize(
    ("status", "wanted", "ok"),
    [
        (200, ((200, 299),), True),
        (299, ((200, 299),), True),
        (300, ((200, 299),), False),
        (199, ((200, 299),), False),
        (404, ((200, 200), (404, 404)), True),
        (403, ((200, 200), (404, 404)), False),
    ],
)
def test_the_wanted_status(status: int, wanted: tuple[tuple[int, int], ...], ok: bool) -> None:
    check = HttpCheck(status=wanted, pace=Pace(timeout=TIMEOUT))

    outcome, _ = _probe(_hangs_up(OK.replace(b"200", str(status).encode())), check)

    # An informational answer is never the last word, so nothing follows it here.
    assert outcome.ok == ok


def test_an_address_of_ipv6() -> None:
    server = Server(_says(OK))

    async def go() -> Outcome:
        prober = open_prober()
        async with server.running("::1"):
            outcome = await prober.probe(Target("t", Endpoint("::1", server.port), HttpCheck()))
            await prober.close()
        return outcome

    assert asyncio.run(go()).text == "HTTP 200"
    assert f"\r\nHost: [::1]:{server.port}\r\n".encode() in server.requests[0]


def test_refused_and_unanswered_are_layer_4() -> None:
    """
    Before a connection stands, faults have the words of a TCP probe.
    """

    async def go(port: int) -> Outcome:
        prober = open_prober()
        check = HttpCheck(pace=Pace(timeout=TIMEOUT))
        outcome = await prober.probe(Target("t", Endpoint("127.0.0.1", port), check))
        await prober.close()
        return outcome

    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        unanswered = asyncio.run(go(port))
    refused = asyncio.run(go(port))

    assert (unanswered.ok, unanswered.text) == (False, "layer4 timeout")
    assert TIMEOUT <= unanswered.seconds < 1.5 * TIMEOUT
    assert (refused.ok, refused.text) == (False, "connection refused")


PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK", b"HTTP/1.1 ", b"HTTP/9.9 999 \xff", b"\r\n", b"\n", b"\r", b":", b" ",
        b"Content-Length: ", b"Content-Length: -1", b"Transfer-Encoding: chunked", b"chunked",
        b"Set-Cookie: \xff=\x00;", b"Location: http://[", b"Content-Type: \xc3(", b"0", b"ffffffff",
        b"Connection: upgrade", b"Upgrade: websocket", b"Link: <", b"\x00", b"HTTP/1.1 101 Switch",
        b"Content-Encoding: br", b"99999999999999999999",
    ]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(data=st.lists(PIECES | st.binary(max_size=12), max_size=24).map(b"".join))
def test_no_answer_makes_a_probe_raise(data: bytes) -> None:
    """
    A stranger's bytes are an outcome, whatever they are; an exception would end the worker.
    """
    outcome, _ = _probe(_hangs_up(data))

    assert outcome.text != ""
    assert not outcome.ours
