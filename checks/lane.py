# The fast lane: one epoll set of its own, nested in the asyncio loop as one readable descriptor.
#
# Rules of this room:
# 1. No task, no future, no timer for each probe. A probe is an Attempt: a socket, a talk and a
#    deadline. That is what makes it cost what a C loop costs (docs/performance.md).
# 2. One epoll_ctl a connection: registered once for everything, edge-triggered, never modified;
#    close() takes it out. So an event is answered by reading until nothing is left.
# 3. A turn handles EVENTS_MAX events at most and then gives the loop back: with 512, timers of the
#    same loop were seen a quarter of a second late.
# 4. Deadlines stand in one queue for each timeout, oldest first, and share one timer.
# 5. `ended` is called once for an attempt, never from within `start`, never after `cancel`. What
#    it, or a talk, raises is a bug of ours: `failed` carries it to whoever runs the lane.
"""Thousands of plain probes in one epoll set."""

import _socket
import asyncio
import errno
import select
from collections.abc import Callable
from typing import Self

from checks.attempt import Attempt, Ended
from checks.deadlines import Deadlines
from checks.kept import Kept
from checks.outcome import Outcome
from checks.probes.faults import fault, overdue
from checks.route import NoRoute, open_socket
from checks.talk import Talk, Verdict
from director.model.check import Target

EVENTS_MAX = 64
READ_SIZE = 4096  # a large buffer is mapped and unmapped by every recv
WATCHED = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
GONE = select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP


class Lane:
    """Carries attempts. Make it, and close it, inside the running loop.

    `keep_max` bounds the connections that wait for their target's next probe. Those in flight are
    bounded by whoever starts them.
    """

    def __init__(self, keep_max: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._keep_max = keep_max
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, Attempt] = {}
        self._deadlines: Deadlines[Attempt] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._kept = Kept()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(self._epoll.fileno(), self._turn)

    async def run(self) -> None:
        """Never ends by itself; raises what a bug of ours raised in a turn."""
        await self.failed

    async def close(self) -> None:
        """Let go of every socket; attempts under way are given up."""
        self._loop.remove_reader(self._epoll.fileno())
        if self._timer is not None:
            self._timer.cancel()
        for attempt in list(self._by_descriptor.values()):
            self.drop(attempt)
        self._kept.close()
        self._epoll.close()
        self.failed.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self, target: Target, talk: Talk, ended: Ended) -> Attempt:
        """Begin one attempt; `ended` hears of it within the target's timeout."""
        attempt = Attempt(self.drop, target, talk, ended, self._clock())
        self._wake_by(self._deadlines.add(attempt, target.check.pace.timeout, attempt.started))
        if not (talk.keeps and self._resume(attempt)):
            self._open(attempt)
        return attempt

    def drop(self, attempt: Attempt) -> None:
        """Give an attempt up without a word."""
        if not attempt.over:
            attempt.over = True
            self._deadlines.remove(attempt, attempt.target.check.pace.timeout)
            self._hang_up(attempt)

    def forget(self, key: str) -> None:
        """Close the connection that is kept for a target, if there is one."""
        self._kept.drop(key)

    # Opening.

    def _open(self, attempt: Attempt) -> None:
        """A fresh socket for the attempt. What fails at once is told in the loop's next turn."""
        endpoint = attempt.target.endpoint
        attempt.connected = False
        try:
            sock = open_socket(attempt.talk.transport, attempt.target)
        except NoRoute as error:
            self._tell_soon(attempt, Outcome(ok=False, text=str(error), ours=True))
            return
        except OSError as error:
            self._tell_soon(attempt, self._fault(attempt, error))
            return
        attempt.sock = sock
        descriptor = sock.fileno()
        self._by_descriptor[descriptor] = attempt
        number = sock.connect_ex((endpoint.address, endpoint.port))
        if number in (0, errno.EINPROGRESS):
            self._epoll.register(descriptor, WATCHED)
        else:
            self._hang_up(attempt)
            self._tell_soon(attempt, self._fault(attempt, OSError(number, "")))

    def _resume(self, attempt: Attempt) -> bool:
        """Go on over the connection that is kept for this target."""
        sock = self._kept.take(attempt.target.key)
        if sock is None:
            return False
        attempt.sock = sock
        attempt.reused = attempt.connected = True
        self._by_descriptor[sock.fileno()] = attempt
        self._loop.call_soon(self._guarded, self._begin_over, attempt, sock)
        return True

    def _begin_over(self, attempt: Attempt, sock: _socket.socket) -> None:
        """Unless that connection ended before its turn came."""
        if attempt.sock is sock:
            self._begin(attempt)

    def _tell_soon(self, attempt: Attempt, outcome: Outcome) -> None:
        self._loop.call_soon(self._guarded, self._tell, attempt, outcome)

    # Turns.

    def _guarded(self, verb: Callable[..., None], *args: object) -> None:
        try:
            verb(*args)
        except Exception as error:  # noqa: BLE001 - a bug: whoever runs the lane must see it
            if not self.failed.done():
                self.failed.set_exception(error)

    def _turn(self) -> None:
        self._guarded(self._poll)

    def _poll(self) -> None:
        for number, events in self._epoll.poll(0, EVENTS_MAX):
            attempt = self._by_descriptor.get(number)
            if attempt is not None:
                self._ready(attempt, events)
            elif (key := self._kept.key_of(number)) is not None and events & ~select.EPOLLOUT:
                # A server may end a kept connection at any time, and may not speak unasked.
                self.forget(key)

    def _ready(self, attempt: Attempt, events: int) -> None:
        sock = attempt.sock
        assert sock is not None
        if events & select.EPOLLERR:
            number = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if number:
                self._broken(attempt, OSError(number, ""))
                return
        if not attempt.connected:
            if not events & (select.EPOLLOUT | select.EPOLLIN):
                return
            attempt.connected = True
            if not self._begin(attempt):
                return
        elif attempt.unsent and not self._send(attempt, attempt.unsent):
            return
        if events & (select.EPOLLIN | GONE):
            self._read(attempt, to_end=bool(events & GONE))

    def _begin(self, attempt: Attempt) -> bool:
        """Say the first word. Is there something to listen for on this socket?"""
        return not attempt.over and self._take(attempt, attempt.talk.begin())

    def _read(self, attempt: Attempt, *, to_end: bool) -> None:
        """Read what is there; `to_end` when no further event can be expected."""
        stream = attempt.talk.transport == "tcp"
        sock = attempt.sock
        while not attempt.over and attempt.sock is sock and sock is not None:
            try:
                data = sock.recv(READ_SIZE)
            except BlockingIOError:
                return
            except OSError as error:
                self._broken(attempt, error)
                return
            if stream and not data:
                self._closed(attempt)
                return
            attempt.reused = False
            if not self._take(attempt, attempt.talk.hear(data)):
                return
            if stream and not to_end and len(data) < READ_SIZE:
                return  # a short read of a stream has emptied it (epoll(7))

    def _take(self, attempt: Attempt, step: "bytes | Verdict | Talk") -> bool:
        """Do what the talk wants. Does it go on over the same socket?"""
        if isinstance(step, bytes):
            return not step or self._send(attempt, attempt.unsent + step)
        if isinstance(step, Verdict):
            self._judge(attempt, step)
            return False
        self._hang_up(attempt)
        attempt.talk = step
        attempt.reused = False
        self._open(attempt)
        return False

    def _send(self, attempt: Attempt, data: bytes) -> bool:
        assert attempt.sock is not None
        try:
            sent = attempt.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(attempt, error)
            return False
        attempt.unsent = data[sent:]
        return True

    # Ends.

    def _closed(self, attempt: Attempt) -> None:
        if not self._again(attempt):
            self._judge(attempt, attempt.talk.end())

    def _broken(self, attempt: Attempt, error: OSError) -> None:
        if not self._again(attempt):
            self._tell(attempt, self._fault(attempt, error))

    def _again(self, attempt: Attempt) -> bool:
        """A kept connection that ends says nothing of the server: ask over a fresh one, once.

        `reused` holds only until the first byte of an answer: then the talk has begun, and its
        end is the server's.
        """
        if not attempt.reused:
            return False
        self._hang_up(attempt)
        attempt.reused = False
        attempt.unsent = b""
        self._open(attempt)
        return True

    def _judge(self, attempt: Attempt, verdict: Verdict) -> None:
        if verdict.keep and attempt.sock is not None and len(self._kept) < self._keep_max:
            del self._by_descriptor[attempt.sock.fileno()]
            self._kept.add(attempt.target.key, attempt.sock)
            attempt.sock = None
        seconds = self._clock() - attempt.started
        outcome = Outcome(verdict.ok, verdict.text, seconds, share=verdict.share)
        self._tell(attempt, outcome)

    def _tell(self, attempt: Attempt, outcome: Outcome) -> None:
        if not attempt.over:
            self.drop(attempt)
            attempt.ended(attempt, outcome)

    def _fault(self, attempt: Attempt, error: OSError) -> Outcome:
        return fault(error, attempt.layer, self._clock() - attempt.started)

    def _hang_up(self, attempt: Attempt) -> None:
        sock = attempt.sock
        if sock is not None:
            attempt.sock = None
            del self._by_descriptor[sock.fileno()]
            sock.close()

    # Deadlines.

    def _wake_by(self, at: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._guarded, self._expire)

    def _expire(self) -> None:
        self._timer = None
        for attempt in self._deadlines.overdue(self._clock()):
            if not attempt.over:
                self._overdue(attempt)
        first = self._deadlines.first()
        if first is not None:
            self._wake_by(first)

    def _overdue(self, attempt: Attempt) -> None:
        """The deadline passed. An answer that lies unread in the socket is still looked at."""
        if attempt.connected and attempt.sock is not None:
            attempt.reused = False
            self._read(attempt, to_end=True)
        if attempt.over:
            return
        verdict = attempt.talk.silence() if attempt.connected else None
        if verdict is not None:
            self._judge(attempt, verdict)
            return
        seconds = self._clock() - attempt.started
        self._tell(attempt, overdue(attempt.target.check.pace.timeout, attempt.layer, seconds))
