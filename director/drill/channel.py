# The line to a machine: JSON objects, one a line, over a socketpair whose other end is the guest's
# serial port.
#
# The guest's tty holds 4 KiB of input, so a long order goes by a file of the shared folder and the
# line carries its name. Each such file has a name of its own: hostfs caches pages, and a file that
# the host rewrites may be read stale inside.
"""Orders to a machine, and its news."""

import json
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path

from director.drill.places import DrillError

LINE_MAX = 2000
ANSWER_WITHIN = 30.0


class Channel:
    """Our end of the line. `lost` says what to tell when the machine is gone."""

    def __init__(self, line: socket.socket, folder: Path, name: str, lost: Callable[[], str]):
        line.setblocking(False)  # noqa: FBT003 (the socket's own signature)
        self._line = line
        self._folder = folder
        self._name = name
        self._lost = lost
        self._pending = b""
        self._orders = 0
        self._answers: dict[int, dict[str, object]] = {}
        self.ended: dict[int, int] = {}
        self.ready = ""

    def order(self, **words: object) -> dict[str, object]:
        """Give one order and wait for its answer. Raises DrillError."""
        self._orders += 1
        number = self._orders
        self._say(number, json.dumps({"id": number, **words}).encode())
        self.wait(lambda: number in self._answers, ANSWER_WITHIN, f"no answer to {words['do']}")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise DrillError(f"{self._name}: {answer['error']}")
        return answer

    def wait(self, done: Callable[[], bool], timeout: float, complaint: str) -> None:
        """Listen until `done`. Raises DrillError after `timeout` s and when the line is dead."""
        give_up_at = time.monotonic() + timeout
        while not done():
            left = give_up_at - time.monotonic()
            if left < 0:
                said = "" if self.ready else self._lost()
                raise DrillError(f"{self._name}: {complaint} within {timeout:g} s{said}")
            self.listen(left)

    def listen(self, within: float = 0.0) -> bool:
        """Take in what arrives within that many seconds. Raises DrillError on a dead line."""
        if self._line.fileno() < 0:
            raise DrillError(f"{self._name} has no power")
        if not select.select([self._line], [], [], within)[0]:
            return False
        try:
            data = self._line.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise DrillError(f"{self._name} has lost power{self._lost()}")
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._note(json.loads(line))
        return True

    def take_in(self) -> bool:
        """Take in what has arrived; False when the line is dead."""
        try:
            while self.listen():
                pass
        except DrillError:
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _say(self, number: int, data: bytes) -> None:
        if len(data) > LINE_MAX:
            file = self._folder / f"{self._name}-order-{number}-{time.monotonic_ns()}"
            file.write_bytes(data)
            data = json.dumps({"id": number, "do": "file", "path": str(file)}).encode()
        try:
            self._line.sendall(data + b"\n")
        except OSError as error:
            raise DrillError(f"{self._name} has no power{self._lost()}") from error

    def _note(self, words: dict[str, object]) -> None:
        if "ready" in words:
            self.ready = str(words["ready"])
        elif "exit" in words:
            self.ended[int(str(words["exit"]))] = int(str(words["status"]))
        else:
            self._answers[int(str(words["id"]))] = words
