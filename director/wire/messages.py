# What the processes say to each other.
#
# Rules of this room:
# 1. Edges for speed, levels for truth: a transition is sent at once and may be lost; the whole
#    state is sent on connect and every LEVELS_EVERY seconds.
# 2. Lists carry an epoch; an answer about an older list is dropped.
# 3. A message is a frozen type with a tag. A tag or a field that this version does not know is a
#    BrokenFrame for the connection, never an exception that ends a process.
"""Messages between processes, and their encoding (msgpack in one frame each)."""

from typing import Literal

import msgspec

from director.errors import Fault
from director.model.check import Standing, Target
from director.model.vip import Router, Vip
from director.wire.framing import BrokenFrame, frame

RoleName = Literal["active", "backup", "fault", "off"]

LEVELS_EVERY = 15.0
BEAT_EVERY = 1.0


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Who connects: the first message of a worker to the engine."""

    role: Literal["vrrp", "checks", "exec"]
    name: str
    pid: int
    version: int = 1


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """I am alive; this is how late my worst timer was since the last beat, in seconds.

    `histogram`: of vrrp, how many timers were how late since its start (punctuality.BOUNDS).
    """

    lateness: float = 0.0
    histogram: tuple[int, ...] = ()


class Targets(msgspec.Struct, frozen=True, tag="targets"):
    """Engine to a check worker: probe these and nothing else.

    `standings` tell what the engine already believes, so that a fresh worker goes on from there.
    """

    epoch: int
    targets: tuple[Target, ...]
    standings: tuple[Standing, ...] = ()


class Transition(msgspec.Struct, frozen=True, tag="transition"):
    """Check worker to engine: one target changed."""

    epoch: int
    standing: Standing


class Levels(msgspec.Struct, frozen=True, tag="levels"):
    """Check worker to engine: where every target stands."""

    epoch: int
    standings: tuple[Standing, ...]


class Found(msgspec.Struct, frozen=True):
    """What one attempt by hand came to, and how long it took. `share`: as in Standing."""

    key: str
    ok: bool
    text: str
    seconds: float = 0.0
    share: float | None = None


class Snapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """Engine to vrrp: the routers to play. The same struct is what vrrp.json holds.

    `strangers` are VIPs of the file before that this one no longer names: to be removed.
    """

    node: str
    digest: str
    routers: tuple[Router, ...]
    strangers: tuple[Vip, ...] = ()


class TableReady(msgspec.Struct, frozen=True, tag="table-ready"):
    """Engine to vrrp: the table stands and first verdicts are in; VIPs may be taken."""


class HandOver(msgspec.Struct, frozen=True, tag="hand-over"):
    """Engine to vrrp: let the peer take this router (all of them: empty), make before break."""

    router: str = ""


class Role(msgspec.Struct, frozen=True):
    """How one virtual router stands on this node. `peer` is whom we heard last as active.

    `conflict` says who else is active now (empty: nobody), `conflicts` how often that has begun.
    `late`: adverts that came two intervals or more after the last one, ours or the active's, within
    an hour; `late_gap`: the longest of these, in seconds.
    """

    router: str
    vrid: int
    role: RoleName
    priority: int
    since: float
    addresses: tuple[str, ...]
    peer: str = ""
    reason: str = ""
    conflict: str = ""
    conflicts: int = 0
    late: int = 0
    late_gap: float = 0.0


class Roles(msgspec.Struct, frozen=True, tag="roles"):
    """vrrp to engine: all routers, on every change and every LEVELS_EVERY seconds."""

    roles: tuple[Role, ...]
    refused: dict[str, int] = {}


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Engine to exec: run a program, with `stdin` to read, for `timeout` seconds at most."""

    id: int
    argv: tuple[str, ...]
    stdin: str
    timeout: float


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Engine to exec: kill this run; it is answered all the same."""

    id: int


class Ran(msgspec.Struct, frozen=True, tag="ran"):
    """Exec to engine: how a run ended.

    `fault` says why there is no exit status where nothing else does: it was not started, or had to
    be killed. `signal` ended it otherwise. `output` is its last line.
    """

    id: int
    status: int | None = None
    signal: int = 0
    seconds: float = 0.0
    output: str = ""
    fault: str = ""

    @property
    def well(self) -> bool:
        """Did it end with exit status 0?"""
        return self.status == 0

    def __str__(self) -> str:
        end = f"signal {self.signal}" if self.signal else f"exit status {self.status}"
        said = f": {self.output}" if self.output else ""
        return f"{self.fault or end}{said}"


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A command to the engine."""

    verb: str
    args: dict[str, str] = {}


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """The engine to a command. `body` is JSON; `status` an exit status (errors.Exit).

    With `more` another Answer follows: a table is told in pieces.
    """

    status: int
    body: str = "null"
    faults: tuple[Fault, ...] = ()
    more: bool = False


Message = (
    Hello
    | Beat
    | Targets
    | Transition
    | Levels
    | Snapshot
    | TableReady
    | HandOver
    | Roles
    | Run
    | Cancel
    | Ran
    | Ask
    | Answer
)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """The message as one frame."""
    return frame(_encoder.encode(message))


def decode(payload: bytes) -> Message:
    """The message in a frame's payload. Raises BrokenFrame when it is none of ours."""
    try:
        return _decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise BrokenFrame(str(error)) from error
