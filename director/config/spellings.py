"""How single values of the file are spelt, and what every table of it has."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Later = Annotated[None, Meta(extra={"later": True})]

Duration = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$", extra={"kind": "duration"})
]
DurationOr = Annotated[str, Meta(extra={"kind": "duration"})]
Path = Annotated[str, Meta(pattern=r"^/[!-~]*$", extra={"kind": "path"})]
HostHeader = Annotated[str, Meta(pattern=r"^[!-~]+$", extra={"kind": "host"})]
HeaderValue = Annotated[str, Meta(pattern=r"^[ -~\t]*$", extra={"kind": "header"})]
Device = Annotated[str, Meta(pattern=r"^[^\s/:]{1,15}$", extra={"kind": "device"})]
Label = Annotated[str, Meta(pattern=r"^[^\s/]{1,15}$", extra={"kind": "label"})]
Status = Annotated[int, Meta(ge=100, le=599)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Weight = Annotated[int, Meta(ge=0, le=65535)]
Priority = Annotated[int, Meta(ge=1, le=255)]  # 255: the address owner (RFC 9568 section 5.2.4)
Count = Annotated[int, Meta(ge=1, le=1000)]
Threshold = Annotated[int, Meta(ge=0, le=4294967295)]
Mark = Annotated[int, Meta(ge=1, le=4294967295)]
MarkBase = Annotated[int, Meta(ge=2, le=0xFF00_0000)]  # 2**24 are ours from there on
RoutingTable = Annotated[int, Meta(ge=1, le=4294967295)]
Share = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?%$", extra={"kind": "share"})]
Unsigned = Annotated[int, Meta(ge=0, le=65535)]

Scheduler = Literal[
    "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos",
    "none",
]  # fmt: skip
Flag = Literal["sh-port", "sh-fallback", "mh-port", "mh-fallback"]
ForwardingWord = Literal["dr", "tun", "nat"]
OnFail = Literal["auto", "quiesce", "remove"]
EventWord = Literal["role", "service", "destination", "config", "kernel", "sync"]
ProtocolWord = Literal["tcp", "udp", "sctp"]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table with a fixed set of keys."""
