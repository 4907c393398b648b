"""What a virtual router can be, and what a step does."""

import math
from enum import Enum

import msgspec

REST = math.inf  # seconds that a node which handed over lets its successor be


class Effect(Enum):
    """What the process has to do, on the spot and in the order given.

    TAKE_VIPS puts those on the interface that are not there; DROP_VIPS removes all. ANNOUNCE is a
    burst of gratuitous ARP and unsolicited neighbour advertisements for every VIP.
    """

    SEND_ADVERT = "send-advert"
    SEND_RESIGNATION = "send-resignation"
    TAKE_VIPS = "take-vips"
    DROP_VIPS = "drop-vips"
    ANNOUNCE = "announce"


class Off(msgspec.Struct, frozen=True):
    """Takes no part: not allowed to yet, in fault, or stopped."""

    hold = False
    deadline = math.inf


class Backup(msgspec.Struct, frozen=True):
    """Listens since `since`; takes over at `down_at` unless it hears better.

    `interval` is what the active announced. Until `rest_until` no weaker active is contested.
    """

    interval: float
    down_at: float
    since: float
    rest_until: float = -math.inf
    hold = False

    @property
    def deadline(self) -> float:
        return self.down_at


class Adopting(msgspec.Struct, frozen=True):
    """Found its VIPs in place at start: keeps them, silent, and listens until `active_at`."""

    active_at: float
    hold = True

    @property
    def deadline(self) -> float:
        return self.active_at


class Active(msgspec.Struct, frozen=True):
    """Holds the VIPs; speaks next at `advert_at`, announces them again at `announce_at`.

    `said` is the highest priority in our adverts of late, and binds us until `said_until`: who has
    heard it may be yielding to it.
    """

    advert_at: float
    announce_at: float
    said: int = 0
    said_until: float = -math.inf
    hold = True

    @property
    def deadline(self) -> float:
        return min(self.advert_at, self.announce_at)


class Leaving(msgspec.Struct, frozen=True):
    """Has resigned, holds the VIPs until a peer is active; says so again at `resign_at`.

    At `give_up_at` nobody came: then Off when `stopping`, and Active again when not. `rest` is
    how many seconds we leave the successor alone.
    """

    resign_at: float
    give_up_at: float
    stopping: bool
    rest: float = REST
    hold = True

    @property
    def deadline(self) -> float:
        return min(self.resign_at, self.give_up_at)


State = Off | Backup | Adopting | Active | Leaving


class Step(msgspec.Struct, frozen=True):
    """The state from now on, and what to do now."""

    state: State
    effects: tuple[Effect, ...] = ()


def why_ticked(before: State, after: State) -> str:
    """What a deadline that passed has meant."""
    match before, after:
        case Leaving(), Active():
            return "nobody took over"
        case Leaving(), Off():
            return "stopped; nobody took over in time"
        case _, Active():
            return "nobody else is active"
        case _:
            return "slept too long: a peer may have taken over"
