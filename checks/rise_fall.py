# From outcomes to health.
#
# Rules of this room:
# 1. The very first outcome decides alone: a service must not wait `rise` rounds after a start.
# 2. Later, `fall` failures in a row bring a target down and `rise` successes in a row bring it up;
#    one outcome that agrees with the health starts the count anew.
# 3. An outcome that is ours (no file descriptor left, the worker itself was late) is shown and
#    never counted: our own failure does not remove capacity.
"""Rise and fall: outcomes become health, one value after the other."""

import msgspec

from checks.outcome import Outcome
from director.model.check import Health, Pace, Standing

OUTCOMES_KEPT = 8


class Tally(msgspec.Struct, frozen=True):
    """What the outcomes so far say about one target.

    `against` counts the newest outcomes in a row that contradict `health`. `failure` is the text
    of the last failure, `since` the wall-clock seconds of the last transition (0: none yet), and
    `outcomes` are the newest last. `share` is what the server asked for the last time that it was
    well: no rise and no fall, it counts at once.
    """

    health: Health = "unknown"
    against: int = 0
    failure: str = ""
    since: float = 0.0
    outcomes: tuple[str, ...] = ()
    share: float | None = None

    @property
    def reason(self) -> str:
        """Why it stands so: the last failure while down, else the last outcome."""
        if self.health == "down" and self.failure:
            return self.failure
        return self.outcomes[-1] if self.outcomes else ""


def judge(pace: Pace, tally: Tally, outcome: Outcome, now: float) -> Tally:
    """The tally after one more outcome. `now` is wall-clock seconds, for `since` alone.

    A transition happened when `health` differs from before.
    """
    outcomes = (*tally.outcomes, outcome.text)[-OUTCOMES_KEPT:]
    if outcome.ours:
        return msgspec.structs.replace(tally, outcomes=outcomes)
    failure = tally.failure if outcome.ok else outcome.text
    share = outcome.share if outcome.ok else tally.share
    found: Health = "up" if outcome.ok else "down"
    against = 0 if found == tally.health else tally.against + 1
    if against and against >= _needed(pace, tally.health):
        return Tally(found, 0, failure, now, outcomes, share)
    return Tally(tally.health, against, failure, tally.since, outcomes, share)


def _needed(pace: Pace, health: Health) -> int:
    """Contradicting outcomes in a row that change `health`."""
    return {"unknown": 1, "up": pace.fall, "down": pace.rise}[health]


def interval_after(pace: Pace, tally: Tally) -> float:
    """Seconds from one probe to the next: quick while changing, else by health."""
    if tally.against:
        return pace.fast_interval
    return pace.down_interval if tally.health == "down" else pace.interval


def resume(standing: Standing) -> Tally:
    """Go on from what the engine believes; the count starts at zero."""
    failure = standing.reason if standing.health == "down" else ""
    outcomes = standing.outcomes[-OUTCOMES_KEPT:]
    if not outcomes and standing.reason:
        outcomes = (standing.reason,)
    return Tally(standing.health, 0, failure, standing.since, outcomes, standing.share)


def standing_of(key: str, tally: Tally) -> Standing:
    """The tally as it crosses to the engine."""
    reason, share = tally.reason, tally.share
    return Standing(key, tally.health, reason, tally.since, tally.outcomes, share)
