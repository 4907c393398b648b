"""Which musts of a failover a run has missed."""

import msgspec
import pytest

from bench.trial import Trial
from bench.verdict import missed, percentile

GOOD = Trial(
    event="power",
    interval=0.1,
    peer="director",
    down=0.3609375,
    lease=2.0,
    gap_ms=310.0,
    failed=150,
    failures={"timeout": 150},
    held=25,
    lost=0,
    lost_why=(),
    gone_ms=1900.0,
)
PEER = msgspec.structs.replace(GOOD, peer="keepalived", gap_ms=300.0)

CASES = {
    # what                         changed of ours                                  what is missed
    "power: all is well":          ({}, ()),
    "power: as late as allowed":   ({"gap_ms": 311.0}, ()),
    "power: later than its peer":  ({"gap_ms": 311.1}, ("power at 0.1 s: median 311.1 ms",)),
    "power: much too late":        ({"gap_ms": 381.0}, ("power at 0.1 s: median 381.0 ms", "power at 0.1 s: p95 20.1 ms beyond")),
    "link: the same":              ({"event": "link", "gap_ms": 311.1}, ("link at 0.1 s: median 311.1 ms",)),
    "power: an old connection":    ({"lost": 1}, ("power at 0.1 s: 1 established",)),
    "stop: all is well":           ({"event": "stop", "gap_ms": 20.0, "failed": 0}, ()),
    "stop: too slow":              ({"event": "stop", "gap_ms": 20.1, "failed": 0}, ("stop at 0.1 s: median 20.1 ms",)),
    "switch: one failed":          ({"event": "switch", "gap_ms": 5.0, "failed": 1}, ("switch at 0.1 s: 1 new",)),
    "kill: all is well":           ({"event": "kill", "gone_ms": 2500.0}, ()),
    "kill: too late":              ({"event": "kill", "gone_ms": 2500.1}, ("kill at 0.1 s: the VIP left",)),
    "kill: never":                 ({"event": "kill", "gone_ms": None}, ("kill at 0.1 s: the VIP left",)),
    "kill: a longer lease":        ({"event": "kill", "lease": 5.0, "gone_ms": 5500.0}, ()),
    "switch: half-open alone":     ({"event": "switch", "gap_ms": 5.0, "failed": 2, "half_open": 2}, ()),
    "switch: beyond half-open":    ({"event": "switch", "gap_ms": 5.0, "failed": 3, "half_open": 2}, ("switch at 0.1 s: 1 new",)),
    "switch: a young connection":  ({"event": "switch", "gap_ms": 5.0, "failed": 0, "young_lost": 1}, ("switch at 0.1 s: 1 connections younger",)),
    "power: a young connection":   ({"young_lost": 1}, ()),
    "power: lost while mended":    ({"lost_between": 1}, ("power at 0.1 s: 1 established connections lost before",)),
    "one: replaced":               ({"event": "kill-vrrp", "failed": 0, "replaced_ms": 900.0}, ()),
    "one: handed over":            ({"event": "kill-vrrp", "failed": 0, "moved": True}, ()),
    "one: left dead":              ({"event": "kill-engine", "failed": 0}, ("kill-engine at 0.1 s: neither",)),
    "one: requests failed":        ({"event": "kill-checks", "failed": 1, "replaced_ms": 900.0}, ("kill-checks at 0.1 s: 1 new",)),
    "kill: nobody held it":        ({"event": "kill", "bare": True}, ("kill at 0.1 s: the VIP was on no node",)),
    "kill: failed at the peer":    ({"event": "kill", "failed_after": 2}, ("kill at 0.1 s: 2 new",)),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "want"), CASES.values(), ids=CASES)
def test_missed(changed: dict[str, object], want: tuple[str, ...]) -> None:
    """Each must by itself, at its limit and beyond."""
    ours = msgspec.structs.replace(GOOD, **changed)
    theirs = msgspec.structs.replace(PEER, event=ours.event, interval=ours.interval)

    found = missed([ours, theirs])

    assert len(found) == len(want)
    assert all(got.startswith(start) for got, start in zip(found, want, strict=True))


def test_a_peer_is_judged_by_nobody() -> None:
    """What keepalived does is measured, not demanded."""
    theirs = msgspec.structs.replace(PEER, event="stop", failed=228, lost=3)

    assert missed([theirs]) == []


@pytest.mark.parametrize(
    ("share", "want"), [(0.05, 1.0), (0.5, 10.0), (0.95, 19.0), (0.96, 20.0), (1.0, 20.0)]
)
def test_percentile(share: float, want: float) -> None:
    """Of twenty values, the smallest that is as good as that share."""
    values = [float(number) for number in range(20, 0, -1)]

    assert percentile(values, share) == want
