"""From the standings of single probes to the health of a destination."""

from collections.abc import Sequence

import msgspec

from director.model.check import Health, Standing


class Verdict(msgspec.Struct, frozen=True):
    """Is a destination fit, since when (wall-clock seconds), and what said so."""

    health: Health
    reason: str = ""
    since: float = 0.0
    outcomes: tuple[str, ...] = ()


UNCHECKED = Verdict("up", "not checked")


def judge(standings: Sequence[Standing], need: str) -> Verdict:
    """Combine the probes of one destination; `need` is `all` or `any`.

    With `all` the first failed one decides, with `any` the first that passes. While nothing
    decides and something is still unknown, the whole is unknown.
    """
    if not standings:
        return UNCHECKED
    deciding: Health = "down" if need == "all" else "up"
    for health in (deciding, "unknown"):
        for standing in standings:
            if standing.health == health:
                return _verdict(standing)
    return _verdict(max(standings, key=lambda standing: standing.since))


def _verdict(standing: Standing) -> Verdict:
    return Verdict(standing.health, standing.reason, standing.since, standing.outcomes)
