"""UDP: an ICMP error is down; silence is up unless an answer is due."""

from checks.probes.on_lane import LaneProber
from checks.talk import LISTEN, Step, Talk, Verdict
from director.model.check import Target, UdpCheck

OTHERS_MAX = 16
ANSWERED = Verdict(ok=True, text="answered")
SILENT = Verdict(ok=True, text="no answer, no error")
OTHER = Verdict(ok=False, text="another answer than expected")


class UdpTalk(Talk):
    """One datagram out; the kernel tells the socket of an ICMP error by itself."""

    transport = "udp"

    def __init__(self, check: UdpCheck) -> None:
        self._check = check
        self._others = 0

    def begin(self) -> Step:
        return self._check.payload or b"\0"

    def hear(self, data: bytes) -> Step:
        if self._check.expect in data:
            return ANSWERED
        self._others += 1
        return LISTEN if self._others < OTHERS_MAX else OTHER

    def silence(self) -> Verdict | None:
        if self._others:
            return OTHER
        return None if self._check.must_answer else SILENT


class UdpProber(LaneProber):
    """Datagrams over the lane."""

    def talk(self, target: Target) -> Talk:
        """One datagram."""
        assert isinstance(target.check, UdpCheck)
        return UdpTalk(target.check)


def open_prober() -> UdpProber:
    """The prober for UdpCheck."""
    return UdpProber()
