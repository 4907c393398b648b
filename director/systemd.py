"""What the service manager wants to hear (sd_notify(3)); nothing where there is none."""

import os
import socket


class Systemd:
    """Says state to the socket in $NOTIFY_SOCKET."""

    def __init__(self) -> None:
        path = os.environ.get("NOTIFY_SOCKET", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        # A child inherits the environment: WATCHDOG_PID says whose watchdog it is. Half the limit,
        # as sd_watchdog_enabled(3) advises.
        ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_every = int(microseconds) / 2e6 if ours and microseconds.isdigit() else 0.0

    def say(self, state: str) -> None:
        """`READY=1`, `STATUS=…`, `WATCHDOG=1`, `STOPPING=1`. A lost word is no fault."""
        if not self._path:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(state.encode(), self._path)
            except OSError:
                return
