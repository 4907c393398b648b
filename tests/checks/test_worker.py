"""A worker with an engine that the test plays, over a real Unix socket."""

import asyncio
import contextlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from checks.link import connect
from checks.outcome import Outcome
from checks.worker import BATCH, Worker
from director.model.address import Endpoint
from director.model.check import HttpCheck, Pace, Standing, Target, TcpCheck
from director.paths import WORKERS_SOCKET
from director.wire.framing import Unframer
from director.wire.messages import (
    Ask,
    Beat,
    Hello,
    Levels,
    Message,
    Targets,
    Transition,
    decode,
    encode,
)

PATIENCE = 10.0
QUICK = Pace(interval=0.05, fast_interval=0.05, down_interval=0.05, timeout=0.05, rise=2, fall=2)
GOOD = Outcome(ok=True, text="layer4 ok")
BAD = Outcome(ok=False, text="connection refused")


class Talk:
    """The engine's end of one connection of a worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unframer = Unframer()
        self._heard: list[Message] = []

    async def hear(self) -> Message:
        """The next message that is no beat."""
        while True:
            while not self._heard:
                data = await self._reader.read(65536)
                assert data, "the worker hung up"
                self._heard += [decode(payload) for payload in self._unframer.feed(data)]
            message = self._heard.pop(0)
            if not isinstance(message, Beat):
                return message

    async def beat(self) -> Beat:
        """The next beat; what came before it is kept."""
        while True:
            for message in self._heard:
                if isinstance(message, Beat):
                    self._heard.remove(message)
                    return message
            data = await self._reader.read(65536)
            assert data, "the worker hung up"
            self._heard += [decode(payload) for payload in self._unframer.feed(data)]

    async def hung_up(self) -> None:
        """Wait until the worker closes the connection."""
        with contextlib.suppress(OSError):
            while await self._reader.read(65536):
                pass

    def say(self, message: Message) -> None:
        self._writer.write(encode(message))

    def say_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def hang_up(self) -> None:
        self._writer.transport.abort()


class Engine:
    """Listens at the workers' socket; each connection is a Talk."""

    def __init__(self, runtime: Path) -> None:
        self._path = runtime / WORKERS_SOCKET
        self._talks: asyncio.Queue[Talk] = asyncio.Queue()
        self._open: list[Talk] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = Talk(reader, writer)
        self._open.append(talk)
        self._talks.put_nowait(talk)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Engine"]:
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, self._path)
        try:
            yield self
        finally:
            server.close()
            for talk in self._open:
                talk.hang_up()
            await server.wait_closed()

    async def talk(self) -> Talk:
        """The next connection, its Hello heard."""
        talk = await self._talks.get()
        assert await talk.hear() == Hello(role="checks", name="w", pid=os.getpid())
        return talk


class Scripted:
    """A prober that a test steers: outcomes by key, a gate for each, and what it saw."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome | Exception] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun: list[str] = []
        self.inside = 0
        self.most = 0
        self.news = asyncio.Event()
        self.closed = False

    async def probe(self, target: Target) -> Outcome:
        self.begun.append(target.key)
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.news.set()
        try:
            await self.gate.wait()
        finally:
            self.inside -= 1
            self.news.set()
        outcome = self.outcomes.get(target.key, GOOD)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds`, asked whenever a probe begins or ends."""
        while not holds():
            self.news.clear()
            await self.news.wait()

    async def close(self) -> None:
        self.closed = True


@contextlib.asynccontextmanager
async def _working(
    runtime: Path, prober: Scripted | None = None, room: int = 100
) -> AsyncIterator[None]:
    path = runtime / WORKERS_SOCKET
    worker = (
        Worker(path, "w", room=room)
        if prober is None
        else Worker(path, "w", room=room, _open=lambda _kind: prober)
    )
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running
    assert prober is None or prober.closed


def _play(scene: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        async with asyncio.timeout(PATIENCE):
            await scene()

    asyncio.run(go())


def _target(key: str, port: int = 80, pace: Pace = QUICK) -> Target:
    return Target(key, Endpoint("127.0.0.1", port), TcpCheck(pace=pace))


async def _hear_transition(talk: Talk) -> Transition:
    while True:
        message = await talk.hear()
        if isinstance(message, Transition):
            return message


async def _hear_levels(talk: Talk) -> Levels:
    while True:
        message = await talk.hear()
        if isinstance(message, Levels):
            return message


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A short path: a Unix socket's has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="checks") as name:
        yield Path(name)


def test_a_server_that_goes_away_is_a_transition(runtime: Path) -> None:
    """
    First verdict, levels once all are in, and news when the listener closes: with real probes.
    """

    async def scene() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            target = _target(
                "a",
                listener.getsockname()[1],
                Pace(interval=0.05, fast_interval=0.05, down_interval=0.05, timeout=2.0, fall=2),
            )
            async with Engine(runtime).listening() as engine, _working(runtime):
                talk = await engine.talk()
                talk.say(Targets(3, (target,)))
                first = await talk.hear()
                levels = await talk.hear()
                listener.close()
                second = await talk.hear()

        assert isinstance(first, Transition)
        assert (first.epoch, first.standing.health) == (3, "up")
        assert first.standing.reason == "layer4 ok"
        assert levels == Levels(3, (first.standing,))
        assert isinstance(second, Transition)
        assert (second.epoch, second.standing.health) == (3, "down")
        assert second.standing.reason == "connection refused"
        assert second.standing.outcomes[-2:] == ("connection refused", "connection refused")
        assert second.standing.since > first.standing.since

    _play(scene)


def test_http_targets_are_probed_too(runtime: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def scene() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        target = Target("h", Endpoint("127.0.0.1", port), HttpCheck())
        async with server, Engine(runtime).listening() as engine, _working(runtime):
            talk = await engine.talk()
            talk.say(Targets(1, (target,)))
            transition = await _hear_transition(talk)

        assert (transition.standing.health, transition.standing.reason) == ("down", "HTTP 503")

    _play(scene)


def test_a_lost_engine_stops_no_probe_and_loses_no_count(runtime: Path) -> None:
    """
    Probing goes on; the next engine hears Hello and levels before it says anything, and what
    changed meanwhile is in them.
    """

    async def scene() -> None:
        prober = Scripted()
        async with _working(runtime, prober):
            async with Engine(runtime).listening() as engine:
                talk = await engine.talk()
                talk.say(Targets(5, (_target("a"),)))
                assert (await _hear_transition(talk)).standing.health == "up"
            prober.outcomes["a"] = BAD
            begun = len(prober.begun)
            await prober.until(lambda: len(prober.begun) > begun + 4)
            async with Engine(runtime).listening() as engine:
                talk = await engine.talk()
                levels = await talk.hear()

        assert isinstance(levels, Levels)
        assert levels.epoch == 5
        assert [standing.health for standing in levels.standings] == ["down"]

    _play(scene)


def test_a_new_list_stops_what_is_gone_and_keeps_what_stays(runtime: Path) -> None:
    async def scene() -> None:
        prober = Scripted()
        prober.outcomes["b"] = BAD
        async with Engine(runtime).listening() as engine, _working(runtime, prober):
            talk = await engine.talk()
            talk.say(Targets(1, (_target("a"), _target("b"))))
            first = await _hear_levels(talk)
            prober.gate.clear()
            await prober.until(lambda: prober.inside == 2)
            talk.say(Targets(2, (_target("b"), _target("c"))))
            await prober.until(lambda: prober.begun[-1] == "c" and prober.inside == 2)
            prober.gate.set()
            second = await _hear_levels(talk)
            begun = len(prober.begun)
            await prober.until(lambda: len(prober.begun) > begun + 6)

        assert {one.key: one.health for one in first.standings} == {"a": "up", "b": "down"}
        assert second.epoch == 2
        assert {one.key: one.health for one in second.standings} == {"b": "down", "c": "up"}
        assert second.standings[0].since == first.standings[1].since
        assert set(prober.begun[begun:]) == {"b", "c"}

    _play(scene)


def test_a_target_that_is_gone_while_it_waits_is_not_probed_again(runtime: Path) -> None:
    async def scene() -> None:
        prober = Scripted()
        async with Engine(runtime).listening() as engine, _working(runtime, prober):
            talk = await engine.talk()
            talk.say(Targets(1, (_target("a"),)))
            await _hear_levels(talk)
            assert prober.inside == 0
            talk.say(Targets(2, (_target("b"),)))
            await _hear_levels(talk)
            begun = len(prober.begun)
            await prober.until(lambda: len(prober.begun) > begun + 4)

        assert set(prober.begun[begun:]) == {"b"}

    _play(scene)


def test_a_fresh_worker_goes_on_from_the_standings(runtime: Path) -> None:
    """
    It knows all verdicts at once, and one failure does not overturn what the engine believes.
    """

    async def scene() -> None:
        prober = Scripted()
        prober.outcomes["a"] = BAD
        given = Standing("a", "up", "layer4 ok", 7.0, ("layer4 ok",))
        async with Engine(runtime).listening() as engine, _working(runtime, prober):
            talk = await engine.talk()
            talk.say(Targets(1, (_target("a"),), (given,)))
            levels = await talk.hear()
            transition = await talk.hear()

        assert levels == Levels(1, (given,))
        assert isinstance(transition, Transition)
        assert transition.standing.outcomes == ("layer4 ok", BAD.text, BAD.text)

    _play(scene)


def test_no_more_probes_in_flight_than_there_is_room(runtime: Path) -> None:
    """
    The rest waits, is probed when room comes, and the waiting shows in a beat.
    """

    async def scene() -> None:
        prober = Scripted()
        prober.gate.clear()
        at_once = Pace(interval=1e-6, fast_interval=1e-6, down_interval=1e-6)
        targets = tuple(_target(str(number), pace=at_once) for number in range(5))
        async with Engine(runtime).listening() as engine, _working(runtime, prober, room=2):
            talk = await engine.talk()
            talk.say(Targets(1, targets))
            await prober.until(lambda: prober.inside == 2)
            while (await talk.beat()).lateness < 0.5:
                pass
            assert prober.inside == 2
            prober.gate.set()
            await _hear_levels(talk)

        assert prober.most == 2

    _play(scene)


def test_many_due_at_once_are_started_in_turns(runtime: Path) -> None:
    async def scene() -> None:
        prober = Scripted()
        prober.gate.clear()
        pace = Pace(interval=1e-6, fast_interval=1e-6, down_interval=1e-6)
        targets = tuple(_target(str(number), pace=pace) for number in range(3 * BATCH))
        async with (
            Engine(runtime).listening() as engine,
            _working(runtime, prober, room=10 * BATCH),
        ):
            talk = await engine.talk()
            talk.say(Targets(1, targets))
            await prober.until(lambda: prober.inside == 3 * BATCH)

        assert sorted(prober.begun) == sorted(target.key for target in targets)

    _play(scene)


def test_what_is_ours_changes_nothing(runtime: Path) -> None:
    async def scene() -> None:
        prober = Scripted()
        async with Engine(runtime).listening() as engine, _working(runtime, prober):
            talk = await engine.talk()
            talk.say(Targets(1, (_target("a"),)))
            await _hear_levels(talk)
            prober.outcomes["a"] = Outcome(ok=False, text="too many open files", ours=True)
            begun = len(prober.begun)
            await prober.until(lambda: len(prober.begun) > begun + 4)
            talk.say(Targets(2, (_target("a"),)))
            levels = await talk.hear()

        assert isinstance(levels, Levels)
        assert levels.standings[0].health == "up"
        assert levels.standings[0].reason == "too many open files"

    _play(scene)


def test_a_bug_in_a_probe_ends_the_worker(runtime: Path) -> None:
    """
    Nothing is swallowed: the supervisor must see it.
    """

    async def scene() -> None:
        prober = Scripted()
        prober.outcomes["a"] = ZeroDivisionError("a bug")
        async with Engine(runtime).listening() as engine:
            worker = Worker(runtime / WORKERS_SOCKET, "w", _open=lambda _kind: prober)
            running = asyncio.create_task(worker.run(asyncio.Event()))
            talk = await engine.talk()
            talk.say(Targets(1, (_target("a"),)))
            with pytest.raises(ExceptionGroup) as caught:
                await running

        assert caught.group_contains(ZeroDivisionError)
        assert prober.closed

    _play(scene)


STRANGE = {
    "no frame of ours": b"\xff" * 64,
    "no message of ours": b"\x00\x00\x00\x01\xc0",
    "a message for others": encode(Ask("show")),
}


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE)
def test_a_strange_word_ends_the_connection_and_not_the_worker(runtime: Path, data: bytes) -> None:
    async def scene() -> None:
        prober = Scripted()
        async with Engine(runtime).listening() as engine, _working(runtime, prober):
            talk = await engine.talk()
            talk.say_bytes(data)
            await talk.hung_up()
            again = await engine.talk()
            again.say(Targets(1, (_target("a"),)))
            assert (await _hear_transition(again)).standing.health == "up"

    _play(scene)


def test_beats_come_every_second(runtime: Path) -> None:
    async def scene() -> None:
        async with Engine(runtime).listening() as engine, _working(runtime):
            talk = await engine.talk()
            loop = asyncio.get_running_loop()
            await talk.beat()
            began = loop.time()
            beats = [await talk.beat(), await talk.beat()]

            assert 1.5 < loop.time() - began < 3.0
            assert all(0 <= beat.lateness < 1.0 for beat in beats)

    _play(scene)


def test_levels_come_again_and_again(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checks.worker.LEVELS_EVERY", 0.5)
    monkeypatch.setattr("checks.worker.BEAT_EVERY", 0.1)

    async def scene() -> None:
        prober = Scripted()
        async with Engine(runtime).listening() as engine, _working(runtime, prober):
            talk = await engine.talk()
            talk.say(Targets(4, (_target("a"),)))
            heard = [await _hear_levels(talk) for _ in range(3)]

        assert [levels.epoch for levels in heard] == [4, 4, 4]

    _play(scene)


def test_nobody_at_the_socket_is_no_link(runtime: Path) -> None:
    assert asyncio.run(connect(runtime / "nothing")) is None
