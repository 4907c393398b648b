# The one place that computes a weight.
#
# Two writers of one weight, and weights kept by increments, are the classic faults of this field
# (keepalived #2720: weights that grew without bound). So every input is kept apart, and the
# programmed weight is computed from scratch. The order in which rules win:
#
#   1. maintenance            always 0
#   2. an operator's weight   while the destination is not down
#   3. health                 down: 0; unknown: what the kernel has, else 0
#   4. the configured weight
"""The weight of a destination, and why."""

import msgspec

from director.model.check import Health
from director.model.service import WEIGHT_MAX


class Override(msgspec.Struct, frozen=True):
    """An operator's word about one real server in one service.

    `weight` counts for the kind `weight`: a number, or with `percent` a share of the configured
    one. `until` is an instant of the engine's clock; 0 means until revoked.
    """

    kind: str
    weight: int = 0
    percent: bool = False
    until: float = 0.0


class Weight(msgspec.Struct, frozen=True):
    """A programmed weight and the rules that made it, the winning one first."""

    value: int
    because: tuple[str, ...]


def weigh(
    configured: int, health: Health, override: Override | None, in_kernel: int | None
) -> Weight:
    """The weight to program. `in_kernel` is what stands there now; None: nothing does."""
    if override is not None and override.kind == "maintenance":
        return Weight(0, ("maintenance",))
    if health == "down":
        return Weight(0, ("down",))
    wanted, because = configured, ("configured",)
    if override is not None:
        wanted, because = _by_operator(configured, override), ("operator",)
    if health == "unknown":
        return Weight(0 if in_kernel is None else in_kernel, ("unknown", *because))
    return Weight(wanted, because)


def _by_operator(configured: int, override: Override) -> int:
    weight = configured * override.weight // 100 if override.percent else override.weight
    if override.percent and override.weight and configured:
        weight = max(1, weight)
    return min(weight, WEIGHT_MAX)
