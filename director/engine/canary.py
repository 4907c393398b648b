# Canaries: a table that is lost is seen within EVERY, long before it is read back.
#
# IPVS tells of no change, and to read all of it costs a second at 20,000 services. To ask for one
# service is one message. Each time the first, the last and the next one in turn are asked for: a
# table that was cleared lacks all of them, and a single service that was removed is found when its
# turn comes, or by the reading.
"""Ask every tenth of a second whether our services are still there."""

from collections.abc import Callable

import trio

from director.engine.reconcile import Reconciler
from director.kernel.hands import Hands
from director.model.config import Config
from director.model.service import ServiceKey

EVERY = 0.1  # seconds


async def watch(
    reconciler: Reconciler, hands: Hands, shield: Callable[[], None] = lambda: None
) -> None:
    """For ever. What we believe to stand and is gone has the whole table read at once.

    First of all `shield`, for until it is mended the stack answers RST.
    """
    config, turn = reconciler.facts.config, 0
    keys = _keys_of(config)
    while True:
        await trio.sleep(EVERY)
        if config is not reconciler.facts.config:
            config = reconciler.facts.config
            keys = _keys_of(config)
        observed = reconciler.facts.observed
        if observed is None or not keys:
            continue
        asked = {keys[0], keys[-1], keys[turn % len(keys)]}
        turn += 1
        lost = sorted(key for key in asked if key in observed.table and not hands.stands(key))
        if lost:
            shield()
            reconciler.suspect(lost)


def _keys_of(config: Config) -> list[ServiceKey]:
    return [key for one in config.services for key in one.virtuals]
