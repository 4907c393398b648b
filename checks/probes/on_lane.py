"""What kinds of check that travel on the lane have in common."""

import asyncio

from checks.attempt import Attempt
from checks.lane import Lane
from checks.outcome import Outcome
from checks.talk import Talk
from director.model.check import Target


class LaneProber:
    """A kind of check whose attempts travel on a lane; `talk` is what a kind has to say."""

    def talk(self, target: Target) -> Talk | None:
        """The conversation of one attempt; None where this target needs `probe`."""
        raise NotImplementedError

    async def probe(self, target: Target) -> Outcome:
        """One attempt by itself, on a lane of its own."""
        talk = self.talk(target)
        assert talk is not None
        return await alone(target, talk)

    async def close(self) -> None:
        """Nothing is shared."""


async def alone(target: Target, talk: Talk) -> Outcome:
    """One attempt on a lane of its own."""
    result: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def ended(_attempt: Attempt, outcome: Outcome) -> None:
        result.set_result(outcome)

    async with Lane() as lane:
        lane.start(target, talk, ended)
        await asyncio.wait((result, lane.failed), return_when=asyncio.FIRST_COMPLETED)
        if lane.failed.done():
            lane.failed.result()
        return await result
