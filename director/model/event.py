"""What happened, and who is told of it."""

from typing import Literal

import msgspec

By = Literal["check", "operator", "peer", "kernel", "time"]


class Change(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Something went from one state to another. `kind` begins with what it is about, then a dot."""

    kind: str
    object: str
    from_: str
    to: str
    reason: str
    by: By

    @property
    def about(self) -> str:
        """The first part of the kind: what hooks ask for."""
        return self.kind.partition(".")[0]

    def __str__(self) -> str:
        ends = f"{self.from_} -> {self.to}" if self.from_ or self.to else ""
        told = ": ".join(part for part in (ends, self.reason) if part)
        return f"{self.kind} {self.object}: {told} [{self.by}]"


class Event(Change, frozen=True, kw_only=True):
    """A change that has a number and an instant (RFC 3339), on a node (docs/contract.md)."""

    format: int = 1
    seq: int
    at: str
    node: str


class Events(msgspec.Struct, frozen=True):
    """What `director events` is answered: those after a number, and the last number there is.

    `engine` tells one run of the engine from the next, which counts anew.
    """

    engine: str
    last: int
    events: tuple[Event, ...]


class Hook(msgspec.Struct, frozen=True):
    """A program that is told of events about some things; `timeout` in seconds."""

    on: tuple[str, ...]
    run: tuple[str, ...]
    timeout: float = 10.0


class Mover(msgspec.Struct, frozen=True):
    """The command that moves the addresses of a virtual router in mode "hook"."""

    router: str
    run: tuple[str, ...]
    timeout: float = 10.0
