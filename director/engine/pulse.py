# Sends the pulse (policy/pulse.py says what for) while this node is active.
"""Keep sync messages moving."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import trio

from director.policy.pulse import ADDRESS, PORT, Pulse

LOOK_AGAIN_AFTER = 0.5  # seconds, while this node is not active

log = logging.getLogger("director.engine")


async def beat(pulse: Pulse | None, active: Callable[[], bool]) -> None:
    """For ever. A datagram that cannot be sent is lost: the next is soon."""
    if pulse is None:
        return
    number = 0
    with _sink():
        while True:
            if not active():
                await trio.sleep(LOOK_AGAIN_AFTER)
                continue
            for _ in range(pulse.count):
                _send(pulse.source, pulse.port(number))
                number += 1
            await trio.sleep(pulse.every)


def _send(source: str, port: int) -> None:
    # A socket each: a thousand that stay open would be as many descriptors.
    with (
        suppress(OSError),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as one,
    ):
        one.bind((source, port))
        one.sendto(b"", (ADDRESS, PORT))


def _sink() -> socket.socket:
    """Where the datagrams end: never read, so that a full buffer drops them and nobody answers."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    try:
        sink.bind((ADDRESS, PORT))
    except OSError as error:
        # Another director in this network namespace, or a stranger: datagrams then meet him.
        log.warning("pulse: cannot bind %s:%d: %s", ADDRESS, PORT, error.strerror)
    return sink
