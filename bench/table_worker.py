# A transition begins with a check worker's word, so this is one. It ends when a follower of events
# has been told: the engine tells after the batch that holds the weight is with the kernel. Waiting
# for that word costs the engine nothing; to look at the kernel until the weight is there would take
# half of the machine's one processor away from it.
"""A check worker that says what it is told to say, and hears when the engine has done it."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from director import paths
from director.model.check import Health, Standing
from director.model.event import Events
from director.wire.framing import Unframer
from director.wire.messages import Answer, Ask, Hello, Levels, Message, Targets, Transition
from director.wire.messages import decode as decode_message
from director.wire.messages import encode as encode_message

READ_SIZE = 65536
WAIT = "30"  # seconds that an answer may take


class CheckWorker:
    """Connects, and says that all it is to probe is up."""

    def __init__(self, runtime: Path) -> None:
        self._runtime = runtime
        self._link = _connected(runtime / paths.WORKERS_SOCKET)
        self._link.sendall(encode_message(Hello("checks", "bench", os.getpid())))
        dealt = next(_messages(self._link))
        assert isinstance(dealt, Targets), dealt
        self._epoch = dealt.epoch
        self.targets = dealt.targets
        up = tuple(Standing(one.key, "up") for one in dealt.targets)
        self._link.sendall(encode_message(Levels(self._epoch, up)))

    def close(self) -> None:
        """The targets go to whoever else probes."""
        self._link.close()

    def transition(self, key: str, health: Health) -> float:
        """Seconds from the word until a follower of events knows that it has been acted on."""
        with _connected(self._runtime / paths.VIEW_SOCKET) as view:
            known = _events(view, {})
            since = {"engine": known.engine, "since": str(known.last), "wait": WAIT}
            view.sendall(encode_message(Ask("events", since)))
            began = time.perf_counter()
            word = Standing(key, health, "the bench says so", time.time())
            self._link.sendall(encode_message(Transition(self._epoch, word)))
            told = _read_events(view)
            took = time.perf_counter() - began
        assert any(one.kind == f"destination.{health}" for one in told.events), told
        return took


def _connected(path: Path) -> socket.socket:
    opened = socket.socket(socket.AF_UNIX)
    opened.connect(str(path))
    return opened


def _messages(link: socket.socket) -> Iterator[Message]:
    unframer = Unframer()
    while data := link.recv(READ_SIZE):
        for payload in unframer.feed(data):
            yield decode_message(payload)


def _events(view: socket.socket, args: dict[str, str]) -> Events:
    view.sendall(encode_message(Ask("events", args)))
    return _read_events(view)


def _read_events(view: socket.socket) -> Events:
    answer = next(_messages(view))
    assert isinstance(answer, Answer), answer
    return msgspec.json.decode(answer.body, type=Events)
