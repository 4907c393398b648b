"""Announcements on the wire, and which errors of a socket pass."""

import errno
import socket
from contextlib import suppress

from director.errors import NoRight
from director.kernel.addresses import Link

SO_SNDBUFFORCE = 32
SEND_BUFFER = 4 * 1024 * 1024  # bytes: the usual 208 KiB hold 277 frames, 200 VIPs burst with 600

# Errors that a bug of ours makes. Whatever else a send or a read meets is the world's doing (a wire
# that is down, an address that is gone, a filter, a full queue): the next advert is soon.
OURS = {errno.EBADF, errno.ENOTSOCK, errno.EFAULT, errno.EOPNOTSUPP}


class Announcer:
    """Sends gratuitous ARP and neighbour advertisements: whole frames, on any device.

    It never waits: what a full queue does not take is lost, and a burst says it more than once.

    One socket a device, by its index. To send by name would have the kernel look the name up for
    each frame, and for a device that is gone run modprobe each time (dev_ioctl.c, dev_load): 600
    of these for a burst of 200 VIPs, while our adverts wait.

    Raises NoRight.
    """

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket | None] = {}
        self._open().close()

    def send(self, link: Link, frame: bytes) -> None:
        """Send one frame; a device that is down or gone loses it."""
        if link.index not in self._sockets:
            self._sockets[link.index] = self._bound(link.name)
        bound = self._sockets[link.index]
        if bound is None:
            return
        try:
            bound.send(frame)
        except OSError as error:
            if passing(error) in (errno.ENXIO, errno.ENODEV):
                bound.close()  # it is gone: one that is made anew has another index
                self._sockets[link.index] = None

    def close(self) -> None:
        """Closing twice does nothing."""
        for bound in self._sockets.values():
            if bound is not None:
                bound.close()
        self._sockets.clear()

    def _bound(self, device: str) -> socket.socket | None:
        bound = self._open()
        try:
            bound.bind((device, 0))
        except OSError as error:
            bound.close()
            passing(error)
            return None
        return bound

    def _open(self) -> socket.socket:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        try:
            # Protocol 0: it only sends, nothing is ever queued on it.
            opened = socket.socket(socket.AF_PACKET, kind, 0)
        except PermissionError:
            raise NoRight(
                "playing VRRP needs raw sockets",
                mend="run it as root, or with CAP_NET_RAW and CAP_NET_ADMIN",
            ) from None
        with suppress(PermissionError):  # a user namespace may not; then a big burst loses some
            opened.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)
        return opened


def passing(error: OSError) -> int:
    """The errno of a fault that passes. Raises it again when it is a bug."""
    if error.errno in OURS or error.errno is None:
        raise error
    return error.errno
