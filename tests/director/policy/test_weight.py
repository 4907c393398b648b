"""policy/weight: which rule wins, and what weight it makes."""

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
