# The *musts* of a failover, and which of them were missed. Pure.
#
# A gap is judged by its median (one late wake-up of a shared machine is no verdict on a director,
# and the maximum is printed beside it), what failed or was lost by its sum.
"""What a run must show."""

import math
import statistics
from collections.abc import Sequence

from bench.trial import PLANNED, SINGLE, YOUNG, Trial

CRASHES = ("power", "link")
PLANNED_GAP_MS = 20.0
BEYOND_MS = 20.0
RATIO, SLACK_MS = 1.02, 5.0
LEASE_SLACK_MS = 500.0


def missed(trials: Sequence[Trial]) -> list[str]:
    """Every must that was missed, each in a sentence."""
    found = []
    for key in dict.fromkeys((one.event, one.interval) for one in trials):
        here = [one for one in trials if (one.event, one.interval) == key]
        ours = [one for one in here if one.peer == "director"]
        theirs = [one for one in here if one.peer == "keepalived"]
        where = f"{key[0]} at {key[1]:g} s: "
        found += [where + what for what in _missed(key[0], ours, theirs)]
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _missed(event: str, ours: Sequence[Trial], theirs: Sequence[Trial]) -> list[str]:
    if not ours:
        return []
    found = []
    gap = statistics.median(one.gap_ms for one in ours)
    if event in CRASHES:
        found += _crash(gap, ours, theirs)
    elif event in PLANNED:
        found += _planned(gap, ours)
    elif event == "kill":
        found += _kill(ours)
    elif event.startswith(SINGLE):
        found += _kill_one(ours)
    if lost := sum(one.lost for one in ours):
        found.append(f"{lost} established connections lost, must be none")
    if lost := sum(one.lost_between for one in ours):
        found.append(f"{lost} established connections lost before it, must be none")
    return found


def _planned(gap: float, ours: Sequence[Trial]) -> list[str]:
    found = _none_failed(ours)
    if gap > PLANNED_GAP_MS:
        found.append(f"median {gap:.1f} ms, must be {PLANNED_GAP_MS:g} at most")
    if young := sum(one.young_lost for one in ours):
        found.append(f"{young} connections younger than {YOUNG:g} s lost, must be none")
    return found


def _kill_one(ours: Sequence[Trial]) -> list[str]:
    found = _none_failed(ours)
    if left := sum(one.replaced_ms is None and not one.moved for one in ours):
        found.append(f"neither replaced nor handed over in {left} runs, must be none")
    return found


def _none_failed(ours: Sequence[Trial]) -> list[str]:
    """But for handshakes under way at the very moment, where a kernel cannot save them."""
    failed = sum(one.failed - one.half_open for one in ours)
    return [f"{failed} new connections failed, must be none"] if failed else []


def _crash(gap: float, ours: Sequence[Trial], theirs: Sequence[Trial]) -> list[str]:
    found = []
    if theirs:
        limit = statistics.median(one.gap_ms for one in theirs) * RATIO + SLACK_MS
        if gap > limit:
            found.append(f"median {gap:.1f} ms, must be {limit:.1f} (keepalived's and a little)")
    beyond = percentile([one.gap_ms - one.down * 1000 for one in ours], 0.95)
    if beyond > BEYOND_MS:
        found.append(f"p95 {beyond:.1f} ms beyond 3 * interval + skew, must be {BEYOND_MS:g}")
    return found


def _kill(ours: Sequence[Trial]) -> list[str]:
    found = []
    limit = ours[0].lease * 1000 + LEASE_SLACK_MS
    late = [one.gone_ms for one in ours if one.gone_ms is None or one.gone_ms > limit]
    if late:
        found.append(f"the VIP left the dead node after {late} ms, must be {limit:g} at most")
    if bare := sum(one.bare for one in ours):
        found.append(f"the VIP was on no node in {bare} runs, must be none")
    if failed := sum(one.failed_after for one in ours):
        found.append(f"{failed} new connections failed once the peer was active, must be none")
    return found
