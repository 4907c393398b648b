# What can go wrong on the way to a server, in the field's words.
#
# Two faults look alike and must not be mixed up: the server's, which count, and this machine's
# (no descriptor, no local port, no time), which do not. See Outcome.ours.
"""From errno and deadline to an outcome."""

import errno
import os

from checks.outcome import Outcome

REASONS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EHOSTUNREACH: "no route to host",
    errno.ENETUNREACH: "network unreachable",
}

# EAGAIN and EADDRNOTAVAIL are how connect(2) says that no local port is free.
OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
    }
)


def fault(error: OSError, layer: str, seconds: float) -> Outcome:
    """The outcome for an error of the kernel's. `layer` is `layer4` or `layer7`."""
    number = error.errno or 0
    if number == errno.ETIMEDOUT:
        return Outcome(ok=False, text=f"{layer} timeout", seconds=seconds)
    text = REASONS.get(number) or os.strerror(number).lower()
    return Outcome(ok=False, text=text, seconds=seconds, ours=number in OURS)


def overdue(timeout: float, layer: str, seconds: float) -> Outcome:
    """The outcome when the deadline passed.

    When it was noticed later than half a timeout after the deadline, this process did not run:
    an answer may lie unread in the socket, so the server is not blamed.
    """
    if seconds > 1.5 * timeout:
        return Outcome(ok=False, text="worker late", seconds=seconds, ours=True)
    return Outcome(ok=False, text=f"{layer} timeout", seconds=seconds)
