# One event of one peer, as numbers. Pure: what is made of trials (verdict, report) needs no lab.
"""What a client saw of one event."""

from typing import Literal

import msgspec

PeerName = Literal["director", "keepalived"]
# The kernel of a test machine (User-Mode Linux) has no nftables for IPv4, so that a handshake under
# way at the very moment of a move gets no second chance there: up to two are counted by themselves.
HALF_OPEN_MAX = 2
PLANNED = ("stop", "switch")
SINGLE = "kill-"  # how the events begin that end one process
YOUNG = 5.0  # seconds: a connection that has lasted as long is an established one


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One event of one peer. Times in ms, but for `interval`, `down` and `lease` (seconds).

    `gap_ms` is the longest time without an answer; `failed` counts new connections, and
    `half_open` of them handshakes that a move reset; `lost` counts connections that had lasted for
    at least YOUNG or, the quiet ones, more than 30 s, of `held`; `young_lost` those that were
    open, but not as long, of `young`. `lost_between` are old ones that were lost while the pair
    was put right before this event. `takeover_ms` is the time from the last advert of HOME before
    the event to the first one of its successor (None: it sent none); `late_ms` is by how much the
    latest advert of HOME was late while the clients were at work and up to the event.

    Of SIGKILL to all alone: `gone_ms` is when the VIP had left the dead node (None: not within the
    lease and some time more), `bare` whether nobody held it at some time, `failed_after` the new
    connections that failed once the successor held it. Of SIGKILL to one: `replaced_ms` is when
    another process had its role (None: not in time), `moved` whether the successor has the VIP.
    """

    event: str
    interval: float
    peer: PeerName
    down: float
    lease: float
    gap_ms: float
    takeover_ms: float | None = None
    late_ms: float = 0.0
    failed: int
    half_open: int = 0
    failures: dict[str, int]
    held: int
    lost: int
    lost_why: tuple[str, ...]
    lost_between: int = 0
    young: int = 0
    young_lost: int = 0
    gone_ms: float | None = None
    bare: bool = False
    failed_after: int = 0
    replaced_ms: float | None = None
    moved: bool = False


def half_open(event: str, failures: dict[str, int], *, second_chance: bool) -> int:
    """How many failures are handshakes that a move has reset, where nothing could save them.

    A crash of the whole resets none: whoever is gone answers nothing. A process that was killed
    may be followed by a hand-over.
    """
    moves = event in PLANNED or event.startswith(SINGLE)
    if second_chance or not moves:
        return 0
    return min(HALF_OPEN_MAX, failures.get("ECONNRESET", 0))
