"""none: always up, for a server that nothing can be asked."""

from checks.outcome import Outcome
from director.model.check import Target

UNASKED = Outcome(ok=True, text="not checked")


class NoneProber:
    """Asks nothing."""

    async def probe(self, target: Target) -> Outcome:  # noqa: ARG002
        """Up."""
        return UNASKED

    async def close(self) -> None:
        """Nothing is shared."""


def open_prober() -> NoneProber:
    """The prober for NoneCheck."""
    return NoneProber()
