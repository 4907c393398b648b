"""The lane against real sockets: kept connections, ends of attempts, many at once."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from checks.attempt import Attempt
from checks.http1 import HttpTalk
from checks.lane import EVENTS_MAX, Lane
from checks.outcome import Outcome
from checks.talk import LISTEN, Step, Talk
from director.model.address import Endpoint
from director.model.check import Pace, Target, TcpCheck

PATIENCE = 10.0
TIMEOUT = 0.3
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Servers:
    """Answers each request as `answer` says, and counts the connections."""

    def __init__(self, answer: bytes = OK, times: int = 1000) -> None:
        self.connections = 0
        self.port = 0
        self._answer = answer
        self._times = times
        self.size = 0
        self.ended = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            for _ in range(self._times):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer)
        writer.close()
        self.ended.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Servers"]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._serve(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await asyncio.gather(*tasks)


def _play(scene: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        async with asyncio.timeout(PATIENCE):
            await scene()

    asyncio.run(go())


def _target(port: int, key: str = "t") -> Target:
    check = TcpCheck(pace=Pace(timeout=TIMEOUT))
    return Target(key, Endpoint("127.0.0.1", port), check)


def _keeping() -> HttpTalk:
    return HttpTalk(REQUEST, ((200, 299),), keep=True)


async def _attempt(lane: Lane, target: Target, talk: Talk) -> Outcome:
    heard: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    lane.start(target, talk, lambda _attempt, outcome: heard.set_result(outcome))
    await asyncio.wait((heard, lane.failed), return_when=asyncio.FIRST_COMPLETED)
    if lane.failed.done():
        lane.failed.result()
    return await heard


def test_a_kept_connection_serves_the_next_probe_of_its_target_alone() -> None:
    async def scene() -> None:
        async with Servers().running() as servers, Lane(keep_max=5) as lane:
            texts = [
                (await _attempt(lane, _target(servers.port, key), _keeping())).text
                for key in "aaabb"
            ]

            assert texts == ["HTTP 200"] * 5
            assert servers.connections == 2

    _play(scene)


def test_a_kept_connection_that_the_server_ends_costs_no_outcome() -> None:
    """
    A server may end an idle connection at any time: the probe goes over a fresh one.
    """

    async def scene() -> None:
        async with Servers(times=1).running() as servers, Lane(keep_max=5) as lane:
            for turn in range(3):
                outcome = await _attempt(lane, _target(servers.port), _keeping())
                assert outcome.text == "HTTP 200"
                if turn != 1:  # once at the very moment of the next request, once before it
                    await servers.ended.wait()
                servers.ended.clear()

            assert servers.connections == 3

    _play(scene)


def test_a_kept_connection_that_ends_at_the_next_request_costs_no_outcome() -> None:
    """
    Nothing of an answer came over it: asked once more, over a fresh one, and only once.
    """

    class Tired(Servers):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            await reader.readuntil(b"\r\n\r\n")
            if self.connections < 3:
                writer.write(OK)
                await reader.readuntil(b"\r\n\r\n")

    async def scene() -> None:
        async with Tired().running() as servers, Lane(keep_max=5) as lane:
            texts = [
                (await _attempt(lane, _target(servers.port), _keeping())).text for _ in range(3)
            ]

            assert texts == ["HTTP 200", "HTTP 200", "connection closed"]
            assert servers.connections == 3

    _play(scene)


def test_a_kept_connection_that_breaks_within_an_answer_is_the_servers() -> None:
    """
    Once a byte of an answer came there is no second try.
    """

    class Half(Servers):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK[:9])
            writer.close()

    async def scene() -> None:
        async with Half().running() as servers, Lane(keep_max=5) as lane:
            first = await _attempt(lane, _target(servers.port), _keeping())
            second = await _attempt(lane, _target(servers.port), _keeping())

            assert (first.text, second.text) == ("HTTP 200", "connection closed")
            assert servers.connections == 1

    _play(scene)


def test_no_more_connections_are_kept_than_allowed_and_none_of_a_forgotten_target() -> None:
    async def scene() -> None:
        async with Servers().running() as servers, Lane(keep_max=2) as lane:
            for key in "abcabc":
                await _attempt(lane, _target(servers.port, key), _keeping())
            assert servers.connections == 4
            lane.forget("a")
            await _attempt(lane, _target(servers.port, "a"), _keeping())
            assert servers.connections == 5

    _play(scene)


def test_many_at_once_all_end() -> None:
    """
    More than one turn handles, and each tells its outcome once.
    """

    async def scene() -> None:
        count = 5 * EVENTS_MAX
        heard: list[str] = []
        done = asyncio.Event()

        def ended(attempt: Attempt, outcome: Outcome) -> None:
            assert outcome.ok
            heard.append(attempt.target.key)
            if len(heard) == count:
                done.set()

        async with Servers().running() as servers, Lane() as lane:
            for number in range(count):
                lane.start(_target(servers.port, str(number)), _keeping(), ended)
            await done.wait()

        assert sorted(heard) == sorted(str(number) for number in range(count))

    _play(scene)


def test_what_is_cancelled_is_not_told() -> None:
    async def scene() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            heard: list[str] = []

            async with Lane() as lane:
                gone = lane.start(
                    _target(port, "gone"), _keeping(), lambda one, _: heard.append(one.target.key)
                )
                gone.cancel()
                gone.cancel()
                stays = await _attempt(lane, _target(port, "stays"), _keeping())

            assert (stays.text, heard) == ("layer7 timeout", [])

    _play(scene)


def test_a_bug_in_a_talk_ends_the_lane() -> None:
    """
    It is not swallowed as an outcome: whoever runs the lane sees it.
    """

    class Broken(Talk):
        def begin(self) -> Step:
            raise ZeroDivisionError("a bug")

    async def scene() -> None:
        async with Servers().running() as servers, Lane() as lane:
            with pytest.raises(ZeroDivisionError):
                await _attempt(lane, _target(servers.port), Broken())

    _play(scene)


def test_a_long_request_goes_out_whole() -> None:
    """
    What the kernel does not take at once follows as it makes room.
    """

    class Long(Talk):
        def begin(self) -> Step:
            return b"x" * 8_000_000 + b"\r\n\r\n"

        def hear(self, _data: bytes) -> Step:
            return LISTEN

    class Counting(Servers):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                self.size += len(data)
                if self.size == 8_000_004:
                    writer.close()
                    return

    async def scene() -> None:
        async with Counting().running() as servers, Lane() as lane:
            check = TcpCheck(pace=Pace(timeout=PATIENCE))
            target = Target("t", Endpoint("127.0.0.1", servers.port), check)
            outcome = await _attempt(lane, target, Long())

            assert outcome.text == "connection closed"
            assert servers.size == 8_000_004

    _play(scene)
