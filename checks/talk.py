# What is said to a server, apart from how the bytes travel.
#
# Rules of this room:
# 1. A talk knows no socket and no clock: bytes in, a step out. So a talk is tested without a server
#    and fuzzed without a network, and one lane carries all kinds.
# 2. Whatever a server sends, a talk comes to its verdict within a bounded number of bytes (streams)
#    or of datagrams. The lane reads on as long as a talk wants more and there is something to read.
# 3. The deadline is the lane's, and total. A talk that is still waiting then is a timeout, unless
#    silence was what it hoped for.
"""A talk: the pure half of a probe."""

from typing import Literal, TypeAlias

import msgspec

Transport = Literal["tcp", "udp", "icmp"]


class Verdict(msgspec.Struct, frozen=True):
    """What a talk came to. `keep`: the connection may serve the target's next probe, too.

    `share` of its weight is what the server asks for.
    """

    ok: bool
    text: str
    keep: bool = False
    share: float | None = None


class Talk:
    """One attempt's conversation, of a kind that a subclass knows; without one it proves a connect.

    Every verb gives a step: bytes to send (none: go on listening), a verdict, or another talk that
    takes over on a fresh socket in what is left of the time.
    """

    transport: Transport = "tcp"
    keeps = False  # would it go on over a connection that the probe before has left open?

    def begin(self) -> "Step":
        """The connection stands, or the datagram socket is open."""
        return CONNECTED

    def hear(self, data: bytes) -> "Step":
        """Bytes of the stream as they came, or one datagram. Not asked again after a verdict."""
        raise NotImplementedError

    def end(self) -> Verdict:
        """The server closed the stream before a verdict."""
        return CLOSED

    def silence(self) -> Verdict | None:
        """The deadline came first. None: that is a timeout."""
        return None


Step: TypeAlias = "bytes | Verdict | Talk"

LISTEN = b""
CONNECTED = Verdict(ok=True, text="layer4 ok")
CLOSED = Verdict(ok=False, text="connection closed")
INVALID = Verdict(ok=False, text="layer7 invalid response")
