# What must outlive the engine: an operator's word, and the sysctls as they were before us.
#
# Written whole, synced and renamed, so that a power cut leaves the old file or the new one. A file
# that cannot be read is set aside and said; the engine goes on, for the table in the kernel is the
# better half of its memory anyway.
"""state.json: read at start, written at each change."""

import os
import time
from pathlib import Path
from typing import Annotated

import msgspec

from director.model.service import WEIGHT_MAX
from director.policy.weight import Override
from director.wire.messages import Snapshot

FORMAT = 1


class Remembered(msgspec.Struct, frozen=True):
    """An override with its deadline on the wall clock (0: until revoked)."""

    service: str
    server: str
    kind: str
    weight: Annotated[int, msgspec.Meta(ge=0, le=WEIGHT_MAX)] = 0
    percent: bool = False
    until: float = 0.0


class Memory(msgspec.Struct, kw_only=True):
    """The content of state.json."""

    format: int = FORMAT
    overrides: list[Remembered] = []
    sysctls_before: dict[str, str] = {}
    timeouts_before: tuple[float, float, float] | None = None


def write_whole(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Replace a file so that a reader, and a power cut, see all of it or none."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def recall(path: Path) -> tuple[Memory, str]:
    """The memory, and what was wrong with the file ("" when nothing was)."""
    try:
        memory = msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory(), ""
    except (OSError, msgspec.MsgspecError) as error:
        return Memory(), f"{path} is unreadable ({error}); {_set_aside(path)}"
    if memory.format != FORMAT:
        wrong = f"{path} has format {memory.format}, this version reads {FORMAT}"
        return Memory(), f"{wrong}; {_set_aside(path)}"
    return memory, ""


def _set_aside(path: Path) -> str:
    """Kept for a human: the next change writes a file of our own."""
    aside = path.with_name(f"{path.name}.unreadable")
    try:
        path.replace(aside)
    except OSError as error:
        return f"it cannot be set aside ({error.strerror})"
    return f"set aside as {aside.name}"


def store(path: Path, memory: Memory) -> None:
    """Write it. Raises OSError."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(memory), indent=1))


def to_overrides(memory: Memory, now: float) -> dict[tuple[str, str], Override]:
    """Overrides with deadlines on the engine's clock, which reads `now`."""
    shift = now - time.time()
    return {
        (one.service, one.server): Override(
            one.kind, one.weight, one.percent, one.until + shift if one.until else 0.0
        )
        for one in memory.overrides
        if not one.until or one.until + shift > now
    }


def from_overrides(overrides: dict[tuple[str, str], Override], now: float) -> list[Remembered]:
    """The way back, without those whose time is over."""
    shift = time.time() - now
    return [
        Remembered(
            service,
            server,
            one.kind,
            one.weight,
            one.percent,
            one.until + shift if one.until else 0,
        )
        for (service, server), one in sorted(overrides.items())
        if not one.until or one.until > now
    ]


def last_snapshot(path: Path) -> Snapshot | None:
    """What the engine before told vrrp; None when nothing can be read of it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return None
