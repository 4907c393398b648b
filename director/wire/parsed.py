# A large file is read by a child, which ends and takes its memory along: parsing 160,000
# destinations leaves hundreds of MiB behind. What it found comes in frames, services a few at a
# time, so that nobody's loop stands still while they are decoded.
"""A file as the child that read it tells it."""

from collections.abc import Iterator

import msgspec

from director.errors import DirectorError, Exit, Fault
from director.model.check import Check
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
        self._checks: dict[tuple[Check, ...], tuple[Check, ...]] = {}

    def take(self, payload: bytes) -> None:
        """The next frame. Raises BrokenFrame on nonsense."""
        try:
            if self._head is None:
                self._head = _heads.decode(payload)
            else:
                for service in _slices.decode(payload):
                    self._share(service)
                    self._services.append(service)
        except msgspec.MsgspecError as error:
            raise BrokenFrame(str(error)) from error

    def _share(self, service: Service) -> None:
        """Checks that are equal become one object, as they were before they went over the wire.

        Nobody else has these members yet. Of 160,000 the copies are 40 MB.
        """
        for member in service.members:
            if checks := member.checks:
                shared = self._checks.setdefault(checks, checks)
                msgspec.structs.force_setattr(member, "checks", shared)
            if member.addresses[:1] == (member.name,):
                msgspec.structs.force_setattr(member, "name", member.addresses[0])

    def config(self) -> Config:
        """The whole. Raises what the child found wrong, and BrokenFrame when it said too little."""
        head = self._head
        if head is None or len(self._services) != head.services:
            raise BrokenFrame("it ended before it had said all")
        if head.config is None:
            raise DirectorError(Exit(head.status), *head.faults)
        return msgspec.structs.replace(head.config, services=tuple(self._services))
