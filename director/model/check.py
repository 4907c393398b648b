"""What is probed and how: one class of settings for each kind of check."""

from typing import Literal

import msgspec

from director.model.address import Endpoint

Health = Literal["unknown", "up", "down"]


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When to probe and how many outcomes decide. Seconds."""

    interval: float = 2.0
    fast_interval: float = 1.0
    down_interval: float = 2.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3


class TcpCheck(msgspec.Struct, frozen=True, tag="tcp", kw_only=True):
    """Up when a connection opens within the timeout."""

    pace: Pace = Pace()
    port: int = 0
    address: str = ""


class HttpCheck(msgspec.Struct, frozen=True, tag="http", kw_only=True):
    """Up when a GET is answered with a status in one of the (low, high) ranges.

    `keep_alive` keeps the connection for the next probe, which then does not prove that the server
    accepts new ones.
    """

    pace: Pace = Pace()
    port: int = 0
    address: str = ""
    path: str = "/"
    host: str = ""
    status: tuple[tuple[int, int], ...] = ((200, 299),)
    keep_alive: bool = False


Check = TcpCheck | HttpCheck


class Target(msgspec.Struct, frozen=True):
    """One thing to probe: a check against one endpoint.

    `key` names it across processes; destinations that need the same probe share one target.
    """

    key: str
    endpoint: Endpoint
    check: Check


class Standing(msgspec.Struct, frozen=True):
    """What a worker believes about one target.

    `reason` is the last outcome in the field's words (`layer4 timeout`, `HTTP 503`); `since` is
    wall-clock seconds of the last transition; `outcomes` are the newest last.
    """

    key: str
    health: Health
    reason: str = ""
    since: float = 0.0
    outcomes: tuple[str, ...] = ()
