"""Tables of checks as they are written: one Struct for each kind (rules: schema.py)."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from director.config.spellings import (
    Count,
    Duration,
    HeaderValue,
    HostHeader,
    Later,
    Path,
    Port,
    Status,
    Table,
)


class PaceTable(Table, frozen=True, kw_only=True):
    """`[defaults.check]`: when to probe, and how many outcomes decide."""

    interval: Duration | UnsetType = UNSET
    timeout: Duration | UnsetType = UNSET
    rise: Count | UnsetType = UNSET
    fall: Count | UnsetType = UNSET
    fast_interval: Duration | UnsetType = UNSET
    down_interval: Duration | UnsetType = UNSET


class CheckTable(PaceTable, frozen=True, kw_only=True):
    """What checks of every kind have."""

    port: Port | UnsetType = UNSET
    address: str | UnsetType = UNSET
    source: str | UnsetType = UNSET
    interface: str | UnsetType = UNSET
    fwmark: Later = None
    via: Later = None


class TlsTable(Table, frozen=True, kw_only=True):
    """How a check's connection is encrypted."""

    verify: bool = True
    sni: HostHeader | UnsetType = UNSET
    ca: Path | UnsetType = UNSET
    certificate: Path | UnsetType = UNSET
    key: Path | UnsetType = UNSET
    min_days_left: Annotated[int, Meta(ge=0, le=3650)] = 0


class TcpCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="tcp"):
    """`kind = "tcp"`: a connection opens, and the server says what is expected."""

    send: str = ""
    expect: str | UnsetType = UNSET
    tls: TlsTable | UnsetType = UNSET


class HttpCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="http"):
    """`kind = "http"`: a GET is answered with one of the statuses."""

    path: Path = "/"
    host: HostHeader | UnsetType = UNSET
    status: Status | str | list[Status | str] | UnsetType = UNSET
    method: Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: dict[str, HeaderValue] = {}
    body: str = ""
    body_regex: str | UnsetType = UNSET
    http2: Later = None
    keep_alive: bool = False
    tls: TlsTable | UnsetType = UNSET


class DnsCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="dns"):
    """`kind = "dns"`: a question gets the wanted answer."""

    query: str
    type: Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"] = "A"
    rcode: Literal["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"] = "NOERROR"
    answer: str | list[str] | UnsetType = UNSET
    tcp: bool = False


class UdpCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="udp"):
    """`kind = "udp"`: a datagram meets no ICMP error, or is answered."""

    payload: str | UnsetType = UNSET
    payload_hex: str | UnsetType = UNSET
    expect: str | UnsetType = UNSET
    must_answer: bool = False


class PingCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="ping"):
    """`kind = "ping"`: an echo comes back."""


class AgentCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="agent"):
    """`kind = "agent"`: a program on the real server says so."""

    send: str = ""
    then: Later = None


class FileCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="file"):
    """`kind = "file"`: the number in a file is not 0."""

    path: Path


class NoneCheckTable(CheckTable, frozen=True, kw_only=True, tag_field="kind", tag="none"):
    """`kind = "none"`: always up."""


LATER_KINDS = ("exec",)
AnyCheck = (
    TcpCheckTable
    | HttpCheckTable
    | DnsCheckTable
    | UdpCheckTable
    | PingCheckTable
    | AgentCheckTable
    | FileCheckTable
    | NoneCheckTable
)
