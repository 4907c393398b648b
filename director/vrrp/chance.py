# The second chance, vrrp's part: whom to send those packets to that IPVS does not know. The engine
# makes the map and the rules (policy/firewall.py says what for); so it does for the shield.
"""Point a router's VIPs to who was active before."""

import errno
import logging
import os
from typing import Protocol

from director.kernel.nftables import NfTables
from director.model.address import Family
from director.model.vip import Router
from director.policy.firewall import TABLE, TAKEN, chance_map, chances
from director.vrrp.mute import LINGER

SHIELD = 1.0  # seconds; a connection that is lost for good should know soon
CHANCE = LINGER - 1.0  # seconds; the kernel ends a lease up to half a second early

log = logging.getLogger("director.vrrp")


class Maps(Protocol):
    """What is asked of nf_tables, real or not."""

    def point(
        self, table: str, name: str, targets: dict[str, str], seconds: float, family: Family
    ) -> int:
        """Make a map hold these and nothing else, each for so long; 0 or an errno."""

    def open(self, table: str, name: str, seconds: float, family: Family) -> int:
        """Make a set of protocols hold TCP, for so long; 0 or an errno."""


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
        self._shield()

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
        self._tell("no second chance", code)

    def _shield(self) -> None:
        """What comes before the table, or a last report of the peer's, is not reset."""
        if self._maps is None:
            return
        for family in sorted({vip.prefix.family for vip in self._router.vips}):
            self._tell("no shield", self._maps.open(TABLE, TAKEN, SHIELD, family))

    def _tell(self, what: str, code: int) -> None:
        if code not in (0, errno.ENOENT):
            log.warning("%s: %s: %s", self._router.name, what, os.strerror(code))
