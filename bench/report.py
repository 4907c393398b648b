# What a run says: for programs a line of JSON for each event, interval and peer, for a person a
# table and what the figures mean. Pure.
"""The figures of a run, in words and in JSON."""

import json
import statistics
from collections.abc import Sequence

from rich.table import Table

from bench.trial import HALF_OPEN_MAX, SINGLE, YOUNG, Trial

ORDER = (
    "power",
    "link",
    "stop",
    "switch",
    "kill",
    *(f"{SINGLE}{one}" for one in ("vrrp", "engine", "checks")),
)
NOTES = f"""\
min / median / max; outage: of new connections, one every 2 ms
link: all cables are cut at the bridge, silently: the cards of these machines cannot lose their
  carrier. With that loss a director would know at once, so this is the harder case
half-open: of those that failed, handshakes that the move reset: these kernels have no nftables for
  IPv4, so no second chance. At most {HALF_OPEN_MAX} of an event, and no must is missed by them
old lost: open for {YOUNG:g} s and more, some of them for more than 30 s with a byte every 30 s at
  most. "+": lost while the pair was put right
young lost: open for up to {YOUNG:g} s. What a crash loses of them the peer did not know yet;
  for how long it does not, python -m bench.sync_lag measures ([sync] pulse is on, the default)
VIP gone / replaced: kill: when the VIP had left the dead node; kill-*: when another process had the
  role, and in how many events the VIP moved
"""


def line(trials: Sequence[Trial]) -> str:
    """The summary of one event, interval and peer as JSON."""
    return json.dumps(summary(trials))


def summary(trials: Sequence[Trial]) -> dict[str, object]:
    """The figures of one event, interval and peer; times in ms."""
    first = trials[0]
    found: dict[str, object] = {
        "bench": "failover",
        "event": first.event,
        "interval": first.interval,
        "peer": first.peer,
        "repeats": len(trials),
        "down_ms": round(first.down * 1000, 1),
    }
    for field in ("gap_ms", "failed", "half_open", "lost", "young_lost", "late_ms"):
        found[field] = _spread([getattr(one, field) for one in trials])
    for field in ("held", "young", "lost_between"):
        found[field] = sum(getattr(one, field) for one in trials)
    if taken := [one.takeover_ms for one in trials if one.takeover_ms is not None]:
        found["takeover_ms"] = _spread(taken)
    if first.event == "kill":
        found["lease_ms"] = first.lease * 1000
        found["gone_ms"] = _known([one.gone_ms for one in trials])
        found["bare"] = sum(one.bare for one in trials)
        found["failed_after"] = sum(one.failed_after for one in trials)
    if first.event.startswith(SINGLE):
        found["replaced_ms"] = _known([one.replaced_ms for one in trials])
        found["moved"] = sum(one.moved for one in trials)
    for field in ("failures", "lost_why"):
        if said := [value for one in trials if (value := getattr(one, field))]:
            found[field] = said
    return found


def _known(values: Sequence[float | None]) -> dict[str, object]:
    known = [one for one in values if one is not None]
    return (_spread(known) if known else {}) | {"raw": list(values)}


def _spread(values: Sequence[float]) -> dict[str, object]:
    return {
        "min": min(values),
        "median": round(statistics.median(values), 1),
        "max": max(values),
        "raw": list(values),
    }


def groups(trials: Sequence[Trial]) -> list[list[Trial]]:
    """By event, slowest interval first, and peer."""
    keys = sorted(
        {(one.event, -one.interval, one.peer) for one in trials},
        key=lambda key: (ORDER.index(key[0]), *key[1:]),
    )
    return [[one for one in trials if (one.event, -one.interval, one.peer) == k] for k in keys]


def table(trials: Sequence[Trial]) -> Table:
    """For a person."""
    heads = (
        "event",
        "adverts",
        "peer",
        "outage ms",
        "failed",
        "half-open",
        "old lost",
        "young lost",
    )
    shown = Table(*heads, "VIP gone / replaced ms")
    for group in groups(trials):
        first = group[0]
        between = sum(one.lost_between for one in group)
        shown.add_row(
            first.event,
            f"{first.interval:g} s",
            first.peer,
            _three([one.gap_ms for one in group]),
            _three([one.failed for one in group]),
            str(sum(one.half_open for one in group)),
            f"{sum(one.lost for one in group)}" + (f" + {between}" if between else ""),
            f"{sum(one.young_lost for one in group)} of {sum(one.young for one in group)}",
            _after(group),
        )
    return shown


def _after(trials: Sequence[Trial]) -> str:
    if trials[0].event == "kill":
        words = [_times([one.gone_ms for one in trials])]
        if bare := sum(one.bare for one in trials):
            words.append(f"nobody's in {bare}")
    elif trials[0].event.startswith(SINGLE):
        words = [_times([one.replaced_ms for one in trials])]
        if moved := sum(one.moved for one in trials):
            words.append(f"moved in {moved}")
    else:
        return ""
    return ", ".join(words)


def _times(values: Sequence[float | None]) -> str:
    known = [one for one in values if one is not None]
    words = [_three(known)] if known else []
    if len(known) < len(values):
        words.append(f"never in {len(values) - len(known)} of {len(values)}")
    return ", ".join(words)


def _three(values: Sequence[float]) -> str:
    return f"{min(values):.0f} / {statistics.median(values):.0f} / {max(values):.0f}"
