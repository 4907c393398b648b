"""What one probe found, in the field's words."""

import msgspec


class Outcome(msgspec.Struct, frozen=True):
    """One attempt: good or not, why, and how long it took in seconds.

    `ours` marks an attempt that failed for want of something on this machine (file descriptors,
    local ports, processor time). It says nothing about the server, so nobody may count it. `share`
    of its weight is what the server asks for; None: it does not say.
    """

    ok: bool
    text: str
    seconds: float = 0.0
    ours: bool = False
    share: float | None = None
