# The second chance, vrrp's part: whom to send those packets to that IPVS does not know. The engine
# makes the map and the rule (policy/firewall.py says what for).
"""Point a router's VIPs to who was active before."""

import errno
import logging
import os
from typing import Protocol

from director.kernel.nftables import NfTables
from director.model.address import Family
from director.model.vip import Router
from director.policy.firewall import TABLE, chance_map, chances
from director.vrrp.mute import LINGER

CHANCE = LINGER - 1.0  # seconds; the kernel ends a lease up to half a second early

log = logging.getLogger("director.vrrp")


class Maps(Protocol):
    """What is asked of nf_tables, real or not."""

    def point(
        self, table: str, name: str, targets: dict[str, str], seconds: float, family: Family
    ) -> int:
        """Make a map hold these and nothing else, each for so long; 0 or an errno."""


def open_maps() -> Maps | None:
    """Those of this network namespace; None where there is no nf_tables."""
    try:
        return NfTables()
    except OSError as error:
        log.info("no nf_tables: %s", error.strerror)
        return None


class Chance:
    """That of one virtual router."""

    def __init__(self, router: Router, maps: Maps | None) -> None:
        self._router = router
        self._maps = maps
        self._offered = False

    def offer(self, before: str) -> None:
        """`before` was active until now (empty: nobody that we know of)."""
        family = self._router.family
        vips = chances(self._router, family) if before else ()
        self._point(dict.fromkeys(vips, before))

    def withdraw(self) -> None:
        """We are active no more: from now on nothing is sent on."""
        if self._offered:
            self._point({})

    def _point(self, targets: dict[str, str]) -> None:
        if self._maps is None:
            return
        router = self._router
        code = self._maps.point(TABLE, chance_map(router), targets, CHANCE, router.family)
        self._offered = bool(targets) and not code
        if code not in (0, errno.ENOENT):
            log.warning("%s: no second chance: %s", router.name, os.strerror(code))
