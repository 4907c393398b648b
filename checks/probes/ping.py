# An ICMP socket of the kernel's own kind (SOCK_DGRAM, net/ipv4/ping.c): no capability, where the
# group of this process is within net.ipv4.ping_group_range. The kernel fills in identifier and
# checksum, and hands over what answers that identifier alone.
"""ping: up when an echo comes back."""

import secrets
import struct

from checks.probes.on_lane import LaneProber
from checks.talk import INVALID, LISTEN, Step, Talk, Verdict
from director.model.check import Target

ECHO = struct.Struct("!BBHHH")
REQUEST, REPLY = 8, 0  # RFC 792
REQUEST6, REPLY6 = 128, 129  # RFC 4443 section 4
OTHERS_MAX = 16
ALIVE = Verdict(ok=True, text="echo reply")


class PingTalk(Talk):
    """One echo request, known again by its data."""

    transport = "icmp"

    def __init__(self, *, six: bool) -> None:
        self._six = six
        self._data = secrets.token_bytes(16)
        self._others = 0

    def begin(self) -> Step:
        return ECHO.pack(REQUEST6 if self._six else REQUEST, 0, 0, 0, 1) + self._data

    def hear(self, data: bytes) -> Step:
        right = REPLY6 if self._six else REPLY
        if len(data) >= ECHO.size and data[0] == right and data[ECHO.size :] == self._data:
            return ALIVE
        self._others += 1
        return LISTEN if self._others < OTHERS_MAX else INVALID


class PingProber(LaneProber):
    """Echo requests over the lane."""

    def talk(self, target: Target) -> Talk:
        """One request."""
        return PingTalk(six=":" in target.endpoint.address)


def open_prober() -> PingProber:
    """The prober for PingCheck."""
    return PingProber()
