# One file a kind of check, loaded when the first target of that kind comes: aiohttp alone doubles
# a worker's memory, and most directors need one kind.
#
# Whatever offers `probe` and `close` is a Prober; a LaneProber (on_lane.py) also offers `talk`, and
# then travels on the lane, thousands at once.
"""Probes: one attempt against one target, each kind in a file of its own."""

from importlib import import_module
from typing import Protocol

from checks.outcome import Outcome
from director.model.check import (
    AgentCheck,
    DnsCheck,
    FileCheck,
    HttpCheck,
    NoneCheck,
    PingCheck,
    Target,
    TcpCheck,
    UdpCheck,
)

MODULES: dict[type, str] = {
    TcpCheck: "checks.probes.tcp",
    HttpCheck: "checks.probes.http",
    DnsCheck: "checks.probes.dns",
    UdpCheck: "checks.probes.udp",
    PingCheck: "checks.probes.ping",
    AgentCheck: "checks.probes.agent",
    FileCheck: "checks.probes.file",
    NoneCheck: "checks.probes.none",
}


class Prober(Protocol):
    """Probes every target of one kind in a worker."""

    async def probe(self, target: Target) -> Outcome:
        """One attempt, ended within the target's timeout. The world's faults are outcomes."""
        ...

    async def close(self) -> None:
        """Let go of what the probes share."""
        ...


def open_prober(kind: type) -> Prober:
    """The prober for a type of check; call it inside the running loop."""
    prober: Prober = import_module(MODULES[kind]).open_prober()
    return prober
