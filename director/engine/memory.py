# What must outlive the engine: an operator's word, which virtual services are ours, and the sysctls
# as they were before us.
#
# Written whole, synced and renamed, so that a power cut leaves the old file or the new one. A file
# that cannot be read is set aside and said; the engine goes on, for the table in the kernel is the
# better half of its memory anyway.
"""state.json: read at start, written at each change."""

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from director.model.service import WEIGHT_MAX, ServiceKey
from director.policy.ownership import parse_key
from director.policy.weight import Override
from director.wire.messages import Snapshot

FORMAT = 1


class Remembered(msgspec.Struct, frozen=True):
    """An override with its deadline on the wall clock (0: until revoked)."""

    service: str
    server: str
    kind: Literal["maintenance", "drain", "weight"]
    weight: Annotated[int, msgspec.Meta(ge=0, le=WEIGHT_MAX)] = 0
    percent: bool = False
    until: float = 0.0
    lasts: float = 0.0


class Memory(msgspec.Struct, kw_only=True):
    """The content of state.json. `services`: the virtual services that are ours."""

    format: int = FORMAT
    overrides: list[Remembered] = []
    services: list[str] = []
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
    """Overrides with deadlines on the engine's clock, which reads `now`.

    A wall clock that was set back makes none longer than it was meant to be.
    """
    shift = now - time.time()
    words = {
        (one.service, one.server): Override(
            one.kind,
            one.weight,
            one.percent,
            min(one.until + shift, now + (one.lasts or math.inf)) if one.until else 0.0,
            one.lasts,
        )
        for one in memory.overrides
    }
    return {place: one for place, one in words.items() if not one.is_over(now)}


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
            one.lasts,
        )
        for (service, server), one in sorted(overrides.items())
        if not one.is_over(now)
    ]


def to_owned(memory: Memory) -> list[ServiceKey]:
    """The virtual services that were ours. What cannot be read as one is nobody's."""
    found = []
    for text in memory.services:
        with suppress(ValueError):
            found.append(parse_key(text))
    return found


def last_snapshot(path: Path) -> Snapshot | None:
    """What the engine before told vrrp; None when nothing can be read of it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return None
