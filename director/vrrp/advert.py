# What is said about adverts: the nouns that packets and the machine share.
#
# Two versions are never mixed (facts VRRP.md section 5: two nodes of different versions both stay
# active for ever), so the version is a part of the advert and of the terms, and not a guess.
"""Adverts, the terms on which they are heard, and the reasons why not."""

from enum import Enum

import msgspec

from director.model.address import Family
from director.model.vip import Router

GROUP = "224.0.0.18"
GROUP_V6 = "ff02::12"
GROUPS = (GROUP, GROUP_V6)
PROTOCOL = 112
AH_PROTOCOL = 51
TTL = 255
ADVERTISEMENT = 1  # the only type there is
RESIGNING = 0  # the priority of one who stops being active (RFC 9568 section 5.2.4)
OWNER = 255  # the priority of the node whose own address it is
INTERVAL_MAX = 40.95  # seconds: 12 bits of centiseconds


class Checksum(Enum):
    """What a checksum covered, beside the PDU."""

    PSEUDO = "pseudo"
    PSEUDO_GROUP = "pseudo-group"
    PLAIN = "plain"


class Reason(Enum):
    """Why an advert was refused: a counter's name and a log's word. In the order of the checks."""

    AH_MISSING = "ah-missing"
    AH_UNEXPECTED = "ah-unexpected"
    BAD_AH = "bad-ah"
    TOO_SHORT = "too-short"
    BAD_LENGTH = "bad-length"
    BAD_TTL = "bad-ttl"
    WRONG_VERSION = "wrong-version"
    WRONG_FAMILY = "wrong-family"
    UNKNOWN_AUTH = "unknown-auth"
    WRONG_AUTH = "wrong-auth"
    BAD_PASSWORD = "bad-password"  # noqa: S105 (a word for a log)
    WRONG_SPI = "wrong-spi"
    REPLAYED = "replayed"
    BAD_DIGEST = "bad-digest"
    WRONG_INTERVAL = "wrong-interval"
    WRONG_TYPE = "wrong-type"
    WRONG_TOTAL = "wrong-total"
    BAD_CHECKSUM = "bad-checksum"
    WRONG_KIND = "wrong-kind"
    NO_ADDRESSES = "no-addresses"
    NO_INTERVAL = "no-interval"
    NOT_A_PEER = "not-a-peer"
    NOT_LINK_LOCAL = "not-link-local"
    OWN_SOURCE = "own-source"  # another node sends from our address


class Method(Enum):
    """How version 2 proves who sends; the numbers of RFC 2338 section 5.3.6."""

    NONE = 0
    PASS = 1
    AH = 2


class Secret(msgspec.Struct, frozen=True):
    """What both nodes know. Eight bytes count: keepalived cuts what is longer, and pads."""

    method: Method
    word: bytes

    @property
    def key(self) -> bytes:
        return self.word[:8].ljust(8, b"\0")


NO_SECRET = Secret(Method.NONE, b"")


class Advert(msgspec.Struct, frozen=True, kw_only=True):
    """What an active router says. Priority 0 resigns.

    `interval` in seconds: 0.01 to 40.95, and whole ones up to 255 in version 2.
    """

    vrid: int
    priority: int
    interval: float
    addresses: tuple[str, ...]
    family: Family = Family.IPV4
    version: int = 3


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What an advert has to be like, to be heard here.

    `interval` in seconds is compared in version 2 alone; version 3 learns the active's. `peers`
    are the addresses adverts may come from when we play unicast; empty is multicast.
    """

    version: int = 3
    interval: float = 1.0
    peers: tuple[str, ...] = ()
    secret: Secret = NO_SECRET

    @classmethod
    def of(cls, router: Router, secret: Secret = NO_SECRET) -> "Terms":
        """The terms as the file gives them; the secret is read by whoever may."""
        return cls(
            version=router.version, interval=router.interval, peers=router.peers, secret=secret
        )


class Heard(msgspec.Struct, frozen=True):
    """An advert that passed, and which of the checksums it bore.

    `sequence` is that of its authentication header: none from this source may be as low again.
    """

    advert: Advert
    checksum: Checksum
    sequence: int = 0


class Rejected(msgspec.Struct, frozen=True):
    """An advert that did not pass: count it, and otherwise act as if it had not come."""

    reason: Reason
