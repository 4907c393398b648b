# Closing is a plain FIN: a reset would show as an error in the logs of many servers.
"""TCP: up when a connection opens."""

from checks.probes.on_lane import LaneProber
from checks.talk import Talk
from director.model.check import Target

CONNECT = Talk()  # it has no state: one serves every attempt


class TcpProber(LaneProber):
    """Opens a connection and closes it again."""

    def talk(self, target: Target) -> Talk:  # noqa: ARG002
        """A connect and nothing else."""
        return CONNECT


def open_prober() -> TcpProber:
    """The prober for TcpCheck."""
    return TcpProber()
