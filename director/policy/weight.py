# The one place that computes a weight.
#
# Two writers of one weight, and weights kept by increments, are the classic faults of this field
# (keepalived #2720: weights that grew without bound). So every input is kept apart, and the
# programmed weight is computed from scratch. The order in which rules win:
#
#   1. maintenance, drain     always 0
#   2. panic                  counts as up, whatever its checks say
#   3. health                 down: 0; unknown: what the kernel has, else 0
#   4. not its turn           0: a sorry server or one in reserve while it is not needed, a real
#                             server while the sorry server serves
#   5. an operator's weight   a number, or a share of the configured one
#   6. an agent's share       of the configured weight,
#   7. slow start             and of that the part of the ramp that is climbed; never below 1
#   8. the configured weight
"""The weight of a destination, and why."""

from functools import lru_cache
from typing import Literal

import msgspec

from director.model.check import Health
from director.model.service import WEIGHT_MAX


class Override(msgspec.Struct, frozen=True):
    """An operator's word about one real server in one service.

    `weight` counts for the kind `weight`: a number, or with `percent` a share of the configured
    one. `until` is an instant of the engine's clock; 0 means until revoked. The word ends there; of
    the kind `drain` it is when the destination goes, empty or not, and the word stays. `lasts` is
    how many seconds that was away when it was said.
    """

    kind: Literal["maintenance", "drain", "weight"]
    weight: int = 0
    percent: bool = False
    until: float = 0.0
    lasts: float = 0.0

    @property
    def quiesces(self) -> bool:
        """Does it keep new connections away, whatever else is said?"""
        return self.kind != "weight"

    def is_over(self, now: float) -> bool:
        """Has its time passed?"""
        return self.kind != "drain" and 0 < self.until <= now


# May a destination serve? `keeps`: nobody knows yet, so that what is in the kernel stands.
Turn = Literal["serves", "waits", "keeps", "panic"]


class Weight(msgspec.Struct, frozen=True, gc=False):
    """A programmed weight and the rules that made it, the winning one first."""

    value: int
    because: tuple[str, ...]


@lru_cache(maxsize=4096)  # equal ones are one object: a large table has few different weights
def weigh(
    configured: int,
    health: Health,
    override: Override | None,
    in_kernel: int | None,
    *,
    turn: Turn = "serves",
    agent: float | None = None,
    ramp: float = 1.0,
) -> Weight:
    """The weight to program. `in_kernel` is what stands there now; None: nothing does.

    `agent` and `ramp` are shares of one.
    """
    if override is not None and override.quiesces:
        return Weight(0, (override.kind,))
    wanted = _wanted(configured, override, agent, ramp)
    if turn == "panic":
        return Weight(wanted.value, ("panic", *wanted.because))
    if health == "down" and turn != "keeps":
        return Weight(0, ("down",))
    if turn == "waits":
        return Weight(0, ("waiting",))
    if turn == "keeps" or health == "unknown":
        return Weight(0 if in_kernel is None else in_kernel, ("unknown", *wanted.because))
    return wanted


def _wanted(configured: int, override: Override | None, agent: float | None, ramp: float) -> Weight:
    """Of one that serves."""
    if override is not None:
        by_hand = configured * override.weight / 100 if override.percent else override.weight
        return Weight(_whole(by_hand), ("operator",))
    because = ("slow start",) if ramp < 1 else ()
    if agent is not None:
        because = (*because, "agent")
    share = 1.0 if agent is None else agent
    return Weight(_whole(configured * share * ramp), (*because, "configured"))


def _whole(weight: float) -> int:
    """Rounded down, but never to none."""
    return min(max(1, int(weight)), WEIGHT_MAX) if weight > 0 else 0
