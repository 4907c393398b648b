# One writer for each IPVS table. The table belongs to a network namespace, and so do the names of
# abstract Unix sockets (unix(7)): whoever is bound to this one writes. Files would not do: the same
# --runtime may lie over two namespaces, and two over one. The kernel gives the name back when its
# holder ends, however it ends.
#
# Anyone may bind such a name, also a user who may not touch IPVS at all. So the holder's identity
# is asked of the kernel, and one who could not write anyway is passed over.
"""The seat of the one who writes the IPVS table of this network namespace."""

import os
import pwd
import socket
import struct
from contextlib import suppress

from director.errors import DirectorError, Exit, Fault

NAME = "\0ipvs-director/table"
ENGINE_USER = "director"
CREDENTIALS = struct.Struct("=iII")  # struct ucred: pid, uid, gid
ATTEMPTS = 3
# Nobody accepts those who looked who sits here; past these the holder goes unnamed.
LOOKS_MAX = 128


class Taken(DirectorError):
    """Another process of ours writes here (75: try again later)."""

    def __init__(self, fault: str, mend: str) -> None:
        super().__init__(Exit.LATER, Fault(fault=fault, mend=mend))


class Seat:
    """Held until `close`, or the end of the process."""

    def __init__(self, sock: socket.socket | None) -> None:
        self._socket = sock

    def close(self) -> None:
        """Leave it to others; closing twice does nothing."""
        if self._socket is not None:
            self._socket.close()


def take_seat() -> Seat:
    """Raises Taken while another process of ours writes here."""
    for _ in range(ATTEMPTS):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(NAME)
            sock.listen(LOOKS_MAX)
        except OSError:
            sock.close()
        else:
            return Seat(sock)
        if (holder := _holder()) is None:
            continue  # it has just left
        pid, uid = holder
        if uid not in _trusted():
            return Seat(None)
        raise Taken(
            f"process {pid} writes the IPVS table of this network namespace",
            "an engine does by itself what the file says; or stop it first: "
            "systemctl stop director-engine",
        )
    raise Taken("the seat at the IPVS table changes hands all the time", "try again")


def _holder() -> tuple[int, int] | None:
    """Process and user of who listens; None when nobody does any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(0)  # nobody accepts: a full backlog must not hold us
        try:
            sock.connect(NAME)
        except BlockingIOError:
            return _listener_of_full_backlog()
        except OSError:
            return None
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid, uid, _ = CREDENTIALS.unpack(found)
    return pid, uid


def _listener_of_full_backlog() -> tuple[int, int]:
    """It is there, and says nothing of itself: taken for one of ours."""
    return 0, os.geteuid()


def _trusted() -> set[int]:
    """Who may write IPVS: root, ourselves, and the engine's own user."""
    trusted = {0, os.geteuid()}
    with suppress(KeyError):
        trusted.add(pwd.getpwnam(ENGINE_USER).pw_uid)
    return trusted
