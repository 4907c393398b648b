# The engine's sockets. The socket file's group is the authority:
#
#   workers.sock   group director         our own processes
#   view.sock      group director-view    read
#   control.sock   group director-admin   verbs
#
# A group that does not exist leaves the socket to its owner: less access, never more.
"""Unix sockets under the runtime directory."""

import grp
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from director.errors import SystemLacks

BACKLOG = 64


async def open_door(path: Path, group: str) -> trio.SocketListener:
    """Listen at `path`. A socket file that nobody listens at is replaced.

    Raises SystemLacks when another engine listens there or the directory cannot be written.
    """
    _remove_stale(path)
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        before = os.umask(0o117)
        try:
            await sock.bind(str(path))
        finally:
            os.umask(before)
        _hand_to_group(path, group)
    except OSError as error:
        sock.close()
        raise SystemLacks(
            f"cannot listen at {path}: {error.strerror or error}",
            mend=f"does {path.parent} exist, and may this user write there?",
        ) from error
    sock.listen(BACKLOG)
    return trio.SocketListener(sock)


def _remove_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)  # an engine that hangs has a full backlog
        try:
            probe.connect(str(path))
        except BlockingIOError:
            pass
        except ConnectionRefusedError:
            if path.is_socket():  # any other file is not ours to remove: `bind` says so
                path.unlink()
            return
        except OSError:
            return
    raise SystemLacks(
        f"another engine listens at {path}",
        mend="stop it first, or give this one a --runtime directory of its own",
    )


def _hand_to_group(path: Path, group: str) -> None:
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except (KeyError, PermissionError):
        return


async def serve(
    listener: trio.SocketListener, answer: Callable[[trio.SocketStream], Awaitable[None]]
) -> None:
    """Serve until cancelled. What `answer` raises ends the process: it handles what peers do."""
    await trio.serve_listeners(answer, [listener])
