# The client of a drill. Runs inside the client's place with `python -I -S`, so it knows the
# standard library alone. One thread, one selector. Two modes:
#
# `load.py get ADDRESS PORT PATH EVERY TIMEOUT`: a new HTTP connection every EVERY seconds, whatever
#   becomes of the others. A row, of one that ended, is [began, took, name of the server, why it
#   failed].
# `load.py hold ADDRESS PORT COUNT EVERY PATIENCE OPEN_WITHIN PACE`: COUNT connections to the echo
#   server, each begun PACE seconds after the one before, and open or lost within OPEN_WITHIN, that
#   each send a byte every EVERY seconds, and the next one only after the echo of the last. An echo
#   that does not come within PATIENCE ends the connection. SIGUSR1 makes each send its next byte as
#   soon as it waits for no echo. A row is [number, name of the server, opened, when the newest byte
#   was sent whose echo came back, lost, why it was lost, when it was begun, its local port]; 0 is:
#   not yet.
#
# It writes a line of JSON every REPORT_EVERY: `now`; `settled` (of all that began before, the end
# is known); `rows`, those that are new. Instants are seconds of this kernel's CLOCK_MONOTONIC.
"""A load generator: new requests, or connections that are held."""

import errno
import json
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable

REPORT_EVERY = 0.1
ANSWER_MAX = 65536

Row = list[object]


class Reporter:
    """Writes what is new, now and then."""

    def __init__(self) -> None:
        self.due_at = time.monotonic() + REPORT_EVERY

    def tell(self, now: float, settled: float, rows: list[Row]) -> None:
        """One line, at once."""
        line = {"now": round(now, 6), "settled": round(settled, 6), "rows": rows}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        self.due_at = max(self.due_at + REPORT_EVERY, now)


def connect(address: str, port: int) -> tuple[socket.socket, str]:
    """A connection under way, and why it cannot be, if so."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex((address, port))
    return sock, "" if code in (0, errno.EINPROGRESS) else name_of(code)


def name_of(code: int | None) -> str:
    """ECONNRESET and its like."""
    return errno.errorcode.get(code or 0, f"errno {code}")


class Request:
    """One GET over a connection of its own."""

    def __init__(self, sock: socket.socket, began: float) -> None:
        self.sock = sock
        self.began = began
        self.asked = False
        self.answer = b""


class Getting:
    """New requests at a steady pace."""

    def __init__(self, address: str, port: int, path: str, every: float, timeout: float) -> None:
        self._where = (address, port)
        host = f"[{address}]" if ":" in address else address
        self._words = f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()
        self._every = every
        self._timeout = timeout
        self._selector = selectors.DefaultSelector()
        self._open: dict[Request, None] = {}  # the oldest first
        self._rows: list[Row] = []

    def run(self, reporter: Reporter) -> None:
        """For ever."""
        next_at = time.monotonic()
        while True:
            now = time.monotonic()
            while next_at <= now:
                self._begin()
                next_at += self._every
            self._give_up(now)
            if reporter.due_at <= now:
                oldest = next(iter(self._open), None)
                reporter.tell(now, oldest.began if oldest else now, self._rows)
                self._rows = []
            wake_at = min(next_at, reporter.due_at)
            for key, _ in self._selector.select(max(0.0, wake_at - time.monotonic())):
                self._go_on(key.data)

    def _begin(self) -> None:
        began = time.monotonic()
        sock, why = connect(*self._where)
        request = Request(sock, began)
        self._open[request] = None
        self._selector.register(sock, selectors.EVENT_WRITE, request)
        if why:
            self._end(request, why=why)

    def _go_on(self, request: Request) -> None:
        try:
            if request.asked:
                self._hear(request)
                return
            if code := request.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end(request, why=name_of(code))
                return
            request.sock.send(self._words)
            request.asked = True
            self._selector.modify(request.sock, selectors.EVENT_READ, request)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(request, why=name_of(error.errno))

    def _hear(self, request: Request) -> None:
        data = request.sock.recv(ANSWER_MAX)
        request.answer += data
        if data and len(request.answer) < ANSWER_MAX:
            return
        head, _, body = request.answer.partition(b"\r\n\r\n")
        words = head.split(None, 2)
        if words[1:2] == [b"200"]:
            self._end(request, by=body.decode(errors="replace").strip())
        else:
            said = words[1].decode(errors="replace") if len(words) > 1 else "no answer"
            self._end(request, why=f"HTTP {said}")

    def _give_up(self, now: float) -> None:
        for request in list(self._open):
            if now - request.began < self._timeout:
                return
            self._end(request, why="timeout, connected" if request.asked else "timeout")

    def _end(self, request: Request, *, by: str = "", why: str = "") -> None:
        self._selector.unregister(request.sock)
        del self._open[request]
        request.sock.close()
        took = time.monotonic() - request.began
        self._rows.append([round(request.began, 6), round(took, 6), by, why])


class Held:
    """One connection that is kept. Instants are 0.0 while they have not come."""

    def __init__(self, number: int, sock: socket.socket, now: float) -> None:
        self.number = number
        self.sock = sock
        self.by = ""
        self.greeting = b""
        self.opened = 0.0
        self.began = self.sent = now
        self.port = 0
        self.poked = False
        self.proved = 0.0
        self.lost = 0.0
        self.why = ""

    @property
    def waits(self) -> bool:
        """For the greeting, or for an echo."""
        return not self.opened or self.sent > self.proved

    def row(self) -> Row:
        """As it is reported."""
        return [
            *(self.number, self.by, self.opened, self.proved, self.lost, self.why),
            *(self.began, self.port),
        ]


class Holding:
    """Connections to the echo server."""

    def __init__(
        self,
        where: tuple[str, int],
        *,
        count: int,
        every: float,
        patience: float,
        open_within: float,
        pace: float = 0.0,
    ) -> None:
        self._where = where
        self._pace = pace
        self._next_at = 0.0
        self._count = count
        self._every = every
        self._patience = patience
        self._open_within = open_within
        self._selector = selectors.DefaultSelector()
        self._all: list[Held] = []
        self._news: dict[int, Held] = {}

    def poke(self, *_: object) -> None:
        """Let each connection send soon."""
        for held in self._all:
            held.poked = True

    def run(self, reporter: Reporter) -> None:
        """For ever."""
        signal.signal(signal.SIGUSR1, self.poke)
        while True:
            now = time.monotonic()
            if len(self._all) < self._count and now >= self._next_at:
                self._next_at = now + self._pace
                self._open(now)
            for held in self._all:
                self._tend(held, now)
            if reporter.due_at <= now:
                reporter.tell(now, now, [held.row() for held in self._news.values()])
                self._news = {}
            pace = min(self._every / 4, REPORT_EVERY)
            if len(self._all) < self._count:
                pace = min(pace, self._next_at - now)
            wake_at = min(now + pace, reporter.due_at)
            for key, _ in self._selector.select(max(0.0, wake_at - time.monotonic())):
                self._hear(key.data)

    def _open(self, now: float) -> None:
        sock, why = connect(*self._where)
        held = Held(len(self._all), sock, now)
        self._all.append(held)
        self._selector.register(sock, selectors.EVENT_READ, held)
        if why:
            self._lose(held, why)

    def _tend(self, held: Held, now: float) -> None:
        if held.why:
            return
        if held.waits:
            if now - held.sent > (self._patience if held.opened else self._open_within):
                self._lose(held, "no echo" if held.opened else "timeout")
        elif held.poked or now - held.sent >= self._every:
            held.sent, held.poked = now, False
            try:
                held.sock.send(b".")
            except OSError as error:
                self._lose(held, name_of(error.errno))

    def _hear(self, held: Held) -> None:
        try:
            data = held.sock.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(held, name_of(error.errno))
            return
        self._news[held.number] = held
        if not data:
            self._lose(held, "closed")
        elif held.opened:
            held.proved = held.sent
        else:
            held.greeting += data
            name, newline, _ = held.greeting.partition(b"\n")
            if newline:
                held.port = held.sock.getsockname()[1]
                held.by = name.decode(errors="replace")
                held.opened = held.proved = held.sent = time.monotonic()

    def _lose(self, held: Held, why: str) -> None:
        held.why = why
        held.lost = time.monotonic()
        self._news[held.number] = held
        self._selector.unregister(held.sock)
        held.sock.close()


def main() -> None:
    """Arguments: see the head of this file."""
    mode, address, port, *rest = sys.argv[1:]
    run: Callable[[Reporter], None]
    if mode == "get":
        run = Getting(address, int(port), rest[0], float(rest[1]), float(rest[2])).run
    else:
        every, patience, open_within, pace = map(float, rest[1:5])
        run = Holding(
            (address, int(port)),
            count=int(rest[0]),
            every=every,
            patience=patience,
            open_within=open_within,
            pace=pace,
        ).run
    run(Reporter())


if __name__ == "__main__":
    main()
