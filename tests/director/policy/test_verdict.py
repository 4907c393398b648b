"""policy/verdict: several probes, one health."""

import msgspec
import pytest

from director.model.check import Health, Standing
from director.policy.verdict import UNCHECKED, judge

UP = Standing("a", "up", "HTTP 200", 5.0)
UP_LATER = Standing("b", "up", "layer4 ok", 9.0)
DOWN = Standing("c", "down", "layer4 timeout", 7.0)
UNKNOWN = Standing("d", "unknown", "not probed yet")

ROWS: dict[str, tuple[tuple[Standing, ...], str, Health, str]] = {
    "all: one down is down":            ((UP, DOWN, UNKNOWN), "all", "down", "layer4 timeout"),
    "all: one unknown is unknown":      ((UP, UNKNOWN), "all", "unknown", "not probed yet"),
    "all: all up is up since the last": ((UP, UP_LATER), "all", "up", "layer4 ok"),
    "any: one up is up":                ((DOWN, UNKNOWN, UP), "any", "up", "HTTP 200"),
    "any: one unknown is unknown":      ((DOWN, UNKNOWN), "any", "unknown", "not probed yet"),
    "any: all down is down":            ((DOWN, DOWN), "any", "down", "layer4 timeout"),
}  # fmt: skip


@pytest.mark.parametrize(("standings", "need", "health", "reason"), ROWS.values(), ids=ROWS)
def test_judge(standings: tuple[Standing, ...], need: str, health: Health, reason: str) -> None:
    """The probe that decides lends its reason; nothing decides while it could still change."""
    verdict = judge(standings, need)

    assert (verdict.health, verdict.reason) == (health, reason)


@pytest.mark.parametrize(
    ("shares", "want"),
    [((None, None), None), ((0.5, None), 0.5), ((0.5, 0.2), 0.2), ((0.0, 1.0), 0.0)],
)
def test_the_least_share_counts(
    shares: tuple[float | None, float | None], want: float | None
) -> None:
    """Of several agents; whoever has no opinion takes nothing away."""
    standings = [msgspec.structs.replace(UP, share=share) for share in shares]

    assert judge(standings, "all").share == want


def test_nothing_to_probe_is_up() -> None:
    """A destination without checks is trusted."""
    assert judge((), "all") == UNCHECKED
    assert UNCHECKED.health == "up"
