# Closing is a plain FIN: a reset would show as an error in the logs of many servers.
"""TCP: up when a connection opens, and says what it should where something is expected."""

from checks.outcome import Outcome
from checks.probes.on_lane import LaneProber, alone
from checks.talk import LISTEN, Step, Talk, Verdict
from director.model.check import Target, TcpCheck

HEARD_MAX = 4096
CONNECT = Talk()  # it has no state: one serves every attempt
EXPECTED = Verdict(ok=True, text="layer7 ok")
OTHER = Verdict(ok=False, text="another answer than expected")
HANDSHAKE = Verdict(ok=True, text="layer6 ok")


class ExpectTalk(Talk):
    """Perhaps something to say, and something to hear within the first HEARD_MAX bytes."""

    def __init__(self, check: TcpCheck) -> None:
        self._say = check.send.encode()
        self._expect = check.expect.encode()
        self._heard = b""

    def begin(self) -> Step:
        return self._say

    def hear(self, data: bytes) -> Step:
        self._heard += data
        if self._expect in self._heard[:HEARD_MAX]:
            return EXPECTED
        return LISTEN if len(self._heard) < HEARD_MAX else OTHER

    def end(self) -> Verdict:
        return OTHER if self._heard else super().end()


class TlsTalk(Talk):
    """A handshake and nothing more."""

    def begin(self) -> Step:
        return HANDSHAKE


class TcpProber(LaneProber):
    """Opens a connection, talks where the check has something to say, and closes."""

    def talk(self, target: Target) -> Talk | None:
        """A connect and nothing else, in most checks."""
        check = target.check
        assert isinstance(check, TcpCheck)
        if check.tls is not None:
            return None
        return ExpectTalk(check) if check.expect else CONNECT

    async def probe(self, target: Target) -> Outcome:
        """One attempt, by itself."""
        check = target.check
        assert isinstance(check, TcpCheck)
        talk = self.talk(target)
        if talk is not None:
            return await alone(target, talk)
        from checks.probes.over_tls import over_tls

        assert check.tls is not None
        wanted = ExpectTalk(check) if check.expect else TlsTalk()
        return await over_tls(target, wanted, check.tls)


def open_prober() -> TcpProber:
    """The prober for TcpCheck."""
    return TcpProber()
