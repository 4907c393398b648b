# _socket and not socket: the layer in between (a finaliser, enumerations, a shadowed close) costs
# 3 us a probe, a tenth of it.
"""Sockets for probes: non-blocking, from the address and the device that a check names."""

import _socket
from _socket import AF_INET, AF_INET6, IPPROTO_ICMP, IPPROTO_ICMPV6

from checks.talk import Transport
from director.model.check import Target

# include/uapi/linux/in.h; the port is chosen by connect(2), so that it may be shared by probes of
# different servers. Python 3.11 has no name for it.
IP_BIND_ADDRESS_NO_PORT = 24
STREAM = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK
DATAGRAM = _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK


class NoRoute(Exception):
    """The check cannot be made from this machine; its words say why."""


def open_socket(transport: Transport, target: Target) -> _socket.socket:
    """A socket that is ready to connect to the target. Raises NoRoute and OSError."""
    six = ":" in target.endpoint.address
    family = AF_INET6 if six else AF_INET
    if transport == "tcp":
        return _socket.socket(family, STREAM)
    if transport == "udp":
        return _socket.socket(family, DATAGRAM)
    return _socket.socket(family, DATAGRAM, IPPROTO_ICMPV6 if six else IPPROTO_ICMP)
