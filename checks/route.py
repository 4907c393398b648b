"""Sockets for probes: non-blocking, from the address and the device that a check names."""

import socket

from checks.talk import Transport
from director.model.address import Family, family_of
from director.model.check import Target

# include/uapi/linux/in.h; the port is chosen by connect(2), so that it may be shared by probes of
# different servers. Python 3.11 has no name for it.
IP_BIND_ADDRESS_NO_PORT = 24
STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
DATAGRAM = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK


class NoRoute(Exception):
    """The check cannot be made from this machine; its words say why."""


def open_socket(transport: Transport, target: Target) -> socket.socket:
    """A socket that is ready to connect to the target. Raises NoRoute and OSError."""
    family = family_of(target.endpoint.address)
    match transport:
        case "tcp":
            return socket.socket(family, STREAM)
        case "udp":
            return socket.socket(family, DATAGRAM)
    number = socket.IPPROTO_ICMP if family is Family.IPV4 else socket.IPPROTO_ICMPV6
    return socket.socket(family, DATAGRAM, number)
