"""What the machine has to know of a virtual router, and the times that follow from it."""

import math
from collections.abc import Iterable

import msgspec

from director.model.vip import Router
from director.vrrp.advert import OWNER

PRIORITIES = (1, 254)  # what tracking can move a priority to; 255 is fixed, 0 is a resignation


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine has to know of a virtual router. They may differ from call to call.

    `priority` is the effective one, 1 to 255; `interval` in seconds; `source` the address our
    adverts leave from. `preempt_after`: seconds in Backup before we contest a weaker active; an
    address owner (255) does not wait. `accept`: VIPs take packets for themselves; the machine
    carries it for the process.
    """

    priority: int
    interval: float
    source: str
    preempt_after: float = 0.0
    version: int = 3
    accept: bool = True

    @property
    def owner(self) -> bool:
        """Are the addresses this node's own?"""
        return self.priority == OWNER

    @classmethod
    def of(cls, router: Router, weights: Iterable[int] = ()) -> "Rules":
        """The rules as the file gives them; `weights`: of what is tracked, and fails now."""
        waits = {"now": 0.0, "never": math.inf}
        return cls(
            priority=effective_priority(router.priority, weights),
            interval=router.interval,
            source=router.source,
            preempt_after=waits.get(router.failback.when, router.failback.after),
            version=router.version,
            accept=router.accept,
        )


def effective_priority(base: int, weights: Iterable[int]) -> int:
    """The base and the weights, within 1 to 254; an owner's 255 is fixed.

    Source: keepalived (vrrp_set_effective_priority); facts VRRP.md section 5.
    """
    if base == OWNER:
        return OWNER
    low, high = PRIORITIES
    return max(low, min(high, base + sum(weights)))


def skew(priority: int, interval: float, version: int = 3) -> float:
    """Seconds by which a weaker backup waits longer: 0.609375 for priority 100 at 1 s.

    In version 2 it is a part of a second, whatever the interval.

    Source: RFC 9568 section 6.1, RFC 3768 section 6.1 (Skew_Time).
    """
    return (256 - priority) * (interval if version == 3 else 1.0) / 256


def active_down(priority: int, interval: float, version: int = 3) -> float:
    """Seconds of silence after which a backup takes over (Active_Down_Interval).

    Three missed adverts and the skew. `interval` is what the active router last announced, not
    what we would use ourselves. Priority 100 at 1 s gives 3.609375 s.

    Source: RFC 9568 section 6.1.
    """
    return 3 * interval + skew(priority, interval, version)
