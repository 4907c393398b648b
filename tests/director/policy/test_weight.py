"""policy/weight: which rule wins, and what weight it makes."""

from typing import Any

import pytest

from director.model.check import Health
from director.policy.weight import Override, Weight, weigh

MAINTENANCE = Override("maintenance")
BY_HAND = Override("weight", 30)
HALF = Override("weight", 50, percent=True)
NOTHING = Override("weight", 0)

ROWS: dict[str, tuple[int, Health, Override | None, int | None, Weight]] = {
    # what it is                          configured health  override  kernel  weight
    "up: as configured":                  (100, "up",      None,        0,    Weight(100, ("configured",))),
    "down: nothing":                      (100, "down",    None,        100,  Weight(0, ("down",))),
    "unknown: as in the kernel":          (100, "unknown", None,        40,   Weight(40, ("unknown", "configured"))),
    "unknown, quiesced in the kernel":    (100, "unknown", None,        0,    Weight(0, ("unknown", "configured"))),
    "unknown, not in the kernel":         (100, "unknown", None,        None, Weight(0, ("unknown", "configured"))),
    "maintenance wins over health":       (100, "up",      MAINTENANCE, 100,  Weight(0, ("maintenance",))),
    "maintenance wins over unknown":      (100, "unknown", MAINTENANCE, 100,  Weight(0, ("maintenance",))),
    "by hand":                            (100, "up",      BY_HAND,     100,  Weight(30, ("operator",))),
    "health wins over a weight by hand":  (100, "down",    BY_HAND,     30,   Weight(0, ("down",))),
    "unknown wins over a weight by hand": (100, "unknown", BY_HAND,     7,    Weight(7, ("unknown", "operator"))),
    "a share of the configured one":      (80,  "up",      HALF,        80,   Weight(40, ("operator",))),
    "a share is never rounded to none":   (1,   "up",      HALF,        1,    Weight(1, ("operator",))),
    "a share of nothing is nothing":      (0,   "up",      HALF,        1,    Weight(0, ("operator",))),
    "nothing, by hand":                   (100, "up",      NOTHING,     100,  Weight(0, ("operator",))),
    "no more than the kernel takes":      (65535, "up",    Override("weight", 100, percent=True), 0,
                                           Weight(65535, ("operator",))),
}  # fmt: skip


DRAIN = Override("drain", until=5.0)
SHARES: dict[str, tuple[Health, Override | None, dict[str, Any], Weight]] = {
    # what it is                        health     override     turn, agent, ramp     weight
    "drained":                          ("up",      DRAIN,       {},                   Weight(0, ("drain",))),
    "drain wins over panic":            ("up",      DRAIN,       {"turn": "panic"},    Weight(0, ("drain",))),
    "panic wins over health":           ("down",    None,        {"turn": "panic"},    Weight(100, ("panic", "configured"))),
    "panic, and nothing is known":      ("unknown", None,        {"turn": "panic"},    Weight(100, ("panic", "configured"))),
    "an operator's weight in panic":    ("down",    BY_HAND,     {"turn": "panic"},    Weight(30, ("panic", "operator"))),
    "it waits":                         ("up",      None,        {"turn": "waits"},    Weight(0, ("waiting",))),
    "it waits, whatever was said":      ("up",      BY_HAND,     {"turn": "waits"},    Weight(0, ("waiting",))),
    "down wins over waiting":           ("down",    None,        {"turn": "waits"},    Weight(0, ("down",))),
    "it waits, and is unknown":         ("unknown", None,        {"turn": "waits"},    Weight(0, ("waiting",))),
    "kept as it is":                    ("up",      None,        {"turn": "keeps"},    Weight(40, ("unknown", "configured"))),
    "kept though it is down":           ("down",    None,        {"turn": "keeps"},    Weight(40, ("unknown", "configured"))),
    "at the foot of a ramp":            ("up",      None,        {"ramp": 0.05},       Weight(5, ("slow start", "configured"))),
    "never below 1 on a ramp":          ("up",      None,        {"ramp": 0.001},      Weight(1, ("slow start", "configured"))),
    "an agent's share":                 ("up",      None,        {"agent": 0.5},       Weight(50, ("agent", "configured"))),
    "nothing, by an agent":             ("up",      None,        {"agent": 0.0},       Weight(0, ("agent", "configured"))),
    "more than all, by an agent":       ("up",      None,        {"agent": 1.5},       Weight(150, ("agent", "configured"))),
    "an agent's share on a ramp":       ("up",      None,        {"agent": 0.5, "ramp": 0.5}, Weight(25, ("slow start", "agent", "configured"))),
    "by hand, no agent and no ramp":    ("up",      BY_HAND,     {"agent": 0.5, "ramp": 0.5}, Weight(30, ("operator",))),
}  # fmt: skip


@pytest.mark.parametrize(("health", "override", "more", "want"), SHARES.values(), ids=SHARES)
def test_weigh_by_turn_and_share(
    health: Health, override: Override | None, more: dict[str, Any], want: Weight
) -> None:
    """Whoever serves, how much of the configured weight; of 100, with 40 in the kernel."""
    assert weigh(100, health, override, 40, **more) == want


@pytest.mark.parametrize(
    ("configured", "health", "override", "in_kernel", "want"), ROWS.values(), ids=ROWS
)
def test_weigh(
    configured: int,
    health: Health,
    override: Override | None,
    in_kernel: int | None,
    want: Weight,
) -> None:
    """One table of rules: maintenance, then health, then the operator's weight, then the file's."""
    assert weigh(configured, health, override, in_kernel) == want
