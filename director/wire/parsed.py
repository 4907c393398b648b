# A large file is read by a child, which ends and takes its memory along: parsing 160,000
# destinations leaves hundreds of MiB behind. What it found comes in frames, services a few at a
# time, so that nobody's loop stands still while they are decoded.
"""A file as the child that read it tells it."""

from collections.abc import Iterator

import msgspec

from director.errors import DirectorError, Exit, Fault
from director.model.config import Config
from director.model.pool import Service
from director.wire.framing import BrokenFrame, frame

SLICE = 100  # services a frame


class Head(msgspec.Struct, frozen=True):
    """The first frame: what is wrong, or all but the services, and how many follow."""

    status: int
    faults: tuple[Fault, ...] = ()
    config: Config | None = None
    services: int = 0


_heads = msgspec.msgpack.Decoder(Head)
_slices = msgspec.msgpack.Decoder(tuple[Service, ...])


def encode_parsed(config: Config) -> Iterator[bytes]:
    """A right file."""
    services = config.services
    head = Head(
        Exit.DONE, config=msgspec.structs.replace(config, services=()), services=len(services)
    )
    yield frame(msgspec.msgpack.encode(head))
    for start in range(0, len(services), SLICE):
        yield frame(msgspec.msgpack.encode(services[start : start + SLICE]))


def encode_refused(error: DirectorError) -> bytes:
    """A wrong one, or a machine that lacks what it needs."""
    return frame(msgspec.msgpack.encode(Head(error.status, error.faults)))


class Assembly:
    """Frames in, a Config out."""

    def __init__(self) -> None:
        self._head: Head | None = None
        self._services: list[Service] = []

    def take(self, payload: bytes) -> None:
        """The next frame. Raises BrokenFrame on nonsense."""
        try:
            if self._head is None:
                self._head = _heads.decode(payload)
            else:
                self._services += _slices.decode(payload)
        except msgspec.MsgspecError as error:
            raise BrokenFrame(str(error)) from error

    def config(self) -> Config:
        """The whole. Raises what the child found wrong, and BrokenFrame when it said too little."""
        head = self._head
        if head is None or len(self._services) != head.services:
            raise BrokenFrame("it ended before it had said all")
        if head.config is None:
            raise DirectorError(Exit(head.status), *head.faults)
        return msgspec.structs.replace(head.config, services=tuple(self._services))
