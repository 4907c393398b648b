"""One probe under way on the lane."""

import _socket
from collections.abc import Callable

from checks.outcome import Outcome
from checks.talk import Talk
from director.model.check import Target

Ended = Callable[["Attempt", Outcome], None]


class Attempt:
    """One probe under way."""

    __slots__ = (
        "_drop", "connected", "ended", "over", "reused", "sock", "started", "talk", "target",
        "unsent",
    )  # fmt: skip

    def __init__(
        self,
        drop: "Callable[[Attempt], None]",
        target: Target,
        talk: Talk,
        ended: Ended,
        started: float,
    ) -> None:
        self._drop = drop
        self.target = target
        self.talk = talk
        self.ended = ended
        self.started = started
        self.sock: _socket.socket | None = None
        self.connected = self.over = self.reused = False
        self.unsent = b""

    def cancel(self) -> None:
        """Give it up; `ended` is not called."""
        self._drop(self)

    @property
    def layer(self) -> str:
        """How far it came, for the words of a timeout."""
        return "layer7" if self.connected else "layer4"
