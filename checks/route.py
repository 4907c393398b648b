# _socket and not socket: the layer in between (a finaliser, enumerations, a shadowed close) costs
# 3 us a probe, a tenth of it.
"""Sockets for probes: non-blocking, from the address and the device that a check names."""

import _socket
from _socket import (
    AF_INET,
    AF_INET6,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_IP,
    SO_BINDTODEVICE,
    SOL_SOCKET,
)

from checks.talk import Transport
from director.model.check import Target

# include/uapi/linux/in.h: the port is chosen by connect(2), so that probes of different servers may
# share it; Python 3.11 has no name for it. For IPv6 it is set at the same level.
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
        sock = _socket.socket(family, STREAM)
    elif transport == "udp":
        sock = _socket.socket(family, DATAGRAM)
    else:
        try:
            sock = _socket.socket(family, DATAGRAM, IPPROTO_ICMPV6 if six else IPPROTO_ICMP)
        except PermissionError as error:
            raise NoRoute("net.ipv4.ping_group_range leaves this group out") from error
    check = target.check
    if check.source or check.interface:
        try:
            route(sock, six, check.source, check.interface)
        except BaseException:
            sock.close()
            raise
    return sock


def route(sock: _socket.socket, six: bool, source: str, interface: str) -> None:  # noqa: FBT001
    """Let a socket, of IPv6 or not, leave by a device and from an address; "" leaves it open."""
    if interface:
        try:
            sock.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, interface.encode() + b"\0")
        except OSError as error:
            raise NoRoute(f"device {interface}: {_why(error)}") from error
    if source:
        if (":" in source) != six:
            raise NoRoute(f"source {source} is of the other family")
        sock.setsockopt(IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        try:
            sock.bind((source, 0))
        except OSError as error:
            raise NoRoute(f"source {source}: {_why(error)}") from error


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
