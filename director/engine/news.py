"""What happened, until the reconciler asks."""

import trio

from director.policy.facts import Touched


class News:
    """Which services something happened to, and a way to wait for it."""

    def __init__(self) -> None:
        self._touched: Touched = set()
        self._event = trio.Event()

    def tell(self, touched: Touched) -> None:
        """Something happened to these services."""
        if touched:
            self._touched |= touched
            self._event.set()

    def wake(self) -> None:
        """There is something to do, though it is about no service."""
        self._event.set()

    async def wait(self) -> None:
        """Until there is news."""
        await self._event.wait()

    def take(self) -> Touched:
        """All news so far; what comes later is the next round's."""
        touched, self._touched = self._touched, set()
        self._event = trio.Event()
        return touched
