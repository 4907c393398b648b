# sock_connect and not create_connection: no transport, no protocol, half the processor time.
# Closing is a plain FIN: a reset would show as an error in the logs of many servers.
"""TCP: up when a connection opens."""

import asyncio
import socket

from checks.outcome import Outcome
from checks.probes.faults import fault, overdue
from director.model.address import Endpoint, family_of
from director.model.check import Target

CONNECTED = "layer4 ok"


class TcpProber:
    """Opens a connection and closes it again."""

    async def probe(self, target: Target) -> Outcome:
        """One connect within the timeout."""
        timeout = target.check.pace.timeout
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout_at(started + timeout) as deadline:
                await _connect(target.endpoint)
        except TimeoutError as error:
            if not deadline.expired():
                return fault(error, "layer4", clock() - started)
            return overdue(timeout, "layer4", clock() - started)
        except OSError as error:
            return fault(error, "layer4", clock() - started)
        return Outcome(ok=True, text=CONNECTED, seconds=clock() - started)

    async def close(self) -> None:
        """Nothing is shared."""


async def _connect(endpoint: Endpoint) -> None:
    kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
    with socket.socket(family_of(endpoint.address), kind) as sock:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (endpoint.address, endpoint.port))


def open_prober() -> TcpProber:
    """The prober for TcpCheck."""
    return TcpProber()
