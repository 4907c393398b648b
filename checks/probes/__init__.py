# One file a kind of check, loaded when the first target of that kind comes: aiohttp alone doubles
# a worker's memory, and most directors need one kind.
#
# A faster engine for thousands of plain probes (one epoll set, request bytes built ahead) can take
# the place of a kind here: whatever offers `probe` and `close` is a Prober.
"""Probes: one attempt against one target, each kind in a file of its own."""

from importlib import import_module
from typing import Protocol

from checks.outcome import Outcome
from director.model.check import HttpCheck, Target, TcpCheck

MODULES: dict[type, str] = {
    TcpCheck: "checks.probes.tcp",
    HttpCheck: "checks.probes.http",
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
