"""From the standings of single probes to the health of a destination."""

from collections.abc import Sequence

import msgspec

from director.model.check import Health, Standing


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Is a destination fit, since when (wall-clock seconds), and what said so.

    `share` of its weight is the least that an agent asks for; None: nobody does.
    """

    health: Health
    reason: str = ""
    since: float = 0.0
    outcomes: tuple[str, ...] = ()
    share: float | None = None


UNCHECKED = Verdict("up", "not checked")
UNPROBED = Standing("", "unknown", "not probed yet")
_UNPROBED = Verdict(UNPROBED.health, UNPROBED.reason)


def judge(standings: Sequence[Standing], need: str) -> Verdict:
    """Combine the probes of one destination; `need` is `all` or `any`.

    With `all` the first failed one decides, with `any` the first that passes. While nothing
    decides and something is still unknown, the whole is unknown.
    """
    if not standings:
        return UNCHECKED
    deciding = _deciding(standings, need)
    shares = [one.share for one in standings if one.share is not None]
    if deciding is UNPROBED and not shares:
        return _UNPROBED
    return Verdict(
        deciding.health,
        deciding.reason,
        deciding.since,
        deciding.outcomes,
        min(shares, default=None),
    )


def _deciding(standings: Sequence[Standing], need: str) -> Standing:
    for health in ("down" if need == "all" else "up", "unknown"):
        for standing in standings:
            if standing.health == health:
                return standing
    return max(standings, key=lambda standing: standing.since)
