"""An engine that says what it is told to say, in a thread, for tests of commands."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from director import paths
from director.wire.framing import Unframer
from director.wire.messages import Answer, Ask, decode, encode


@contextmanager
def engine_that_says(
    runtime: Path, answers: Sequence[Answer | bytes], door: str = paths.CONTROL_SOCKET
) -> Iterator[list[Ask]]:
    """One answer a connection, in order; what was asked is in the list."""
    asked: list[Ask] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime / door))
        listener.listen(8)
        listener.settimeout(10)
        thread = threading.Thread(target=_answer, args=(listener, answers, asked))
        thread.start()
        try:
            yield asked
        finally:
            thread.join()


def _answer(listener: socket.socket, answers: Sequence[Answer | bytes], asked: list[Ask]) -> None:
    for answer in answers:
        try:
            visitor, _ = listener.accept()
        except TimeoutError:
            return
        with visitor:
            unframer = Unframer()
            while data := visitor.recv(65536):
                if payloads := unframer.feed(data):
                    message = decode(payloads[0])
                    assert isinstance(message, Ask)
                    asked.append(message)
                    visitor.sendall(answer if isinstance(answer, bytes) else encode(answer))
                    break
