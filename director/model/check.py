"""What is probed and how: one class of settings for each kind of check."""

from typing import Literal

import msgspec

from director.model.address import Endpoint

Health = Literal["unknown", "up", "down"]


class Pace(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """When to probe and how many outcomes decide. Seconds."""

    interval: float = 2.0
    fast_interval: float = 1.0
    down_interval: float = 2.0
    timeout: float = 1.0
    rise: int = 2
    fall: int = 3


class Tls(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a connection is encrypted. Paths are of files that the worker can read.

    Without `ca` the system's authorities count. `min_days_left` of the server's certificate: 0 asks
    for none beyond its being valid. `key` empty: it is in the file of `certificate`.
    """

    verify: bool = True
    sni: str = ""
    ca: str = ""
    certificate: str = ""
    key: str = ""
    min_days_left: int = 0


class CheckBase(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every kind has. `port` 0 and `address` "" are those of the destination.

    The probe leaves from `source` and by the device `interface` where they are given.
    """

    pace: Pace = Pace()
    port: int = 0
    address: str = ""
    source: str = ""
    interface: str = ""


class TcpCheck(CheckBase, frozen=True, tag="tcp", kw_only=True, gc=False):
    """Up when a connection opens within the timeout, with TLS where it is asked for.

    With `expect`: when the server says it, after `send` or by itself.
    """

    send: str = ""
    expect: str = ""
    tls: Tls | None = None


class HttpCheck(CheckBase, frozen=True, tag="http", kw_only=True, gc=False):
    """Up when a request is answered with a status in one of the (low, high) ranges.

    `keep_alive` keeps the connection for the next probe, which then does not prove that the server
    accepts new ones. `body_regex` must be found in the first bytes of the body.
    """

    method: str = "GET"
    path: str = "/"
    host: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    status: tuple[tuple[int, int], ...] = ((200, 299),)
    body_regex: str = ""
    keep_alive: bool = False
    tls: Tls | None = None


class DnsCheck(CheckBase, frozen=True, tag="dns", kw_only=True, gc=False):
    """Up when a question gets an answer with this rcode, and one of these addresses."""

    query: str
    record: str = "A"
    rcode: str = "NOERROR"
    answer: tuple[str, ...] = ()
    tcp: bool = False


class UdpCheck(CheckBase, frozen=True, tag="udp", kw_only=True, gc=False):
    """Down when the payload is answered by an ICMP error; with `must_answer` also by nothing."""

    payload: bytes = b""
    expect: bytes = b""
    must_answer: bool = False


class PingCheck(CheckBase, frozen=True, tag="ping", kw_only=True, gc=False):
    """Up when an ICMP echo comes back."""


class AgentCheck(CheckBase, frozen=True, tag="agent", kw_only=True, gc=False):
    """Up when a program on the real server says so (HAProxy's agent-check)."""

    send: str = ""


class FileCheck(CheckBase, frozen=True, tag="file", kw_only=True, gc=False):
    """Up while the number in a file of the director's is not 0."""

    path: str


class NoneCheck(CheckBase, frozen=True, tag="none", kw_only=True, gc=False):
    """Always up."""


Check = TcpCheck | HttpCheck | DnsCheck | UdpCheck | PingCheck | AgentCheck | FileCheck | NoneCheck


class Target(msgspec.Struct, frozen=True, gc=False):
    """One thing to probe: a check against one endpoint.

    `key` names it across processes; destinations that need the same probe share one target.
    """

    key: str
    endpoint: Endpoint
    check: Check


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What a worker believes about one target.

    `reason` is the last outcome in the field's words (`layer4 timeout`, `HTTP 503`); `since` is
    wall-clock seconds of the last transition; `outcomes` are the newest last. `share` is what an
    agent asks for, of its weight; None: nobody does.
    """

    key: str
    health: Health
    reason: str = ""
    since: float = 0.0
    outcomes: tuple[str, ...] = ()
    share: float | None = None
