"""What a worker probes and believes: the engine's list and a tally for each target. Pure."""

import msgspec

from checks.outcome import Outcome
from checks.rise_fall import Tally, interval_after, judge, resume, standing_of
from director.model.check import Standing, Target
from director.wire.messages import Levels, Targets


class Change(msgspec.Struct, frozen=True):
    """What a new list changes: keys to stop probing, targets to start."""

    gone: tuple[str, ...]
    fresh: tuple[Target, ...]


class Roster:
    """The targets of the last list, with what is known of each."""

    def __init__(self) -> None:
        self.epoch: int | None = None
        self._targets: dict[str, Target] = {}
        self._tallies: dict[str, Tally] = {}
        self._unjudged: set[str] = set()
        self._levels_owed = False

    def __len__(self) -> int:
        return len(self._targets)

    def target(self, key: str) -> Target:
        """The target of a key in the list."""
        return self._targets[key]

    def interval(self, key: str) -> float:
        """Seconds between the probes of a target as it stands now."""
        return interval_after(self._targets[key].check.pace, self._tallies[key])

    def take(self, message: Targets) -> Change:
        """Follow a new list.

        What is known of targets that stay is kept. For the others, and for those that have no
        verdict yet, the engine's word is where we start.
        """
        wanted = {target.key: target for target in message.targets}
        gone = tuple(key for key in self._targets if key not in wanted)
        fresh = tuple(target for key, target in wanted.items() if key not in self._targets)
        known = {standing.key: resume(standing) for standing in message.standings}
        tallies = {}
        for key in wanted:
            tally = self._tallies.get(key, Tally())
            tallies[key] = known.get(key, tally) if tally.health == "unknown" else tally
        self.epoch = message.epoch
        self._targets, self._tallies = wanted, tallies
        self._unjudged = {key for key, tally in tallies.items() if tally.health == "unknown"}
        self._levels_owed = True
        return Change(gone, fresh)

    def learn(self, key: str, outcome: Outcome, now: float) -> Standing | None:
        """Count one outcome; the new standing when it is a transition, or another share.

        `now` is wall clock.
        """
        before = self._tallies[key]
        after = judge(self._targets[key].check.pace, before, outcome, now)
        self._tallies[key] = after
        if (after.health, after.share) == (before.health, before.share):
            return None
        self._unjudged.discard(key)
        return standing_of(key, after)

    def settled(self) -> bool:
        """Has every target of the list a verdict? True once a list: the levels are owed then."""
        if self._unjudged or not self._levels_owed:
            return False
        self._levels_owed = False
        return True

    def levels(self) -> Levels:
        """Where every target stands."""
        assert self.epoch is not None
        return Levels(
            self.epoch, tuple(standing_of(key, tally) for key, tally in self._tallies.items())
        )
